import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.index import IndexVersion, open_version, write_version
from recommender.index.segment import score_rows
from tests.recommender.index.conftest import BLOCKS, DIM, reference
from workspace.errors import InvalidValueError
from workspace.paths import Paths

SHARES = (1.0, 0.6, 0.5, 0.05, 0.005, 0.0005)


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("path", [None, "scan", "exact"])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_search_equals_exact_at_every_selectivity(
    large: IndexVersion, share: float, path: str | None, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    query = rng.normal(size=DIM) * 10.0 ** rng.uniform(-1, 1, DIM)
    allowed = rng.random(large.rows) < share
    hits = large.search(query, k=5, allowed=allowed, candidates=40, path=path)  # type: ignore[arg-type]
    assert hits.rows.tolist() == reference(np.asarray(large.vectors), query, allowed, 40)
    assert hits.allowed == allowed.sum()


@pytest.mark.parametrize("share", [0.05, 0.005])
def test_search_against_the_taste_equals_exact(large: IndexVersion, share: float) -> None:
    query = np.asarray(large.vectors[7], dtype=np.float64)
    vectors = np.asarray(large.vectors)
    scores = vectors.astype(np.float64) @ query
    allowed = scores <= np.quantile(scores, share)
    assert large.search(query, k=5, allowed=allowed, candidates=20).rows.tolist() == reference(
        vectors, query, allowed, 20
    )


@given(rows=st.integers(1, 60), dim=st.integers(1, 40), seed=st.integers(0, 999), k=st.integers(1, 80))
@settings(max_examples=25, deadline=None)
def test_search_of_any_shape_equals_exact(
    tmp_path_factory: pytest.TempPathFactory, rows: int, dim: int, seed: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (rows, dim)).astype(np.float32)  # whole numbers: many ties
    home = Paths(tmp_path_factory.mktemp("shape")).ensure()
    index = open_version(home, write_version(home, vectors=vectors, blocks={"all": (0, dim)}).version)
    query = rng.integers(-2, 3, dim).astype(np.float64)
    allowed = rng.random(rows) < 0.7
    truth = reference(vectors, query, allowed, k)
    for path in ("scan", "exact", None):
        assert index.search(query, k=k, allowed=allowed, candidates=0, path=path).rows.tolist() == truth  # type: ignore[arg-type]
    assert index.search_many(query[None], k=k, allowed=allowed[None])[0].rows.tolist() == truth


@pytest.mark.parametrize("count", [0, 1, 3, 5, 6])
def test_search_returns_exactly_k_or_all_allowed(large: IndexVersion, count: int) -> None:
    allowed = np.zeros(large.rows, dtype=bool)
    allowed[np.random.default_rng(count).choice(large.rows, count, replace=False)] = True
    for path in (None, "scan", "exact"):
        hits = large.search(np.ones(DIM), k=5, allowed=allowed, candidates=0, path=path)  # type: ignore[arg-type]
        assert len(hits.rows) == min(5, count)
        assert allowed[hits.rows].all()
        assert np.array_equal(hits.rows, np.unique(hits.rows)[np.argsort(np.argsort(hits.rows))])


def test_search_with_huge_k_returns_all_allowed(large: IndexVersion) -> None:
    allowed = np.arange(large.rows) % 100 == 0
    hits = large.search(np.ones(DIM), k=10**9, allowed=allowed)
    assert sorted(hits.rows.tolist()) == np.flatnonzero(allowed).tolist()


def test_search_breaks_ties_by_the_lower_row(large: IndexVersion) -> None:
    twins = np.arange(large.rows // 2, large.rows // 2 + large.rows // 20)
    query = np.asarray(large.vectors[twins[0]], dtype=np.float64)
    allowed = np.zeros(large.rows, dtype=bool)
    allowed[twins] = True
    for path in (None, "scan", "exact"):
        assert large.search(query, k=9, allowed=allowed, candidates=0, path=path).rows.tolist() == twins[:9].tolist()  # type: ignore[arg-type]


def test_search_with_zero_query_gives_the_lowest_rows(large: IndexVersion) -> None:
    allowed = np.arange(large.rows) % 3 == 1
    for path in (None, "scan", "exact"):
        hits = large.search(np.zeros(DIM), k=4, allowed=allowed, candidates=0, path=path)  # type: ignore[arg-type]
        assert hits.rows.tolist() == [1, 4, 7, 10]
        assert hits.scores.tolist() == [0, 0, 0, 0]


def test_search_with_zeroed_block_equals_exact(large: IndexVersion) -> None:
    query = np.random.default_rng(3).normal(size=DIM)
    query[slice(*BLOCKS["text"])] = 0
    allowed = np.ones(large.rows, dtype=bool)
    assert large.search(query, k=5, candidates=30, path="scan").rows.tolist() == reference(
        np.asarray(large.vectors), query, allowed, 30
    )


@pytest.mark.parametrize("scale", [1e-100, 1e-20, 1e20, 1e100])
def test_search_does_not_depend_on_the_size_of_the_query(large: IndexVersion, scale: float) -> None:
    query = np.random.default_rng(5).normal(size=DIM)
    expected = large.search(query, k=5).rows.tolist()
    for path in ("scan", "exact"):
        assert large.search(query * scale, k=5, path=path).rows.tolist() == expected  # type: ignore[arg-type]


def test_scores_have_the_same_bits_on_every_path(large: IndexVersion) -> None:
    query = np.random.default_rng(4).normal(size=DIM)
    narrow = np.zeros(large.rows, dtype=bool)
    first = large.search(query, k=5, path="scan")
    narrow[first.rows[:5]] = True
    other = large.search(query, k=5, path="exact")
    few = large.search(query, k=5, allowed=narrow)
    many = large.search_many(np.stack([query, query]), k=5)[1]
    for hits in (other, few, many):
        assert hits.scores[:5].tobytes() == first.scores[:5].tobytes()
    # The exactly rounded sum of the exact products, by the standard library.
    vector = np.asarray(large.vectors[first.rows[0]], dtype=np.float64)
    assert first.scores[0] == pytest.approx(math.fsum(vector * query), rel=1e-13)


def test_score_of_a_row_does_not_depend_on_its_neighbours() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 301)).astype(np.float32)
    query = np.random.default_rng(1).normal(size=301)
    together = score_rows(vectors, np.arange(500), query)
    alone = np.array([score_rows(vectors, np.array([row]), query)[0] for row in range(500)])
    assert together.tobytes() == alone.tobytes()


def test_rank_of_agrees_with_the_order_of_exact_search(large: IndexVersion) -> None:
    query = np.random.default_rng(6).normal(size=DIM)
    allowed = np.random.default_rng(7).random(large.rows) < 0.1
    order = large.exact(query, k=large.rows, allowed=allowed).rows
    for place in (0, 1, 4, 99, len(order) - 1):
        assert large.rank_of(query, int(order[place]), allowed=allowed) == place + 1


def test_rank_of_a_row_that_is_not_allowed_counts_those_before_it(large: IndexVersion) -> None:
    query = np.random.default_rng(8).normal(size=DIM)
    best = int(large.exact(query, k=1).rows[0])
    allowed = np.ones(large.rows, dtype=bool)
    allowed[best] = False
    assert large.rank_of(query, best, allowed=allowed) == 1


def test_search_many_equals_search_one_by_one(large: IndexVersion) -> None:
    rng = np.random.default_rng(9)
    queries = rng.normal(size=(7, DIM))
    queries[3] = 0
    allowed = rng.random((7, large.rows)) < rng.uniform(0.001, 1, (7, 1))
    allowed[5] = False
    for query, mask, hits in zip(queries, allowed, large.search_many(queries, k=5, allowed=allowed), strict=True):
        assert hits.rows.tolist() == reference(np.asarray(large.vectors), query, mask, 5)


def test_shadow_is_the_share_of_the_exact_best(large: IndexVersion) -> None:
    query = np.random.default_rng(10).normal(size=DIM)
    hits = large.search(query, k=5, candidates=10)
    assert large.shadow(query, hits.rows, k=5) == 1.0
    worse = large.search(query, k=5, allowed=~np.isin(np.arange(large.rows), hits.rows[:2]))
    assert large.shadow(query, worse.rows, k=5) == pytest.approx(0.6)


@pytest.mark.parametrize("k", [0, -1, 2.5, float("nan"), None])
def test_search_refuses_a_k_that_is_no_count(large: IndexVersion, k: object) -> None:
    with pytest.raises(InvalidValueError, match="k =="):
        large.search(np.ones(DIM), k=k)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (np.ones(DIM + 1), r"query.shape == \(25,\), must be \(24,\)"),
        (np.ones((1, DIM)), "query.shape"),
        (np.full(DIM, np.nan), r"query\[0\] == nan, must be finite"),
        (np.r_[np.ones(DIM - 1), np.inf], r"query\[23\] == inf"),
    ],
)
def test_search_refuses_a_bad_query(large: IndexVersion, query: np.ndarray, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        large.search(query, k=5)


@pytest.mark.parametrize("allowed", [np.ones(3, dtype=bool), np.ones(30_000, dtype=np.int8)])
def test_search_refuses_a_bad_mask(large: IndexVersion, allowed: np.ndarray) -> None:
    with pytest.raises(InvalidValueError, match="must be bool of shape"):
        large.search(np.ones(DIM), k=5, allowed=allowed)


def test_graph_path_without_a_graph_is_refused(large: IndexVersion) -> None:
    with pytest.raises(InvalidValueError, match="must have a graph"):
        large.search(np.ones(DIM), k=5, path="graph")
