"""What is shown of an analysed experiment, as data: verdict and scorecard of a day, its course, its segments."""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from experiments.results import MetricResult
from experiments.scorecard import Scorecard
from experiments.verdict import Verdict

if TYPE_CHECKING:
    from experiments.statistics import Estimate

Dimension = Literal["region", "device"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Scorecard and verdict as of the same day."""

    scorecard: Scorecard
    verdict: Verdict

    def to_dict(self) -> dict[str, Any]:
        """Return plain data with the keys of the command line."""
        return {**self.scorecard.to_dict(), "verdict": self.verdict.to_dict()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The cumulative lift as of one day.

    Args:
        date: Last day it knows.
        estimate: The judged estimate; None when there is none.
        rel_band: Always-valid band of the relative lift: it may be looked at every day.
        band: The same for the absolute difference.
        reason: Why there is no estimate.
    """

    date: dt.date
    estimate: "Estimate | None" = None
    band: tuple[float, float] | None = None
    rel_band: tuple[float, float] | None = None
    reason: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        one = self.estimate
        return {
            "date": self.date.isoformat(),
            "n": None if one is None else one.n_control + one.n_variant,
            "diff": None if one is None else one.diff,
            "rel": None if one is None else one.rel,
            "band": None if self.band is None else list(self.band),
            "rel_band": None if self.rel_band is None else list(self.rel_band),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The cumulative lift of a metric from the first day on.

    Args:
        experiment_id: Of which experiment.
        metric: Name of the metric.
        variant: The treatment.
        tuned_at: Users at which the band is tightest.
        alpha: Error of the whole band, over all days together.
        points: One a day.
    """

    experiment_id: str
    metric: str
    variant: str
    tuned_at: float
    alpha: float
    points: tuple[Point, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "experiment": self.experiment_id,
            "metric": self.metric,
            "variant": self.variant,
            "tuned_at": self.tuned_at,
            "alpha": self.alpha,
            "points": [one.to_dict() for one in self.points],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One region or device of a breakdown.

    Args:
        value: Which one.
        users: Exposed users of every arm; None when withheld.
        metrics: Every metric × treatment, without correction and without a verdict; empty when withheld.
        withheld: Why nothing is shown; None when it is.
    """

    value: str
    users: dict[str, int] | None
    metrics: tuple[MetricResult, ...] = ()
    withheld: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "value": self.value,
            "users": self.users,
            "metrics": [one.to_dict() for one in self.metrics],
            "withheld": self.withheld,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """A scorecard within each region or on each device: where to look next, never a verdict."""

    experiment_id: str
    as_of: dt.date
    dimension: Dimension
    segments: tuple[Segment, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "experiment": self.experiment_id,
            "as_of": self.as_of.isoformat(),
            "dimension": self.dimension,
            "segments": [one.to_dict() for one in self.segments],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewind:
    """The verdict as of every day since the start."""

    experiment_id: str
    verdicts: tuple[Verdict, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"experiment": self.experiment_id, "verdicts": [one.to_dict() for one in self.verdicts]}
