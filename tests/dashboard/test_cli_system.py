"""`recommendr system query` and `recommendr logs`, from the command line's side."""

import datetime as dt
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import system
from dashboard.cli.group import ErrorGroup
from telemetry.system.series import SeriesStore
from tests.telemetry.sampled import START, samples
from tests.telemetry.test_traces import REQUEST
from workspace.paths import Paths

Run = Callable[..., Any]


def line(*words: object) -> Any:
    """Run the commands of this module by themselves."""
    app = typer.Typer(cls=ErrorGroup, pretty_exceptions_enable=False)
    app.callback()(lambda: None)
    system.register(app)
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = Paths(tmp_path_factory.mktemp("cli") / "home").ensure()
    SeriesStore(home).append(samples(600))
    (home.logs / "x.jsonl").write_text("".join(json.dumps(one) + "\n" for one in REQUEST) + "broken\n")
    return home.home


def asked(folder: Path, *words: object) -> dict[str, Any]:
    result = line(*words, "--home", folder, "--json")
    assert result.exit_code == 0, result.stderr
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def test_system_query_answers_as_json(folder: Path) -> None:
    document = asked(folder, "system", "query", "latency_quantile", "--quantile", "0.5", "--service", "user")
    assert (document["question"], document["unit"], document["source"]) == ("latency_quantile", "s", "embedded series")
    # Without a time: the day before the newest sample, in steps that make a hundred points at most.
    assert dt.datetime.fromisoformat(document["end"]) == START + 599 * dt.timedelta(minutes=5)
    assert document["step_s"] == 900
    assert {row["service"] for row in document["rows"]} == {"user"}
    assert {row["region"] for row in document["rows"]} == {"DE", "US"}
    assert all(0 < row["value"] < 5 for row in document["rows"])


def test_system_query_takes_dimensions_together(folder: Path) -> None:
    words = ("--from", "2026-01-05", "--to", "2026-01-07", "--step", "1d")
    apart = asked(folder, "system", "query", "request_rate", *words)["rows"]
    together = asked(folder, "system", "query", "request_rate", *words, "--by", "")["rows"]
    assert [row["ts"][:10] for row in together] == ["2026-01-06", "2026-01-07"]
    for row in together:
        assert row["value"] == pytest.approx(sum(one["value"] for one in apart if one["ts"] == row["ts"]))


def test_system_query_draws_each_series(folder: Path) -> None:
    result = line("system", "query", "cpu", "--home", folder, "--region", "US")
    assert result.exit_code == 0
    assert [row.split()[:2] for row in result.stdout.splitlines()[-2:]] == [["gateway", "US"], ["user", "US"]]
    nothing = line("system", "query", "cpu", "--home", folder, "--service", "nobody")
    assert "No samples in this time" in nothing.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("system", "query", "mood"), "Invalid value"),
        (("system", "query", "cpu", "--step", "3q"), "write it as 90s"),
        (("system", "query", "cpu", "--step", "1s"), "at least 15"),
        (("system", "query", "cpu", "--step", "999999999w"), "must be shorter"),
        (("system", "query", "cpu", "--from", "soon"), "--from == 'soon'"),
        (("system", "query", "cpu", "--from", "2026-02-01", "--to", "2026-01-01"), "must be before"),
        (("system", "query", "within_latency", "--limit-s", "0.9"), "must be one of"),
        (("system", "query", "latency_quantile", "--quantile", "95"), "must be <= 1"),
        (("system", "query", "cpu", "--by", "device"), "by == 'device'"),
        (("logs", "--transaction", "nobody"), "must be one that was logged"),
        (("logs", "--level", "loud"), "LOUD"),
        (("logs", "--limit", "0"), "must be >= 1"),
    ],
)
def test_bad_input_is_one_sentence(folder: Path, words: tuple[str, ...], said: str) -> None:
    result = line(*words, "--home", folder)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_unreachable_prometheus_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOMMENDR_PROMETHEUS_URL", "http://me:hunter2@127.0.0.1:1")
    result = line("system", "query", "cpu", "--home", folder, "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "UnreachableError"
    assert "http://127.0.0.1:1 can't be reached" in error["what"]
    assert "hunter2" not in result.stdout + result.stderr


def test_logs_are_newest_first(folder: Path) -> None:
    document = asked(folder, "logs", "--limit", "2", "--service", "gateway", "--service", "bff")
    assert document["trace"] is None
    assert [one["service"] for one in document["lines"]] == ["gateway", "bff"]
    assert (document["matched"], document["malformed"]) == (2, 1)
    text = line("logs", "--home", folder, "--limit", "1").stdout
    assert "4 older lines match as well" in text
    assert "1 malformed lines were passed over" in text


def test_logs_of_a_transaction_begin_with_its_hops(folder: Path) -> None:
    document = asked(folder, "logs", "--transaction", "t1")
    assert [hop["service"] for hop in document["trace"]["hops"]] == ["gateway", "bff", "user", "content", "recommender"]
    assert document["trace"]["slate_id"] == "s9"
    text = line("logs", "--transaction", "t1", "--home", folder).stdout
    places = [text.index(f"{name} ") for name in ("gateway", "bff", "user", "content", "recommender")]
    assert places == sorted(places)
    assert "60%" in text


def test_logs_without_a_match_say_so(folder: Path) -> None:
    assert "No line matches" in line("logs", "--home", folder, "--text", "nowhere at all").stdout


def test_system_alone_shows_its_help() -> None:
    result = line("system")
    assert result.exit_code == 0
    assert "query" in result.stdout
