"""Health of ingestion from the log of batches."""

import datetime as dt
from typing import Any

import pytest

from telemetry.health import ingestion_health
from telemetry.parts import Batch, PartLog
from tests.telemetry.planted import START, history, lay
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

NOON = dt.datetime(2026, 3, 20, 12, tzinfo=dt.UTC)


@pytest.fixture
def parts(home: Paths) -> PartLog:
    return PartLog(Store.open(Settings(home=home.home)), home)


def batch(number: int, minutes: int, **figures: Any) -> Batch:
    ended = NOON + dt.timedelta(minutes=minutes)
    known = {"read": 100, "accepted": 80, "duplicates": 5, "quarantined": 15, "late": 2, "bytes": 9_000}
    return Batch(
        **{
            "batch_id": f"batch{number}",
            "source": "file",
            "source_digest": "d",
            "position": {},
            "complete": True,
            "started_at": ended - dt.timedelta(seconds=4),
            "finished_at": ended,
            "last_ts": NOON - dt.timedelta(hours=number),
            "lag_s": 10.0 * number,
            "rejections": {("ts", "in the future"): 10, ("value", "negative"): 5},
            **known,
            **figures,
        }
    )


def test_health_sums_batches_by_hour(parts: PartLog) -> None:
    parts.commit(batch=batch(1, 5))
    parts.commit(batch=batch(2, 40, accepted=40, quarantined=55, rejections={("ts", "in the future"): 55}))
    parts.commit(batch=batch(3, 70))
    health = ingestion_health(parts, NOON)
    assert [(hour.at.hour, hour.batches, hour.accepted) for hour in health.hours] == [(12, 2, 120), (13, 1, 80)]
    assert (health.total.read, health.total.seconds, health.total.events_per_s) == (300, 12.0, 25.0)
    # Weighted by accepted rows: (10·80 + 20·40 + 30·80) / 200.
    assert health.total.lag_s == pytest.approx(20.0)
    assert [(one.field, one.rows) for one in health.refusals] == [("ts", 75), ("value", 10)]
    assert health.balanced
    assert health.quarantined_share == pytest.approx(85 / 300)
    assert health.newest_event == NOON - dt.timedelta(hours=1)
    assert health.newest_batch == NOON + dt.timedelta(minutes=70)


def test_health_looks_back_only_so_far(parts: PartLog) -> None:
    parts.commit(batch=batch(1, 5))
    health = ingestion_health(parts, NOON + dt.timedelta(hours=1))
    assert (health.hours, health.total.read, health.total.lag_s, health.total.events_per_s) == ((), 0, None, None)
    assert health.quarantined_share is None
    assert health.balanced
    # What is newest is so whenever it came.
    assert health.newest_event is not None


def test_health_notices_rows_nobody_accounts_for(parts: PartLog) -> None:
    parts.commit(batch=batch(1, 5, accepted=79))
    assert not ingestion_health(parts, NOON).balanced


def test_health_tells_what_is_stored_and_pending(parts: PartLog) -> None:
    events = history(users=20, days=3)
    lay(parts, events)
    health = ingestion_health(parts, NOON)
    stored = {one.dataset: one for one in health.stored}
    assert (stored["events"].parts, stored["events"].rows, stored["events"].first) == (3, len(events), START)
    assert (stored["user_day"].parts, stored["user_day"].last) == (0, None)
    assert len(health.pending_dates) == 3
    assert (health.newest_event, health.newest_batch) == (None, None)
    document = health.to_dict()
    assert document["balanced"] is True
    assert document["total"]["read"] == 0
