from pathlib import Path
from typing import Any

import pytest

from telemetry.ingest.spool import take_spool
from tests.telemetry.raw_events import NOW, as_csv, as_parquet, event, open_ingestor, stored, to_lines, written
from workspace.paths import Paths


def film(number: int) -> dict[str, Any]:
    return {"type": "film.updated", "event_id": f"f{number}", "ts": NOW.isoformat(), "film": {"film_id": str(number)}}


def test_every_file_is_taken_in_order_and_moved(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    ingestor = open_ingestor(paths.home)
    written(paths.spool / "2.jsonl", [event(1), film(2), {**film(3), "type": "user.joined"}, event(2, device="fridge")])
    written(paths.spool / "1.jsonl", [film(1)])
    as_csv(paths.spool / "3.csv", [event(3)])
    as_parquet(paths.spool / "4.parquet", [event(4)])
    written(paths.spool / ".5.jsonl", [event(5)])
    (paths.spool / "note.txt").write_text("for people")
    met: list[dict[str, Any]] = []
    report = take_spool(ingestor, paths, met.append)
    assert [message["event_id"] for message in met] == ["f1", "f2", "f3"]
    assert report.done == ["1.jsonl", "2.jsonl", "3.csv", "4.parquet"]
    found = report.to_dict()
    assert (found["read"], found["accepted"], found["quarantined"], found["messages"]) == (4, 3, 1, 3)
    assert sorted(path.name for path in (paths.spool / "done").iterdir()) == report.done
    assert sorted(path.name for path in paths.spool.iterdir()) == [".5.jsonl", "done", "note.txt"]
    assert len(stored(ingestor)) == 3
    assert take_spool(ingestor, paths, met.append).to_dict()["read"] == 0


def test_a_file_that_is_no_source_holds_up_nobody(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    ingestor = open_ingestor(paths.home)
    (paths.spool / "1.parquet").write_bytes(b"nonsense")
    written(paths.spool / "2.jsonl", [event(1)])
    report = take_spool(ingestor, paths, lambda _: None)
    assert report.done == ["2.jsonl"]
    assert "no Parquet file" in report.refused["1.parquet"]
    assert (paths.spool / "refused" / "1.parquet").exists()


def test_a_failing_receiver_loses_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    written(paths.spool / "1.jsonl", [event(1), film(1)])

    def fail(_: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        take_spool(open_ingestor(paths.home), paths, fail)
    assert (paths.spool / "1.jsonl").exists()
    met: list[dict[str, Any]] = []
    report = take_spool(open_ingestor(paths.home), paths, met.append)
    assert (len(met), report.report.accepted, report.report.duplicates) == (1, 1, 0)


def test_a_file_complete_but_not_moved_is_only_moved(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    ingestor = open_ingestor(paths.home)
    met: list[dict[str, Any]] = []
    path = written(paths.spool / "1.jsonl", [event(1), film(1)])
    ingestor.ingest_path(path, on_domain_event=met.append)
    report = take_spool(ingestor, paths, met.append)
    assert (report.done, report.report.read, len(met)) == (["1.jsonl"], 0, 1)


def test_a_namesake_overwrites_nothing(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    ingestor = open_ingestor(paths.home)
    for turn in range(3):
        written(paths.spool / "1.jsonl", [event(turn)])
        take_spool(ingestor, paths, lambda _: None)
    done = sorted((paths.spool / "done").iterdir())
    assert [path.name for path in done] == ["1.2.jsonl", "1.3.jsonl", "1.jsonl"]
    assert {path.read_bytes() for path in done} == {to_lines([event(turn)]) for turn in range(3)}
