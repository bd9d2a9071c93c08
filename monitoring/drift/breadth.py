"""Is a change one of many users, or of a few accounts? Robots and click farms are outliers, not drift."""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from monitoring.drift.cells import Kept, Segment, treated_arms
from monitoring.drift.expectation import BEFORE_DAYS
from monitoring.ground import Ground
from telemetry.metrics import Metric
from workspace.columns import Event, Rollup

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value

FAR_OUT: Final = 3.0
"""Tukey's far-out fence, in distances between the quartiles."""
LEAST_BREADTH: Final = 0.5
"""When less than this share of a change is left without them, it is one of a few accounts."""
LONGEST_DAYS: Final = 28
_COLUMNS: Final = {"market": Rollup.MARKET, "region": Event.REGION, "device": Event.DEVICE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Breadth:
    """How broad a change is.

    Args:
        share: Share of it that is left without the users who suddenly came far more often; NaN when nothing changed.
        z: What is left, in its standard errors over users.
        jumped: How many users those are.
    """

    share: float
    z: float
    jumped: int

    @property
    def few(self) -> bool:
        """Whether it is a change of a few accounts; what is not estimable is not said to be."""
        return self.share < LEAST_BREADTH


def breadth(ground: Ground, metric: Metric, segment: Segment, first: dt.date, stop: dt.date) -> Breadth:
    """Say how broad a change is, from single users' sums that never leave the engine.

    Robots and click farms come all at once: their users have far more sessions than they ever had. A user's jump is
    2·√(s₁ + 3/8) - 2·√(m + 3/8), with s₁ sessions in the days of the change and m expected from the four weeks before;
    it has a standard deviation of about one. Who jumps far out leaves both spans, and what is left of the change is
    compared with the whole: users are chosen by how often they came, never by what is judged.

    Args:
        ground: The workspace.
        metric: What changed.
        segment: Where.
        first: First day of the change.
        stop: First day after it.

    Source: Anscombe 1948, "The transformation of Poisson, binomial and negative-binomial data", Biometrika 35:246;
        Tukey 1977, "Exploratory Data Analysis", section 2D (far out).
    """
    end = min(stop, first + dt.timedelta(days=LONGEST_DAYS)) - dt.timedelta(days=1)
    kept = Kept(window=(first - dt.timedelta(days=BEFORE_DAYS), end), treated=treated_arms(ground, end))
    values: dict[str, Value] = kept.bound | {"first": first, "share": ((end - first).days + 1) / BEFORE_DAYS, **segment}
    frame = ground.warehouse.query(_statement(kept, metric, segment), window=kept.window, parameters=values)
    return _told(frame.iloc[0].to_dict())


def _statement(kept: Kept, metric: Metric, segment: Segment) -> str:
    where = "".join(f" AND {_COLUMNS[name]} = :{name}" for name in segment)
    sums = {"x": metric.numerator, "y": metric.denominator, "s": Rollup.SESSIONS}
    spans = ", ".join(
        f"SUM(IFF({Rollup.DATE} >= :first, {column}, 0)) AS {name}1, "
        f"SUM(IFF({Rollup.DATE} < :first, {column}, 0)) AS {name}0"
        for name, column in sums.items()
    )
    return f"""WITH {kept.rows()}, users AS (
  SELECT {Event.USER}, {spans} FROM kept WHERE TRUE{where} GROUP BY {Event.USER}
), jumps AS (
  SELECT users.*, 2 * SQRT(s1 + 0.375) - 2 * SQRT(s0 * :share + 0.375) AS jump FROM users
), quartiles AS (
  SELECT PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY jump) AS low,
    PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY jump) AS high
  FROM jumps
), quiet AS (
  SELECT jumps.* FROM jumps CROSS JOIN quartiles WHERE jump <= high + {FAR_OUT} * (high - low)
), totals AS (
  SELECT SUM(x1) AS x1_all, SUM(y1) AS y1_all, SUM(x0) AS x0_all, SUM(y0) AS y0_all FROM quiet
), shares AS (
  SELECT (x1 - (x1_all + x0_all) / (y1_all + y0_all) * y1) / y1_all
    - (x0 - (x1_all + x0_all) / (y1_all + y0_all) * y0) / y0_all AS share
  FROM quiet CROSS JOIN totals
)
SELECT CAST(SUM(x1) / SUM(y1) - SUM(x0) / SUM(y0) AS DOUBLE) AS whole,
  (SELECT CAST(SUM(share) AS DOUBLE) FROM shares) AS part,
  (SELECT CAST(VAR_SAMP(share) * COUNT(*) AS DOUBLE) FROM shares) AS variance,
  (SELECT CAST(COUNT(*) AS BIGINT) FROM jumps) - (SELECT CAST(COUNT(*) AS BIGINT) FROM quiet) AS jumped
FROM users"""


def _told(row: dict[str, Any]) -> Breadth:
    whole, part, variance = (float(row[name]) for name in ("whole", "part", "variance"))
    jumped = int(row["jumped"])
    if not whole or not variance > 0:
        return Breadth(share=float("nan"), z=float("nan"), jumped=jumped)
    return Breadth(share=part / whole, z=part / variance**0.5, jumped=jumped)
