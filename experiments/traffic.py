"""The traffic there is: how many users come within so many days, and how much they differ, for the next experiment.

Users come back, so that the users of a fortnight are fewer than twice those of a week, and a fortnight's ratio of a
user varies less than a week's. Both are measured over the last days instead of being assumed.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any, Final

from experiments.metrics import METRICS, MetricSpec, Needs
from telemetry.warehouse.tables import USER_DAY
from workspace.columns import Event, Rollup, Trial
from workspace.errors import NotEstimableError, StateError

if TYPE_CHECKING:
    import pandas as pd

    from telemetry.warehouse import Warehouse

WINDOWS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28)
"""Days over which traffic is measured."""
_DERIVED: Final = {
    Trial.INTERACTIONS: f"SUM({Rollup.EVENTS} - {Rollup.IMPRESSIONS})",
    Trial.ACTIVE_DAYS: f"COUNT(DISTINCT {Rollup.DATE})",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """A metric as it stands, over some days.

    Args:
        metric: Its name.
        days: How many days.
        users: Who came within them.
        mean: The ratio over all users.
        sd: Standard deviation of a user's linearised value, in the metric's unit: the standard error of the ratio is
            sd / √users.
    """

    metric: str
    days: int
    users: int
    mean: float
    sd: float


def traffic(warehouse: "Warehouse", windows: Sequence[int] = WINDOWS) -> "dict[int, pd.DataFrame]":
    """Return means and centred second moments of the sums of users over the last days, by length of the window.

    Args:
        warehouse: Where the rollups are.
        windows: Lengths in days; those longer than the telemetry there is are left out.

    Raises:
        StateError: When nothing is rolled up.
    """
    known = warehouse.digests(USER_DAY)
    if not known:
        raise StateError("no telemetry is rolled up yet", hint="run `recommendr telemetry rollup`")
    first, last = min(known), max(known)
    sql = _statement(_needs())
    found = {}
    for days in windows:
        start = last - dt.timedelta(days=days - 1)
        if start >= first:
            parameters: dict[str, Any] = {"start": start, "end": last}
            found[days] = warehouse.query(sql, window=(start, last), parameters=parameters)
    return found


def baseline(frame: "pd.DataFrame", metric: str, days: int) -> Baseline:
    """Return one metric of a window of traffic.

    Caps are left out: a cut sum varies less, so that an experiment needs no more users than said here.

    Args:
        frame: A window of `traffic`.
        metric: Its name.
        days: Length of the window.

    Raises:
        NotEstimableError: When nothing below the line was seen, or fewer than two users.

    Source: Deng, Knoblich & Lu (2018), Applying the delta method in metric analytics, KDD, §3.1.
    """
    spec = METRICS[metric]
    x, y = _uncapped(spec)
    row = frame.iloc[0]
    users = int(row[Trial.N])
    mean_x, mean_y = float(row[f"m_{x}"]), float(row[f"m_{y}"])
    if users < 2 or not mean_y > 0:  # noqa: PLR2004 - one user has no variance
        raise NotEstimableError(
            f"{spec.title}: {users} users in {days} days with nothing below the line",
            "must be two or more with something",
            "wait for telemetry",
        )
    value = mean_x / mean_y
    variance = float(row[_pair(x, x)]) - 2 * value * float(row[_pair(x, y)]) + value**2 * float(row[_pair(y, y)])
    return Baseline(metric=metric, days=days, users=users, mean=value, sd=math.sqrt(max(variance, 0.0)) / mean_y)


def _uncapped(spec: MetricSpec) -> tuple[str, str]:
    return spec.numerator, spec.denominator


def _needs() -> Needs:
    def of(spec: MetricSpec) -> Needs:
        x, y = sorted(_uncapped(spec))
        return Needs(columns=(x, y), pairs=((x, y),))

    return reduce(or_, (of(spec) for spec in METRICS.values()))


def _pair(a: str, b: str) -> str:
    low, high = sorted((a, b))
    return f"c_{low}_{high}"


def _statement(needs: Needs) -> str:
    sums = ", ".join(
        f"CAST({_DERIVED.get(column, f'SUM({column})')} AS DOUBLE) AS {column}" for column in needs.columns
    )
    means = ", ".join(f"AVG({column}) AS m_{column}" for column in needs.columns)
    pairs = (*((column, column) for column in needs.columns), *needs.pairs)
    moments = ", ".join(f"COVAR_SAMP({a}, {b}) AS {_pair(a, b)}" for a, b in pairs)
    return (
        f"WITH sums AS (SELECT {Event.USER}, {sums} FROM {USER_DAY.name} "
        f"WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end GROUP BY {Event.USER}) "
        f"SELECT CAST(COUNT(*) AS BIGINT) AS {Trial.N}, {means}, {moments} FROM sums"
    )
