"""Markets side by side: what users of each do with their recommendations, and whether a market is served worse.

Everything is of the same days and of users, with intervals; the difference of a market is to all the other markets
together, adjusted for their number, so that the last of three is not alarming merely for being last.
"""

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.findings import Interval
from monitoring.user_figures import Ratio, blocks
from workspace.columns import Rollup, Trial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from monitoring.ground import Ground
    from monitoring.measures import Reading
    from monitoring.proxy import Precision

DAYS: Final = 28
"""Four weeks, so that every weekday counts equally and small markets have enough users."""
PRECISION: Final = "precision_at_5"
RATIOS: Final = (
    Ratio(name="ctr", numerator=Rollup.CLICKS, denominator=Rollup.IMPRESSIONS),
    Ratio(name="focus_s", numerator=Rollup.FOCUS_S, denominator=Rollup.IMPRESSIONS),
    Ratio(name="thumbs_down_rate", numerator=Rollup.THUMBS_DOWN, denominator=Rollup.IMPRESSIONS),
    Ratio(name="refresh_rate", numerator=Rollup.REFRESHES, denominator=Rollup.SLATES),
    Ratio(name="interactions_a_day", numerator=Trial.INTERACTIONS, denominator=Trial.ACTIVE_DAYS),
    Ratio(name="sentiment", numerator=Rollup.POSITIVE_SURVEYS, denominator=Rollup.SURVEYS),
)
UNITS: Final = {"ctr": "share", "focus_s": "s", "thumbs_down_rate": "share", "sentiment": "share"}


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRow:
    """One market.

    Args:
        market: Its name.
        start: First day.
        end: Last day, included.
        users: Users who were shown recommendations; None when they are too few to say.
        figures: precision@5 by proxy and the telemetry ratios, by name.
        difference: precision@5 minus that of all other markets together, with the interval that agrees with
            ``p_value``; None when either is not estimable.
        p_value: Of Welch's test on users, adjusted for the number of markets.
    """

    market: str
    start: dt.date
    end: dt.date
    users: int | None
    figures: "Mapping[str, Reading]"
    difference: Interval | None = None
    p_value: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "market": self.market,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "users": self.users,
            "figures": {name: one.to_dict() for name, one in self.figures.items()},
            "difference": self.difference.to_dict() if self.difference else None,
            "p_value": self.p_value,
        }


def compare(ground: "Ground", *, at: dt.datetime | None = None, days: int = DAYS) -> tuple[MarketRow, ...]:
    """Return every market with its figures over the last days, in the order of their names.

    Args:
        ground: The stores.
        at: As of when, aware; now when None.
        days: How many whole days.

    Raises:
        StateError: When no telemetry is rolled up.
    """
    from monitoring import proxy
    from monitoring.measures import last_day

    end = last_day(ground, at or ground.clock.now())
    start = max(end - dt.timedelta(days=days - 1), ground.days()[0])
    precisions = {
        row.segment["market"]: row for row in proxy.over(ground, start, end, by="market") if "market" in row.segment
    }
    length = (end - start).days + 1
    found = blocks(ground, RATIOS, end=end, days=length, by=Rollup.MARKET)
    readings: dict[str, dict[str, Reading]] = {}
    for one in found:
        readings.setdefault(one.segment, {})[one.name] = _reading(one.value, one.low, one.high, one.users, one.name,
                                                                  end, one.note)  # fmt: skip
    differences = _differences(precisions)
    rows = []
    for market in sorted(readings):
        precision = precisions.get(market)
        difference, p_value = differences.get(market, (None, None))
        figures = {PRECISION: _of_precision(precision, end), **readings[market]}
        rows.append(
            MarketRow(
                market=market, start=start, end=end, users=precision.users if precision else None, figures=figures,
                difference=difference, p_value=p_value,
            )
        )  # fmt: skip
    return tuple(rows)


def _differences(precisions: "Mapping[str, Precision]") -> dict[str, tuple[Interval, float]]:
    """Return each market's difference to all the others together, by Welch's test on users.

    Source: Welch 1947, "The generalization of Student's problem when several different population variances are
    involved", Biometrika 34.
    """
    from scipy import stats

    from experiments.multiplicity import adjust, matching_alpha

    known = {name: _moments(one) for name, one in precisions.items() if one.value is not None and one.users}
    if len(known) < 2:  # noqa: PLR2004 - there is no other market
        return {}
    tests: dict[str, tuple[float, float, float]] = {}
    for name, (users, mean, variance) in known.items():
        others = [one for other, one in known.items() if other != name]
        total = sum(one[0] for one in others)
        rest = sum(n * value for n, value, _ in others) / total
        rest_variance = sum((n / total) ** 2 * v for n, _, v in others)
        error = variance + rest_variance
        freedom = error**2 / (variance**2 / (users - 1) + rest_variance**2 / (total - len(others)))
        tests[name] = (mean - rest, float(np.sqrt(error)), freedom)
    p_values = [float(2 * stats.t.sf(abs(d) / e, f)) if e > 0 else np.nan for d, e, f in tests.values()]
    out = {}
    for (name, (difference, error, freedom)), p, adjusted in zip(
        tests.items(), p_values, adjust(p_values), strict=True
    ):
        if not np.isfinite(p):
            continue
        reach = float(stats.t.ppf(1 - matching_alpha(p, float(adjusted)) / 2, freedom)) * error
        interval = Interval(value=difference, low=difference - reach, high=difference + reach)
        out[name] = (interval, float(adjusted))
    return out


def _moments(one: "Precision") -> tuple[int, float, float]:
    """Return users, mean and the variance of the mean, from the interval over users."""
    from scipy import stats

    users, interval = one.users or 0, one.value
    if interval is None or interval.low is None or interval.high is None:
        return users, np.nan, np.nan
    # An end that was cut at 0 or 1 is nearer to the mean than the other.
    reach = max(interval.high - interval.value, interval.value - interval.low)
    return users, interval.value, float((reach / stats.t.ppf(0.975, users - 1)) ** 2)


def _of_precision(found: "Precision | None", end: dt.date) -> "Reading":
    if found is None or found.value is None:
        note = found.note if found else "not estimable: nobody was shown any of the first five places"
        return _reading(np.nan, np.nan, np.nan, 0, PRECISION, end, note)
    low, high = found.value.low, found.value.high
    return _reading(
        found.value.value, np.nan if low is None else low, np.nan if high is None else high, found.users or 0,
        PRECISION, end, found.note,
    )  # fmt: skip


def _reading(value: float, low: float, high: float, users: int, name: str, end: dt.date, note: str) -> "Reading":
    from monitoring.measures import Reading

    known = bool(np.isfinite(value))
    bounded = known and bool(np.isfinite(low) and np.isfinite(high))
    is_share = name == PRECISION or UNITS.get(name) == "share"
    ends: Sequence[float | None] = (low, high) if bounded else (None, None)
    if bounded and is_share:
        ends = (max(low, 0.0), min(high, 1.0))
    return Reading(
        value=value if known else None, low=ends[0], high=ends[1], n=users or None,
        unit="share" if is_share else "s" if UNITS.get(name) == "s" else "count",
        as_of=dt.datetime.combine(end + dt.timedelta(days=1), dt.time(), tzinfo=dt.UTC), note=note,
    )  # fmt: skip
