from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ttest_ind

from monitoring.inputs import compare, comparison
from monitoring.inputs.comparison import Least
from workspace.errors import InvalidValueError, SchemaError


def frames(n: int = 4_000, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    before = pd.DataFrame(
        {
            "same": rng.normal(size=n),
            "moved": rng.normal(10, 2, n),
            "wider": rng.normal(size=n),
            "gone": rng.normal(size=n),
            "flag": rng.random(n) < 0.3,
            "genre": rng.choice(["a", "b", "c"], n),
        }
    )
    after = pd.DataFrame(
        {
            "same": rng.normal(size=n),
            "moved": rng.normal(11, 2, n),
            "wider": rng.normal(0, 2, n),
            "gone": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "flag": rng.random(n) < 0.3,
            "genre": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
        }
    )
    return before, after


def test_each_kind_of_change_is_found_by_its_own_test_and_nothing_else() -> None:
    before, after = frames()
    found = compare(before, after, list(before))
    assert {one.column for one in found.drifted} == {"moved", "wider", "gone", "genre"}
    by = {one.column: one for one in found.columns}
    assert by["moved"].shift == pytest.approx(0.5, abs=0.06)
    assert by["moved"].wasserstein == pytest.approx(0.5, abs=0.1)
    assert by["wider"].tests["mean"] > 0.01
    assert by["wider"].psi is not None
    assert by["wider"].psi > 0.1
    assert by["gone"].missing_change == pytest.approx(0.1, abs=0.02)
    assert by["genre"].kind == "category"
    assert found.to_dict()["drifted"] == [one.column for one in found.drifted]


def test_figures_are_those_of_scipy_on_the_rows() -> None:
    before, after = frames(n=500)
    by = {one.column: one for one in compare(before, after, ["same", "genre"]).columns}
    assert by["same"].tests["mean"] == pytest.approx(ttest_ind(after["same"], before["same"], equal_var=False).pvalue)
    table = np.array([frame["genre"].value_counts().reindex(["a", "b", "c"]) for frame in (before, after)])
    assert by["genre"].tests["distribution"] == pytest.approx(chi2_contingency(table, correction=False).pvalue)


def test_parquet_files_answer_as_frames_do(tmp_path: Path) -> None:
    before, after = frames(n=900)
    halves = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    before.iloc[:400].to_parquet(halves[0])
    before.iloc[400:].to_parquet(halves[1])
    after.to_parquet(tmp_path / "after.parquet")
    of_files = compare(halves, tmp_path / "after.parquet", list(before))
    of_frames = compare(before, after, list(before))
    for one, other in zip(of_files.columns, of_frames.columns, strict=True):
        # All rows are in both samples, in whatever order the engine summed them.
        assert one.tests == pytest.approx(other.tests, rel=1e-9)
        assert one.psi == pytest.approx(other.psi, rel=1e-9)
    with pytest.raises(InvalidValueError, match="Parquet file that exists"):
        compare(tmp_path / "none.parquet", after, ["same"])


def test_constants_empty_and_short_samples_are_named_never_zero() -> None:
    rows = pd.DataFrame({"c": np.full(100, 5.0), "d": np.full(100, 1.0), "n": np.full(100, np.nan)})
    other = pd.DataFrame({"c": np.full(100, 5.0), "d": np.full(100, 2.0), "n": np.full(100, np.nan)})
    found = compare(rows, other, ["c", "d", "n"])
    same, moved, unknown = found.columns
    assert same.note == "the same constant in both samples"
    assert (same.drifted, same.p_value) == (False, None)
    assert moved.drifted
    assert "different values" in moved.note
    assert (unknown.shift, unknown.psi, unknown.p_value) == (None, None, None)
    assert "0 rows with a value, 20 fewer than 20" in unknown.note
    short = compare(rows.head(7), other, ["c"])
    assert "7 rows with a value, 13 fewer" in short.notes[0]
    assert compare(rows.head(0), other, ["c"]).columns[0].p_value is None


def test_columns_that_are_missing_on_one_side_or_both_are_named() -> None:
    rows = pd.DataFrame({"a": np.arange(50.0), "b": np.arange(50.0)})
    found = compare(rows, rows[["a"]], ["a", "b"])
    assert found.columns[1].note == "not estimable: the current sample has no such column"
    assert not found.drifted
    with pytest.raises(SchemaError, match="'z'"):
        compare(rows, rows, ["z"])
    with pytest.raises(InvalidValueError, match="at least one"):
        compare(rows, rows, [])


def test_a_significant_change_below_the_least_effect_is_no_drift() -> None:
    rng = np.random.default_rng(9)
    before, after = (pd.DataFrame({"x": rng.normal(mean, 1, 60_000)}) for mean in (0.0, 0.05))
    found = compare(before, after, ["x"]).columns[0]
    assert found.p_adjusted is not None
    assert found.p_adjusted < 1e-6
    assert not found.drifted
    assert compare(before, after, ["x"], least=Least(shift=0.02)).columns[0].drifted


def test_single_tests_keep_their_level() -> None:
    rng = np.random.default_rng(10)
    repetitions = 1_500
    alarms = {"mean": 0, "distribution": 0}
    for _ in range(repetitions):
        # Skewed, and of few values in one case: what films have.
        x, y = rng.lognormal(size=(2, 150))
        bounds = comparison._bounds(x)
        counts = [np.diff([0, *np.searchsorted(np.sort(v), bounds, side="right"), 150]) for v in (x, y)]
        sides = [comparison.Side(rows=150, known=150, mean=float(v.mean()), sd=float(v.std(ddof=1))) for v in (x, y)]
        alarms["mean"] += comparison._welch(*sides) < 0.05
        alarms["distribution"] += (comparison._chi_square(*(c.astype(float) for c in counts)) or 1.0) < 0.05
    # Three standard errors of 1,500 repetitions at 5 % are 1.7 points; Welch of skewed samples is known to err low.
    assert 0.03 < alarms["mean"] / repetitions < 0.067
    assert 0.033 < alarms["distribution"] / repetitions < 0.067
