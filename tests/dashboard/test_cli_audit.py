"""`recommendr audit …`: exit codes for pipelines, one document, and refusals by name."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from tests.dashboard.audits_by_hand import by_hand, linked
from tests.dashboard.conftest import Answer, call

HIT_RATE = "user/hit_rate/gender/female//"


@pytest.fixture
def home(ready_home: Path, tmp_path: Path) -> Path:
    return linked(ready_home, tmp_path / "home")


@pytest.fixture(autouse=True)
def made_by_hand(monkeypatch: pytest.MonkeyPatch, ready_home: Path) -> dict[str, Any]:
    return by_hand(monkeypatch, ready_home)


def said(home: Path, *arguments: object) -> Answer:
    """Run a command as people do, without ``--json``."""
    result = CliRunner().invoke(app, ["audit", *map(str, arguments), "--home", str(home)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, {}, result.stdout, result.stderr)


def test_run_ends_with_what_was_found(home: Path, made_by_hand: dict[str, Any]) -> None:
    found = call(home, "audit", "run")
    assert found.code == 3
    assert found.document["content"]["summary"]["found"] is True
    made_by_hand["clean"] = True
    clean = call(home, "audit", "run")
    assert clean.code == 0
    listed = call(home, "audit", "list").document
    assert len(listed["plans"]) == 1  # the default plan is the same plan
    assert {one["report_id"] for one in listed["reports"]} == {
        found.document["report_id"],
        clean.document["report_id"],
    }


def test_plan_takes_every_field(home: Path) -> None:
    made = call(
        home, "audit", "plan", "--title", "Names", "--axis", "name_origin*gender", "--axis", "gender", "--film-axis",
        "era", "--measure", "reach", "--reference", "gender=man", "--test", "gender=reach", "--alpha", 0.01, "-k", 3,
        "--tastes", 5, "--personas", 50, "--seed", 4, "--on", "2020-01-01", "--notes", "why", "--panel", "matched",
    ).document  # fmt: skip
    assert made["axes"] == ["name_origin × gender", "gender"]
    assert made["references"] == {"gender": "man"}
    assert made["family"] == [["gender", "reach"]]
    assert (made["alpha"], made["k"], made["tastes"], made["personas"], made["seed"]) == (0.01, 3, 5, 50, 4)
    assert (made["on"], made["notes"], made["panel"], made["film_axes"]) == ("2020-01-01", "why", "matched", ["era"])


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("plan", "--axis", "shoe_size"), "axis == 'shoe_size'"),
        (("plan", "--panel", "martians"), "panel == 'martians'"),
        (("plan", "--panel", "observed", "--axis", "gender"), "axis == 'gender'"),
        (("plan", "--reference", "male"), "--reference == 'male'"),
        (("plan", "--reference", "gender=dragon", "--axis", "gender"), "reference of gender == 'dragon'"),
        (("plan", "--alpha", "2"), "alpha == 2.0"),
        (("plan", "--index", "v000000000000"), "index version == 'v000000000000'"),
        (("plan", "--on", "yesterday"), "--on == 'yesterday'"),
        (("plan", "--title", "a\x1b[2Jb"), "title == 'a\\x1b[2Jb'"),
        (("run", "plan_000000000000"), "plan == 'plan_000000000000'"),
        (("report", "audit_000000000000"), "report == 'audit_000000000000'"),
        (("report", "audit_000000000000", "--format", "docx"), "--format == 'docx'"),
        (("report", "audit_000000000000", "--format", "html"), "--json with --format html"),
        (("report", "audit_000000000000", "--out", "/no/such/folder/x"), "the folder '/no/such/folder' does not exist"),
        (("report", "audit_000000000000", "--out", "/"), "--out == '/'"),
        (("verify", "/no/such/file.json"), "there is no file '/no/such/file.json'"),
        (("cause", "audit_000000000000", "x"), "report == 'audit_000000000000'"),
    ],
)
def test_bad_input_is_refused_by_name(home: Path, arguments: tuple[str, ...], what: str) -> None:
    assert call(home, "audit", *arguments).error["what"] == what


def test_a_plan_with_other_options_is_refused(home: Path) -> None:
    name = call(home, "audit", "plan", "--axis", "gender").document["plan_id"]
    assert call(home, "audit", "run", name, "--axis", "region").error["what"] == "axis == 'region'"
    assert call(home, "audit", "run", name, "--panel", "observed").error["what"] == "panel == 'observed'"
    assert call(home, "audit", "run", name, "--axis", "gender", "--panel", "personas").code == 3


def test_report_is_handed_out_and_verified(home: Path, tmp_path: Path) -> None:
    name = call(home, "audit", "run").document["report_id"]
    file = tmp_path / "report.json"
    written = call(home, "audit", "report", name, "--format", "json", "--out", file).document
    assert written["bytes"] == file.stat().st_size
    assert call(home, "audit", "report", name).document == json.loads(file.read_text())
    assert said(home, "report", name, "--format", "html").stdout.startswith("<!DOCTYPE html>")
    same = call(home, "audit", "verify", file)
    assert (same.code, same.document["identical"]) == (0, True)
    assert same.document["plan_declared_at"]
    file.write_text(file.read_text().replace('"ratio":2,', '"ratio":1.1,'))
    changed = call(home, "audit", "verify", file)
    assert (changed.code, changed.document["where"]) == (1, ["/content/figures/0/ratio"])
    file.write_text(file.read_text()[:500])
    assert call(home, "audit", "verify", file).error["type"] == "SchemaError"


def test_people_read_sentences_first(home: Path) -> None:
    shown = said(home, "run")
    assert shown.code == 3
    assert "Disparity was found in 1 of 3 declared comparisons" in " ".join(shown.stdout.split())
    assert "■ disparity" in shown.stdout
    assert "\u202e" not in shown.stdout
    assert "plan_" in said(home, "list").stdout
    assert "in the ledger" in said(home, "plan").stdout


def test_a_row_nobody_knows_has_a_neighbour(home: Path) -> None:
    name = call(home, "audit", "run").document["report_id"]
    assert HIT_RATE in call(home, "audit", "cause", name, HIT_RATE[:-3]).error["hint"]
