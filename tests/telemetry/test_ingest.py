"""Good events: every format through the same door, each once, on its own day."""

import datetime as dt
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.events import SCHEMA
from telemetry.ingest import seen
from tests.telemetry.raw_events import (
    NOW,
    as_csv,
    as_parquet,
    event,
    open_ingestor,
    quarantined,
    stored,
    to_lines,
    written,
)
from workspace.errors import StateError

KINDS: list[dict[str, Any]] = [
    event(1),
    event(2, event_type="click"),
    event(3, event_type="focus", value=12.5),
    event(4, event_type="thumbs_down", experiment_id=None, variant=None, index_version=None),
    event(5, event_type="refresh", film_id=None, position=None),
    event(6, event_type="survey", value=4, slate_id=None, film_id=None, position=None, session_id=None),
]


def expected(raw: dict[str, Any], pseudonym: int) -> dict[str, Any]:
    plain = {name: raw.get(name) for name in SCHEMA.names}
    for name in ("ts", "received_at"):
        plain[name] = dt.datetime.fromisoformat(raw[name]).astimezone(dt.UTC).replace(tzinfo=None)
    plain["user_id"] = pseudonym
    plain["value"] = None if raw.get("value") is None else float(raw["value"])
    return plain


@pytest.mark.parametrize("kind", ["jsonl", "jsonl.gz", "csv", "csv.gz", "parquet"])
def test_every_format_stores_the_same(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"events.{kind.removesuffix('.gz')}"
    if kind.startswith("jsonl"):
        written(path, KINDS)
    elif kind.startswith("csv"):
        as_csv(path, KINDS)
    else:
        as_parquet(path, KINDS)
    if kind.endswith(".gz"):
        packed = tmp_path / f"events.{kind}"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(path)
    assert report.to_dict() | {"seconds": 0, "events_per_s": 0} == {
        "source": str(path), "read": 6, "accepted": 6, "duplicates": 0, "quarantined": 0, "late": 0, "reasons": {},
        "dates": {"2026-05-04": 6}, "parts": 1, "messages": 0, "seconds": 0, "events_per_s": 0, "already": False,
        "resumed": False,
    }  # fmt: skip
    day = NOW.date()
    assert stored(ingestor) == [expected(one, ingestor.keys.pseudonym(one["user_id"], day)) for one in KINDS]


def test_parts_have_the_physical_schema_sorted_by_user_and_time(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(n) for n in range(500)]))
    (part,) = ingestor.parts.parts("events")
    assert pq.read_schema(part.path).remove_metadata() == SCHEMA
    rows = [(row["user_id"], row["ts"]) for row in pq.read_table(part.path, partitioning=None).to_pylist()]
    assert rows == sorted(rows)
    assert len({user for user, _ in rows}) == 97


def test_no_raw_user_id_is_anywhere_in_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ingestor = open_ingestor(home)
    bad = [event(n, user_id="secret-ann", **change) for n, change in enumerate(
        [{}, {"device": "fridge"}, {"who": "secret-ann"}, {"nested": {"mail": "secret-ann@x.org"}},
         {"ts": "secret-ann"}, {"film_id": ["secret-ann"]}, {"event_id": None, "contact": "secret-ann"}])]  # fmt: skip
    ingestor.ingest_path(written(tmp_path / "a.jsonl", [*bad, '{"user_id": "secret-ann", ', "secret-ann"]))
    assert len(quarantined(ingestor)) == 6
    found = [path for path in home.rglob("*") if path.is_file() and b"secret-ann" in path.read_bytes()]
    assert found == []
    texts = [str(value) for row in stored(ingestor) for value in row.values()]
    assert not [text for text in texts if "secret-ann" in text]


def test_duplicates_count_once_the_first_received_wins(tmp_path: Path) -> None:
    early = (NOW - dt.timedelta(minutes=30)).isoformat()
    late = (NOW - dt.timedelta(minutes=20)).isoformat()
    events = [
        event(1, received_at=late, device="tv"),
        event(2),
        event(1, received_at=early, device="ios"),
        event(1, received_at=early, device="android"),
        event(2),
    ]
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", events))
    assert (report.read, report.accepted, report.duplicates, report.quarantined) == (5, 2, 3, 0)
    assert [row["device"] for row in stored(ingestor)] == ["ios", "web"]


def test_duplicates_of_committed_parts_are_known_in_another_file_and_process(tmp_path: Path) -> None:
    events = [event(n) for n in range(300)]
    open_ingestor(tmp_path / "home").ingest_path(written(tmp_path / "a.jsonl", events))
    again = as_parquet(tmp_path / "b.parquet", [event(n) for n in range(200, 400)])
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(again)
    assert (report.read, report.accepted, report.duplicates) == (200, 100, 100)
    assert [row["event_id"] for row in stored(ingestor)] == [f"ev-{n:08d}" for n in range(400)]


@pytest.mark.parametrize(("days", "accepted"), [(0, 0), (1, 0), (7, 0), (8, 1)])
def test_the_same_id_on_another_date_counts_once_within_a_week(tmp_path: Path, days: int, accepted: int) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(1)]))
    moved = dt.datetime.fromisoformat(event(1)["ts"]) - dt.timedelta(days=days)
    report = ingestor.ingest_path(written(tmp_path / "b.jsonl", [event(1, ts=moved.isoformat(), device="tv")]))
    assert (report.accepted, report.duplicates) == (accepted, 1 - accepted)


def test_ids_that_share_a_hash_are_not_taken_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every id gets the same hash: only the confirmation by the ids themselves tells them apart.
    for module in ("telemetry.ingest.door", "telemetry.ingest.seen"):
        monkeypatch.setattr(f"{module}.hashed", lambda column: f"CAST(7 + 0 * length({column}) AS UBIGINT)")
    ingestor = open_ingestor(tmp_path / "home")
    first = ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(1), event(2), event(1)]))
    second = ingestor.ingest_path(written(tmp_path / "b.jsonl", [event(2), event(3)]))
    assert (first.accepted, first.duplicates) == (2, 1)
    assert (second.accepted, second.duplicates) == (1, 1)


def test_late_events_land_on_their_own_day_with_their_own_key(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home", NOW - dt.timedelta(days=3))
    ingestor.keys.rotate(NOW.date())
    ingestor = open_ingestor(tmp_path / "home")
    old = NOW - dt.timedelta(days=2)
    events = [event(1), event(2, user_id="ann"), event(3, user_id="ann", ts=old.isoformat())]
    report = ingestor.ingest_path(written(tmp_path / "a.jsonl", events))
    assert report.dates == {"2026-05-04": 2, "2026-05-02": 1}
    assert report.late == 1
    users = {row["event_id"]: row["user_id"] for row in stored(ingestor)}
    assert users["ev-00000003"] == ingestor.keys.pseudonym("ann", old.date()) != users["ev-00000002"]


def test_a_batch_holds_the_account(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    yesterday = (NOW - dt.timedelta(days=1)).isoformat()
    received = (NOW - dt.timedelta(minutes=1)).isoformat()
    events = [event(1, ts=yesterday, received_at=received), event(2, received_at=None), event(2), event(3, region="us")]
    path = written(tmp_path / "a.jsonl", events)
    ingestor.ingest_path(path)
    (batch,) = ingestor.parts.batches()
    assert (batch.read, batch.accepted, batch.duplicates, batch.quarantined, batch.late) == (4, 2, 1, 1, 1)
    assert batch.complete
    assert batch.position == {"offset": path.stat().st_size, "row": 4}
    assert batch.bytes == path.stat().st_size
    assert ingestor.parts.rejections() == {("region", "must be two upper-case letters"): 1}
    assert batch.first_ts is not None
    assert batch.first_ts.replace(tzinfo=dt.UTC) == NOW - dt.timedelta(days=1)
    # One took 24 h − 1 min; of the other two the one received first, 2 s after it happened, won over the stamped one.
    assert batch.lag_s == pytest.approx((86_400 - 60 + 2) / 2)


def test_a_complete_source_is_left_alone(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    path = written(tmp_path / "a.jsonl", [event(1)])
    assert not ingestor.ingest_path(path).already
    again = ingestor.ingest_path(path)
    assert again.already
    assert again.read == 0
    # Grown by a line it is another content: the known line counts once.
    written(path, [event(1), event(2)])
    grown = ingestor.ingest_path(path)
    assert (grown.already, grown.accepted, grown.duplicates) == (False, 1, 1)


def test_an_empty_source_is_complete(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    (tmp_path / "a.jsonl").write_bytes(b"\n \n")
    (tmp_path / "b.csv").write_bytes(b"")
    pq.write_table(SCHEMA.empty_table(), tmp_path / "c.parquet")
    for name in ("a.jsonl", "b.csv", "c.parquet"):
        assert ingestor.ingest_path(tmp_path / name).to_dict()["read"] == 0
        assert ingestor.ingest_path(tmp_path / name).already


def test_a_folder_is_taken_file_by_file(tmp_path: Path) -> None:
    for day in (1, 2):
        folder = tmp_path / "in" / f"date=2026-05-0{day}"
        folder.mkdir(parents=True)
        as_parquet(folder / "part.parquet", [event(day)])
    (tmp_path / "in" / "README.txt").write_text("no events")
    ingestor = open_ingestor(tmp_path / "home")
    assert ingestor.ingest_path(tmp_path / "in").accepted == 2
    assert ingestor.ingest_path(tmp_path / "in").already
    (tmp_path / "none").mkdir()
    with pytest.raises(StateError, match="nothing to ingest"):
        ingestor.ingest_path(tmp_path / "none")


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_standard_input_is_read_whatever_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    path = {"jsonl": written, "csv": as_csv, "parquet": as_parquet}[kind](tmp_path / "in", [event(1), event(2)])
    ingestor = open_ingestor(tmp_path / "home")
    for turn in range(2):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
        report = ingestor.ingest_path("-")
        assert (report.accepted, report.already) == ((0, True) if turn else (2, False))


def test_unknown_fields_are_kept(tmp_path: Path) -> None:
    changed = [event(1, mood="good", depth={"a": [1, None]}), event(2), event(3, since="2026-01-01", big=12.50)]
    ingestor = open_ingestor(tmp_path / "home")
    ingestor.ingest_path(written(tmp_path / "a.jsonl", changed))
    extras = [row["extra"] and json.loads(row["extra"]) for row in stored(ingestor)]
    assert extras == [{"mood": "good", "depth": {"a": [1, None]}}, None, {"since": "2026-01-01", "big": 12.5}]


def test_unknown_columns_are_kept(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    ingestor.ingest_path(as_csv(tmp_path / "a.csv", [event(1, mood="good"), event(2)]))
    ingestor.ingest_path(as_parquet(tmp_path / "b.parquet", [event(3, tags=["x"]), event(4)]))
    extras = [row["extra"] and json.loads(row["extra"]) for row in stored(ingestor)]
    assert extras == [{"mood": "good"}, None, {"tags": ["x"]}, None]


def test_times_in_any_zone_mean_the_same_moment(tmp_path: Path) -> None:
    texts = ["2026-05-04T11:30:00Z", "2026-05-04T13:30:00+02:00", "2026-05-04 11:30:00.000+00", "2026-05-04T11:30Z",
             "2026-05-04T06:00:00-05:30"]  # fmt: skip
    ingestor = open_ingestor(tmp_path / "home")
    report = ingestor.ingest_path(
        written(tmp_path / "a.jsonl", [event(n, ts=text, received_at=None) for n, text in enumerate(texts)])
    )
    assert report.reasons == {}
    assert {row["ts"].isoformat() for row in stored(ingestor)} == {"2026-05-04T11:30:00"}
    # Without a time of receipt, it is now.
    assert {row["received_at"] for row in stored(ingestor)} == {NOW.replace(tzinfo=None)}


def test_whole_numbers_serve_as_ids(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    ingestor.ingest_path(written(tmp_path / "a.jsonl", [event(1, film_id=862, user_id=5)]))
    table = pa.table({name: [value] for name, value in event(2, film_id=863, user_id=5).items()})
    pq.write_table(table, tmp_path / "b.parquet")
    ingestor.ingest_path(tmp_path / "b.parquet")
    rows = stored(ingestor)
    assert [row["film_id"] for row in rows] == ["862", "863"]
    assert {row["user_id"] for row in rows} == {ingestor.keys.pseudonym("5", NOW.date())}


def test_rows_in_memory_are_one_transaction_with_their_position(tmp_path: Path) -> None:
    ingestor = open_ingestor(tmp_path / "home")
    lines = to_lines([event(1), event(1), event(2, device="fridge")]).splitlines()
    report = ingestor.ingest_rows([*lines, b"x" * 70_000], "kafka:t", "group", {"0": 4})
    assert (report.read, report.accepted, report.duplicates, report.quarantined) == (4, 1, 1, 2)
    last = ingestor.parts.last_batch("kafka:t", "group")
    assert last is not None
    assert last.position == {"0": 4}
    assert not last.complete


def test_days_held_in_memory_are_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seen, "HELD_HASHES", 1)
    ingestor = open_ingestor(tmp_path / "home")
    days = [(NOW - dt.timedelta(days=30 * n)).isoformat() for n in range(4)]
    for turn in range(2):
        for number, day in enumerate(days):
            rows = to_lines([event(10 * number + n, ts=day, received_at=None) for n in range(5)]).splitlines()
            report = ingestor.ingest_rows(rows, "s", "d", {"turn": turn})
            assert report.accepted == (0 if turn else 5)
    assert len(stored(ingestor)) == 20
