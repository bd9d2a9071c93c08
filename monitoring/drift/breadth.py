"""Is a change one of many users, or of a few accounts? Robots and click farms are outliers, not drift."""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final

from monitoring.drift.cells import Kept, Segment, treated_arms
from monitoring.ground import Ground
from telemetry.metrics import Metric
from telemetry.warehouse.sql import Value
from workspace.columns import Event, Rollup

QUANTILE: Final = 0.99
"""A user counts for no more than this quantile of the users' own swings in the days before."""
LEAST_BREADTH: Final = 0.5
"""When less than this share of a change is left without the extremes, it is one of a few accounts."""
LONGEST_DAYS: Final = 14
_COLUMNS: Final = {"market": Rollup.MARKET, "region": Event.REGION, "device": Event.DEVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breadth:
    """How broad a change is.

    Args:
        share: Share of it that is left when no user counts for more than most users swing; NaN when nothing changed.
        accounts: Users beyond that, in the direction of the change.
    """

    share: float
    accounts: int

    @property
    def few(self) -> bool:
        """Whether it is a change of a few accounts."""
        return self.share < LEAST_BREADTH


def breadth(
    ground: Ground, metric: Metric, segment: Segment, first: dt.date, stop: dt.date, ratio: float
) -> Breadth:
    """Say how broad a change is, from single users' sums that never leave the engine.

    Each user's swing is x - R·y over the days of the change and over as many days before, the same days of the week.
    The swings are cut at the same quantile on both sides and in both spans, and their sums compared with the uncut.

    Args:
        ground: The workspace.
        metric: What changed.
        segment: Where.
        first: First day of the change.
        stop: First day after it.
        ratio: R, what the metric was before.

    Source: Wilcox 2012, "Introduction to Robust Estimation and Hypothesis Testing", section 3.3 (winsorising).
    """
    days = min((stop - first).days, LONGEST_DAYS)
    back = dt.timedelta(days=-(-days // 7) * 7)
    span = dt.timedelta(days=days)
    kept = Kept(window=(first - back, first + span - dt.timedelta(days=1)), treated=treated_arms(ground, first + span))
    where = "".join(f" AND {_COLUMNS[name]} = :{name}" for name in segment)
    x, y = metric.numerator, metric.denominator
    sql = f"""WITH {kept.rows()}, swings AS (
  SELECT {Event.USER},
    SUM(IFF({Rollup.DATE} >= :first AND {Rollup.DATE} < :stop, {x} - :ratio * {y}, 0)) AS later,
    SUM(IFF({Rollup.DATE} < :until, {x} - :ratio * {y}, 0)) AS earlier
  FROM kept WHERE TRUE{where} GROUP BY {Event.USER}
), fence AS (
  SELECT CAST(PERCENTILE_CONT({QUANTILE}) WITHIN GROUP (ORDER BY earlier) AS DOUBLE) AS high,
    CAST(PERCENTILE_CONT({1 - QUANTILE:.2f}) WITHIN GROUP (ORDER BY earlier) AS DOUBLE) AS low
  FROM swings WHERE earlier <> 0
)
SELECT CAST(SUM(later) - SUM(earlier) AS DOUBLE) AS whole,
  CAST(SUM(GREATEST(LEAST(later, high), low)) - SUM(GREATEST(LEAST(earlier, high), low)) AS DOUBLE) AS cut,
  CAST(COUNT_IF(later > high) AS BIGINT) AS beyond, CAST(COUNT_IF(later < low) AS BIGINT) AS beneath
FROM swings CROSS JOIN fence"""
    values: dict[str, Value] = kept.values | {"first": first, "stop": first + span, "ratio": ratio, **segment}
    frame = ground.warehouse.query(
        sql, window=kept.window, parameters=values | {"until": first - back + span}
    )
    return _told(frame.iloc[0].to_dict()) if len(frame) else Breadth(share=float("nan"), accounts=0)


def _told(row: dict[str, Any]) -> Breadth:
    whole = float(row["whole"])
    if not whole:
        return Breadth(share=float("nan"), accounts=0)
    return Breadth(share=float(row["cut"]) / whole, accounts=int(row["beyond"] if whole > 0 else row["beneath"]))

