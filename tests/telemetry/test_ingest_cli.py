import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import telemetry_ingest
from tests.telemetry.raw_events import event, written
from workspace.errors import InvalidValueError, StateError
from workspace.paths import Paths

RUNNER = CliRunner()


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    telemetry_ingest.register(made)

    @made.callback()
    def group() -> None:
        """Hold the commands, as the real group does."""

    return made


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return Paths(tmp_path / "home").ensure().home


def test_the_account_is_drawn(app: typer.Typer, home: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "a.jsonl", [event(1), event(1), event(2, device="fridge")])
    done = RUNNER.invoke(app, ["ingest", str(path), "--home", str(home)])
    assert done.exit_code == 0
    for text in ("accepted", "device: unknown device", "2026-05-04"):
        assert text in done.stdout
    again = RUNNER.invoke(app, ["ingest", str(path), "--home", str(home)])
    assert "taken in before" in again.stdout


def test_json_holds_the_account(app: typer.Typer, home: Path) -> None:
    line = json.dumps(event(1)).encode() + b"\n"
    done = RUNNER.invoke(app, ["ingest", "-", "--format", "jsonl", "--home", str(home), "--json"], input=line * 3)
    document = json.loads(done.stdout)
    assert (document["read"], document["accepted"], document["duplicates"]) == (3, 1, 2)
    assert document["read"] == document["accepted"] + document["duplicates"] + document["quarantined"]


@pytest.mark.parametrize("arguments", [[], ["a.jsonl", "--kafka"]])
def test_exactly_one_source_is_wanted(app: typer.Typer, home: Path, arguments: list[str]) -> None:
    done = RUNNER.invoke(app, ["ingest", *arguments, "--home", str(home)])
    assert isinstance(done.exception, InvalidValueError)
    assert done.exception.exit_code == 2


def test_a_missing_file_is_a_named_error(app: typer.Typer, home: Path) -> None:
    done = RUNNER.invoke(app, ["ingest", "none.jsonl", "--home", str(home)])
    assert isinstance(done.exception, StateError)


def test_kafka_without_brokers_is_a_named_error(app: typer.Typer, home: Path) -> None:
    done = RUNNER.invoke(app, ["ingest", "--kafka", "--home", str(home)])
    assert isinstance(done.exception, InvalidValueError)
    assert "RECOMMENDR_KAFKA_BROKERS" in str(done.exception)
