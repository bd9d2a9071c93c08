"""The figures goals and alert rules are about, each under one name, each with its interval and its age.

A measure is read as of a moment: telemetry over whole days before it, services up to the newest complete batch before
it, entries and costs as they were stored. What can't be estimated has no value, and the note says what is missing; it
is never 0.
"""

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from monitoring.findings import Interval
from monitoring.service_figures import DAY, HOUR, SERVING, ServiceFigure, ServiceQuestion, service_figure, service_weeks
from monitoring.user_figures import Figure, Ratio, blocks, changes, relevant_slates
from telemetry.system.questions import Kind
from workspace.columns import Rollup, Trial
from workspace.errors import RecommendrError, StateError, UnknownError

if TYPE_CHECKING:
    from monitoring.ground import Ground

Unit = Literal["share", "relative", "count", "s", "days", "score", "money"]
WEEK: Final = 7
MONTH: Final = 28
"""Four weeks: every span holds each weekday equally often."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a measure is at a moment.

    Args:
        value: In ``unit``; None when it is not estimable or would be about too few accounts.
        low: Low end of the 95 % interval; None where there is none, for example of an entry.
        high: High end.
        n: How many accounts, batches or requests it rests on; None where that means nothing.
        unit: ``share`` of 1, ``relative`` change (0.05 is 5 %), ``s``, ``days``, ``score``, ``money`` or ``count``.
        as_of: End of what it is about; None without any data.
        note: Why there is no value, or what to know about it.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    unit: Unit
    as_of: dt.datetime | None = None
    note: str = ""

    @property
    def interval(self) -> Interval | None:
        """The value with its interval; None when it is not estimable."""
        return None if self.value is None else Interval(value=self.value, low=self.low, high=self.high)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "n": self.n,
            "unit": self.unit,
            "as_of": self.as_of.isoformat() if self.as_of else None,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure and how it is read.

    Args:
        name: How rules and goals call it.
        title: How people call it.
        unit: Of its value.
        better: Which way is good.
        meaning: What it is, in one sentence.
        reader: Reads it as of an aware moment.
        trend: Reads its newest weeks, the oldest first; None where its past is not kept.
    """

    name: str
    title: str
    unit: Unit
    better: Literal["up", "down"]
    meaning: str
    reader: "Callable[[Ground, dt.datetime], Reading]"
    trend: "Callable[[Ground, dt.datetime, int], tuple[Reading, ...]] | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name, "title": self.title, "unit": self.unit, "better": self.better, "meaning": self.meaning
        }  # fmt: skip


def read(name: str, ground: "Ground", *, at: dt.datetime | None = None) -> Reading:
    """Return what a measure is.

    Args:
        name: Of `MEASURES`.
        ground: The stores.
        at: As of when, aware; now when None.

    A store that does not answer is a reading without a value too: one measure must not take the others along.

    Raises:
        UnknownError: When there is no such measure, naming those there are.
    """
    found = measure(name)
    try:
        return found.reader(ground, at or ground.clock.now())
    except StateError as missing:
        # Nothing rolled up, nothing imported: not an error of whoever watches.
        return Reading(value=None, unit=found.unit, note=f"not estimable: {missing}")
    except RecommendrError as fault:
        return Reading(value=None, unit=found.unit, note=f"can't be read: {fault}")


def trend(name: str, ground: "Ground", *, weeks: int = 8, at: dt.datetime | None = None) -> tuple[Reading, ...]:
    """Return what a measure was in each of the last weeks, the oldest first; empty where its past is not kept.

    Raises:
        UnknownError: As `read`.
    """
    found = measure(name)
    if found.trend is None:
        return ()
    try:
        return found.trend(ground, at or ground.clock.now(), weeks)
    except RecommendrError:
        # `read` says what is wrong.
        return ()


def measure(name: str) -> Measure:
    """Return a measure by its name.

    Raises:
        UnknownError: When there is none, naming those there are.

    Example:
        >>> measure("precision_at_5").better
        'up'
    """
    if name not in MEASURES:
        raise UnknownError(f"measure == {name!r}", "must be a known measure", f"the measures are {', '.join(MEASURES)}")
    return MEASURES[name]


def last_day(ground: "Ground", at: dt.datetime) -> dt.date:
    """Return the newest whole day of telemetry before a moment.

    Raises:
        StateError: When none is rolled up, or none before it.
    """
    first, last = ground.days()
    end = min(last, at.astimezone(dt.UTC).date() - DAY)
    if end < first:
        raise StateError(f"telemetry begins on {first}", f"and no whole day lies before {at:%Y-%m-%d}")
    return end


def _midnight_after(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day + DAY, dt.time(), tzinfo=dt.UTC)


def _of_figure(found: Figure, unit: Unit, day: dt.date) -> Reading:
    known = np.isfinite(found.value)
    bounded = known and np.isfinite(found.low) and np.isfinite(found.high)
    low, high = (found.low, found.high) if bounded else (None, None)
    if unit == "share" and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)
    return Reading(
        value=_steady(found.value) if known else None, low=_steady(low), high=_steady(high), n=found.users or None,
        unit=unit, as_of=_midnight_after(day), note=found.note,
    )  # fmt: skip


def _steady(value: float | None) -> float | None:
    # An engine adds up in any order: the last bits differ from run to run, and nobody is to be told of that as news.
    return None if value is None else float(f"{value:.12g}")


def _nothing(unit: Unit, day: dt.date, note: str) -> Reading:
    return Reading(value=None, unit=unit, as_of=_midnight_after(day), note=note)


def _ratio(name: str, title: str, unit: Unit, better: Literal["up", "down"], meaning: str, *, over: tuple[str, str],
           days: int = WEEK) -> Measure:  # fmt: skip
    one = Ratio(name=name, numerator=over[0], denominator=over[1])

    def newest(ground: "Ground", at: dt.datetime) -> Reading:
        end = last_day(ground, at)
        found = blocks(ground, [one], end=end, days=days)
        return (
            _of_figure(found[0], unit, end)
            if found
            else _nothing(unit, end, f"not estimable: no events in {days} days")
        )

    def weeks(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
        end = last_day(ground, at)
        return _course(blocks(ground, [one], end=end, days=WEEK, count=count), ground, unit, end, count)

    return Measure(name=name, title=title, unit=unit, better=better, meaning=meaning, reader=newest, trend=weeks)


def _course(found: list[Figure], ground: "Ground", unit: Unit, end: dt.date, count: int) -> tuple[Reading, ...]:
    known = {one.block: one for one in found}
    first = ground.days()[0]
    out = []
    for block in reversed(range(count)):
        day = end - WEEK * block * DAY
        if day - (WEEK - 1) * DAY < first:
            continue
        figure = known.get(block)
        out.append(_of_figure(figure, unit, day) if figure else _nothing(unit, day, "not estimable: no events"))
    return tuple(out)


def _precision(ground: "Ground", at: dt.datetime) -> Reading:
    return _precision_of(ground, last_day(ground, at))


def _precision_of(ground: "Ground", end: dt.date) -> Reading:
    from monitoring import proxy

    found = proxy.weekly(ground, end=end)[0]
    interval = found.value
    return Reading(
        value=_steady(interval.value) if interval else None, low=_steady(interval.low) if interval else None,
        high=_steady(interval.high) if interval else None, n=found.users, unit="share", as_of=_midnight_after(end),
        note=found.note,
    )  # fmt: skip


def _precision_weeks(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
    end, first = last_day(ground, at), ground.days()[0]
    ends = [end - WEEK * block * DAY for block in reversed(range(count))]
    return tuple(_precision_of(ground, day) for day in ends if day - (WEEK - 1) * DAY >= first)


def _relevant(ground: "Ground", at: dt.datetime) -> Reading:
    end = last_day(ground, at)
    found = relevant_slates(ground, end=end)
    return _of_figure(found[0], "share", end) if found else _nothing("share", end, "not estimable: no slates in 7 days")


def _relevant_weeks(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
    end = last_day(ground, at)
    return _course(relevant_slates(ground, end=end, count=count), ground, "share", end, count)


_ENGAGEMENT: Final = Ratio(name="engagement", numerator=Trial.INTERACTIONS, denominator=Trial.ACTIVE_DAYS)


def _engagement(ground: "Ground", at: dt.datetime) -> Reading:
    end, first = last_day(ground, at), ground.days()[0]
    missing = 2 * MONTH - ((end - first).days + 1)
    if missing > 0:
        note = f"not estimable: it takes {MONTH} days to compare with and {MONTH} after them; {missing} are missing"
        return _nothing("relative", end, note)
    return _engaged(ground, [end], MONTH)[0]


def _engagement_weeks(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
    end, first = last_day(ground, at), ground.days()[0]
    ends = [end - WEEK * block * DAY for block in reversed(range(count))]
    # The weeks compared with have no change from themselves.
    return tuple(_engaged(ground, [day for day in ends if day - (WEEK - 1) * DAY >= first + MONTH * DAY], WEEK))


def _engaged(ground: "Ground", ends: Sequence[dt.date], days: int) -> list[Reading]:
    first = ground.days()[0]
    earlier = (first, first + (MONTH - 1) * DAY)
    found = changes(ground, _ENGAGEMENT, earlier, [(end - (days - 1) * DAY, end) for end in ends])
    readings = [_of_figure(one, "relative", end) for one, end in zip(found, ends, strict=True)]
    turned = "the pseudonym key changed in between: nobody can be told to be the same user, the interval is wider"
    return [
        replace(one, note=turned) if not one.note and any(first < day <= end for day in ground.rotations) else one
        for one, end in zip(readings, ends, strict=True)
    ]


def _service(
    name: str, title: str, unit: Unit, better: Literal["up", "down"], meaning: str, asked: ServiceQuestion
) -> Measure:
    def newest(ground: "Ground", at: dt.datetime) -> Reading:
        return _of_service(service_figure(ground, asked, at=at), unit)

    def weeks(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
        found = service_weeks(ground, asked, count, at=at)
        return tuple(_of_service(one, unit) for one in found)

    return Measure(name=name, title=title, unit=unit, better=better, meaning=meaning, reader=newest, trend=weeks)


def _of_service(found: ServiceFigure, unit: Unit) -> Reading:
    low, high = found.low, found.high
    if unit == "share" and low is not None and high is not None:
        low, high = max(low, 0.0), min(high, 1.0)
    return Reading(
        value=found.value if np.isfinite(found.value) else None, low=low, high=high, n=found.batches or None,
        unit=unit, as_of=found.as_of, note=found.note,
    )  # fmt: skip


def _freshness(ground: "Ground", at: dt.datetime) -> Reading:
    from recommender.catalogue import list_catalogues
    from recommender.index import current_version, list_versions

    version = current_version(ground.paths)
    served = next((one for one in list_versions(ground.paths) if one.version == version), None)
    if served is None:
        return Reading(value=None, unit="days", note="not estimable: no index version is current")
    snapshot = served.extra.get("snapshot_id")
    entry = next((one for one in list_catalogues(ground.paths) if one.snapshot_id == snapshot), None)
    if entry is None or not entry.confirmed_at:
        return Reading(value=None, unit="days", note=f"not estimable: the catalogue of index {version} is not there")
    confirmed = dt.datetime.fromisoformat(entry.confirmed_at)
    # What was imported since is not recommended before an index holds it: the age is that of what is served.
    note = f"index {version} serves the catalogue as confirmed at {confirmed:%Y-%m-%d %H:%M} UTC"
    return Reading(value=max((at - confirmed) / DAY, 0.0), unit="days", as_of=at, note=note)


def _cost_per_1000(ground: "Ground", at: dt.datetime) -> Reading:
    from monitoring import cost

    return cost.per_1000(ground, at)


def _cost_per_user(ground: "Ground", at: dt.datetime) -> Reading:
    from monitoring import cost

    return cost.per_user(ground, at)


def _entered(goal: str, title: str, meaning: str) -> Measure:
    def newest(ground: "Ground", at: dt.datetime) -> Reading:
        from monitoring import goal_entries

        return goal_entries.growth(ground.store, goal, at=at)

    def course(ground: "Ground", at: dt.datetime, count: int) -> tuple[Reading, ...]:
        from monitoring import goal_entries

        return goal_entries.growth_course(ground.store, goal, count, at=at)

    return Measure(name=goal, title=title, unit="relative", better="up", meaning=meaning, reader=newest, trend=course)


def _services() -> tuple[Measure, ...]:
    def asked(kind: Kind, services: tuple[str, ...], batch: dt.timedelta, batches: int,
              together: Literal["all", "highest"] = "highest") -> ServiceQuestion:  # fmt: skip
        return ServiceQuestion(kind=kind, services=services, batch=batch, batches=batches, together=together)

    return (
        _service(
            "p95_latency_s", "Latency, 95th percentile", "s", "down",
            "Mean over the last 7 days of the daily p95 at the gateway, in the slowest region.",
            asked(Kind.LATENCY_QUANTILE, SERVING[:1], DAY, WEEK),
        ),
        _service(
            "bff_latency_s", "Latency of the BFF", "s", "down",
            "p95 of the backend for frontend over the newest hour, in the slowest region.",
            asked(Kind.LATENCY_QUANTILE, ("bff",), HOUR, 1),
        ),
        _service(
            "availability", "Availability", "share", "up",
            "Share of the scrapes of the last 28 days at which the services were up, all taken together.",
            asked(Kind.AVAILABILITY, SERVING, DAY, MONTH, "all"),
        ),
        _service(
            "error_rate", "Errors", "share", "down",
            "Share of the requests of the last 7 days at the gateway that ended in an error, all regions together.",
            asked(Kind.ERROR_RATE, SERVING[:1], DAY, WEEK, "all"),
        ),
        _service("cpu", "Processors", "share", "down", "Processor in use over the newest hour, where it is highest.",
                 asked(Kind.CPU, SERVING, HOUR, 1)),
        _service("memory", "Memory", "share", "down", "Memory in use over the newest hour, where it is highest.",
                 asked(Kind.MEMORY, SERVING, HOUR, 1)),
    )  # fmt: skip


_ALL: Final = (
    Measure(
        name="precision_at_5", title="Precision@5, by proxy", unit="share", better="up",
        meaning="Share of the first five films that were looked at for at least 10 s, mean over all users of the last "
        "7 days; who liked nothing counts as 0.",
        reader=_precision, trend=_precision_weeks,
    ),
    Measure(
        name="relevant_in_five", title="A relevant film in five", unit="share", better="up",
        meaning="Share of the slates of the last 7 days with a film among the first five that was clicked or looked "
        "at for at least 10 s.",
        reader=_relevant, trend=_relevant_weeks,
    ),
    _ratio("ctr", "Click-through rate", "share", "up", "Clicked share of the films shown in the last 7 days.",
           over=(Rollup.CLICKS, Rollup.IMPRESSIONS)),
    _ratio("focus_s", "Focus", "s", "up", "Seconds of looking for each film shown in the last 7 days.",
           over=(Rollup.FOCUS_S, Rollup.IMPRESSIONS)),
    _ratio("thumbs_down_rate", "Thumbs-down rate", "share", "down",
           "Rejected share of the films shown in the last 7 days; stands for false positives.",
           over=(Rollup.THUMBS_DOWN, Rollup.IMPRESSIONS)),
    _ratio("refresh_rate", "Refresh rate", "count", "down",
           "Refreshes for each slate shown in the last 7 days; stands for false negatives.",
           over=(Rollup.REFRESHES, Rollup.SLATES)),
    Measure(
        name="engagement", title="Engagement", unit="relative", better="up",
        meaning="Interactions for each active day over the last 28 days, against the first 28 days there are.",
        reader=_engagement, trend=_engagement_weeks,
    ),
    _ratio("sentiment", "Sentiment", "share", "up", "Share of the answers of the last 28 days that were 4 or 5 of 5.",
           over=(Rollup.POSITIVE_SURVEYS, Rollup.SURVEYS), days=MONTH),
    _ratio("survey_response_rate", "Survey responses", "share", "up",
           "Answers for each active day over the last 28 days.", over=(Rollup.SURVEYS, Rollup.USERS), days=MONTH),
    Measure(
        name="freshness_days", title="Freshness", unit="days", better="down",
        meaning="Age of the catalogue that the current index serves, since its import was last confirmed.",
        reader=_freshness,
    ),
    *_services(),
    Measure(
        name="cost_per_user", title="Cost of inference a user", unit="money", better="down",
        meaning="Money for the recommendations of an average active user in 28 days.", reader=_cost_per_user,
    ),
    Measure(
        name="cost_per_1000", title="Cost of 1,000 recommendations", unit="money", better="down",
        meaning="Money for 1,000 recommendations by the current index version, as last measured.",
        reader=_cost_per_1000,
    ),
    _entered("revenue_ads", "Advertising revenue",
             "Change of advertising revenue against the same period a year before, else the period before; entered."),
    _entered("revenue_premium", "Premium revenue",
             "Change of premium subscription revenue against the same period a year before, else the period before; "
             "entered."),
)  # fmt: skip
MEASURES: Final[Mapping[str, Measure]] = {one.name: one for one in _ALL}
"""Every measure by its name."""
