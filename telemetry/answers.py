"""What may be asked of user telemetry, and what comes back."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from telemetry.metrics import Metric, metric
from telemetry.statistics import Correlation
from telemetry.warehouse import cells
from telemetry.warehouse.cells import Grain, Source
from workspace.columns import Event, Rollup
from workspace.errors import InvalidValueError, UnknownError

DIMENSIONS: Final = {
    "region": Event.REGION,
    "market": Rollup.MARKET,
    "device": Event.DEVICE,
    "experiment": Event.EXPERIMENT,
    "variant": Event.VARIANT,
    "index_version": Event.INDEX_VERSION,
}
"""Name of a dimension in questions and answers, and its column."""
PARENTS: Final = {"region": "market", "variant": "experiment"}
HOUR_DIMENSIONS: Final = ("region", "market", "device")
PERIOD: Final = cells.PERIOD
N_USERS: Final = Rollup.USERS
VALUE: Final = "value"
LOW: Final = "ci_low"
HIGH: Final = "ci_high"
POSITIVES: Final = "positives"
DEFAULT_DAYS: Final = 28

Span = tuple[dt.date, dt.date]
Where = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricQuestion:
    """A question for one metric.

    Args:
        metric: Name of the metric.
        by: Dimensions of the breakdown; ``variant`` brings its ``experiment`` along.
        start: First day.
        end: Last day, included.
        grain: Length of a period; None asks for the whole span at once.
        where: Dimension and the value, or values, it must have.
        exact: True sums up single users however many they are, False takes random groups; None chooses by size.

    Raises:
        UnknownError: When there is no such metric or dimension.
        InvalidValueError: When the span ends before it starts, or the grain does not know a dimension.
    """

    metric: str
    start: dt.date
    end: dt.date
    by: tuple[str, ...] = ()
    grain: Grain | None = None
    where: Where = field(default_factory=dict)
    exact: bool | None = None

    def __post_init__(self) -> None:
        metric(self.metric)
        where = {dim: (values,) if isinstance(values, str) else tuple(values) for dim, values in self.where.items()}
        for dim in (*self.by, *where):
            if dim not in DIMENSIONS:
                raise UnknownError(f"dimension == {dim!r}", f"must be one of {', '.join(DIMENSIONS)}")
        if self.start > self.end:
            raise InvalidValueError(f"start == {self.start}", f"must not be after end == {self.end}")
        if self.grain not in {None, "day", "week", "hour"}:
            raise InvalidValueError(f"grain == {self.grain!r}", "must be day, week or hour")
        if self.grain == "hour" and not {*self.by, *where} <= set(HOUR_DIMENSIONS):
            raise InvalidValueError("grain == 'hour'", f"knows only {', '.join(HOUR_DIMENSIONS)}", "ask by day")
        object.__setattr__(self, "where", {dim: values for dim, values in where.items() if values})
        object.__setattr__(self, "by", with_experiment(self.by))

    def to_dict(self) -> dict[str, Any]:
        """Return the question as plain data."""
        return {
            "metric": self.metric,
            "by": list(self.by),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "grain": self.grain,
            "where": {dim: list(values) for dim, values in self.where.items()},
            "exact": self.exact,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricAnswer:
    """The answer to a question for one metric.

    Args:
        metric: Name of the metric.
        question: What was asked.
        rows: One row a cell: the dimensions, the period when there is a grain, users, value, interval, positives.
        suppressed: Rows withheld for privacy.
        method: Units of the intervals: single users, or random groups of users.
        as_of: Moment of the newest event; None without any.
        pending_dates: Days of the span whose rollups are out of date.
        notes: What a reader must know about the figures.
    """

    metric: str
    question: MetricQuestion
    rows: pd.DataFrame
    suppressed: int
    method: Source
    as_of: dt.datetime | None
    pending_dates: tuple[dt.date, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain data."""
        keys = [*self.question.by, *([PERIOD] if self.question.grain else [])]
        rows = [
            {
                **{key: _plain(row[key], self.question.grain) for key in keys},
                N_USERS: int(row[N_USERS]),
                VALUE: row[VALUE],
                "ci95": [row[LOW], row[HIGH]],
            }
            for row in self.rows.to_dict("records")
        ]
        return {
            "metric": self.metric,
            "rows": rows,
            "suppressed": self.suppressed,
            "method": self.method,
            "as_of": self.as_of,
            "pending_dates": [date.isoformat() for date in self.pending_dates],
            "notes": list(self.notes),
            "question": self.question.to_dict(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One metric at a glance.

    Args:
        metric: Which.
        value: Over the whole span; None when withheld or not estimable.
        ci: Interval of the value.
        n_users: Users behind it.
        change: Relative change to the span of equal length before, for example 0.02 for 2 % more; None likewise.
        change_ci: Interval of the change; the same users in both spans are allowed for.
        spark: Value of every period, None where withheld.
        periods: First day of every period.
    """

    metric: Metric
    value: float | None
    ci: tuple[float, float] | None
    n_users: int | None
    change: float | None
    change_ci: tuple[float, float] | None
    spark: tuple[float | None, ...]
    periods: tuple[dt.date, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyBesideEngagement:
    """What users say beside what they do.

    Args:
        rows: The period, then score and click-through rate with users and interval, prefixed by the metric's name.
        correlation: Over periods; None when there are too few.
        suppressed: Periods withheld from either.
    """

    rows: pd.DataFrame
    correlation: Correlation | None
    suppressed: int


def with_experiment(dims: Sequence[str]) -> tuple[str, ...]:
    """Return the dimensions with the experiment before its variant, each once.

    Example:
        >>> with_experiment(("region", "variant"))
        ('region', 'experiment', 'variant')
    """
    rest = [dim for dim in dims if dim not in {"experiment", "variant"}]
    if "variant" in dims:
        place = min(list(dims).index(dim) for dim in ("experiment", "variant") if dim in dims)
        before = [dim for dim in dims[:place] if dim in rest]
        after = [dim for dim in rest if dim not in before]
        return tuple(dict.fromkeys([*before, "experiment", "variant", *after]))
    return tuple(dict.fromkeys(dims))


def _plain(value: Any, grain: Grain | None) -> Any:  # noqa: ANN401 - a cell of a frame
    if not isinstance(value, pd.Timestamp):
        return value
    return value.isoformat() if grain == "hour" else value.date().isoformat()
