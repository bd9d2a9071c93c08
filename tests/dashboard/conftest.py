"""A small workspace that is ready, made once by the command line itself."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboard.cli import app
from tests.made_once import made_once

FILMS = 120
USERS = 60
SEED = 7
WEEKS = 3


@dataclass(frozen=True)
class Answer:
    """What one command gave back."""

    code: int
    document: dict[str, Any]
    stdout: str
    stderr: str

    @property
    def error(self) -> dict[str, str]:
        """The parts of a named error."""
        assert self.code == 2, self.stderr
        assert "Traceback" not in self.stdout + self.stderr
        found: dict[str, str] = self.document["error"]
        return found


Command = Callable[..., Answer]


def call(home: Path, *arguments: object) -> Answer:
    """Run a command on a workspace with ``--json``; its stdout must be one document."""
    result = CliRunner().invoke(app, [*map(str, arguments), "--home", str(home), "--json"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, json.loads(result.stdout), result.stdout, result.stderr)


@pytest.fixture(scope="session")
def ready_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace made by ``recommendr init``; tests may log slates in it, and nothing else."""
    return made_once(tmp_path_factory, "ready", _made_ready)[0] / "home"


@pytest.fixture(scope="session")
def telemetry_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small workspace with three weeks of telemetry, made by ``recommendr init``."""

    def make(folder: Path) -> None:
        shutil.copytree(made_once(tmp_path_factory, "ready", _made_ready)[0], folder, dirs_exist_ok=True)
        made = call(folder / "home", "init", "--weeks", WEEKS)
        assert made.code == 0, made.stderr
        assert made.document["status"] == "ready"

    return made_once(tmp_path_factory, "telemetry", make)[0] / "home"


def _made_ready(folder: Path) -> None:
    made = call(folder / "home", "init", "--weeks", 0, "--films", FILMS, "--users", USERS, "--seed", SEED)
    assert made.code == 0, made.stderr
    assert made.document["status"] == "created"
