"""`recommendr synth telemetry`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dashboard.cli.synthetic import app
from workspace.errors import InvalidValueError, StateError, UnknownError

SIZE = ["--users", "60", "--weeks", "1", "--seed", "4", "--end", "2026-03-02"]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["telemetry", *arguments])
    if result.exception is not None:
        raise result.exception
    return result.stdout


def test_command_writes_a_history_and_reports_it_as_json(tmp_path: Path) -> None:
    report = json.loads(run(*SIZE, "--out", str(tmp_path / "history"), "--json"))
    assert (report["users"], report["days"], report["workers"]) == (60, 7, 1)
    truth = json.loads((tmp_path / "history/truth.json").read_text())
    assert (truth["spec"]["seed"], truth["start"], truth["physical"]) == (4, "2026-02-23", False)
    assert {path.name for path in (tmp_path / "history/events").iterdir()} == {
        f"date=2026-{day}" for day in ("02-23", "02-24", "02-25", "02-26", "02-27", "02-28", "03-01")
    }


def test_command_can_write_the_stored_form_and_answer_in_words(tmp_path: Path) -> None:
    assert "events" in run(*SIZE, "--out", str(tmp_path / "history"), "--physical")
    assert json.loads((tmp_path / "history/truth.json").read_text())["physical"] is True


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (["--users", "0"], InvalidValueError, "users"), (["--weeks", "0"], InvalidValueError, "weeks"),
        (["--scale", "2m"], UnknownError, "1m"), (["--users", "5", "--scale", "1m"], InvalidValueError, "one of"),
        (["--end", "soon"], InvalidValueError, "--end"), (["--workers", "0"], InvalidValueError, "workers"),
    ],
)  # fmt: skip
def test_command_refuses_what_it_can_not_mean(
    tmp_path: Path, arguments: list[str], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        run(*arguments, "--out", str(tmp_path / "history"))
    assert not (tmp_path / "history").exists()


def test_command_never_writes_over_a_folder(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="exists"):
        run(*SIZE, "--out", str(tmp_path))
