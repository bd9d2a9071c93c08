"""`experiment compare` and `power` on the command line: their documents are contracts, and no workspace is needed."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import typer
from scipy import stats
from statsmodels.stats.power import TTestIndPower
from typer.testing import CliRunner, Result

from dashboard.cli import experiment_compare
from dashboard.cli.group import ErrorGroup

KEYS = {
    "name", "variant", "control", "n", "mean_control", "mean_variant", "diff", "ci95", "rel", "rel_ci95", "p",
    "p_adjusted", "df", "method",
}  # fmt: skip


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """The group alone, under a root that ends as the program's does."""
    root = typer.Typer(cls=ErrorGroup, add_completion=False, pretty_exceptions_enable=False)
    group = typer.Typer()
    experiment_compare.register(group)
    root.add_typer(group, name="experiment")
    return root


@pytest.fixture
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(9)
    out = pd.DataFrame({"arm": rng.choice(["A", "B", "C"], 900), "spent": rng.gamma(2.0, 3.0, 900)})
    return out.assign(orders=1 + rng.poisson(2, 900), before=out["spent"] + rng.normal(size=900))


@pytest.fixture
def path(frame: pd.DataFrame, tmp_path: Path) -> Path:
    frame.to_csv(tmp_path / "a.csv", index=False)
    return tmp_path / "a.csv"


def call(app: typer.Typer, *arguments: object) -> Result:
    result = CliRunner().invoke(app, ["experiment", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def document(app: typer.Typer, *arguments: object) -> dict[str, Any]:
    result = call(app, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_compare_answers_by_contract(app: typer.Typer, path: Path, frame: pd.DataFrame) -> None:
    asked = ("compare", path, "--variant-col", "arm", "--control", "A", "--metric", "spent", "--weights", "1,1,1")
    found = document(app, *asked)
    assert {"srm", "metrics", "left_out"} <= set(found)
    assert {"p", "counts", "expected", "ok"} <= set(found["srm"])
    assert found["srm"]["p"] == pytest.approx(stats.chisquare(list(found["srm"]["counts"].values())).pvalue)
    assert [one["variant"] for one in found["metrics"]] == ["B", "C"]
    for one in found["metrics"]:
        assert set(one) >= KEYS
        theirs = stats.ttest_ind(*(frame.loc[frame["arm"] == arm, "spent"] for arm in (one["variant"], "A")),
                                 equal_var=False)  # fmt: skip
        assert one["p"] == pytest.approx(theirs.pvalue, rel=1e-9)
        assert one["ci95"] == pytest.approx(list(theirs.confidence_interval()), rel=1e-9)
        assert one["n"] == (frame["arm"].isin(["A", one["variant"]])).sum()
        assert one["p_adjusted"] >= one["p"]


def test_compare_takes_every_option(app: typer.Typer, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame = frame.assign(region=np.random.default_rng(1).choice(["DE", "US"], len(frame)), user=range(len(frame)))
    packed = tmp_path / "a.csv.gz"
    packed.write_bytes(gzip.compress(frame.assign(shown=1 + frame["orders"]).to_csv(index=False).encode()))
    found = document(
        app, "compare", packed, "--variant-col", "arm", "--control", "A", "--metric", "spent", "--metric", "before",
        "--denominator", "orders", "--covariate", "before", "--covariate-denominator", "shown",
        "--region-col", "region", "--unit-col", "user", "--weights", "A=0.4,B=0.3,C=0.3",
    )  # fmt: skip
    assert [(one["name"], one["variant"], one["beside"]) for one in found["metrics"]] == [
        (name, variant, beside) for name in ("spent", "before") for variant in "BC" for beside in (False, True)
    ]
    assert {one["method"] for one in found["metrics"]} == {"stratified cuped of ratios", "stratified ratio"}
    assert found["srm"]["expected"]["A"] == pytest.approx(360)


def test_compare_shows_what_was_left_out(app: typer.Typer, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.loc[:4, "spent"] = np.nan
    frame.to_parquet(tmp_path / "a.parquet")
    asked = ("compare", tmp_path / "a.parquet", "--variant-col", "arm", "--control", "A", "--metric", "spent")
    shown = call(app, *asked).stdout
    assert "Left out: 5 rows, spent is" in shown
    assert "The split is not checked" in shown
    assert "welch" in shown
    assert document(app, *asked)["srm"] is None


def test_compare_shows_a_mismatch_and_a_reason(app: typer.Typer, frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.assign(spent=1.0).to_csv(tmp_path / "a.csv", index=False)
    asked = ("compare", tmp_path / "a.csv", "--variant-col", "arm", "--control", "A", "--metric", "spent")
    shown = call(app, *asked, "--weights", "8,1,1").stdout
    assert "Sample ratio mismatch" in shown
    assert "without variance" in " ".join(shown.split())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("--control", "Z"), "the arms are A, B, C"),
        (("--metric", "income"), "the columns are arm, spent"),
        (("--weights", "a,b"), "0.5,0.5"),
        (("--weights", "A=1,A=2"), "A=0.5,B=0.5"),
        (("--weights", "1,1"), "in the order A, B, C"),
        (("--weights", "1,1,nan"), "intended shares"),
    ],
)
def test_compare_names_what_is_wrong(app: typer.Typer, path: Path, change: tuple[str, str], told: str) -> None:
    given = {"--variant-col": "arm", "--control": "A", "--metric": "spent"} | {change[0]: change[1]}
    result = call(app, "compare", path, *(part for pair in given.items() for part in pair), "--json")
    assert result.exit_code == 2
    error = json.loads(result.stdout)["error"]
    assert told in error["hint"]
    assert "Traceback" not in result.stderr


def test_power_is_statsmodels(app: typer.Typer) -> None:
    found = document(
        app, "power", "--baseline-mean", 0.1, "--baseline-sd", 0.3, "--mde-rel", 0.05, "--alpha", 0.01,
        "--power", 0.9, "--ratio", 2,
    )  # fmt: skip
    reached = [
        TTestIndPower().power(0.005 / 0.3, n, 0.01, ratio=2) for n in (found["n_control"] - 1, found["n_control"])
    ]
    assert reached[0] < 0.9 <= reached[1]
    assert found["n_variant"] == pytest.approx(2 * found["n_control"], abs=2)
    assert found["n"] == found["n_control"] + found["n_variant"]
    shown = call(app, "power", "--baseline-mean", 0.1, "--baseline-sd", 0.3, "--mde-rel", 0.1).stdout
    assert "14,129" in shown


@pytest.mark.parametrize("change", [("--alpha", 1.5), ("--power", 0.01), ("--ratio", -1), ("--mde-rel", 0)])
def test_power_names_what_is_wrong(app: typer.Typer, change: tuple[str, float]) -> None:
    given = {"--baseline-mean": 0.1, "--baseline-sd": 0.3, "--mde-rel": 0.05} | {change[0]: change[1]}
    result = call(app, "power", *(part for pair in given.items() for part in pair), "--json")
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["what"]
