"""Somebody else's A/B data: the figures of scipy and tea-tasting on raw rows, and every unusable cell counted."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.comparison import Compared, Comparison, MetricColumns, compare
from workspace.errors import InvalidValueError, NotEstimableError, RecommendrError, SchemaError, UnknownError


def users(n: int = 2_000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    habit = rng.gamma(2.0, 3.0, n)
    frame = pd.DataFrame({"user": [f"u{at}" for at in range(n)], "arm": rng.choice(["A", "B"], n),
                          "country": rng.choice(["DE", "FR", "US"], n, p=[0.5, 0.3, 0.2])})  # fmt: skip
    frame["shown"] = 1 + rng.poisson(10, n)
    frame["clicks"] = rng.binomial(frame["shown"], 0.2 + 0.02 * (frame["arm"] == "B"))
    frame["spent"] = habit + rng.gamma(2.0, 1.0, n) + 0.3 * (frame["arm"] == "B")
    frame["spent_before"] = habit + rng.gamma(2.0, 1.0, n)
    frame["shown_before"] = 1 + rng.poisson(10, n)
    frame["clicks_before"] = rng.binomial(frame["shown_before"], 0.2)
    return frame


def written(frame: pd.DataFrame, path: Path) -> Path:
    frame.to_parquet(path, index=False) if path.suffix == ".parquet" else frame.to_csv(path, index=False)
    return path


def compared(path: Path, metric: str = "spent", *, columns: dict[str, str] | None = None, **options: Any) -> Comparison:
    given = {"variant_col": "arm", "control": "A", **options}
    return compare(path, metrics=[MetricColumns(metric=metric, **(columns or {}))], **given)


def only(found: Comparison) -> Compared:
    assert len(found.metrics) == 1
    return found.metrics[0]


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.csv.gz", "a[1].csv", "data.txt"])
def test_mean_agrees_with_scipy_on_raw_rows(tmp_path: Path, name: str) -> None:
    frame = users()
    found = compared(written(frame, tmp_path / name))
    estimate = only(found).estimate
    assert estimate is not None
    control, variant = (frame.loc[frame["arm"] == arm, "spent"] for arm in "AB")
    theirs = stats.ttest_ind(variant, control, equal_var=False)
    low, high = theirs.confidence_interval(0.95)
    assert estimate.statistic == pytest.approx(theirs.statistic, rel=1e-9)
    assert estimate.p == pytest.approx(theirs.pvalue, rel=1e-9)
    assert estimate.df == pytest.approx(theirs.df, rel=1e-9)
    assert estimate.ci == pytest.approx((low, high), rel=1e-9)
    assert (estimate.mean_control, estimate.mean_variant) == pytest.approx((control.mean(), variant.mean()), rel=1e-12)
    assert found.arms == {"A": len(control), "B": len(variant)}
    assert found.left_out == {}
    assert found.rows == len(frame)


def test_large_offsets_keep_their_digits(tmp_path: Path) -> None:
    frame = users().assign(spent=lambda f: f["spent"] + 2.0**20)
    estimate = only(compared(written(frame, tmp_path / "a.parquet"))).estimate
    assert estimate is not None
    theirs = stats.ttest_ind(*(frame.loc[frame["arm"] == arm, "spent"] for arm in "BA"), equal_var=False)
    # A mean near 2²⁰ has 33 binary digits after the point, its difference no more.
    assert estimate.se == pytest.approx(abs((theirs.confidence_interval().high - theirs.confidence_interval().low)
                                            / 2 / stats.t.isf(0.025, theirs.df)), rel=1e-9)  # fmt: skip
    assert estimate.p == pytest.approx(theirs.pvalue, rel=1e-7)


@pytest.mark.parametrize("kind", ["ratio", "cuped", "cuped of ratios"])
def test_other_methods_agree_with_tea_tasting(tmp_path: Path, kind: str) -> None:
    tt = pytest.importorskip("tea_tasting")
    columns, metric, theirs = {
        "ratio": ({"denominator": "shown"}, "clicks", tt.RatioOfMeans("clicks", "shown")),
        "cuped": ({"covariate": "spent_before"}, "spent", tt.Mean("spent", "spent_before")),
        "cuped of ratios": (
            {"denominator": "shown", "covariate": "clicks_before", "covariate_denominator": "shown_before"},
            "clicks",
            tt.RatioOfMeans("clicks", "shown", "clicks_before", "shown_before"),
        ),
    }[kind]
    frame = users()
    found = compared(written(frame, tmp_path / "a.csv"), metric, columns=columns)
    estimate = found.metrics[0].estimate
    assert estimate is not None
    assert estimate.method == kind
    numbers = frame.assign(variant=(frame["arm"] == "B").astype(int)).drop(columns=["arm", "user", "country"])
    oracle = tt.Experiment(m=theirs).analyze(numbers)["m"]
    assert estimate.diff == pytest.approx(oracle.effect_size, rel=1e-6)
    assert estimate.p == pytest.approx(oracle.pvalue, rel=1e-6)
    assert estimate.ci == pytest.approx((oracle.effect_size_ci_lower, oracle.effect_size_ci_upper), rel=1e-6)


def test_covariate_gives_the_raw_figure_beside(tmp_path: Path) -> None:
    path = written(users(), tmp_path / "a.csv")
    adjusted, raw = compared(path, columns={"covariate": "spent_before"}).metrics
    assert (adjusted.beside, raw.beside) == (False, True)
    assert adjusted.estimate is not None
    assert raw.estimate is not None
    assert raw.estimate == only(compared(path)).estimate
    assert adjusted.estimate.se < raw.estimate.se
    # Each kind of figure is a family of its own: one test each.
    assert adjusted.p_adjusted == adjusted.estimate.p
    assert raw.p_adjusted == raw.estimate.p


def test_one_covariate_over_one_serves_a_ratio(tmp_path: Path) -> None:
    frame = users()
    path = written(frame.assign(one=1), tmp_path / "a.csv")
    short = compared(path, "clicks", columns={"denominator": "shown", "covariate": "clicks_before"})
    over = {"denominator": "shown", "covariate": "clicks_before", "covariate_denominator": "one"}
    long = compared(path, "clicks", columns=over)
    one, other = short.metrics[0].estimate, long.metrics[0].estimate
    assert one is not None
    assert other is not None
    assert one.p == pytest.approx(other.p, rel=1e-9)


def test_regions_are_strata(tmp_path: Path) -> None:
    frame = users()
    estimate = only(compared(written(frame, tmp_path / "a.csv"), region_col="country")).estimate
    assert estimate is not None
    assert estimate.method == "stratified mean"
    diff = variance = 0.0
    for _, rows in frame.groupby("country"):
        control, variant = (rows.loc[rows["arm"] == arm, "spent"] for arm in "AB")
        share = len(rows) / len(frame)
        diff += share * (variant.mean() - control.mean())
        variance += share**2 * (variant.var() / len(variant) + control.var() / len(control))
    assert estimate.diff == pytest.approx(diff, rel=1e-9)
    assert estimate.se == pytest.approx(variance**0.5, rel=1e-9)


def test_a_region_without_an_arm_is_named_and_counted(tmp_path: Path) -> None:
    frame = users(400)
    frame.loc[frame.index[:7], "country"] = "LU"
    frame.loc[frame.index[:7], "arm"] = "A"
    frame.loc[frame.index[7:10], "country"] = None
    found = compared(written(frame, tmp_path / "a.csv"), region_col="country")
    assert found.left_out == {"country is empty": 3, "region 'LU' has fewer than 2 units in 'B'": 7}
    assert only(found).n_control + only(found).n_variant == 390


def test_several_variants_are_corrected_together(tmp_path: Path) -> None:
    frame = users(3_000)
    frame["arm"] = np.random.default_rng(2).choice(["A", "B", "C"], len(frame))
    found = compared(written(frame, tmp_path / "a.csv"))
    assert [(one.control, one.variant) for one in found.metrics] == [("A", "B"), ("A", "C")]
    small, large = sorted(one.estimate.p for one in found.metrics if one.estimate)
    # Holm by hand: the smallest of two times two, then the larger, never falling.
    expected = {small: min(1.0, 2 * small), large: max(min(1.0, 2 * small), large)}
    for one in found.metrics:
        assert one.estimate is not None
        assert one.p_adjusted == pytest.approx(expected[one.estimate.p])


def test_cells_that_are_no_numbers_are_counted_by_reason(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    good = [f"{arm},{at % 7}.5,2" for at in range(20) for arm in "AB"]
    bad = ["A,NaN,1", "B,inf,1", "A,,1", "B,many,1", "A,-inf,1", "B,1,-3", ",1,1", "A,1", "A,1,2,3"]
    path.write_text("arm,spent,shown\n" + "\n".join([*good, *bad]) + "\n", encoding="utf-8")
    found = compared(path, columns={"denominator": "shown"})
    assert found.left_out == {
        "arm is empty": 1, "spent is NaN": 1, "spent is infinite": 2, "spent is empty": 1,
        "spent is not a number": 1, "shown is negative": 1, "line can't be read": 2,
    }  # fmt: skip
    assert found.rows == len(good) + len(bad)
    assert only(found).n_control == only(found).n_variant == 20
    assert found.to_dict()["left_out"] == found.left_out


def test_parquet_cells_are_counted_alike(tmp_path: Path) -> None:
    frame = users(100)
    frame["spent"] = frame["spent"].astype(object)
    frame["spent"] = [None, np.nan, np.inf, *frame["spent"][3:]]
    frame["spent"] = frame["spent"].astype(float)
    found = compared(written(frame, tmp_path / "a.parquet"))
    assert sum(found.left_out.values()) == 3
    assert found.left_out["spent is infinite"] == 1


def test_a_missing_covariate_leaves_the_raw_figure_whole(tmp_path: Path) -> None:
    frame = users(500)
    frame.loc[frame.index[:40], "spent_before"] = np.nan
    found = compared(written(frame, tmp_path / "a.csv"), columns={"covariate": "spent_before"})
    adjusted, raw = (one.n_control + one.n_variant for one in found.metrics)
    assert (adjusted, raw) == (460, 500)
    assert found.left_out == {"spent_before is empty": 40}


def test_units_in_two_arms_are_left_out(tmp_path: Path) -> None:
    frame = users(300)
    crossed = frame.iloc[:3].assign(arm=lambda f: f["arm"].map({"A": "B", "B": "A"}))
    nobody = frame.iloc[3:5].assign(user=None)
    found = compared(written(pd.concat([frame, crossed, nobody]), tmp_path / "a.csv"), unit_col="user")
    assert found.left_out == {"user is empty": 2, "user is in two arms": 6}
    assert sum(found.arms.values()) == 297


def test_a_unit_of_several_rows_is_refused(tmp_path: Path) -> None:
    frame = users(50)
    path = written(pd.concat([frame, frame.iloc[:1]]), tmp_path / "a.csv")
    with pytest.raises(InvalidValueError, match="'u0' has 2 rows"):
        compared(path, unit_col="user")


def test_sample_ratio_is_of_all_units_whatever_their_metric(tmp_path: Path) -> None:
    frame = users(1_000)
    frame.loc[(frame["arm"] == "B") & (frame.index < 400), "spent"] = np.nan
    path = written(frame, tmp_path / "a.csv")
    n = frame["arm"].value_counts()
    found = compared(path, weights=[0.5, 0.5])
    assert found.srm is not None
    assert found.srm.p == pytest.approx(stats.chisquare([n["A"], n["B"]]).pvalue)
    assert compared(path, weights={"B": 1, "A": 9}).to_dict()["srm"]["ok"] is False
    leak = compared(path, weights={"A": 1, "B": 0}).srm
    assert leak is not None
    assert leak.leak
    without = compared(path).to_dict()
    assert without["srm"] is None
    assert without["srm_reason"]


def test_a_planned_arm_without_a_row_is_a_mismatch(tmp_path: Path) -> None:
    found = compared(written(users(400), tmp_path / "a.csv"), weights={"A": 1, "B": 1, "C": 1})
    assert found.srm is not None
    assert found.srm.counts["C"] == 0
    assert not found.srm.ok


@pytest.mark.parametrize(
    ("change", "options", "columns", "told"),
    [
        ("constant", {}, {}, "without variance"),
        ("one user", {}, {}, "2 or more"),
        ("zero denominators", {}, {"denominator": "shown"}, "denominator"),
        ("no numbers", {}, {}, "usable units"),
    ],
)
def test_what_is_not_estimable_has_its_reason(
    tmp_path: Path, change: str, options: dict[str, Any], columns: dict[str, str], told: str
) -> None:
    frame = users(200)
    if change == "constant":
        frame["spent"] = 3.0
    if change == "one user":
        frame = pd.concat([frame[frame["arm"] == "A"], frame[frame["arm"] == "B"].iloc[:1]])
    if change == "zero denominators":
        frame["shown"] = 0
    if change == "no numbers":
        frame["spent"] = "many"
    found = compared(written(frame, tmp_path / "a.csv"), columns=columns, **options)
    plain = found.to_dict()["metrics"][0]
    assert told in str(plain["reason"])
    assert [plain[key] for key in ("p", "diff", "ci95", "rel", "p_adjusted")] == [None] * 5


@pytest.mark.parametrize(
    ("options", "metric", "error", "told"),
    [
        ({"control": "Z"}, "spent", UnknownError, "the arms are A, B"),
        ({"variant_col": "group"}, "spent", SchemaError, "the columns are user, arm"),
        ({}, "income", SchemaError, "'income' is not in a.csv"),
        ({"region_col": "planet"}, "spent", SchemaError, "planet"),
        ({"unit_col": "planet"}, "spent", SchemaError, "planet"),
        ({"variant_col": "user", "control": "u1"}, "spent", InvalidValueError, "at most 100 arms"),
        ({"weights": [1.0]}, "spent", InvalidValueError, "1 weights for 2 arms"),
        ({"weights": [0.5, -0.5]}, "spent", InvalidValueError, "from 0 on"),
        ({"weights": {"A": 1.0}}, "spent", InvalidValueError, r"\['B'\]|two or more"),
        ({"weights": {"A": 1.0, "Z": 1.0}}, "spent", InvalidValueError, r"\['B'\]"),
    ],
)
def test_wrong_questions_are_named(
    tmp_path: Path, options: dict[str, Any], metric: str, error: type[RecommendrError], told: str
) -> None:
    with pytest.raises(error, match=told) as caught:
        compared(written(users(300), tmp_path / "a.csv"), metric, **options)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"\n\n", "first line"),
        (b"arm,sp\xfcnt\nA,1\n", "UTF-8"),
        (b"arm,spent,spent\nA,1,2\nB,1,2\n", "2 times"),
        (b"PAR1 and no more", "can't be read"),
        (b"\x1f\x8b and no more", "UTF-8|can't be read"),
        (b"arm,spent\n", "none, for there is no usable row"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises((SchemaError, UnknownError), match=told):
        compared(path)


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(SchemaError, match="can't be read"):
            compared(path)


def test_a_single_arm_is_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(NotEstimableError, match="only arm"):
        compared(written(users(50).assign(arm="A"), tmp_path / "a.csv"))


def test_parquet_of_dates_is_no_metric(tmp_path: Path) -> None:
    frame = users(20).assign(spent=pd.Timestamp("2026-01-01"))
    with pytest.raises(SchemaError, match="must hold numbers"):
        compared(written(frame, tmp_path / "a.parquet"))


def test_a_covariate_denominator_needs_its_ratio() -> None:
    with pytest.raises(InvalidValueError, match="needs a ratio"):
        MetricColumns(metric="a", covariate="b", covariate_denominator="c")


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_other_delimiters_quotes_and_marks_are_read(tmp_path: Path, delimiter: str) -> None:
    frame = users(200).assign(note='a "word", another; and\na line')
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + frame.to_csv(index=False, sep=delimiter), encoding="utf-8")
    plain = only(compared(written(users(200), tmp_path / "b.csv"))).estimate
    assert only(compared(path)).estimate == plain


def test_columns_may_bear_any_name(tmp_path: Path) -> None:
    frame = users(200).rename(columns={"arm": "variant", "spent": "reason", "country": 'it\'s "n"', "user": "N"})
    frame["n"] = 1
    for name in ("a.csv", "a.parquet"):
        path = written(frame if name == "a.csv" else frame.drop(columns="n"), tmp_path / name)
        found = compared(path, "reason", variant_col="variant", region_col='it\'s "n"', unit_col="N")
        assert only(found).estimate is not None


def test_a_skewed_metric_in_unequal_arms_warns(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"arm": ["A"] * 9_000 + ["B"] * 1_000, "spent": rng.lognormal(0, 2.0, 10_000)})
    warning = only(compared(written(frame, tmp_path / "a.parquet"))).warning
    assert warning is not None
    pooled = (9 * stats.skew(frame["spent"][:9_000]) + stats.skew(frame["spent"][9_000:])) / 10
    assert f"Skewness {pooled:.1f}" in warning
    assert only(compared(written(users(300), tmp_path / "b.csv"))).warning is None


def test_the_same_file_gives_the_same_bits(tmp_path: Path) -> None:
    path = written(users(), tmp_path / "a.csv")
    packed = tmp_path / "b.csv.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    one, again, other = (compared(file).to_dict() for file in (path, path, packed))
    assert one == again
    assert one["metrics"] == other["metrics"]
