from pathlib import Path

import numpy as np
import pytest

from recommender.index import IndexVersion, open_version, write_delta, write_version
from recommender.index.graph import TRUSTED_RECALL, build_graph
from recommender.index.quantize import Coder
from tests.recommender.index.conftest import BLOCKS, DIM, clustered, reference
from workspace.paths import Paths

ROWS = 5_000


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(tmp_path_factory.mktemp("graph")).ensure()


@pytest.fixture(scope="module")
def index(home: Paths) -> IndexVersion:
    manifest = write_version(home, vectors=clustered(ROWS), blocks=BLOCKS, graph=True)
    return open_version(home, manifest.version, verify=True)


def blends(index: IndexVersion, count: int) -> np.ndarray:
    rng = np.random.default_rng(11)
    return np.stack(
        [np.asarray(index.vectors[rng.integers(ROWS, size=3)], dtype=np.float64).sum(axis=0) for _ in range(count)]
    )


def test_graph_records_parameters_and_measured_recall(index: IndexVersion) -> None:
    facts = index.manifest.graph
    assert facts is not None
    assert (facts.dtype, facts.threads) == ("i8", 1)
    assert facts.samples == 200
    assert TRUSTED_RECALL <= facts.recall_at_5 <= 1


def test_graph_answers_wide_requests_with_exact_scores(index: IndexVersion) -> None:
    recalls = []
    for query in blends(index, 40):
        allowed = np.random.default_rng(int(abs(query[0]) * 1e6)).random(ROWS) < 0.6
        hits = index.search(query, k=5, allowed=allowed, candidates=50, path="graph")
        assert allowed[hits.rows].all()
        assert len(hits.rows) >= 5
        recalls.append(len(set(hits.rows[:5]) & set(reference(np.asarray(index.vectors), query, allowed, 5))) / 5)
        scores = {int(row): score for row, score in zip(*_pairs(index.exact(query, k=ROWS)), strict=True)}
        assert [scores[int(row)] for row in hits.rows] == hits.scores.tolist()
    assert np.mean(recalls) >= TRUSTED_RECALL


def _pairs(hits: object) -> tuple[np.ndarray, np.ndarray]:
    return hits.rows, hits.scores  # type: ignore[attr-defined]


def test_router_takes_the_graph_when_wide_and_never_when_narrow(
    index: IndexVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recommender.index.search.DIRECT_CELLS", 0)
    query = blends(index, 1)[0]
    narrow = np.arange(ROWS) % 20 == 0
    assert index.search(query, k=5, candidates=20).path == "graph"
    assert index.search(query, k=5, candidates=20, allowed=narrow).path == "scan"


def test_graph_with_too_few_survivors_falls_back_to_the_scan(index: IndexVersion) -> None:
    query = blends(index, 1)[0]
    allowed = np.ones(ROWS, dtype=bool)
    allowed[index.exact(query, k=ROWS // 2).rows] = False
    hits = index.search(query, k=5, allowed=allowed, candidates=60, path="graph")
    assert hits.path == "scan"
    assert hits.rows.tolist() == reference(np.asarray(index.vectors), query, allowed, 60)


def test_untrusted_graph_is_not_used(index: IndexVersion, home: Paths) -> None:
    assert index.graph is not None
    from dataclasses import replace

    other = open_version(home, index.version)
    assert other.graph is not None
    other.graph.facts = replace(other.graph.facts, recall_at_5=0.98)
    assert not other.graph.trusted
    assert other.search(np.ones(DIM), k=5).path != "graph"


def test_graph_of_base_serves_a_delta(index: IndexVersion, home: Paths) -> None:
    query = blends(index, 1)[0]
    leaders = index.exact(query, k=3).rows
    manifest = write_delta(
        home,
        index.version,
        replaced=[int(leaders[0])],
        removed=[int(leaders[1])],
        vectors=np.stack([-query, 3 * query]).astype(np.float32),
    )
    delta = open_version(home, manifest.version)
    hits = delta.search(query, k=5, candidates=50, path="graph")
    assert hits.path == "graph"
    assert hits.rows[0] == ROWS
    assert not set(leaders[:2].tolist()) & set(hits.rows.tolist())


def test_graph_bytes_are_the_same_when_built_twice(tmp_path: Path) -> None:
    coder = Coder(clustered(800))
    codes = np.concatenate(list(coder.chunks()))
    for name in ("one", "two"):
        build_graph(codes).save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
