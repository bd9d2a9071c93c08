"""Questions to user telemetry and their answers: a metric by dimensions and time, with intervals by user.

Every answer passes the privacy policy of `telemetry.privacy` and is recorded with who asked and why. What is about
single users has names that say so (`users_in_segment`, `events_of`); who may call them is the caller's business.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
from sqlalchemy import func, select

from telemetry import privacy
from telemetry.answers import (
    DEFAULT_DAYS,
    DIMENSIONS,
    HIGH,
    LOW,
    N_USERS,
    PARENTS,
    PERIOD,
    VALUE,
    MetricAnswer,
    MetricQuestion,
    Span,
    SurveyBesideEngagement,
    Tile,
    Where,
)
from telemetry.asked_cells import Cells, conditions, renamed
from telemetry.estimates import rows_of, tile_of
from telemetry.metrics import METRICS, metric
from telemetry.parts import BatchRow, PartLog
from telemetry.privacy import Purpose
from telemetry.rollups import pending
from telemetry.statistics import correlation
from telemetry.warehouse.cells import Grain, Plan
from telemetry.warehouse.protocol import Warehouse
from telemetry.warehouse.sql import Value
from telemetry.warehouse.tables import (
    ACTIVE_CUTS,
    ACTIVE_DAY,
    ACTIVE_WEEK,
    CUT,
    EVENTS,
    SUB_REGISTERS,
    USER_DAY,
    smallest_cut,
)
from workspace.checks import check_scalar
from workspace.clock import Clock
from workspace.columns import Event, Rollup
from workspace.errors import InvalidValueError, StateError

if TYPE_CHECKING:
    from workspace.settings import Settings
    from workspace.store import Store

__all__ = [
    "DIMENSIONS",
    "HIGH",
    "LOW",
    "N_USERS",
    "PERIOD",
    "VALUE",
    "MetricAnswer",
    "MetricQuestion",
    "Purpose",
    "SurveyBesideEngagement",
    "Telemetry",
    "Tile",
    "Where",
]

MOST_USER_DAYS: Final = 1_000_000
"""Up to so many rows, the figures of single users are summed up; beyond, those of random groups of users."""
MOST_FOR_TILES: Final = 100_000
LONGEST_DAILY_SPARK: Final = 62


class Telemetry:
    """Answers questions to user telemetry.

    Args:
        warehouse: Runs the queries.
        parts: Which days there are, and which rollups are out of date.
        store: Remembers who asked.
        settings: The least number of users.
        clock: Stamps what is remembered.
        rotations: Days on which the pseudonym key changed: users before and after can't be told to be the same.
    """

    def __init__(
        self,
        warehouse: Warehouse,
        parts: PartLog,
        store: "Store",
        settings: "Settings",
        clock: Clock,
        *,
        rotations: Sequence[dt.date] = (),
    ) -> None:
        self._warehouse = warehouse
        self._parts = parts
        self._store = store
        self._k: Final = settings.k_anonymity
        self._cells: Final = Cells(warehouse, self._k)
        self._clock = clock
        self._rotations = tuple(rotations)
        self._standing: tuple[object, tuple[dt.date, ...], dt.datetime | None] = (None, (), None)

    def span(self, days: int = DEFAULT_DAYS) -> Span:
        """Return the last days that have data.

        Raises:
            StateError: When nothing is rolled up yet.
        """
        known = self._warehouse.digests(USER_DAY)
        if not known:
            raise StateError("no telemetry is rolled up yet", hint="run `recommendr telemetry rollup`")
        last = max(known)
        return max(min(known), last - dt.timedelta(days=days - 1)), last

    def answer(self, question: MetricQuestion, *, purpose: Purpose, actor: str) -> MetricAnswer:
        """Answer a question.

        Args:
            question: What is asked.
            purpose: Why.
            actor: By whom.

        Raises:
            UnreachableError: When the warehouse does not answer.
            IntegrityError: When a stored part is damaged.
        """
        one = metric(question.metric)
        table = self._cells.of([one], question, MOST_USER_DAYS)
        keys = [*question.by, *([PERIOD] if question.grain else [])]
        rows, suppressed = rows_of(table, one, keys)
        span = (question.start, question.end)
        answer = MetricAnswer(
            metric=one.name,
            question=question,
            rows=rows,
            suppressed=suppressed,
            method=table.plan.source,
            as_of=self._state()[2],
            pending_dates=self._pending(span),
            notes=self._notes(table.plan, span),
        )
        self._record(question.to_dict(), purpose, actor, len(rows), suppressed)
        return answer

    def tiles(
        self, start: dt.date, end: dt.date, where: Where | None = None, *, purpose: Purpose, actor: str
    ) -> list[Tile]:
        """Return every metric at a glance, beside the span of equal length before."""
        first = METRICS[0].name
        question = MetricQuestion(metric=first, start=start, end=end, where=where or {})
        grain: Grain = "day" if (end - start).days < LONGEST_DAILY_SPARK else "week"
        course = MetricQuestion(metric=first, start=start, end=end, where=question.where, grain=grain)
        earlier = MetricQuestion(
            metric=first, start=start - (end - start) - dt.timedelta(days=1), end=start - dt.timedelta(days=1),
            where=question.where,
        )  # fmt: skip
        # Each statement takes longer to plan, on one core, than to run.
        with ThreadPoolExecutor(self._warehouse.side_by_side) as pool:
            asked = (question, course, earlier)
            tables = [pool.submit(self._cells.of, METRICS, one, MOST_FOR_TILES) for one in asked]
            paired = pool.submit(self._cells.pairs, earlier.start, start, end, question.where, MOST_FOR_TILES)
            whole, sparks, before = (table.result() for table in tables)
            pairs = paired.result()
        out = [tile_of(one, whole, before, sparks, pairs) for one in METRICS]
        withheld = sum(one.value is None for one in out)
        self._record({"tiles": question.to_dict()}, purpose, actor, len(out) - withheld, withheld)
        return out

    def active(
        self,
        start: dt.date,
        end: dt.date,
        grain: Grain = "day",
        by: Sequence[str] = (),
        *,
        purpose: Purpose,
        actor: str,
    ) -> tuple[pd.DataFrame, int]:
        """Return distinct users and sessions of each period, counted and not estimated.

        Args:
            start: First day.
            end: Last day, included.
            grain: Length of a period.
            by: At most one dimension, or region with variant.
            purpose: Why it is asked.
            actor: By whom.

        Returns:
            Rows of period, dimensions, users and sessions; and how many rows were withheld.
        """
        question = MetricQuestion(metric="sessions_per_day", start=start, end=end, by=tuple(by), grain=grain)
        sql, parameters = _active_sql(question)
        frame = self._warehouse.query(sql, window=(start, end), parameters=parameters)
        frame = renamed(frame, question.by)
        dims = [*question.by, PERIOD]
        rows, suppressed = privacy.suppress(frame, dims, self._k, users=N_USERS, parents=PARENTS)
        self._record({"active": question.to_dict()}, purpose, actor, len(rows), suppressed)
        return rows[[PERIOD, *question.by, N_USERS, Rollup.SESSIONS]], suppressed

    def survey_beside_engagement(
        self,
        start: dt.date,
        end: dt.date,
        where: Where | None = None,
        *,
        grain: Grain = "week",
        purpose: Purpose,
        actor: str,
    ) -> SurveyBesideEngagement:
        """Return survey score and click-through rate of each period, and how they go together."""
        frames, withheld = [], 0
        for name in ("survey_score", "ctr"):
            question = MetricQuestion(metric=name, start=start, end=end, grain=grain, where=where or {})
            answer = self.answer(question, purpose=purpose, actor=actor)
            withheld += answer.suppressed
            kept = answer.rows[[PERIOD, N_USERS, VALUE, LOW, HIGH]]
            frames.append(kept.rename(columns={column: f"{name}_{column}" for column in kept.columns[1:]}))
        rows = frames[0].merge(frames[1], on=PERIOD, how="outer").sort_values(PERIOD, ignore_index=True)
        together = correlation(rows[f"survey_score_{VALUE}"], rows[f"ctr_{VALUE}"])
        return SurveyBesideEngagement(rows=rows, correlation=together, suppressed=withheld)

    def dimensions(self, start: dt.date, end: dt.date) -> dict[str, list[str]]:
        """Return the values every dimension has in a span; they are names of things, not of people."""
        columns = ", ".join(DIMENSIONS.values())
        sql = (
            f"SELECT DISTINCT {columns} FROM ACTIVE_DAY "
            f"WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end AND {CUT} IN (1, 2, 3, 4)"
        )
        frame = self._warehouse.query(sql, window=(start, end), parameters={"start": start, "end": end})
        return {dim: sorted(set(frame[column].dropna())) for dim, column in DIMENSIONS.items()}

    def users_in_segment(self, question: MetricQuestion, limit: int = 100) -> pd.DataFrame:
        """Return single users of a segment, those with most in the numerator first.

        Individual level: the caller makes sure of role and reason.

        Args:
            question: The metric, the span and the filter; its breakdown is not used.
            limit: How many users, 1 to 10,000.
        """
        limit = check_scalar(limit, "limit", ge=1, le=10_000)
        one = metric(question.metric)
        filters, values = conditions(question.where)
        sql = (
            f"SELECT {Event.USER}, CAST(SUM({one.numerator}) AS DOUBLE) AS {one.numerator}, "
            f"CAST(SUM({one.denominator}) AS DOUBLE) AS {one.denominator} FROM USER_DAY "
            f"WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end{filters} GROUP BY {Event.USER} "
            f"HAVING SUM({one.numerator}) <> 0 OR SUM({one.denominator}) <> 0 "
            f"ORDER BY SUM({one.numerator}) DESC, {Event.USER} LIMIT {limit}"
        )
        parameters: dict[str, Value] = {"start": question.start, "end": question.end, **values}
        return self._warehouse.query(sql, window=(question.start, question.end), parameters=parameters)

    def events_of(
        self,
        *,
        start: dt.date,
        end: dt.date,
        user: int | None = None,
        slate_id: str | None = None,
        transaction_id: str | None = None,
        limit: int = 1_000,
    ) -> pd.DataFrame:
        """Return single events of a user, a slate or a transaction, oldest first.

        Individual level: the caller makes sure of role and reason.

        Raises:
            InvalidValueError: When not exactly one of the three is given.
        """
        limit = check_scalar(limit, "limit", ge=1, le=10_000)
        asked: dict[str, Value | None] = {Event.USER: user, Event.SLATE: slate_id, Event.TRANSACTION: transaction_id}
        given = {column: value for column, value in asked.items() if value is not None}
        if len(given) != 1:
            raise InvalidValueError(f"{len(given)} of user, slate_id and transaction_id are given", "must be one")
        ((column, value),) = given.items()
        sql = (
            f"SELECT {', '.join(Event.ALL)} FROM {EVENTS.name} WHERE {Event.TS} >= :start AND {Event.TS} < :end "
            f"AND {column} = :value ORDER BY {Event.TS}, {Event.ID} LIMIT {limit}"
        )
        around: dict[str, Value] = {"start": start, "end": end + dt.timedelta(days=1), "value": value}
        return self._warehouse.query(sql, window=(start, end), parameters=around)

    def _state(self) -> tuple[object, tuple[dt.date, ...], dt.datetime | None]:
        """Return version, days out of date and newest event; looked up only when anything was added."""
        version = self._warehouse.version()
        if self._standing[0] != version:
            with self._store.reading() as session:
                newest = session.execute(select(func.max(BatchRow.last_ts))).scalar()
            aware = newest.replace(tzinfo=dt.UTC) if newest and newest.tzinfo is None else newest
            self._standing = (version, tuple(pending(self._parts, self._warehouse)), aware)
        return self._standing

    def _pending(self, span: Span) -> tuple[dt.date, ...]:
        return tuple(date for date in self._state()[1] if span[0] <= date <= span[1])

    def _notes(self, plan: Plan, span: Span) -> tuple[str, ...]:
        notes = []
        if plan.source == "buckets":
            groups = smallest_cut(frozenset(plan.dims) | {name for name, _ in plan.filtered}).buckets
            error = 104 / (groups * SUB_REGISTERS) ** 0.5
            notes.append(
                f"Intervals are over {groups:,} random groups of users; n_users is estimated to ± {error:.1f} %."
            )
        crossed = [day for day in self._rotations if span[0] < day <= span[1]]
        if crossed:
            days = ", ".join(day.isoformat() for day in crossed)
            notes.append(f"The pseudonym key changed on {days}: a user before and after counts as two.")
        return tuple(notes)

    def _record(self, question: Mapping[str, Any], purpose: Purpose, actor: str, rows: int, suppressed: int) -> None:
        privacy.record_access(
            self._store, self._clock, actor=actor, purpose=purpose, question=question, rows=rows, suppressed=suppressed
        )


def _active_sql(question: MetricQuestion) -> tuple[str, dict[str, Value]]:
    columns = tuple(DIMENSIONS[dim] for dim in question.by)
    parameters: dict[str, Value] = {"start": question.start, "end": question.end}
    if question.grain == "hour":
        kept = ", ".join([f"{Rollup.HOUR} AS {PERIOD}", *columns])
        sql = (
            f"SELECT {kept}, CAST(SUM({Rollup.USERS}) AS BIGINT) AS {Rollup.USERS}, "
            f"CAST(SUM({Rollup.SESSIONS}) AS BIGINT) AS {Rollup.SESSIONS} FROM HOUR_ROLLUP "
            f"WHERE CAST({Rollup.HOUR} AS DATE) >= :start AND CAST({Rollup.HOUR} AS DATE) <= :end "
            f"GROUP BY {', '.join([Rollup.HOUR, *columns])} ORDER BY {', '.join([Rollup.HOUR, *columns])}"
        )
        return sql, parameters
    # A region lies in one market: naming the region alone is the same breakdown.
    wanted = {*columns, Rollup.MARKET} if Event.REGION in columns else {*columns}
    fitting = [cut for cut in ACTIVE_CUTS if wanted == {*cut.columns}]
    if not fitting:
        raise InvalidValueError(
            f"by == {', '.join(question.by)}",
            "must be one dimension, or region and variant",
            "ask for a metric instead",
        )
    table = ACTIVE_WEEK if question.grain == "week" else ACTIVE_DAY
    kept = ", ".join([f"{table.moment} AS {PERIOD}", *columns, Rollup.USERS, Rollup.SESSIONS])
    order = ", ".join([table.moment, *columns])
    sql = (
        f"SELECT {kept} FROM {table.name} WHERE {table.moment} >= :start AND {table.moment} <= :end "
        f"AND {CUT} = :cut ORDER BY {order}"
    )
    return sql, parameters | {"cut": fitting[0].number}
