"""Cells: folded in any order they are the moments of the users themselves, and they survive being stored."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from experiments.cells import Cells, cells_of, places
from experiments.metrics import METRICS, Needs
from workspace.errors import IntegrityError, InvalidValueError, UnknownError

COLUMNS = ("clicks", "focus_s", "impressions")


def users(n: int = 4_000, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    shown = rng.poisson(20, n) + 1.0
    return pd.DataFrame({
        "variant": rng.choice(["control", "treatment"], n), "region": rng.choice(["US", "FR", "KZ"], n),
        "bucket": rng.integers(0, 64, n), "clicks": rng.binomial(shown.astype(int), 0.1) * 1.0,
        "focus_s": rng.gamma(0.5, 40, n) + 1e6, "impressions": shown,
    })  # fmt: skip


def split(frame: pd.DataFrame, by: list[str]) -> Cells:
    groups = list(frame.groupby(by))
    keys = {name: [key[at] for key, _ in groups] for at, name in enumerate(by)}
    return cells_of(keys, [rows[list(COLUMNS)].to_numpy() for _, rows in groups], COLUMNS)


FRAME = users()
CELLS = split(FRAME, ["variant", "region", "bucket"])
WHOLE = split(FRAME, ["variant", "region"])
PARTS = [split(FRAME.iloc[at::6], ["variant", "region"]) for at in range(6)]


@pytest.mark.parametrize("by", [["variant"], ["variant", "region"], ["region", "variant"], ["bucket"]], ids=str)
def test_fold_is_the_moments_of_the_users(by: list[str]) -> None:
    folded = CELLS.fold(by)
    groups = list(FRAME.groupby(by))
    assert folded.keys.to_numpy().tolist() == [list(key) for key, _ in groups]
    assert folded.n.tolist() == [len(rows) for _, rows in groups]
    for at, (_, rows) in enumerate(groups):
        values = rows[list(COLUMNS)].to_numpy()
        assert folded.means[at] == pytest.approx(values.mean(axis=0), rel=1e-12)
        covariance = np.cov(values.T, bias=True) * len(rows)
        found = [covariance[pair] for pair in folded.pairs]
        # To 1e-9 of the scale of each pair: a covariance near 0 has no digits of its own.
        scale = [np.sqrt(covariance[i, i] * covariance[j, j]) for i, j in folded.pairs]
        assert np.abs(folded.comoments[at] - found).max() < 1e-9 * max(scale)
        assert folded.skewness("clicks")[at] == pytest.approx(stats.skew(rows["clicks"]), rel=1e-9)
        assert folded.skewness("focus_s")[at] == pytest.approx(stats.skew(rows["focus_s"]), rel=1e-6)


def test_fold_into_one_cell_holds_everybody() -> None:
    one = CELLS.fold([])
    assert (len(one), one.users, list(one.keys)) == (1, len(FRAME), [])
    assert one.totals[0] == pytest.approx(FRAME[list(COLUMNS)].sum().to_numpy(), rel=1e-12)


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(6)), st.integers(1, 5))
def test_merge_does_not_depend_on_the_order(order: list[int], cut: int) -> None:
    shuffled = [PARTS[at] for at in order]
    early = shuffled[0].merge(*shuffled[1:cut])
    merged = early.merge(*shuffled[cut:])
    assert merged.keys.equals(WHOLE.keys)
    assert merged.n.tolist() == WHOLE.n.tolist()
    np.testing.assert_allclose(merged.means, WHOLE.means, rtol=1e-12)
    np.testing.assert_allclose(merged.comoments, WHOLE.comoments, rtol=1e-9, atol=1e-9 * WHOLE.comoments.max())


def test_fold_of_figures_far_from_zero_keeps_its_digits() -> None:
    values = np.array([1e9 + 1, 1e9 + 2, 1e9 + 3, 1e9 + 4])
    cells = cells_of({"bucket": [0, 1]}, [values[:2], values[2:]], ["focus_s"])
    one = cells.fold([])
    assert one.means.tolist() == [[1e9 + 2.5]]
    assert one.comoments.tolist() == [[5.0]]


def test_merge_with_nothing_changes_nothing() -> None:
    needs = Needs(columns=CELLS.columns, pairs=())
    empty = Cells.empty(["variant", "region", "bucket"], needs)
    empty = Cells(keys=empty.keys, columns=CELLS.columns, pairs=CELLS.pairs, n=empty.n, means=empty.means,
                  comoments=np.empty((0, len(CELLS.pairs))), third=empty.third)  # fmt: skip
    assert empty.merge(CELLS).users == CELLS.users
    assert len(empty.merge(empty)) == len(empty.fold(["variant"])) == 0
    assert empty.moments(["clicks"]) == []


def test_merge_refuses_other_sums() -> None:
    with pytest.raises(InvalidValueError, match="other keys or sums"):
        CELLS.merge(CELLS.fold(["variant"]))


def test_where_keeps_what_was_asked_for() -> None:
    assert CELLS.where(variant="control").users == (FRAME["variant"] == "control").sum()
    some = CELLS.where(region=["US", "FR"], variant="treatment")
    assert some.users == (FRAME["region"].isin(["US", "FR"]) & (FRAME["variant"] == "treatment")).sum()
    assert len(CELLS.where(variant="nobody")) == 0
    with pytest.raises(UnknownError, match="device"):
        CELLS.where(device="web")
    with pytest.raises(UnknownError, match="device"):
        CELLS.fold(["device"])


def test_moments_are_dense_and_in_the_order_asked() -> None:
    folded = CELLS.fold(["variant"])
    for one, (_, rows) in zip(folded.moments(["impressions", "clicks"]), FRAME.groupby("variant"), strict=True):
        values = rows[["impressions", "clicks"]].to_numpy()
        assert one.n == len(rows)
        assert np.asarray(one.means) == pytest.approx(values.mean(axis=0))
        assert np.asarray(one.comoments) == pytest.approx(np.cov(values.T, bias=True) * len(rows), rel=1e-9)


def test_moments_name_what_was_not_computed() -> None:
    alone = cells_of({"variant": ["a"]}, [[[1.0, 2.0], [2.0, 5.0]]], ["clicks", "impressions"], pairs=False)
    with pytest.raises(UnknownError, match="comoment of clicks and impressions"):
        alone.moments(["clicks", "impressions"])
    with pytest.raises(UnknownError, match="must be one of clicks, impressions"):
        alone.moments(["surveys"])


def test_table_gives_back_the_same_bits(tmp_path: Path) -> None:
    for cells in (CELLS, CELLS.fold([]), CELLS.where(variant="nobody")):
        path = f"{tmp_path}/cells.parquet"
        pq.write_table(cells.to_table(), path)
        back = Cells.from_table(pq.read_table(path))
        assert (back.columns, back.pairs, back.n.tobytes()) == (cells.columns, cells.pairs, cells.n.tobytes())
        assert back.means.tobytes() == cells.means.tobytes()
        assert back.comoments.tobytes() == cells.comoments.tobytes()
        assert back.third is not None
        assert back.third.tobytes() == cells.third.tobytes()  # type: ignore[union-attr]
        assert back.keys.to_numpy().tolist() == cells.keys.to_numpy().tolist()


def test_tables_with_a_column_a_figure_are_still_read() -> None:
    wide = {"variant": CELLS.keys["variant"].tolist(), "region": CELLS.keys["region"].tolist(), "n": CELLS.n}
    wide |= {f"mean_{name}": CELLS.means[:, at] for at, name in enumerate(CELLS.columns)}
    wide |= {f"comoment_{i}_{j}": CELLS.comoments[:, at] for at, (i, j) in enumerate(CELLS.pairs)}
    back = Cells.from_table(pa.table(wide))
    assert (back.columns, back.pairs, back.third) == (CELLS.columns, CELLS.pairs, None)
    assert back.means.tobytes() == CELLS.means.tobytes()
    assert back.comoments.tobytes() == CELLS.comoments.tobytes()
    assert back.keys.to_numpy().tolist() == CELLS.keys[["variant", "region"]].to_numpy().tolist()


def test_table_of_something_else_is_refused() -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        Cells.from_table(pa.table({"variant": ["a"], "mean_clicks": [1.0]}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n": np.array([0.0])}, "no user"),
        ({"means": np.array([[np.nan]])}, "not finite"),
        ({"comoments": np.zeros((1, 2))}, "shape"),
        ({"keys": pd.DataFrame({"colour": ["red"]})}, "colour"),
    ],
)
def test_cells_refuse_what_no_users_have(change: dict[str, object], message: str) -> None:
    right = {"keys": pd.DataFrame({"variant": ["a"]}), "columns": ("clicks",), "pairs": ((0, 0),),
             "n": np.ones(1), "means": np.ones((1, 1)), "comoments": np.zeros((1, 1))}  # fmt: skip
    Cells(**right)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=message):
        Cells(**{**right, **change})  # type: ignore[arg-type]


def test_skewness_of_users_who_are_alike_is_none() -> None:
    alike = cells_of({"variant": ["a"]}, [[[2.0], [2.0]]], ["clicks"])
    assert np.isnan(alike.skewness("clicks")).all()


def test_places_have_every_sum_and_pair_of_the_metrics() -> None:
    needs = METRICS["focus_s"].needs(covariates=True)
    found = {tuple(sorted((needs.columns[i], needs.columns[j]))) for i, j in places(needs)}
    assert found >= set(needs.pairs)
    assert len(found) == 10
