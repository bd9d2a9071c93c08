"""What experiments measure: declarative specs that merge into one scan.

A metric is a ratio of two sums over a user's events, R = Σx / Σy over users. A spec says which sums it needs and which
cross moments of them; the union of the specs is what one statement computes.

Example:
    >>> needs = METRICS["ctr"].needs() | METRICS["thumbs_down_rate"].needs()
    >>> needs.columns
    ('clicks', 'impressions', 'thumbs_down')
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from telemetry.warehouse.sums import FIRST_POSITIONS, LONG_LOOK_S, POSITIVE_SCORE
from workspace.columns import Rollup, Trial
from workspace.errors import UnknownError

Kind = Literal["primary", "guardrail", "secondary"]
Direction = Literal["up", "down"]
Unit = Literal["share", "s", "score", "count"]

CAP_QUANTILE: Final = 0.99
"""Sums of a user above this quantile of all exposed users are cut to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Sums a user, and which pairs of them need a cross moment; the moments of a sum with itself are always there.

    Args:
        columns: Names of sums, sorted.
        pairs: Two different names each, sorted.
        caps: Quantile at which a sum is cut, by the name of the capped sum.
    """

    columns: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    caps: tuple[tuple[str, float], ...] = ()

    def __or__(self, other: "Needs") -> "Needs":
        """Return what serves both."""
        return Needs(
            columns=tuple(sorted({*self.columns, *other.columns})),
            pairs=tuple(sorted({*self.pairs, *other.pairs})),
            caps=tuple(sorted({*self.caps, *other.caps})),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSpec:
    """One metric.

    Args:
        name: How programs call it.
        title: How people call it.
        numerator: Sum above the line.
        denominator: Sum below it.
        unit: ``share``, ``s``, ``score`` or ``count``.
        better: Which way is good.
        meaning: What it stands for, in one sentence.
        kind: What it is used as unless an experiment says otherwise.
        margin_rel: Change for the worse, relative to control, that a guardrail tolerates, unless an experiment says
            otherwise.
        cap: Quantile over users at which the numerator is cut, or None.
        beside: Metrics that are shown with it, because it can't be read without them.
    """

    name: str
    title: str
    numerator: str
    denominator: str
    unit: Unit
    better: Direction
    meaning: str
    kind: Kind = "secondary"
    margin_rel: float = 0.05
    cap: float | None = None
    beside: tuple[str, ...] = ()

    @property
    def top(self) -> str:
        """The sum above the line as it is computed: capped when the metric is."""
        return self.numerator + (Trial.CAPPED if self.cap is not None else "")

    @property
    def columns(self) -> tuple[str, str, str, str]:
        """Numerator, denominator and their covariates from before the experiment, as `cuped` takes them."""
        return (self.top, self.denominator, Trial.PRE + self.top, Trial.PRE + self.denominator)

    def needs(self, *, covariates: bool = False) -> Needs:
        """Return the sums this metric is computed from.

        Args:
            covariates: Whether the days before the experiment are needed as well.
        """
        used = self.columns if covariates else self.columns[:2]
        pairs = {tuple(sorted((a, b))) for at, a in enumerate(used) for b in used[at + 1 :] if a != b}
        caps = () if self.cap is None else tuple((name, self.cap) for name in used if name.endswith(Trial.CAPPED))
        return Needs(
            columns=tuple(sorted(set(used))), pairs=tuple(sorted((a, b) for a, b in pairs)), caps=tuple(sorted(caps))
        )


_SPECS: Final = (
    MetricSpec(
        name="ctr",
        title="Click-through rate",
        numerator=Rollup.CLICKS,
        denominator=Rollup.IMPRESSIONS,
        unit="share",
        better="up",
        meaning="Clicked share of the films shown.",
        kind="primary",
    ),
    MetricSpec(
        name="precision_at_5",
        title="Precision@5, by proxy",
        numerator=Rollup.LONG_LOOKS,
        denominator=Rollup.TOP_IMPRESSIONS,
        unit="share",
        better="up",
        meaning=f"Share of the first {FIRST_POSITIONS} films shown that were looked at for at least {LONG_LOOK_S:g} s.",
    ),
    MetricSpec(
        name="thumbs_down_rate",
        title="Thumbs-down rate",
        numerator=Rollup.THUMBS_DOWN,
        denominator=Rollup.IMPRESSIONS,
        unit="share",
        better="down",
        meaning="Rejected share of the films shown.",
        kind="guardrail",
        margin_rel=0.10,
    ),
    MetricSpec(
        name="refresh_rate",
        title="Refresh rate",
        numerator=Rollup.REFRESHES,
        denominator=Rollup.SESSIONS,
        unit="count",
        better="down",
        meaning="Refreshes for each session; also a sign of curiosity.",
        kind="guardrail",
        margin_rel=0.10,
    ),
    MetricSpec(
        name="focus_s",
        title="Focus, capped",
        numerator=Rollup.FOCUS_S,
        denominator=Rollup.IMPRESSIONS,
        unit="s",
        better="up",
        meaning="Seconds of looking at a film for each film shown; the longest lookers are cut at a quantile.",
        cap=CAP_QUANTILE,
        beside=("focus_s_uncapped",),
    ),
    MetricSpec(
        name="focus_s_uncapped",
        title="Focus, uncapped",
        numerator=Rollup.FOCUS_S,
        denominator=Rollup.IMPRESSIONS,
        unit="s",
        better="up",
        meaning="The same with nobody cut.",
    ),
    MetricSpec(
        name="survey_score",
        title="Survey score",
        numerator=Rollup.SURVEY_SCORE,
        denominator=Rollup.SURVEYS,
        unit="score",
        better="up",
        meaning="Mean answer from 1 to 5 of those who answered.",
        beside=("survey_response_rate",),
    ),
    MetricSpec(
        name="survey_positive",
        title="Positive answers",
        numerator=Rollup.POSITIVE_SURVEYS,
        denominator=Rollup.SURVEYS,
        unit="share",
        better="up",
        meaning=f"Share of the answers of {POSITIVE_SCORE} or 5.",
        beside=("survey_response_rate",),
    ),
    MetricSpec(
        name="survey_response_rate",
        title="Survey responses",
        numerator=Rollup.SURVEYS,
        denominator=Trial.ACTIVE_DAYS,
        unit="share",
        better="up",
        meaning="Answers for each active day; when it differs between variants, so may those who answer.",
    ),
    MetricSpec(
        name="engagement",
        title="Engagement",
        numerator=Trial.INTERACTIONS,
        denominator=Trial.ACTIVE_DAYS,
        unit="count",
        better="up",
        meaning="Clicks, looks, rejections, refreshes and answers for each active day.",
    ),
)
METRICS: Final[Mapping[str, MetricSpec]] = {one.name: one for one in _SPECS}


def metric(name: str) -> MetricSpec:
    """Return a metric by its name.

    Raises:
        UnknownError: When there is none, naming those there are.

    Example:
        >>> metric("ctr").denominator
        'impressions'
    """
    if name not in METRICS:
        raise UnknownError(f"metric == {name!r}", "must be a known metric", f"the metrics are {', '.join(METRICS)}")
    return METRICS[name]
