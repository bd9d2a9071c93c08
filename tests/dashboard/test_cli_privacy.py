"""`recommendr erase`, `export`, `retention apply` and `purposes`."""

import json
import shutil
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from tests.audit.erasure import small
from tests.audit.erasure.small import PERSON
from tests.dashboard.conftest import call


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("privacy") / "home"
    small.build(home)
    return home


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built, tmp_path / "home")
    shutil.copytree(built.with_name("home.keys"), tmp_path / "home.keys")
    return tmp_path / "home"


def test_erase_names_what_is_left_then_certifies_and_says_so_again(home: Path) -> None:
    (home / "notes.txt").write_text(PERSON)
    left = call(home, "erase", PERSON, "--yes", "--reason", "ticket 12")
    assert (left.code, left.document["status"]) == (1, "not proven")
    assert left.document["proof"]["hits"][0]["where"] == "notes.txt"
    (home / "notes.txt").unlink()
    answer = call(home, "erase", PERSON, "--yes")
    assert answer.code == 0
    assert answer.document["status"] == "erased"
    assert answer.document["proof"]["clean"]
    assert PERSON not in answer.stdout
    again = call(home, "erase", PERSON, "--yes")
    assert again.document["status"] == "already erased"
    assert again.document["certificate"] == answer.document["certificate"]
    said = CliRunner().invoke(app, ["erase", PERSON, "--yes", "--home", str(home)])
    assert answer.document["certificate"]["sha256"] in said.stdout.replace("\n", "")
    assert call(home, "ledger", "verify").code == 0
    slate = call(home, "replay", answer_slate(home))
    assert slate.error["type"] == "ErasedError"


def answer_slate(home: Path) -> str:
    import sqlite3

    with sqlite3.connect(home / "recommendr.db") as connection:
        found: str = connection.execute("SELECT slate_id FROM erased_slates").fetchone()[0]
    connection.close()
    return found


def test_erase_asks_first_and_no_is_no(home: Path) -> None:
    result = CliRunner().invoke(app, ["erase", PERSON, "--home", str(home)], input="n\n")
    assert result.exit_code == 130
    assert "--yes" in call(home, "erase", PERSON).error["what"]
    assert call(home, "ledger", "list", "--action", "erasure").document["records"] == []


def test_bad_input_is_named(home: Path, tmp_path: Path) -> None:
    assert call(home, "erase", "nobody-here", "--yes").error["type"] == "UnknownError"
    assert call(home, "erase", " ", "--yes").error["type"] == "InvalidValueError"
    assert "reason" in call(home, "erase", PERSON, "--yes", "--reason", f"for {PERSON}").error["what"]
    assert call(home, "export", "nobody-here", "--out", tmp_path / "x.json").error["type"] == "UnknownError"
    assert "--out" in call(home, "export", PERSON, "--out", tmp_path / "no" / "x.json").error["what"]
    assert not (tmp_path / "x.json").exists()


def test_export_is_for_its_reader_alone(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "person.json"
    answer = call(home, "export", PERSON, "--out", out)
    assert answer.code == 0
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    document = json.loads(out.read_text())
    assert document["user_id"] == PERSON
    assert answer.document["counts"]["events"] == len(document["events"]) == 2 * small.DAYS


def test_retention_lists_applies_and_refuses_less_than_a_year(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = call(home, "retention", "apply", "--dry-run")
    # The small world lives in January 2022: everything is older than 13 months.
    overdue = {one["store"]: one["overdue"] for one in answer.document["stores"]}
    assert overdue["events"] == small.DAYS
    assert overdue["slates"] == 2
    assert answer.document["removed"] == {}
    applied = call(home, "retention", "apply")
    assert applied.document["removed"] == {"events": 3, "rollups": 3, "slates": 2, "logs": 3}
    monkeypatch.setenv("RECOMMENDR_RETENTION_DAYS", "364")
    assert "365" in call(home, "retention", "apply").error["limit"]


def test_purposes_are_printed(home: Path) -> None:
    names = [one["name"] for one in call(home, "purposes").document["purposes"]]
    assert "recommendation" in names
    assert "Recommending films" in CliRunner().invoke(app, ["purposes"]).stdout
