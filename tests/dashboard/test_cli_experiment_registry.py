"""`recommendr experiment …`: the registry, assignment, flags and canaries on the command line."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import experiment_registry
from dashboard.cli.group import ErrorGroup
from tests.dashboard.conftest import Answer
from tests.experiments.plans import SALT, new_store, plan
from workspace.paths import Paths

app = typer.Typer(cls=ErrorGroup, add_completion=False, pretty_exceptions_enable=False)
group = typer.Typer()
experiment_registry.register(group)
app.add_typer(group, name="experiment")


@app.callback()
def root() -> None:
    """A command line with nothing but experiments."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A workspace with an empty store."""
    paths = Paths(tmp_path / "home").ensure()
    with new_store(paths):
        return paths.home


def call(home: Path, *arguments: object, text: bool = False) -> Answer:
    result = CliRunner().invoke(
        app, ["experiment", *map(str, arguments), "--home", str(home), *([] if text else ["--json"])]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, {} if text else json.loads(result.stdout), result.stdout, result.stderr)


def planned(home: Path, **fields: Any) -> Path:
    """Write a plan that starts today, and return its file."""
    chosen = plan(**{"start": datetime.now(UTC).date().isoformat(), **fields})
    file = home.parent / f"{chosen.experiment_id}.json"
    file.write_text(json.dumps(chosen.to_dict()))
    return file


@pytest.fixture
def drafted(home: Path) -> Path:
    assert call(home, "create", planned(home)).code == 0
    return home


def test_an_experiment_from_draft_to_decision(drafted: Path) -> None:
    changed = call(drafted, "edit", "exp_1", "--set", "rule.alpha=0.01", "--set", "owner=the pm").document
    assert (changed["plan"]["rule"]["alpha"], changed["plan"]["owner"]) == (0.01, "the pm")
    assert call(drafted, "launch", "exp_1", "--canary").document["state"] == "canary"
    assert [one["share"] for one in call(drafted, "ramp", "exp_1", 0.05).document["ramp"]] == [0.01, 0.05]
    assert call(drafted, "launch", "exp_1").document["state"] == "running"
    assert call(drafted, "stop", "exp_1", "--reason", "planned end").document["state"] == "stopped"
    decided = call(drafted, "decide", "exp_1", "Ship", "--reason", "better", "--as-of", "2026-05-01").document
    assert (decided["state"], decided["decision"], decided["decided_as_of"]) == ("decided", "Ship", "2026-05-01")
    shown = call(drafted, "show", "exp_1").document
    assert [entry["action"].removeprefix("experiment.") for entry in shown["history"]] == [
        "create", "edit", "launch", "ramp", "launch", "stop", "decide",
    ]  # fmt: skip
    assert {entry["actor"] for entry in shown["history"]} == {"cli"}
    listed = call(drafted, "list").document["experiments"]
    assert [(one["experiment"], one["state"], one["decision"]) for one in listed] == [("exp_1", "decided", "Ship")]
    everyone = call(drafted, "flag", "exp_1.flag", "--user", "u1", "--region", "SE").document
    assert everyone["variant"] == "treatment"


def test_a_frozen_plan_says_field_state_and_cure(drafted: Path) -> None:
    call(drafted, "launch", "exp_1")
    error = call(drafted, "edit", "exp_1", "--set", "hypothesis=Another one entirely").error
    assert error["type"] == "StateError"
    assert "hypothesis of exp_1 can't be changed: it is running" in error["what"]
    assert "launch a new experiment" in error["hint"]


def test_a_plan_may_be_toml(home: Path) -> None:
    file = home.parent / "plan.toml"
    file.write_text(
        'experiment_id = "exp_t"\nhypothesis = "It gets better."\nowner = "pm"\nflag = "f"\nstart = 2026-01-01\n'
        'variants = [{ name = "a", weight = 1 }, { name = "b", weight = 1 }]\n'
        'metrics = [{ metric = "ctr", kind = "primary" }]\n'
    )
    assert call(home, "create", file).document["experiment"] == "exp_t"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "must be JSON"),
        ("[]", "plan"),
        ('{"experiment_id": "exp_1"}', "hypothesis"),
        ("\u00ff".encode("latin-1"), "must be JSON"),
    ],
)
def test_a_file_that_is_no_plan_is_named(home: Path, content: str | bytes, told: str) -> None:
    file = home.parent / "bad.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    error = call(home, "create", file).error
    assert told in error["what"] + error["limit"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("show", "exp_9"), "the experiments are exp_1"),
        (("create", "missing.json"), "missing.json"),
        (("edit", "exp_1", "--set", "alpha"), "must be FIELD=VALUE"),
        (("ramp", "exp_1", "0.5"), "must be a canary or running"),
        (("launch", "exp_1", "--nonsense"), "nonsense"),
        (("decide", "exp_1", "Ship", "--reason", "r", "--as-of", "May"), "must be a day"),
        (("decide", "exp_1", "Perhaps", "--reason", "r"), "Ship, Roll back, Can't tell"),
        (("stop", "exp_1"), "--reason"),
        (("flag", "nothing"), "the flags are exp_1.flag"),
        (("flag", "exp_1.flag", "--user", "u1"), "needs both"),
        (("flag", "exp_1.flag", "--force", "control"), "must say why"),
        (("canary", "exp_1"), "exp_1 is draft, and must be a canary"),
        (("holdout", "1.5"), "must be < 1"),
        (("assign", "ids.txt"), "one of them must be given"),
    ],
)
def test_what_can_not_be_is_named(drafted: Path, arguments: tuple[str, ...], told: str) -> None:
    result = call(drafted, *arguments)
    assert told in " ".join(result.error.values()) + result.stderr


def test_an_unknown_index_version_is_refused_at_launch(home: Path) -> None:
    variants = [{"name": "control", "weight": 1}, {"name": "new", "weight": 1, "index_version": "v9"}]
    call(home, "create", planned(home, variants=variants))
    error = call(home, "launch", "exp_1").error
    assert error["what"] == "index_version == 'v9' of variant new"
    assert "index build" in error["hint"]


def test_a_roll_back_switches_the_flag(drafted: Path) -> None:
    call(drafted, "launch", "exp_1")
    assert call(drafted, "stop", "exp_1", "--reason", "an incident", "--roll-back").document["rolled_back"]
    flag = call(drafted, "flag").document["flags"][0]
    assert (flag["flag"], flag["forced"], flag["reason"]) == ("exp_1.flag", "control", "an incident")
    freed = call(drafted, "flag", "exp_1.flag", "--free", "--reason", "over").document
    assert freed["forced"] is None


def test_assign_rebuilds_from_salt_and_weights_alone(home: Path) -> None:
    # SHA-256 of the salt and each id, computed with sha256sum: first digits a…f are above one half.
    import hashlib

    ids = [f"u{number}" for number in range(40)]
    file = home.parent / "ids.txt"
    file.write_text("\n".join(ids))
    rows = call(home, "assign", file, "--salt", SALT, "--weights", "a=1,b=1").document["rows"]
    for row, user in zip(rows, ids, strict=True):
        high = hashlib.sha256((SALT + user).encode()).hexdigest()[0] >= "8"
        assert row == {"user_id": user, "variant": "b" if high else "a"}


def test_assign_tells_who_takes_part(drafted: Path) -> None:
    call(drafted, "edit", "exp_1", "--set", 'allocation={"SE": 1, "NO": 0}')
    call(drafted, "launch", "exp_1")
    users = pd.DataFrame({"who": ["007", "u2", "u3", "u4"], "where": ["SE", "NO", "SE", "NO"]})
    csv, parquet, out = (drafted.parent / name for name in ("ids.csv", "ids.parquet", "out.csv"))
    users.to_csv(csv, index=False)
    users.to_parquet(parquet)
    found = [
        call(drafted, "assign", file, "--experiment", "exp_1", "--user-col", "who", "--region-col", "where").document
        for file in (csv, parquet)
    ]
    assert found[0] == found[1]
    assert [row["variant"] is None for row in found[0]["rows"]] == [False, True, False, True]
    assert found[0]["counts"]["outside"] == 2
    for row in found[0]["rows"][::2]:
        served = call(drafted, "flag", "exp_1.flag", "--user", row["user_id"], "--region", "SE").document
        assert served["variant"] == row["variant"]
    arguments = ("assign", csv, "--experiment", "exp_1", "--user-col", "who", "--out", out)
    assert call(drafted, *arguments).document["rows"] == []
    assert pd.read_csv(out, dtype=str)["who"].tolist() == ["007", "u2", "u3", "u4"]
    error = call(drafted, "assign", csv, "--experiment", "exp_1").error
    assert error["what"] == "ids.csv has no column 'user_id'"
    assert "who, where" in error["limit"]


@pytest.mark.parametrize("weights", ["control=1,x", "control=1,=2", "control=-1,b=1", "a=0,b=0", "a=nan"])
def test_assign_names_wrong_weights(home: Path, weights: str) -> None:
    file = home.parent / "ids.txt"
    file.write_text("u1\n")
    assert "weight" in " ".join(call(home, "assign", file, "--salt", "s", "--weights", weights).error.values())


def test_holdout_is_shown_and_set(home: Path) -> None:
    assert call(home, "holdout").document["share"] == 0
    assert call(home, "holdout", 0.05).document == {"share": 0.05, "period": 1, "salt": "holdout:1"}
    assert call(home, "holdout", 0.05, "--renew").document["period"] == 2


def test_answers_read_well_in_a_terminal(drafted: Path) -> None:
    ids = drafted.parent / "ids.txt"
    ids.write_text("\n".join(f"u{number}" for number in range(30)))
    call(drafted, "launch", "exp_1", "--canary")
    shown = call(drafted, "show", "exp_1", text=True).stdout
    assert "1.00% of the users" in shown
    assert "experiment.launch  by cli" in shown
    assert "canary" in call(drafted, "list", text=True).stdout
    assert "exp_1 was launched" in call(drafted, "flag", text=True).stdout
    assigned = call(drafted, "assign", ids, "--experiment", "exp_1", text=True).stdout
    assert "and 10 more" in assigned
    assert "holdout:1" in call(drafted, "holdout", text=True).stdout
