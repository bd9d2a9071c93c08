import datetime as dt
import json
import os

import pytest

from audit.retention import Retention
from telemetry.parts import PartLog
from telemetry.rollups import roll_up
from telemetry.warehouse import open_warehouse
from tests.telemetry.planted import START, history, lay
from workspace.clock import FrozenClock
from workspace.errors import InvalidValueError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

# START is 2 March 2026; kept for 400 days, on 10 April 2027 the oldest day left is 6 March 2026.
CLOCK = FrozenClock(dt.datetime(2027, 4, 10, 9, tzinfo=dt.UTC))
LIMIT = dt.date(2026, 3, 6)


@pytest.fixture
def store(home: Paths) -> Store:
    store = Store.open(Settings(home=home.home))
    parts = PartLog(store, home, CLOCK)
    lay(parts, history(users=20, days=9))
    warehouse = open_warehouse(Settings(home=home.home), store)
    roll_up(parts, warehouse, CLOCK)
    warehouse.close()
    lines = [{"ts": f"2026-03-0{day}T00:00:00+00:00", "message": str(day)} for day in range(1, 10)]
    text = "".join(json.dumps(line) + "\n" for line in lines) + "no line of ours\n"
    (home.logs / "history.jsonl").write_text(text)
    refused = home.telemetry / "quarantine"
    refused.mkdir()
    for name, day in (("old", 5), ("new", 6)):
        (refused / f"{name}.jsonl").write_text("{}\n")
        at = dt.datetime(2026, 3, day, tzinfo=dt.UTC).timestamp()
        os.utime(refused / f"{name}.jsonl", (at, at))
    return store


def retention(home: Paths, store: Store, days: int = 400) -> Retention:
    return Retention(Settings(home=home.home, retention_days=days), store, CLOCK)


def test_dry_run_lists_and_changes_nothing(home: Paths, store: Store) -> None:
    head = Ledger(store).head()
    applied = retention(home, store).apply(actor="test", dry_run=True)
    found = {one.store: one for one in applied.stores}
    assert found["events"].listed == tuple(f"2026-03-0{day}" for day in (2, 3, 4, 5))
    assert found["rollups"].overdue == 4
    assert found["refused rows"].listed == ("old.jsonl",)
    assert (found["logs"].overdue, found["logs"].oldest) == (5, dt.date(2026, 3, 1))
    assert (found["slates"].overdue, found["slates"].oldest) == (0, None)
    assert {one.limit for one in applied.stores} == {LIMIT}
    assert applied.removed == {}
    assert Ledger(store).head() == head
    assert PartLog(store, home, CLOCK).dates("events")[0] == START


def test_apply_deletes_what_the_dry_run_listed_and_says_so_in_the_ledger(home: Paths, store: Store) -> None:
    applied = retention(home, store).apply(actor="ann")
    assert applied.removed == {"events": 4, "rollups": 4, "refused rows": 1, "logs": 5}
    parts = PartLog(store, home, CLOCK)
    assert parts.dates("events")[0] == parts.dates("user_day")[0] == LIMIT
    assert not list((home.telemetry / "events").glob("date=2026-03-0[2345]/*.parquet"))
    said = (home.logs / "history.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in said[:-1]] == ["6", "7", "8", "9"]
    assert said[-1] == "no line of ours"
    assert [path.name for path in (home.telemetry / "quarantine").iterdir()] == ["new.jsonl"]
    record = Ledger(store).entries(1)[0]
    assert (record.actor, record.action, record.details["limit"]) == ("ann", "retention.apply", "2026-03-06")
    assert record.details["removed"] == applied.removed
    again = retention(home, store).apply(actor="ann")
    assert again.removed == {}
    assert not any(one.overdue for one in again.stores)
    assert Ledger(store).head().length == record.seq


@pytest.mark.parametrize("days", [1, 364])
def test_limit_under_twelve_months_is_refused(home: Paths, days: int) -> None:
    store = Store.open(Settings(home=home.home))
    with pytest.raises(InvalidValueError, match="must be >= 365"):
        retention(home, store, days)
    assert retention(home, store, 365).days == 365
