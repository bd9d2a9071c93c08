"""Cut off between two transactions, a source is taken up where it stopped; small parts are merged atomically."""

import datetime as dt
import gzip
from pathlib import Path
from typing import Any

import pytest

from telemetry.ingest import chunk, csv_lines, json_lines, lines, parquet
from telemetry.ingest.compaction import compact, compact_many
from telemetry.parts import PartLog
from tests.telemetry.raw_events import NOW, as_csv, as_parquet, event, open_ingestor, stored, to_lines, written

EVENTS = 1_000
IDS = [f"ev-{n:08d}" for n in range(EVENTS)]


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (chunk, csv_lines, json_lines, parquet):
        monkeypatch.setattr(module, "ROWS", 150)
    monkeypatch.setattr(lines, "BLOCK_BYTES", 1 << 14)


def cut_off_after(commits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the process die in the middle of a later transaction, after its files are there."""
    plain = PartLog.commit
    left = [commits]

    def commit(self: PartLog, **arguments: Any) -> None:
        if arguments.get("batch") is not None and left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        plain(self, **arguments)

    monkeypatch.setattr(PartLog, "commit", commit)


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "parquet"])
def test_a_source_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    events = [event(n) for n in range(EVENTS)]
    path = tmp_path / f"a.{kind}"
    if kind == "jsonl.gz":
        path.write_bytes(gzip.compress(to_lines(events)))
    else:
        {"jsonl": written, "csv": as_csv, "parquet": as_parquet}[kind](path, events)
    with monkeypatch.context() as patched:
        cut_off_after(3, patched)
        with pytest.raises(KeyboardInterrupt):
            open_ingestor(tmp_path / "home").ingest_path(path)
    ingestor = open_ingestor(tmp_path / "home")
    before = sum(batch.accepted for batch in ingestor.parts.batches())
    assert 0 < before < EVENTS
    report = ingestor.ingest_path(path)
    # What was committed is not read again, what was not is; the orphans of the cut-off transaction are gone.
    assert report.resumed
    assert (report.read, report.accepted, report.duplicates) == (EVENTS - before, EVENTS - before, 0)
    assert [row["event_id"] for row in stored(ingestor)] == IDS
    files = set((tmp_path / "home" / "telemetry" / "events").rglob("*.parquet"))
    assert {part.path for part in ingestor.parts.parts("events")} <= files
    orphans = files - {part.path for part in ingestor.parts.parts("events")}
    assert not orphans
    assert ingestor.ingest_path(path).already


@pytest.mark.usefixtures("small_chunks")
def test_quarantine_files_of_a_cut_off_transaction_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.jsonl", [event(n, device="fridge") for n in range(400)])
    with monkeypatch.context() as patched:
        cut_off_after(1, patched)
        with pytest.raises(KeyboardInterrupt):
            open_ingestor(tmp_path / "home").ingest_path(path)
    ingestor = open_ingestor(tmp_path / "home")
    assert len(list(ingestor.quarantine.folder.glob("*.jsonl"))) == 2
    ingestor.ingest_path(path)
    known = {batch.batch_id for batch in ingestor.parts.batches()}
    assert {file.stem for file in ingestor.quarantine.folder.glob("*.jsonl")} == known
    assert ingestor.parts.rejections() == {("device", "unknown device"): 400}


@pytest.mark.usefixtures("small_chunks")
def test_a_long_line_across_blocks_moves_the_position_past_it(tmp_path: Path) -> None:
    lines_ = [event(0), b"x" * 200_000, event(1), b"y" * 70_000, event(2), b"z" * 100_000]
    ingestor = open_ingestor(tmp_path / "home")
    path = tmp_path / "a.jsonl"
    path.write_bytes(to_lines(lines_).removesuffix(b"\n"))
    report = ingestor.ingest_path(path)
    assert (report.accepted, report.quarantined) == (3, 3)
    last = ingestor.parts.batches()[-1]
    assert last.position == {"offset": path.stat().st_size, "row": 6}


def micro_batches(tmp_path: Path, number: int) -> Any:
    ingestor = open_ingestor(tmp_path / "home")
    for turn in range(number):
        rows = to_lines([event(turn * 10 + n) for n in range(10)]).splitlines()
        ingestor.ingest_rows(rows, "s", "d", {"turn": turn})
    return ingestor


def test_compact_merges_the_small_parts_of_a_day(tmp_path: Path) -> None:
    ingestor = micro_batches(tmp_path, 5)
    before = stored(ingestor)
    digest = ingestor.parts.digests("events")
    (merged,) = compact(ingestor.parts, NOW.date())
    assert merged.rows == 50
    assert [part.part_id for part in ingestor.parts.parts("events")] == [merged.part_id]
    assert stored(ingestor) == before
    assert ingestor.parts.digests("events") != digest
    assert compact(ingestor.parts, NOW.date()) == []
    assert compact(ingestor.parts, NOW.date() - dt.timedelta(days=1)) == []
    # What was merged is still known.
    report = ingestor.ingest_rows(to_lines([event(3), event(50)]).splitlines(), "s", "d", {"turn": 9})
    assert (report.accepted, report.duplicates) == (1, 1)


def test_compact_keeps_parts_to_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telemetry.ingest.compaction.LARGE_ROWS", 25)
    ingestor = micro_batches(tmp_path, 5)
    compact(ingestor.parts, NOW.date())
    assert sorted(part.rows for part in ingestor.parts.parts("events")) == [10, 20, 20]
    assert len(stored(ingestor)) == 50


def test_compact_many_leaves_days_with_few_parts(tmp_path: Path) -> None:
    ingestor = micro_batches(tmp_path, 5)
    assert compact_many(ingestor.parts, [NOW.date()]) == []
    assert [part.rows for part in compact_many(ingestor.parts, [NOW.date()], many=5)] == [50]
