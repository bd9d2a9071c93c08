"""Parts: seen after the commit and not before, replaced whole, swept when nobody lists them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.parts import Batch, PartLog
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

DAY = date(2026, 1, 2)
NOW = datetime(2026, 1, 3, tzinfo=UTC)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def log(home: Paths, clock: FrozenClock) -> Iterator[PartLog]:
    store = Store.open(Settings(home=home.home))
    yield PartLog(store, home, clock)
    store.close()


def rows(count: int = 3) -> pa.Table:
    return pa.table({"event_id": [f"e{at}" for at in range(count)]})


def batch(batch_id: str = "b1", **facts: object) -> Batch:
    given = {"source": "s", "source_digest": "d", "position": {"line": 3}, "complete": False, "started_at": NOW,
             "finished_at": NOW, "read": 5, "accepted": 3, "duplicates": 1, "quarantined": 1, "late": 0, "bytes": 9,
             "rejections": {("ts", "lies in 1970"): 1}}  # fmt: skip
    return Batch(batch_id=batch_id, **{**given, **facts})  # type: ignore[arg-type]


def test_write_shows_a_part_to_nobody_before_the_commit(log: PartLog) -> None:
    part = log.write(rows(), "events", DAY)
    assert (part.rows, part.bytes) == (3, part.path.stat().st_size)
    assert log.parts("events") == []
    before = log.version()
    log.commit(added=[part], batch=batch())
    assert log.parts("events") == [part]
    assert log.version() != before
    assert pq.read_table(part.path).num_rows == 3


def test_parts_are_listed_by_dataset_and_day(log: PartLog) -> None:
    days = [DAY + timedelta(days=at) for at in range(4)]
    log.commit(added=[log.write(rows(), "events", day) for day in days])
    log.commit(added=[log.write(rows(), "user_day", DAY, source_digest="x")])
    assert [part.date for part in log.parts("events", start=days[1], end=days[2])] == days[1:3]
    assert log.dates("events") == days
    (rollup,) = log.parts("user_day")
    assert rollup.source_digest == "x"


def test_commit_replaces_a_part_in_one_step(log: PartLog) -> None:
    old = log.write(rows(), "user_day", DAY, source_digest="old")
    log.commit(added=[old])
    digests = log.digests("user_day")
    new = log.write(rows(5), "user_day", DAY, source_digest="new")
    log.commit(added=[new], retired=[old.part_id])
    assert log.parts("user_day") == [new]
    assert log.digests("user_day") != digests


def test_commit_that_fails_changes_nothing(log: PartLog) -> None:
    part = log.write(rows(), "events", DAY)
    log.commit(added=[part], batch=batch())
    second = log.write(rows(), "events", DAY)
    with pytest.raises(Exception, match="UNIQUE"):
        log.commit(added=[second], retired=[part.part_id], batch=batch())
    assert log.parts("events") == [part]


def test_target_leaves_no_file_when_the_writer_fails(log: PartLog) -> None:
    with pytest.raises(ZeroDivisionError), log.target("events", DAY) as (temporary, _):
        temporary.write_bytes(b"half")
        raise ZeroDivisionError
    assert [path for path in log.folder.rglob("*") if path.is_file()] == []


def test_sweep_removes_what_nobody_lists_and_what_was_retired_long_ago(log: PartLog, clock: FrozenClock) -> None:
    kept, replaced, orphan = (log.write(rows(), "events", DAY) for _ in range(3))
    log.commit(added=[kept, replaced])
    log.commit(retired=[replaced.part_id])
    assert log.sweep() == [orphan.path]
    assert replaced.path.exists(), "a reader may still be at it"
    clock.advance(timedelta(hours=2))
    assert log.sweep() == [replaced.path]
    assert log.parts("events") == [kept]
    assert kept.path.exists()


def test_last_batch_is_the_newest_of_the_same_content(log: PartLog) -> None:
    log.commit(batch=batch("b1"))
    log.commit(batch=batch("b2", position={"line": 9}, complete=True, finished_at=NOW + timedelta(minutes=1)))
    log.commit(batch=batch("b3", source_digest="other", finished_at=NOW + timedelta(minutes=2)))
    found = log.last_batch("s", "d")
    assert found is not None
    assert (found.batch_id, found.position, found.complete) == ("b2", {"line": 9}, True)
    assert log.last_batch("s", "unknown") is None
    assert [one.batch_id for one in log.batches(since=NOW + timedelta(seconds=1))] == ["b2", "b3"]
    assert log.rejections() == {("ts", "lies in 1970"): 3}
