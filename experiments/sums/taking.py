"""Taking the sums of an experiment from the warehouse, each only once as long as its events stay the same."""

import datetime as dt
import hashlib
import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from experiments.cells import Cells
from experiments.metrics import Needs
from experiments.plan import ExperimentPlan
from experiments.sums import snapshot as answers
from experiments.sums import statements
from experiments.sums.request import Request, merged
from experiments.sums.shelf import Shelf, cells_of, exposures_table
from experiments.sums.snapshot import Snapshot
from experiments.sums.statements import Shape, Source
from experiments.sums.visits import MOST
from telemetry.parts import EVENTS, PartLog
from telemetry.rollups import pending
from telemetry.warehouse.protocol import Warehouse
from telemetry.warehouse.tables import USER_DAY
from workspace.clock import Clock, SystemClock
from workspace.columns import Rollup, Trial
from workspace.errors import NotEstimableError
from workspace.paths import Paths

if TYPE_CHECKING:
    import pandas as pd

    from telemetry.warehouse.sql import Value

VERSION: Final = 1
"""Raised whenever the statements change what they mean, which makes every kept snapshot stale."""
STRETCHES: Final = 14
_DAY: Final = dt.timedelta(days=1)
_CELLS: Final = "cells"
_REGIONS: Final = "regions"
_DEVICES: Final = "devices"
_EXPOSURES: Final = "exposures"
_KEY_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the engine has: digests of days, and days whose rollups are not those of their events."""

    digests: dict[dt.date, str]
    pending: tuple[dt.date, ...]


class Sums:
    """The sums of experiments; may be used from many threads.

    Args:
        warehouse: Computes them.
        parts: The visible parts of telemetry.
        paths: The workspace that keeps them.
        clock: Stamps them.
        rotations: First days of every pseudonym key but the first: users are other users from there on.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        parts: PartLog,
        paths: Paths,
        *,
        clock: Clock | None = None,
        rotations: Sequence[dt.date] = (),
    ) -> None:
        self._warehouse = warehouse
        self._parts = parts
        self._paths = paths
        self._clock = clock or SystemClock()
        self._rotations = tuple(sorted(rotations))
        self._lock = threading.Lock()
        self._known: dict[Source, tuple[object, _Stored]] = {}

    def last_day(self) -> dt.date | None:
        """Return the last day that is rolled up by user; None without any."""
        return max(self._stored("user_day").digests, default=None)

    def snapshot(
        self,
        asked: ExperimentPlan | Request,
        as_of: dt.date | None = None,
        *,
        buckets: bool = True,
        source: Source = "user_day",
    ) -> Snapshot:
        """Return the sums of an experiment as of a day.

        Args:
            asked: The plan, or a request of its own.
            as_of: Last day whose events count; a request knows its own.
            buckets: Whether the cells are by hash bucket too, as a re-split needs them; without, they are taken and
                read several times as fast.
            source: Rollups by user, or the events themselves, which proves the rollups.

        Raises:
            NotEstimableError: When the experiment has no events up to that day.
            InvalidValueError: When the day lies before the start.
            IntegrityError: When a part or kept sums are damaged.
        """
        stored = self._stored(source)
        request, notes = self._fitted(_request(asked, as_of), stored)
        wanted = _CELLS if buckets else _REGIONS
        # What was taken by bucket answers either question; what a scorecard needs alone is taken far faster.
        for kind in ("snapshot",) if buckets else ("snapshot", _REGIONS):
            shelf, name, key = self._place(kind, request, source, stored)
            kept = shelf.load(name, key, (wanted, _DEVICES, _EXPOSURES))
            if kept is not None:
                return _restored(*kept, wanted, _pending(request, stored), notes)
        shape = Shape.of(request, source, buckets=buckets)
        sql = statements.snapshot(shape)
        answer = self._query(sql, request, source, staged=statements.MEMBERS)
        if answers.busiest_from(answer) > MOST:
            # A robot's visit: its counts have run into each other.
            sql = statements.snapshot(shape, by_day=True)
            answer = self._query(sql, request, source, staged=statements.MEMBERS)
        found = self._snapshot(request, answer, sql, self._digest(request, source, stored), stored, notes)
        tables = {wanted: found.cells, _REGIONS: found.cells.fold([Trial.VARIANT, Trial.REGION])}
        more = {_DEVICES: found.by_device.to_table(), _EXPOSURES: exposures_table(found.exposures)}
        shelf.keep(name, key, {one: cells.to_table() for one, cells in tables.items()} | more, found.facts())
        return found

    def halves(
        self, asked: ExperimentPlan | Request, as_of: dt.date | None = None, *, source: Source = "user_day"
    ) -> Cells:
        """Return sums of the primary metrics over the first and second half of the days since exposure.

        The cut is the same for everybody: half of the days the experiment has run so far, counted from the user's own
        first day. Users whose second half has not begun yet are not in it.

        Returns:
            Cells by variant and region; columns ``early_…`` and ``late_…``.

        Raises:
            NotEstimableError: When the experiment has run for one day only, or nobody has a second half yet.
        """
        request = _request(asked, as_of)
        half = request.days // 2
        if half < 1:
            raise NotEstimableError(
                f"halves of experiment {request.experiment_id!r} as of {request.as_of}", "one day has no halves"
            )
        needs = merged(request.primaries or request.metrics, covariates=False)
        shape = Shape(source=source, needs=needs, variants=len(request.variants))
        more: dict[str, Value] = {"half": half, "whole": request.as_of - half * _DAY}
        sql = statements.halves(shape)
        keys = [Trial.VARIANT, Trial.REGION]
        return self._cells("halves", sql, request, source, statements.halved(needs), keys, more)

    def by_age(
        self, asked: ExperimentPlan | Request, as_of: dt.date | None = None, *, source: Source = "user_day"
    ) -> Cells:
        """Return sums of the users active in each stretch of days since exposure, fourteen stretches at most.

        Returns:
            Cells by variant and first day of the stretch; columns are the sums of all metrics.

        Raises:
            NotEstimableError: When the experiment has no users up to that day.
        """
        request = _request(asked, as_of)
        needs = merged(request.metrics, covariates=False)
        shape = Shape(source=source, needs=needs, variants=len(request.variants))
        more: dict[str, Value] = {"width": -(-request.days // STRETCHES)}
        keys = [Trial.VARIANT, Trial.AGE]
        return self._cells("by_age", statements.by_age(shape), request, source, needs, keys, more)

    def late(self, asked: ExperimentPlan | Request, as_of: dt.date | None = None) -> dict[str, float]:
        """Return the share of events that came more than a day after they happened, by variant; empty without any."""
        request = _request(asked, as_of)
        shelf, name, key = self._place("late", request, "events", self._stored("events"))
        kept = shelf.load(name, key, ())
        if kept is None:
            first, last = request.start, request.as_of
            around = self._values(request, "events")
            found = self._warehouse.query(statements.late(), window=(first, last), parameters=around)
            shares = found[statements.LATE_EVENTS] / found[Rollup.EVENTS]
            by_name = dict(zip(found[Trial.VARIANT], shares.astype(float), strict=True))
            kept = {}, {one: by_name[one] for one in request.variants if one in by_name}
            shelf.keep(name, key, *kept)
        return {one: float(share) for one, share in kept[1].items()}

    def _cells(
        self,
        kind: str,
        sql: str,
        request: Request,
        source: Source,
        needs: Needs,
        keys: list[str],
        more: "dict[str, Value]",
    ) -> Cells:
        stored = self._stored(source)
        shelf, name, key = self._place(kind, request, source, stored)
        kept = shelf.load(name, key, (_CELLS,))
        if kept is not None:
            return cells_of(kept[0], _CELLS)
        cells = answers.cells_from(self._query(sql, request, source, more), statements.CELLS, keys, needs)
        if not len(cells):
            raise _nobody(request, _pending(request, stored))
        shelf.keep(name, key, {_CELLS: cells.to_table()}, {"sql": sql})
        return cells

    def _snapshot(
        self,
        request: Request,
        answer: "pd.DataFrame",
        sql: str,
        digest: str,
        stored: _Stored,
        notes: tuple[str, ...],
    ) -> Snapshot:
        needs, waiting = request.needs, _pending(request, stored)
        fine = [Trial.BUCKET] if answer[Trial.BUCKET].notna().any() else []
        devices = statements.DEVICES if fine else statements.CELLS
        cells = answers.cells_from(answer, statements.CELLS, [Trial.VARIANT, Trial.REGION, *fine], needs)
        left_out = answers.left_out_from(answer)
        if not len(cells) and not any(left_out.values()):
            raise _nobody(request, waiting)
        return Snapshot(
            experiment_id=request.experiment_id,
            start=request.start,
            as_of=request.as_of,
            pre_start=request.pre_start,
            cells=cells,
            by_device=answers.cells_from(answer, devices, [Trial.VARIANT, Trial.DEVICE], needs),
            exposures=answers.exposures_from(answer),
            left_out=left_out,
            caps=answers.caps_from(answer, needs) if len(cells) else {},
            sql=(sql,),
            digest=digest,
            computed_at=self._clock.now(),
            pending_dates=waiting,
            notes=notes,
        )

    def _query(
        self,
        sql: str,
        request: Request,
        source: Source,
        more: "dict[str, Value] | None" = None,
        *,
        staged: str = "",
    ) -> "pd.DataFrame":
        values = self._values(request, source) | (more or {})
        return self._warehouse.query(sql, window=request.window, parameters=values, staged=staged)

    def _values(self, request: Request, source: Source) -> "dict[str, Value]":
        moments = {"start": request.start, "end": request.as_of + _DAY, "pre_start": request.window[0]}
        # Events are stored in UTC without a zone; rollups by date.
        dates: dict[str, Value] = {
            name: dt.datetime.combine(day, dt.time()) if source == "events" else day for name, day in moments.items()
        }
        named = {f"variant_{number}": name for number, name in enumerate(request.variants)}
        return {"experiment": request.experiment_id, **dates, **named}

    def _fitted(self, request: Request, stored: _Stored) -> tuple[Request, tuple[str, ...]]:
        """Return the request with no more days before than there are of the same users, and what to know about it."""
        notes = [
            f"Pseudonyms changed on {day}: who came before and after it counts as two users."
            for day in self._rotations
            if request.start < day <= request.as_of
        ]
        if request.pre_start is None:
            return request, tuple(notes)
        before = [day for day in stored.digests if request.pre_start <= day < request.start]
        earliest = max([min(before, default=request.start), *(day for day in self._rotations if day <= request.start)])
        if earliest > request.pre_start:
            days = (request.start - earliest).days
            why = "pseudonyms changed" if earliest in self._rotations else "telemetry begins"
            notes.append(
                f"Covariates are of {days} days instead of {request.pre_days}: {why} on {earliest}."
                if days
                else f"There are no covariates: {why} on {earliest}."
            )
            request = replace(request, pre_days=days)
        return request, tuple(notes)

    def _stored(self, source: Source) -> _Stored:
        version = self._warehouse.version()
        with self._lock:
            known = self._known.get(source)
            if known is not None and known[0] == version:
                return known[1]
        if source == "events":
            found = _Stored(self._parts.digests(EVENTS), ())
        else:
            found = _Stored(self._warehouse.digests(USER_DAY), tuple(pending(self._parts, self._warehouse)))
        with self._lock:
            self._known[source] = version, found
        return found

    def _digest(self, request: Request, source: Source, stored: _Stored) -> str:
        first, last = request.window
        days = {day.isoformat(): digest for day, digest in sorted(stored.digests.items()) if first <= day <= last}
        text = json.dumps([VERSION, source, request.to_dict(), days], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _place(self, kind: str, request: Request, source: Source, stored: _Stored) -> tuple[Shelf, str, str]:
        """Return where something is kept: a name that stays, and a key that changes with the events."""
        asked = hashlib.sha256(f"{source}{request.digest}".encode()).hexdigest()[:8]
        name = f"{request.as_of.isoformat()}.{kind}-{asked}"
        return Shelf(self._paths, request.experiment_id), name, self._digest(request, source, stored)[:_KEY_DIGITS]


def _pending(request: Request, stored: _Stored) -> tuple[dt.date, ...]:
    first, last = request.window
    return tuple(day for day in stored.pending if first <= day <= last)


def _request(asked: ExperimentPlan | Request, as_of: dt.date | None) -> Request:
    if isinstance(asked, Request):
        return asked if as_of is None else replace(asked, as_of=as_of)
    return Request.of(asked, asked.planned_end if as_of is None else as_of)


def _restored(
    tables: dict[str, Any], facts: dict[str, Any], wanted: str, waiting: tuple[dt.date, ...], notes: tuple[str, ...]
) -> Snapshot:
    exposures = tables[_EXPOSURES].to_pandas()
    pre_start = facts["pre_start"]
    return Snapshot(
        experiment_id=facts["experiment_id"],
        start=dt.date.fromisoformat(facts["start"]),
        as_of=dt.date.fromisoformat(facts["as_of"]),
        pre_start=pre_start and dt.date.fromisoformat(pre_start),
        cells=cells_of(tables, wanted),
        by_device=cells_of(tables, _DEVICES),
        exposures=exposures,
        left_out=facts["left_out"],
        caps=facts["caps"],
        sql=tuple(facts["sql"]),
        digest=facts["digest"],
        computed_at=dt.datetime.fromisoformat(facts["computed_at"]),
        pending_dates=waiting,
        notes=notes,
    )


def _nobody(request: Request, waiting: Sequence[dt.date]) -> NotEstimableError:
    hint = "run `recommendr telemetry rollup`" if waiting else "check its id, and that its events carry it"
    return NotEstimableError(
        f"experiment {request.experiment_id!r} has no users to count from {request.start} to {request.as_of}", "", hint
    )
