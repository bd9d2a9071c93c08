# ruff: noqa: S608 - statements are made of our own names; values are bound
"""Whether telemetry is in order: every part there and whole, rollups equal to their events, keys private, room left."""

import datetime as dt
import shutil
import stat
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import select

from telemetry.health import ingestion_health
from telemetry.parts import EVENTS, Part, PartLog, PartRow
from telemetry.pseudonyms import KEY_FILE
from telemetry.rollups import pending
from telemetry.warehouse import Warehouse, open_warehouse
from telemetry.warehouse.sums import COUNTS
from telemetry.warehouse.tables import BUCKET_DAY, CUT, HOUR_ROLLUP, TABLES, USER_DAY
from workspace.clock import Clock
from workspace.columns import Event, Rollup
from workspace.errors import RecommendrError
from workspace.paths import Paths

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value
    from workspace.settings import Settings
    from workspace.store import Store

LEAST_FREE_BYTES: Final = 1 << 30
MOST_QUARANTINED: Final = 0.01
LOOKED_BACK: Final = dt.timedelta(days=7)
SAMPLED_DAYS: Final = 3
_NAMED: Final = 5
_TOLERANCE: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        check: Its name.
        ok: Whether all is well.
        message: What was found.
        cure: What to do about it; empty when all is well.
    """

    check: str
    ok: bool
    message: str
    cure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain data."""
        return asdict(self)


def diagnose(settings: "Settings", store: "Store", clock: Clock) -> list[Finding]:
    """Check the telemetry of a workspace; changes nothing.

    Args:
        settings: Where it is and how long it is kept.
        store: Where its parts are listed.
        clock: What is today.
    """
    parts = PartLog(store, Paths(settings.home), clock)
    findings = [_whole(parts), _listed(parts, store), _room(parts), _keys(settings), _refused(parts, clock)]
    findings.append(_retained(parts, settings.retention_days, clock))
    try:
        warehouse = open_warehouse(settings, store)
    except RecommendrError as error:
        return [*findings, Finding(check="warehouse", ok=False, message=str(error), cure=error.hint)]
    try:
        return [*findings, *_answers(parts, warehouse)]
    finally:
        warehouse.close()


def _whole(parts: PartLog) -> Finding:
    damaged = [problem for table in TABLES for part in parts.parts(table.dataset) if (problem := _problem(part))]
    if not damaged:
        return Finding(check="parts", ok=True, message="every listed part is there and has its rows")
    return Finding(
        check="parts",
        ok=False,
        message=f"{len(damaged)} parts: {_few(damaged)}",
        cure="restore the files from a copy, or ingest their days again",
    )


def _problem(part: Part) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    name = f"{part.dataset}/{part.date}/{part.path.name}"
    try:
        rows = pq.read_metadata(part.path).num_rows
    except FileNotFoundError:
        return f"{name} is missing"
    except (OSError, pa.ArrowException):
        return f"{name} can't be read"
    if rows != part.rows or part.path.stat().st_size != part.bytes:
        return f"{name} is not the file that was written"
    return ""


def _listed(parts: PartLog, store: "Store") -> Finding:
    # Retired parts stay for readers that listed them before; only what nobody ever listed is litter.
    with store.reading() as session:
        listed = {parts.folder / path for path in session.scalars(select(PartRow.path))}
    present = {*parts.folder.glob("*/date=*/*.parquet"), *parts.folder.glob("*/date=*/.*.parquet.tmp")}
    stray = sorted(path.relative_to(parts.folder).as_posix() for path in present - listed)
    if not stray:
        return Finding(check="files", ok=True, message="no file is left over")
    message = f"{len(stray)} files belong to no part: {_few(stray)}"
    return Finding(check="files", ok=False, message=message, cure="the next ingestion removes them")


def _room(parts: PartLog) -> Finding:
    free = shutil.disk_usage(parts.folder).free
    message = f"{free / 2**30:,.1f} GiB are free"
    return Finding(
        check="disk",
        ok=free >= LEAST_FREE_BYTES,
        message=message,
        cure="" if free >= LEAST_FREE_BYTES else "free some space, or shorten retention_days",
    )


def _keys(settings: "Settings") -> Finding:
    path = (settings.key_folder or Paths(settings.home).keys) / KEY_FILE
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return Finding(check="keys", ok=True, message="there is no pseudonym key yet")
    except OSError as error:
        return Finding(check="keys", ok=False, message=f"{path}: {error.strerror}", cure="give its owner access")
    private = mode & 0o077 == 0
    return Finding(
        check="keys",
        ok=private,
        message="only their owner can read the pseudonym keys" if private else f"{path} has mode {mode:o}",
        cure="" if private else f"chmod 600 {path}",
    )


def _refused(parts: PartLog, clock: Clock) -> Finding:
    health = ingestion_health(parts, clock.now() - LOOKED_BACK)
    share = health.quarantined_share or 0.0
    message = f"{share:.2%} of {health.total.read:,} rows of the last {LOOKED_BACK.days} days are in quarantine"
    if not health.balanced:
        message += ", and not every row is accounted for"
    ok = share <= MOST_QUARANTINED and health.balanced
    reasons = "; ".join(f"{one.field}: {one.reason} ({one.rows:,})" for one in health.refusals[:_NAMED])
    return Finding(check="quarantine", ok=ok, message=message, cure="" if ok else f"look at the source: {reasons}")


def _retained(parts: PartLog, days: int, clock: Clock) -> Finding:
    limit = clock.now().date() - dt.timedelta(days=days)
    old = [date for date in parts.dates(EVENTS) if date < limit]
    if not old:
        return Finding(check="retention", ok=True, message=f"nothing is older than {days} days")
    message = f"{len(old)} days are older than {days} days, the oldest {old[0]}"
    return Finding(check="retention", ok=False, message=message, cure="run `recommendr ingest --due`")


def _answers(parts: PartLog, warehouse: Warehouse) -> Iterator[Finding]:
    try:
        warehouse.query("SELECT 1 AS one")
        yield Finding(check="warehouse", ok=True, message=f"{warehouse.name} answers")
        stale = pending(parts, warehouse)
        yield Finding(
            check="rollups",
            ok=not stale,
            message=f"{len(stale)} days are out of date: {_few([str(day) for day in stale])}"
            if stale
            else "up to date",
            cure="run `recommendr telemetry rollup`" if stale else "",
        )
        yield _equal(warehouse, set(stale))
    except RecommendrError as error:
        yield Finding(check="warehouse", ok=False, message=str(error), cure=error.hint)


def _equal(warehouse: Warehouse, stale: set[dt.date]) -> Finding:
    """Compare the rollups of the first, the last and a middle day with their events."""
    days = sorted(set(warehouse.digests(USER_DAY)) - stale)
    places = {round(place * (len(days) - 1) / (SAMPLED_DAYS - 1)) for place in range(SAMPLED_DAYS)} if days else set()
    chosen = [days[place] for place in sorted(places)]
    wrong = [f"{day} {name}" for day in chosen for name in _differing(warehouse, day)]
    if not wrong:
        named = ", ".join(map(str, chosen)) or "no day"
        return Finding(check="recomputation", ok=True, message=f"rollups equal their events on {named}")
    return Finding(
        check="recomputation",
        ok=False,
        message=f"rollups differ from their events: {_few(wrong)}",
        cure="run `recommendr telemetry rollup --all`",
    )


def _differing(warehouse: Warehouse, day: dt.date) -> list[str]:
    sums = ", ".join(f"CAST({sql} AS DOUBLE) AS {name}" for name, sql in COUNTS.items())
    distinct = f"CAST(COUNT(DISTINCT {Event.USER}) AS DOUBLE) AS {Rollup.USERS}"
    around: dict[str, Value] = {"start": day, "end": day + dt.timedelta(days=1)}
    truth = warehouse.query(
        f"SELECT {sums}, {distinct} FROM EVENTS WHERE {Event.TS} >= :start AND {Event.TS} < :end",
        window=(day, day),
        parameters=around,
    ).iloc[0]
    wrong = []
    for table, cut in ((USER_DAY, ""), (HOUR_ROLLUP, ""), (BUCKET_DAY, f" AND {CUT} = 0")):
        names = [*COUNTS] + ([] if table is HOUR_ROLLUP else [Rollup.USERS])
        rolled = ", ".join(f"CAST(SUM({name}) AS DOUBLE) AS {name}" for name in names)
        found = warehouse.query(
            f"SELECT {rolled} FROM {table.name} WHERE {table.moment} >= :start AND {table.moment} < :end{cut}",
            window=(day, day),
            parameters=around,
        ).iloc[0]
        if not np.allclose(found[names].to_numpy(float), truth[names].to_numpy(float), rtol=_TOLERANCE):
            wrong.append(table.name)
    return wrong


def _few(names: Sequence[object]) -> str:
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(map(str, names[:_NAMED])) + rest
