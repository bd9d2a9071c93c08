"""Figures of the services over the newest hours or days: one value, with an interval from the batches it is made of.

Samples of one day resemble one another, so they are no independent trials. The interval is that of batch means: the
span is cut into equal batches, and the batches are what chance acts on. An incident in one batch widens the interval,
which is the truth about how well the mean is known.

Source: Law 2015, "Simulation Modeling and Analysis", section 9.5.3 (batch means).
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from telemetry.system.questions import DIMENSIONS, SERVICES, VALUE, Kind, SystemQuestion
from workspace.columns import Sample

if TYPE_CHECKING:
    import pandas as pd

    from monitoring.ground import Ground

SERVING: Final = SERVICES[:-1]
"""The services a request passes; the console stands beside them."""
SEARCHED: Final = dt.timedelta(days=28)
"""So far back the newest sample of a service is looked for."""
HOUR: Final = dt.timedelta(hours=1)
DAY: Final = dt.timedelta(days=1)
DAYS_A_WEEK: Final = 7
LEAST_BATCHES: Final = 4
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceQuestion:
    """What is asked of the services.

    Args:
        kind: Of the question.
        services: Names.
        batch: Length of a batch, in whole hours.
        batches: How many, back from the newest that is complete; of one batch there is no interval.
        together: How services and regions become one value: all taken together, or the one that is highest.
        quantile: Of a latency.
    """

    kind: Kind
    services: tuple[str, ...]
    batch: dt.timedelta
    batches: int
    together: Literal["all", "highest"]
    quantile: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigure:
    """One value of the services.

    Args:
        value: NaN when it is not estimable.
        low: Low end of the interval; None where there is none.
        high: High end.
        batches: How many batches have samples.
        as_of: End of the newest batch; None without samples.
        note: Which service and region it is of, or why there is no value.
    """

    value: float
    low: float | None = None
    high: float | None = None
    batches: int = 0
    as_of: dt.datetime | None = None
    note: str = ""


def service_figure(ground: "Ground", asked: ServiceQuestion, *, at: dt.datetime) -> ServiceFigure:
    """Return one value of the services as of a moment.

    Args:
        ground: The stores.
        asked: What.
        at: Nothing after it is looked at. The newest batch ends at the last whole batch before the newest sample.
    """
    newest = newest_hour(ground, asked.services, at)
    if newest is None:
        names = ", ".join(asked.services)
        return ServiceFigure(value=np.nan, note=f"not estimable: no samples of {names} within {SEARCHED.days} days")
    end = _EPOCH + (newest - _EPOCH) // asked.batch * asked.batch
    frame = _answer(ground, asked, end - asked.batches * asked.batch, end)
    return _of_batches(frame, asked, end)


def service_weeks(ground: "Ground", asked: ServiceQuestion, weeks: int, *, at: dt.datetime) -> list[ServiceFigure]:
    """Return one value of the services for each of the newest weeks, the oldest first, from batches of a day."""
    newest = newest_hour(ground, asked.services, at)
    if newest is None:
        return []
    daily = replace(asked, batch=DAY, batches=DAYS_A_WEEK)
    last = _EPOCH + (newest - _EPOCH) // DAY * DAY
    frame = _answer(ground, daily, last - weeks * DAYS_A_WEEK * DAY, last)
    ends = [last - DAYS_A_WEEK * back * DAY for back in reversed(range(weeks))]
    within = [(frame[Sample.TS] > end - DAYS_A_WEEK * DAY) & (frame[Sample.TS] <= end) for end in ends]
    return [_of_batches(frame[kept], daily, end) for kept, end in zip(within, ends, strict=True)]


def _answer(ground: "Ground", asked: ServiceQuestion, start: dt.datetime, end: dt.datetime) -> "pd.DataFrame":
    question = SystemQuestion(
        kind=asked.kind, start=start, end=end, step=asked.batch, services=asked.services,
        by=() if asked.together == "all" else DIMENSIONS, quantile=asked.quantile,
    )  # fmt: skip
    return ground.system.answer(question).dropna(subset=[VALUE])


def newest_hour(ground: "Ground", services: Sequence[str], at: dt.datetime) -> dt.datetime | None:
    """Return the end of the newest hour with a sample of some services, or None; hours are those of the clock."""
    # Mostly there is one of today, and then nobody need look through four weeks.
    for span in (2 * DAY, SEARCHED):
        question = SystemQuestion(
            kind=Kind.AVAILABILITY, start=at - span, end=at, step=HOUR, services=tuple(services), by=()
        )
        known = ground.system.answer(question).dropna(subset=[VALUE])
        if not known.empty:
            return known[Sample.TS].max().to_pydatetime()  # type: ignore[no-any-return]
    return None


def _of_batches(frame: "pd.DataFrame", asked: ServiceQuestion, end: dt.datetime) -> ServiceFigure:
    if frame.empty:
        note = f"not estimable: no samples in the {asked.batches} batches up to {end:%Y-%m-%d %H:%M}"
        return ServiceFigure(value=np.nan, as_of=end, note=note)
    groups = {place: rows[VALUE].to_numpy(dtype=np.float64) for place, rows in frame.groupby(list(DIMENSIONS))}
    place = max(groups, key=lambda one: float(groups[one].mean()))
    values = groups[place]
    notes = [] if asked.together == "all" else [f"the highest of {len(groups)}: {place[0]} in {place[1]}"]
    margin = None
    if len(values) >= LEAST_BATCHES:
        from scipy import stats

        # Batches that never differ have no spread; that there is none in truth is not known.
        spread = float(values.std(ddof=1) / np.sqrt(len(values)))
        margin = float(stats.t.ppf(0.975, len(values) - 1)) * spread
    elif asked.batches > 1:
        notes.append(f"no interval: {len(values)} of {LEAST_BATCHES} batches")
    value = float(values.mean())
    return ServiceFigure(
        value=value,
        low=None if margin is None else value - margin,
        high=None if margin is None else value + margin,
        batches=len(values),
        as_of=end,
        note="; ".join(notes),
    )
