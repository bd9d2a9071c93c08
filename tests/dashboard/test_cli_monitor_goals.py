"""`recommendr monitor goals`, `measures`, `markets` and `cost` on the command line."""

import json
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dashboard.cli import monitor_goals
from dashboard.cli.group import ErrorGroup
from monitoring import market_study
from monitoring.measures import MEASURES
from tests.dashboard.conftest import Answer

app = typer.Typer(cls=ErrorGroup, add_completion=False, pretty_exceptions_enable=False)
group = typer.Typer()
monitor_goals.register_goals(group)
app.add_typer(group, name="monitor")


@app.callback()
def root() -> None:
    """A command line with nothing but the monitor's goals."""


def call(home: Path, *arguments: object, text: bool = False) -> Answer:
    result = CliRunner().invoke(
        app, ["monitor", *map(str, arguments), "--home", str(home), *([] if text else ["--json"])]
    )
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, {} if text else json.loads(result.stdout), result.stdout, result.stderr)


@pytest.fixture(scope="module")
def home(telemetry_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace of its own with three weeks of telemetry."""
    own = tmp_path_factory.mktemp("goals") / "home"
    shutil.copytree(telemetry_home, own)
    return own


def test_goals_are_entered_imported_and_shown(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "revenue.csv"
    file.write_text("goal,period,value\nrevenue_ads,2024,1000\nrevenue_ads,2025,1100\n")
    assert call(home, "goals", "import", file).document == {
        "file": "revenue.csv", "rows": 2, "stored": 2, "known": 0,
    }  # fmt: skip
    assert call(home, "goals", "import", file).document["stored"] == 0
    entered = call(home, "goals", "enter", "revenue_premium", 500, "--period", "2025-Q4", "--note", "audited")
    assert (entered.document["start"], entered.document["stored"]) == ("2025-10-01", True)
    listed = call(home, "goals", "entries").document["entries"]
    assert [(one["goal"], one["period"]) for one in listed] == [
        ("revenue_ads", "2024"), ("revenue_ads", "2025"), ("revenue_premium", "2025-Q4"),
    ]  # fmt: skip
    shown = call(home, "goals", "show", "--weeks", 1)
    assert shown.code == 0
    ads, premium, operation = shown.document["goals"]
    assert (ads["status"], ads["reading"]["value"]) == ("met", pytest.approx(0.1))
    assert premium["status"] == "unknown"
    assert "one period more is missing" in premium["reading"]["note"]
    assert operation["children"][0]["id"] == "cost_per_user"
    missed = any(one["status"] == "missed" for top in shown.document["goals"] for one in walk(top))
    assert call(home, "goals", "show", "--weeks", 0, "--fail").code == int(missed)


def walk(goal: dict) -> list[dict]:  # type: ignore[type-arg]
    return [goal, *(inner for child in goal["children"] for inner in walk(child))]


def test_goals_read_well_in_a_terminal(home: Path) -> None:
    shown = call(home, "goals", "show", "--weeks", 2, text=True)
    assert shown.code == 0
    for text in ("precision@5 of at least 20 %", ">= 20.00%", "unknown", "Operations", "not estimable"):
        assert text in " ".join(shown.stdout.split()), text
    assert "revenue_ads" in call(home, "goals", "entries", text=True).stdout


def test_bad_entries_are_named_errors(home: Path, tmp_path: Path) -> None:
    assert "revenue_premium" in call(home, "goals", "enter", "ctr", 5, "--period", "2025").error["hint"]
    assert "period == 'May'" in call(home, "goals", "enter", "revenue_ads", 5, "--period", "May").error["what"]
    assert "finite number" in call(home, "goals", "enter", "revenue_ads", "nan", "--period", "2025").error["limit"]
    file = tmp_path / "revenue.csv"
    file.write_text("goal,period,value\nrevenue_ads,2024,many\n")
    assert "line 2" in call(home, "goals", "import", file).error["what"]
    assert "No such file" in call(home, "goals", "import", tmp_path / "none.csv").error["what"]


def test_measures_are_listed_and_read(home: Path) -> None:
    found = call(home, "measures", "ctr", "freshness_days").document["measures"]
    assert [one["name"] for one in found] == ["ctr", "freshness_days"]
    assert 0 < found[0]["low"] < found[0]["value"] < found[0]["high"] < 1
    assert 0 <= found[1]["value"] < 1
    assert set(MEASURES) >= {"precision_at_5", "availability"}
    assert "ctr" in call(home, "measures", "click_rate").error["hint"]
    assert "Freshness" not in call(home, "measures", "ctr", text=True).stdout


def test_markets_are_compared_and_studied(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = call(home, "markets")
    assert before.document["study"] is None
    assert {one["market"] for one in before.document["markets"]} <= {"north_america", "western_europe", "central_asia"}
    assert "not studied yet" in call(home, "markets", text=True).stdout
    # The small catalogue has about ten users a market.
    monkeypatch.setattr(market_study, "LEAST_USERS", 10)
    studied = call(home, "markets", "--study", "--folds", 2).document["study"]
    assert studied["recommendation"]
    assert studied["second_index"]["size_mib"] > 0
    judged = [one for one in studied["markets"] if one["difference"]]
    assert judged
    for one in judged:
        assert one["own"] - one["general"] == pytest.approx(one["difference"]["value"])
    text = call(home, "markets", text=True).stdout
    assert "own weights" in text
    assert "2 folds" in text


def test_cost_is_measured_and_kept(home: Path) -> None:
    assert "Nothing was measured yet" in call(home, "cost", text=True).stdout
    assert "must be >= 50" in call(home, "cost", "--measure", "--requests", 10).error["limit"]
    measured = call(home, "cost", "--measure", "--requests", 50).document
    (one,) = measured["costs"]
    assert one["requests"] == 50
    assert 0 < one["cpu_ms"]["low"] < one["cpu_ms"]["value"] < one["cpu_ms"]["high"]
    assert one["money_per_1000"]["value"] > 0
    assert call(home, "cost").document == measured
    reading = call(home, "measures", "cost_per_1000").document["measures"][0]
    assert reading["value"] == pytest.approx(one["money_per_1000"]["value"])
    assert one["index_version"] in call(home, "cost", text=True).stdout
    # Nothing of it is in anybody's history.
    assert call(home, "cost", "--index", "v0").document["costs"] == []
