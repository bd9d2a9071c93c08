from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from recommender.index import IndexVersion, Manifest, list_versions, open_version, verify, write_delta, write_version
from tests.recommender.index.conftest import BLOCKS, DIM, clustered, reference
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, InvalidValueError, StateError, UnknownError
from workspace.paths import Paths

ROWS = 400


def write(paths: Paths, seed: int = 0, **options: object) -> Manifest:
    return write_version(paths, vectors=clustered(ROWS, seed=seed), blocks=BLOCKS, **options)  # type: ignore[arg-type]


def test_write_records_what_is_needed_to_know_a_version(paths: Paths) -> None:
    clock = FrozenClock(datetime(2016, 7, 1, tzinfo=UTC))
    manifest = write(paths, extra={"encoder": "mini", "weights": {"text": 1.5}}, clock=clock)
    stored = open_version(paths, manifest.version).manifest
    assert stored == manifest
    assert (stored.rows, stored.dim, stored.blocks) == (ROWS, DIM, BLOCKS)
    assert stored.created_at == "2016-07-01T00:00:00+00:00"
    assert stored.extra == {"encoder": "mini", "weights": {"text": 1.5}}
    squares = (clustered(ROWS).astype(np.float64) ** 2).sum(axis=1)
    assert stored.norm_bound == pytest.approx(squares.max(), rel=1e-6)
    assert stored.norm_bound >= squares.max()


def test_version_is_the_same_for_the_same_content_and_another_for_any_other(tmp_path: Path) -> None:
    def version(home: str, **options: object) -> str:
        return write(Paths(tmp_path / home).ensure(), **options).version  # type: ignore[arg-type]

    first = version("a", extra={"code": 1, "run": {"seconds": 3}})
    assert version("b", extra={"code": 1, "run": {"seconds": 9}}) == first
    others = {
        version("c", extra={"code": 2}),
        version("d", extra={"code": 1}, seed=1),
        version("e", extra={"code": 1}, attachments=lambda folder: (folder / "a.txt").write_text("x")),
        version("f", extra={"code": 1}, attachments=lambda folder: (folder / "a.txt").write_text("y")),
        write_version(
            Paths(tmp_path / "g").ensure(), vectors=clustered(ROWS), blocks={"text": (0, DIM)}, extra={"code": 1}
        ).version,
    }
    assert len(others | {first}) == 6


def test_every_file_is_the_same_when_built_twice(tmp_path: Path) -> None:
    homes = [Paths(tmp_path / name).ensure() for name in "ab"]
    files = [write(home, graph=True).files for home in homes]
    assert files[0] == files[1]
    assert set(files[0]) == {"vectors.npy", "codes.npy", "steps.npy", "graph.usearch"}


def test_write_again_returns_the_published_version_untouched(paths: Paths) -> None:
    manifest = write(paths, clock=FrozenClock(datetime(2016, 7, 1, tzinfo=UTC)))
    again = write(paths, clock=FrozenClock(datetime(2016, 7, 2, tzinfo=UTC)))
    assert again == manifest


def test_write_again_replaces_a_damaged_version_while_a_reader_holds_it(paths: Paths) -> None:
    manifest = write(paths)
    reader = open_version(paths, manifest.version)
    before = reader.search(np.ones(DIM), k=5)
    path = paths.indexes / manifest.version / "codes.npy"
    path.unlink()
    path.write_bytes(b"gone")
    assert verify(paths, manifest.version)
    write(paths)
    assert verify(paths, manifest.version) == []
    assert reader.search(np.ones(DIM), k=5).rows.tolist() == before.rows.tolist()
    assert not list(paths.indexes.glob(".*.tmp"))


def test_attachments_are_published_with_the_version(paths: Paths) -> None:
    def attach(folder: Path) -> None:
        (folder / "films").mkdir()
        (folder / "films" / "ids.txt").write_text("318\n")

    manifest = write(paths, attachments=attach)
    index = open_version(paths, manifest.version, verify=True)
    assert (index.folder / "films" / "ids.txt").read_text() == "318\n"
    assert "films/ids.txt" in manifest.files


def test_attachment_may_not_bear_the_name_of_an_own_file(paths: Paths) -> None:
    with pytest.raises(InvalidValueError, match=r"attachment == 'codes.npy'"):
        write(paths, attachments=lambda folder: (folder / "codes.npy").write_text("mine"))
    assert list_versions(paths) == []


def test_failed_attachment_leaves_nothing_behind(paths: Paths) -> None:
    def attach(folder: Path) -> None:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("the catalogue went away")

    with pytest.raises(RuntimeError, match="went away"):
        write(paths, attachments=attach)
    assert [path.name for path in paths.indexes.iterdir()] == [".lock"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_bad_number_is_refused_with_its_row_and_block(paths: Paths, bad: float) -> None:
    vectors = clustered(ROWS)
    vectors[123, 17] = bad
    with pytest.raises(InvalidValueError, match=r"vectors\[123, 17\] == .* in block 'genre', must be finite"):
        write_version(paths, vectors=vectors, blocks=BLOCKS)
    assert list_versions(paths) == []


@pytest.mark.parametrize(
    ("vectors", "blocks", "message"),
    [
        (np.ones(5), BLOCKS, "vectors.shape"),
        (np.ones((0, DIM)), BLOCKS, "rows == 0"),
        (np.ones((5, 0)), {}, "vectors.shape"),
        (np.ones((5, 8)), {"a": (0, 5), "b": (4, 8)}, "without overlap"),
        (np.ones((5, 8)), {"a": (0, 9)}, "must lie in 0 to 8"),
        (np.ones((5, 8)), {"a": (3, 3)}, "not empty"),
    ],
)
def test_wrong_shapes_and_ranges_are_refused(
    paths: Paths, vectors: np.ndarray, blocks: dict[str, tuple[int, int]], message: str
) -> None:
    with pytest.raises(InvalidValueError, match=message):
        write_version(paths, vectors=vectors, blocks=blocks)


def test_extra_that_is_not_json_is_refused(paths: Paths) -> None:
    with pytest.raises(InvalidValueError, match="extra can't be JSON"):
        write(paths, extra={"weights": float("nan")})


def test_open_without_any_version_says_what_to_do(paths: Paths) -> None:
    with pytest.raises(StateError, match="no index version is current"):
        open_version(paths)
    with pytest.raises(UnknownError, match="there are: none"):
        open_version(paths, "v000000000000")


@pytest.mark.parametrize("name", ["../../etc", "v00", "current", "."])
def test_open_refuses_what_is_no_version_name(paths: Paths, name: str) -> None:
    with pytest.raises(UnknownError):
        open_version(paths, name)


def test_two_versions_are_open_side_by_side(paths: Paths) -> None:
    one, two = (open_version(paths, write(paths, seed).version) for seed in (0, 1))
    query = np.random.default_rng(0).normal(size=DIM)
    allowed = np.ones(ROWS, dtype=bool)
    for index, seed in ((one, 0), (two, 1)):
        assert index.search(query, k=5, candidates=0).rows.tolist() == reference(
            clustered(ROWS, seed=seed), query, allowed, 5
        )


def change(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return replaced rows, vectors (of those, then three new) and removed rows."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(ROWS)
    return rows[:6], (5 * rng.normal(size=(9, DIM))).astype(np.float32), rows[6:10]


def laid_over(vectors: np.ndarray, replaced: np.ndarray, changed: np.ndarray) -> np.ndarray:
    whole = np.concatenate([vectors, changed[len(replaced) :]])
    whole[replaced] = changed[: len(replaced)]
    return whole


def check_equals_full(paths: Paths, delta: IndexVersion, whole: np.ndarray, removed: set[int]) -> None:
    full = open_version(paths, write_version(paths, vectors=whole, blocks=BLOCKS).version)
    alive = ~np.isin(np.arange(len(whole)), list(removed))
    assert np.array_equal(np.asarray(delta.vectors), whole)
    rng = np.random.default_rng(1)
    for share in (1.0, 0.5, 0.02):
        query, allowed = rng.normal(size=DIM), rng.random(len(whole)) < share
        expected = full.search(query, k=5, allowed=allowed & alive, candidates=30)
        for path in (None, "scan", "exact"):
            hits = delta.search(query, k=5, allowed=allowed, candidates=30, path=path)  # type: ignore[arg-type]
            assert hits.rows.tolist() == expected.rows.tolist()
            assert hits.scores.tobytes() == expected.scores.tobytes()
        many = delta.search_many(query[None], k=30, allowed=allowed[None])[0]
        assert many.rows.tolist() == expected.rows.tolist()
        for place, row in enumerate(expected.rows[:3], start=1):
            assert delta.rank_of(query, int(row), allowed=allowed) == place


def test_delta_equals_the_full_regeneration(paths: Paths) -> None:
    base = write(paths)
    replaced, changed, removed = change(1)
    manifest = write_delta(paths, base.version, replaced=replaced, vectors=changed, removed=removed)
    assert manifest.delta is not None
    assert (manifest.delta.base, manifest.rows, manifest.needs_full) == (base.version, ROWS + 3, False)
    delta = open_version(paths, manifest.version, verify=True)
    check_equals_full(paths, delta, laid_over(clustered(ROWS), replaced, changed), set(removed.tolist()))


def test_delta_of_a_delta_holds_both_changes_over_the_same_base(paths: Paths) -> None:
    base = write(paths)
    replaced, changed, removed = change(1)
    first = write_delta(paths, base.version, replaced=replaced, vectors=changed, removed=removed)
    whole = laid_over(clustered(ROWS), replaced, changed)
    # A base row, a row the first delta replaced, one it appended, and one it removed, which comes back.
    again = np.array([removed[0], ROWS + 1, replaced[2], replaced[2] + 1 if replaced[2] + 1 < ROWS else 0])
    again = np.unique(again)
    more = (7 * np.random.default_rng(2).normal(size=(len(again) + 2, DIM))).astype(np.float32)
    second = write_delta(paths, first.version, replaced=again, vectors=more, removed=[ROWS + 2])
    assert second.delta is not None
    assert second.delta.base == base.version
    gone = (set(removed.tolist()) - set(again.tolist())) | {ROWS + 2}
    check_equals_full(paths, open_version(paths, second.version), laid_over(whole, again, more), gone)


def test_delta_leaves_its_base_untouched(paths: Paths) -> None:
    base = write(paths)
    reader = open_version(paths, base.version)
    replaced, changed, removed = change(3)
    write_delta(paths, base.version, replaced=replaced, vectors=changed, removed=removed)
    assert np.array_equal(np.asarray(reader.vectors), clustered(ROWS))
    assert verify(paths, base.version) == []


def test_delta_that_only_removes(paths: Paths) -> None:
    base = write(paths)
    best = open_version(paths, base.version).search(np.ones(DIM), k=2).rows
    delta = write_delta(paths, base.version, replaced=[], vectors=np.empty((0, DIM)), removed=best[:1])
    assert open_version(paths, delta.version).search(np.ones(DIM), k=1).rows[0] == best[1]


def test_large_delta_asks_for_a_full_regeneration(paths: Paths) -> None:
    base = write(paths)
    rows = np.arange(ROWS // 10 + 1)
    assert not write_delta(paths, base.version, replaced=rows[1:], vectors=clustered(len(rows) - 1)).needs_full
    assert write_delta(paths, base.version, replaced=rows, vectors=clustered(len(rows))).needs_full


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"replaced": [ROWS], "vectors": np.ones((1, DIM))}, "must lie in 0 to 399"),
        ({"replaced": [-1], "vectors": np.ones((1, DIM))}, "must lie in"),
        ({"replaced": [1, 1], "vectors": np.ones((2, DIM))}, "names a row twice"),
        ({"replaced": [1, 2], "vectors": np.ones((1, DIM))}, "one a replaced row"),
        ({"replaced": [1], "vectors": np.ones((1, DIM)), "removed": [1]}, "replaced and removed"),
        ({"replaced": [0.5], "vectors": np.ones((1, DIM))}, "row numbers"),
        ({"replaced": [], "vectors": np.ones((1, DIM + 1))}, "must be"),
        ({"replaced": [], "vectors": np.full((1, DIM), np.nan)}, "must be finite"),
    ],
)
def test_impossible_delta_is_refused(paths: Paths, options: dict[str, object], message: str) -> None:
    base = write(paths)
    with pytest.raises(InvalidValueError, match=message):
        write_delta(paths, base.version, **options)  # type: ignore[arg-type]


def test_delta_over_a_missing_or_other_base_does_not_open(paths: Paths) -> None:
    base = write(paths)
    delta = write_delta(paths, base.version, replaced=[1], vectors=np.ones((1, DIM)))
    (paths.indexes / base.version).rename(paths.indexes / "aside")
    with pytest.raises(UnknownError):
        open_version(paths, delta.version)
    assert [problem.file for problem in verify(paths, delta.version)] == [base.version]
    write(paths, clock=FrozenClock(datetime(2001, 1, 1, tzinfo=UTC)))  # same numbers, another publication
    with pytest.raises(IntegrityError, match="stands on another"):
        open_version(paths, delta.version)


def test_take_and_slices_read_through_a_delta(paths: Paths) -> None:
    base = write(paths)
    replaced, changed, _ = change(4)
    delta = open_version(paths, write_delta(paths, base.version, replaced=replaced, vectors=changed).version)
    whole = laid_over(clustered(ROWS), replaced, changed)
    rows = [int(replaced[0]), 0, ROWS + 2, ROWS - 1]
    assert np.array_equal(delta.take(rows), whole[rows])
    assert np.array_equal(delta.vectors[10:300:7], whole[10:300:7])
    assert np.array_equal(delta.vectors[int(replaced[0])], changed[0])
    assert len(delta.vectors) == ROWS + 3
