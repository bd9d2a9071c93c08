"""What may be asked of the services, in questions instead of in any query language.

Two systems answer them: the embedded series and Prometheus. Both answer for the ends of windows: the value at ``ts`` is
about the window that ends there. A window without data has no value: not estimable, never 0.
"""

import datetime as dt
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, Required, Self, TypedDict, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from workspace.checks import check_scalar
from workspace.columns import Sample
from workspace.errors import InvalidValueError

SERVICES: Final = ("gateway", "bff", "user", "content", "recommender", "console")
"""In the order a request passes them; the console stands beside them."""
BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, math.inf)
"""Upper bounds of the buckets of latency, one for each of `Sample.BUCKETS`."""
VALUE: Final = "value"
EVERY: Final = "all"
"""Stands for a service or region over which an answer was taken together."""
DIMENSIONS: Final = (Sample.SERVICE, Sample.REGION)
LEAST_STEP: Final = dt.timedelta(seconds=15)
LEAST_WINDOW: Final = dt.timedelta(minutes=10)
"""A rate needs two samples; a window this wide holds them when there is one every five minutes."""
MOST_POINTS: Final = 20_000
LATENCY_LIMIT_S: Final = 1.0
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

Floats = npt.NDArray[np.float64]


class Kind(StrEnum):
    """What a question is about."""

    LATENCY_QUANTILE = "latency_quantile"
    REQUEST_RATE = "request_rate"
    ERROR_RATE = "error_rate"
    WITHIN_LATENCY = "within_latency"
    CPU = "cpu"
    MEMORY = "memory"
    AVAILABILITY = "availability"
    ACTIVE_SESSIONS = "active_sessions"


UNITS: Final[Mapping[Kind, str]] = {
    Kind.LATENCY_QUANTILE: "s",
    Kind.REQUEST_RATE: "1/s",
    Kind.ERROR_RATE: "share",
    Kind.WITHIN_LATENCY: "share",
    Kind.CPU: "share",
    Kind.MEMORY: "share",
    Kind.AVAILABILITY: "share",
    Kind.ACTIVE_SESSIONS: "count",
}


class Scope(TypedDict, total=False):
    """Of what, when and how finely a question is asked.

    ``services`` and ``regions``: names, None for all. ``start`` and ``end``: aware moments; ``step``: at least 15 s, in
    whole seconds. ``by``: what is kept apart, ``("service", "region")`` unless said; the rest is taken together.
    """

    services: Sequence[str] | None
    regions: Sequence[str] | None
    start: Required[dt.datetime]
    end: Required[dt.datetime]
    step: Required[dt.timedelta]
    by: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemQuestion:
    """One question, checked.

    Args:
        kind: What it is about.
        start: Beginning of the first window; moved later to a whole step since 1970.
        end: End of the last window; moved earlier likewise.
        step: Distance of two points.
        services: Names, None for all.
        regions: Names, None for all.
        by: The dimensions kept apart.
        quantile: 0 … 1, of a latency quantile only.
        limit_s: A bound of the buckets, of within-latency only.

    Raises:
        InvalidValueError: When a value is outside its limits, naming it.

    Example:
        >>> asked = SystemQuestion(
        ...     kind=Kind.CPU, start=_EPOCH, end=_EPOCH + dt.timedelta(hours=2), step=dt.timedelta(hours=1)
        ... )
        >>> asked.times.tolist()
        [3600, 7200]
    """

    kind: Kind
    start: dt.datetime
    end: dt.datetime
    step: dt.timedelta
    services: tuple[str, ...] | None = None
    regions: tuple[str, ...] | None = None
    by: tuple[str, ...] = DIMENSIONS
    quantile: float = 0.95
    limit_s: float = LATENCY_LIMIT_S

    def __post_init__(self) -> None:
        self._check_time()
        check_scalar(self.quantile, "quantile", ge=0, le=1, hint="pass 0.95 for p95")
        if self.limit_s not in BOUNDS_S[:-1]:
            bounds = ", ".join(f"{bound:g}" for bound in BOUNDS_S[:-1])
            raise InvalidValueError(
                f"limit_s == {self.limit_s}", f"must be one of {bounds}", "only at a bucket's bound is the share exact"
            )
        for name in self.by:
            if name not in DIMENSIONS:
                raise InvalidValueError(f"by == {name!r}", f"must be of {', '.join(DIMENSIONS)}")
        for name, chosen in ((Sample.SERVICE, self.services), (Sample.REGION, self.regions)):
            if chosen is not None and not chosen:
                raise InvalidValueError(f"{name} is empty", "must name at least one", "leave it out for all")

    def _check_time(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment.tzinfo is None:
                raise InvalidValueError(f"{name} == {moment}", "must be an aware datetime", "pass tzinfo=datetime.UTC")
        if self.start >= self.end:
            raise InvalidValueError(f"start == {self.start.isoformat()}", f"must be before {self.end.isoformat()}")
        if self.step < LEAST_STEP or self.step.microseconds:
            raise InvalidValueError(f"step == {self.step}", "must be whole seconds, at least 15")
        points = (self.end - self.start) // self.step
        if points > MOST_POINTS:
            limit = f"must fit at most {MOST_POINTS:,} times between start and end"
            raise InvalidValueError(f"step == {self.step}", limit, "choose a longer step or a shorter time")
        if not len(self.times):
            # The steps are those of the clock: an hour from half past to half past holds no whole one.
            limit = "must have a whole one between start and end"
            raise InvalidValueError(f"step == {self.step}", limit, "choose a shorter step or a longer time")

    @property
    def step_s(self) -> int:
        """The distance of two points, in seconds."""
        return round(self.step.total_seconds())

    @property
    def steps_in_window(self) -> int:
        """How many steps a window is wide: one, unless the steps are too narrow to hold two samples."""
        return max(1, math.ceil(LEAST_WINDOW / self.step))

    @property
    def window_s(self) -> int:
        """The width of a window, in seconds."""
        return self.step_s * self.steps_in_window

    @property
    def times(self) -> npt.NDArray[np.int64]:
        """The ends of the windows, in seconds since 1970; those whose last step lies between start and end."""
        first = -((_EPOCH - self.start) // self.step) + 1
        last = (self.end - _EPOCH) // self.step
        return np.arange(first, last + 1, dtype=np.int64) * self.step_s


class Series(NamedTuple):
    """The values of one service and region, one for each time of the question."""

    service: str
    region: str
    values: Floats


def answer_frame(question: SystemQuestion, found: Sequence[Series]) -> pd.DataFrame:
    """Return an answer as a frame.

    Args:
        question: What was asked.
        found: The series; those that never have a value are left out.

    Returns:
        Columns ``ts`` (UTC), ``service``, ``region``, ``value``, sorted by service, region and time; every series
        has every time, NaN where nothing is known.
    """
    kept = sorted((one for one in found if not np.isnan(one.values).all()), key=lambda one: one[:2])
    times = pd.to_datetime(question.times, unit="s", utc=True).as_unit("us")
    row = np.repeat(np.arange(len(kept)), len(times))
    return pd.DataFrame(
        {
            Sample.TS: times.take(np.tile(np.arange(len(times)), len(kept))),
            Sample.SERVICE: pd.array([one.service for one in kept], dtype="str").take(row),
            Sample.REGION: pd.array([one.region for one in kept], dtype="str").take(row),
            VALUE: np.concatenate([values for _, _, values in kept]) if kept else np.empty(0),
        }
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the samples are about.

    Args:
        services: Names, in the order of a request where it is known.
        regions: Names.
        first: The oldest sample; None without samples.
        last: The newest.
    """

    services: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    first: dt.datetime | None = None
    last: dt.datetime | None = None

    @classmethod
    def of(
        cls,
        services: Sequence[str],
        regions: Sequence[str],
        first: dt.datetime | None = None,
        last: dt.datetime | None = None,
    ) -> Self:
        """Put the names in order."""
        ordered = [name for name in SERVICES if name in services]
        ordered += sorted(set(services) - set(ordered))
        return cls(services=tuple(ordered), regions=tuple(sorted(set(regions))), first=first, last=last)


class SystemMetrics(Protocol):
    """Answers the questions about the services; every answer is a frame as `answer_frame` makes it."""

    @property
    def name(self) -> str:
        """What answers, as people call it."""
        ...

    def answer(self, question: SystemQuestion) -> pd.DataFrame:
        """Answer any question."""
        ...

    def known(self, start: dt.datetime, end: dt.datetime) -> Known:
        """Say which services and regions have samples, and from when to when."""
        ...

    def latency_quantile(self, q: float, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Seconds within which a share q of the requests was answered, interpolated inside a bucket."""
        ...

    def request_rate(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Requests a second."""
        ...

    def error_rate(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the requests answered with an error."""
        ...

    def within_latency(self, limit_s: float = LATENCY_LIMIT_S, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the requests answered within a limit: good by total, exact at a bucket's bound."""
        ...

    def cpu(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean share of the processors in use."""
        ...

    def memory(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean share of the memory in use."""
        ...

    def availability(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the scrapes at which the service was up."""
        ...

    def active_sessions(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean number of active sessions; the sum of what is taken together."""
        ...


class Questions(ABC):
    """The questions by name, over one method that answers any."""

    @abstractmethod
    def answer(self, question: SystemQuestion) -> pd.DataFrame:
        """Answer any question."""

    def latency_quantile(self, q: float, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Seconds within which a share q of the requests was answered, interpolated inside a bucket."""
        return self.answer(asked(Kind.LATENCY_QUANTILE, scope, quantile=q))

    def request_rate(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Requests a second."""
        return self.answer(asked(Kind.REQUEST_RATE, scope))

    def error_rate(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the requests answered with an error."""
        return self.answer(asked(Kind.ERROR_RATE, scope))

    def within_latency(self, limit_s: float = LATENCY_LIMIT_S, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the requests answered within a limit: good by total, exact at a bucket's bound."""
        return self.answer(asked(Kind.WITHIN_LATENCY, scope, limit_s=limit_s))

    def cpu(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean share of the processors in use."""
        return self.answer(asked(Kind.CPU, scope))

    def memory(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean share of the memory in use."""
        return self.answer(asked(Kind.MEMORY, scope))

    def availability(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Share of the scrapes at which the service was up."""
        return self.answer(asked(Kind.AVAILABILITY, scope))

    def active_sessions(self, **scope: Unpack[Scope]) -> pd.DataFrame:
        """Mean number of active sessions; the sum of what is taken together."""
        return self.answer(asked(Kind.ACTIVE_SESSIONS, scope))


def asked(kind: Kind, scope: Scope, *, quantile: float = 0.95, limit_s: float = LATENCY_LIMIT_S) -> SystemQuestion:
    """Make a question of its kind and scope."""
    services, regions = scope.get("services"), scope.get("regions")
    return SystemQuestion(
        kind=kind,
        start=scope["start"],
        end=scope["end"],
        step=scope["step"],
        services=None if services is None else tuple(services),
        regions=None if regions is None else tuple(regions),
        by=tuple(scope.get("by", DIMENSIONS)),
        quantile=quantile,
        limit_s=limit_s,
    )
