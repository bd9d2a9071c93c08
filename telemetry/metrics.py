"""The metrics of user telemetry, each a ratio of two sums over a user's events.

A ratio of sums answers "of all impressions, how many were clicked", and its interval is that of the *users*: events of
one user resemble one another, so that an interval by event would be far too narrow.
"""

from dataclasses import dataclass
from typing import Final, Literal

from workspace.columns import Rollup
from workspace.errors import UnknownError

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric.

    Args:
        name: How programs call it.
        title: How people call it.
        numerator: Column of the rollups that is summed above the line.
        denominator: The same below the line; `Rollup.USERS` counts a user once for every day of activity.
        unit: ``share``, ``s``, ``score`` or ``count``.
        better: Which way is good.
        meaning: What it stands for, in one sentence.
    """

    name: str
    title: str
    numerator: str
    denominator: str
    unit: Literal["share", "s", "score", "count"]
    better: Direction
    meaning: str


METRICS: Final = (
    Metric(
        name="ctr",
        title="Click-through rate",
        numerator=Rollup.CLICKS,
        denominator=Rollup.IMPRESSIONS,
        unit="share",
        better="up",
        meaning="Clicked share of the films shown; stands for precision@5.",
    ),
    Metric(
        name="focus_s",
        title="Focus",
        numerator=Rollup.FOCUS_S,
        denominator=Rollup.IMPRESSIONS,
        unit="s",
        better="up",
        meaning="Seconds of looking at a film for each film shown; stands for relevance.",
    ),
    Metric(
        name="thumbs_down_rate",
        title="Thumbs-down rate",
        numerator=Rollup.THUMBS_DOWN,
        denominator=Rollup.IMPRESSIONS,
        unit="share",
        better="down",
        meaning="Rejected share of the films shown; stands for the false-positive rate.",
    ),
    Metric(
        name="refresh_rate",
        title="Refresh rate",
        numerator=Rollup.REFRESHES,
        denominator=Rollup.SLATES,
        unit="share",
        better="down",
        meaning="Refreshes for each slate shown; stands for the false-negative rate, or for curiosity.",
    ),
    Metric(
        name="survey_score",
        title="Survey score",
        numerator=Rollup.SURVEY_SCORE,
        denominator=Rollup.SURVEYS,
        unit="score",
        better="up",
        meaning="Mean answer from 1 to 5 of those who answered.",
    ),
    Metric(
        name="survey_response_rate",
        title="Survey responses",
        numerator=Rollup.SURVEYS,
        denominator=Rollup.USERS,
        unit="share",
        better="up",
        meaning="Answers for each user and day of activity.",
    ),
    Metric(
        name="sessions_per_day",
        title="Sessions a day",
        numerator=Rollup.SESSIONS,
        denominator=Rollup.USERS,
        unit="count",
        better="up",
        meaning="Sessions for each user and day of activity.",
    ),
)


def metric(name: str) -> Metric:
    """Return a metric by its name.

    Raises:
        UnknownError: When there is none, naming those there are.

    Example:
        >>> metric("ctr").denominator
        'impressions'
    """
    for one in METRICS:
        if one.name == name:
            return one
    known = ", ".join(one.name for one in METRICS)
    raise UnknownError(f"metric == {name!r}", "must be a known metric", f"the metrics are {known}")
