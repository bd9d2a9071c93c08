"""A small history of events with known rates, for the tests of what is computed from events."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa

from telemetry.parts import EVENTS as DATASET
from telemetry.parts import PartLog
from telemetry.warehouse.tables import EVENTS
from workspace.columns import Event

START = dt.date(2026, 3, 2)  # a Monday
REGIONS = ("US", "CA", "FR", "KZ")
VERSIONS = ("v1", "v2")
_ARROW = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "SMALLINT": pa.int16(),
    "DOUBLE": pa.float64(),
    "TIMESTAMP": pa.timestamp("us"),
}
SCHEMA = pa.schema([(name, _ARROW[kind]) for name, kind in EVENTS.columns])


def history(users: int = 300, days: int = 10, seed: int = 7, start: dt.date = START) -> pd.DataFrame:
    """Events of users whose own click rates differ, some of whom change device, in and out of an experiment."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, 2**63 - 1, users, dtype=np.int64)
    region = rng.choice(REGIONS, users, p=[0.5, 0.25, 0.15, 0.1])
    click = rng.beta(2, 18, users)
    arm = rng.choice(["", "control", "treatment"], users, p=[0.4, 0.3, 0.3])
    rows = []
    for day in range(days):
        for user in np.flatnonzero(rng.random(users) < 0.5):
            for visit in range(1 + int(rng.random() < 0.3)):
                rows += _visit(rng, ids[user], region[user], arm[user], click[user], start, day, visit)
    frame = pd.DataFrame(rows, columns=list(Event.ALL))
    return frame.sort_values([Event.USER, Event.TS], kind="stable", ignore_index=True)


def _visit(rng, user, region, arm, rate, start, day, visit):  # noqa: ANN001, ANN202
    midnight = dt.datetime.combine(start + dt.timedelta(days=day), dt.time())
    moment = midnight + dt.timedelta(seconds=int(rng.integers(0, 80_000)))
    device = str(rng.choice(["web", "ios"], p=[0.8, 0.2]))
    session, slate = f"s{user}-{day}-{visit}", f"sl{user}-{day}-{visit}"
    version = str(rng.choice(VERSIONS))
    out = []

    def add(kind, film=None, position=None, value=None, after=0):  # noqa: ANN001, ANN202
        number = len(out)
        ts = moment + dt.timedelta(seconds=after)
        tags = ("exp", arm) if arm else (None, None)
        out.append(
            (f"{slate}-{number}", ts, ts + dt.timedelta(seconds=3), int(user), session, f"t{slate}", str(region),
             device, kind, slate, film, position, value, *tags, version, None)
        )  # fmt: skip

    for position in range(1, 6):
        film = f"f{rng.integers(50)}"
        add("impression", film, position, after=position)
        if rng.random() < rate:
            add("click", film, position, after=60 + position)
        if rng.random() < 0.2:
            add("focus", film, position, float(rng.gamma(2, 3)), after=30 + position)
        if rng.random() < 0.03:
            add("thumbs_down", film, position, after=90 + position)
    if rng.random() < 0.2:
        add("refresh", after=200)
    if rng.random() < 0.15:
        add("survey", value=float(rng.integers(1, 6)), after=300)
    return out


def lay(parts: PartLog, events: pd.DataFrame) -> None:
    """Put events into the workspace as one visible part a day."""
    added = []
    for date, rows in events.groupby(events[Event.TS].dt.date):
        table = pa.Table.from_pandas(rows, schema=SCHEMA, preserve_index=False)
        added.append(parts.write(table, DATASET, date))
    parts.commit(added=added)
