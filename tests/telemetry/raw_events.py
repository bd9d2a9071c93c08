"""Raw events as producers send them, and a reader of what was stored; no code under test makes the expectations."""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.ingest import Ingestor
from workspace.clock import FrozenClock
from workspace.settings import Settings
from workspace.store import Store

NOW = dt.datetime(2026, 5, 4, 12, 0, tzinfo=dt.UTC)


def event(number: int = 0, **changes: Any) -> dict[str, Any]:
    """Return a valid impression; None takes a field away."""
    ts = NOW - dt.timedelta(hours=1) + dt.timedelta(milliseconds=number)
    made: dict[str, Any] = {
        "event_id": f"ev-{number:08d}",
        "ts": ts.isoformat(),
        "received_at": (ts + dt.timedelta(seconds=2)).isoformat(),
        "user_id": f"raw-user-{number % 97:04d}",
        "session_id": f"s-{number % 997}",
        "transaction_id": f"txn_{number}",
        "region": "US",
        "device": "web",
        "event_type": "impression",
        "slate_id": f"slate-{number // 5}",
        "film_id": str(number % 50),
        "position": number % 5 + 1,
        "experiment_id": "exp_aa",
        "variant": "control",
        "index_version": "v1",
    }
    made |= changes
    return {name: value for name, value in made.items() if value is not None}


def open_ingestor(home: Path, at: dt.datetime = NOW) -> Ingestor:
    settings = Settings(home=home)
    return Ingestor(settings, Store.open(settings), FrozenClock(at))


def to_lines(events: Iterable[dict[str, Any] | str | bytes]) -> bytes:
    lines = [one if isinstance(one, bytes) else (one if isinstance(one, str) else json.dumps(one)).encode()
             for one in events]  # fmt: skip
    return b"".join(line + b"\n" for line in lines)


def written(path: Path, events: Iterable[dict[str, Any] | str | bytes]) -> Path:
    path.write_bytes(to_lines(events))
    return path


def as_parquet(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for one in events for name in one))
    columns = {name: [one.get(name) for one in events] for name in names}
    for name in ("ts", "received_at"):
        if name in columns:
            columns[name] = pa.array([value and dt.datetime.fromisoformat(value) for value in columns[name]],
                                     pa.timestamp("us", "UTC"))  # fmt: skip
    pq.write_table(pa.table(columns), path)
    return path


def as_csv(path: Path, events: Sequence[dict[str, Any]]) -> Path:
    names = list(dict.fromkeys(name for one in events for name in one))
    rows = [",".join("" if one.get(name) is None else str(one[name]) for name in names) for one in events]
    path.write_text("\n".join([",".join(names), *rows]) + "\n", encoding="utf-8")
    return path


def stored(ingestor: Ingestor) -> list[dict[str, Any]]:
    """Return every visible event, by id."""
    rows: list[dict[str, Any]] = []
    for part in ingestor.parts.parts("events"):
        found = pq.read_table(part.path, partitioning=None).to_pylist()
        assert all(row["ts"].date() == part.date for row in found)
        rows += found
    return sorted(rows, key=lambda row: str(row["event_id"]))


def quarantined(ingestor: Ingestor) -> list[dict[str, Any]]:
    files = sorted(ingestor.quarantine.folder.glob("*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]
