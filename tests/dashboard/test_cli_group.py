"""How the command line ends: exit codes, errors as sentences and documents, and a quick start."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import app
from dashboard.cli.group import ErrorGroup
from dashboard.cli.session import parse_day
from workspace.errors import InvalidValueError

COMMANDS = (
    "init", "import", "index", "recommend", "explain", "why-not", "replay", "evaluate", "dashboard", "telemetry",
    "system", "logs", "synth", "ingest",
)  # fmt: skip
HEAVY = ("torch", "pandas", "numpy", "streamlit", "sentence_transformers", "sqlalchemy", "usearch", "scipy")


def run(*arguments: str | Path) -> "tuple[int, str, str]":
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.stdout, result.stderr


def failing(error: Exception) -> typer.Typer:
    broken = typer.Typer(cls=ErrorGroup, pretty_exceptions_enable=False)

    @broken.callback()
    def root() -> None: ...

    @broken.command()
    def work() -> None:
        raise error

    return broken


def test_help_names_every_command_and_imports_nothing_heavy() -> None:
    loaded = f"print('LOADED', [name for name in {HEAVY} if name in sys.modules])"
    code = f"import sys; from dashboard.cli import app\ntry:\n app(['--help'])\nfinally:\n {loaded}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "LOADED []" in done.stdout
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("arguments", [(), ("index",), ("import",)])
def test_bare_group_shows_its_help(arguments: tuple[str, ...]) -> None:
    code, out, _ = run(*arguments)
    assert code == 0
    assert "Usage" in out


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("recommend",), "USER"),
        (("recommend", "1", "-k", "many"), "-k"),
        (("no-such-command",), "no-such-command"),
        (("index", "build", "--strategy", "quick"), "strategy"),
        (("evaluate", "--protocol", "fortnight"), "protocol"),
        (("recommend", "1", "--no-such-option"), "--no-such-option"),
        (("dashboard", "--port", "99999"), "port"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: tuple[str, ...], what: str) -> None:
    code, out, err = run(*arguments, "--json")
    assert code == 2
    assert what in err
    assert "Hint: see `recommendr" in err
    assert "Traceback" not in out + err
    error = json.loads(out)["error"]
    assert set(error) == {"type", "what", "limit", "hint"}
    assert error["type"] == "UsageError"


@pytest.mark.parametrize(
    "command",
    [
        ("recommend", "1"),
        ("explain", "1", "2"),
        ("why-not", "1", "2"),
        ("replay", "s"),
        ("evaluate",),
        ("index", "build"),
        ("index", "list"),
        ("index", "verify"),
        ("index", "rollback"),
        ("index", "switch", "v"),
    ],
)
def test_missing_home_is_named_and_not_created(command: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "nowhere"
    code, out, err = run(*command, "--home", home, "--json")
    assert code == 2
    assert json.loads(out)["error"]["type"] == "StateError"
    assert f"recommendr init --home {home}" in err
    assert not home.exists()


def test_home_may_stand_before_the_command_and_the_later_one_counts(tmp_path: Path) -> None:
    _, _, err = run("--home", tmp_path / "early", "recommend", "1")
    assert str(tmp_path / "early") in err
    _, _, err = run("--home", tmp_path / "early", "recommend", "1", "--home", tmp_path / "late")
    assert str(tmp_path / "late") in err


def test_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    code, _, err = run("init", "--home", tmp_path / "file")
    assert code == 2
    assert "must be a folder" in err


@pytest.mark.parametrize("text", ["2016-02-30", "yesterday", "", "01/02/2016", "99999-01-01"])
def test_parse_day_refuses_what_is_no_day(text: str) -> None:
    with pytest.raises(InvalidValueError, match="must be a day of the calendar"):
        parse_day(text)


def test_port_in_use_is_named_with_another(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, err = run("dashboard", "--port", str(port), "--home", tmp_path)
    assert code == 2
    assert f"port == {port}" in err
    assert "recommendr dashboard --port" in err


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RuntimeError("boom"), 70, "this is a defect: RuntimeError: boom"),
        (MemoryError(), 70, "memory"),
        (PermissionError(13, "Permission denied", "/secret"), 2, "/secret: Permission denied"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_unforeseen_errors_end_without_traceback(error: Exception, code: int, text: str) -> None:
    result = CliRunner().invoke(failing(error), ["work"])
    assert result.exit_code == code
    assert text in result.stderr
    assert "Traceback" not in result.output


def test_debug_shows_the_traceback_wherever_it_stands() -> None:
    result = CliRunner().invoke(failing(RuntimeError("boom")), ["work", "--debug"])
    assert result.exit_code == 70
    assert "Traceback" in result.stderr


def test_reader_that_leaves_is_no_error() -> None:
    code = "from dashboard.cli import app; app(['--help'])"
    command = f'{sys.executable} -c "{code}" | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
