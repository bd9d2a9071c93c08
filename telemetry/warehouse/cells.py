"""The canonical SELECTs behind every figure: sums of units first, then means and centred moments of the cells.

A *unit* is what chance acts on: a user, or a random group of users. A *cell* is one row of the answer: a value of every
dimension asked for, and a period. Only cells leave the engine.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from telemetry.metrics import Metric
from telemetry.warehouse.stretches import Stretch
from telemetry.warehouse.sums import COUNTS
from telemetry.warehouse.tables import (
    CUT,
    SURVEY_REGISTERS,
    USER_REGISTERS,
)
from workspace.columns import Event, Rollup

Source = Literal["users", "buckets", "hours"]
Grain = Literal["day", "week", "hour"]

PERIOD: Final = "period"
UNITS: Final = "units"
SEEN: Final = "seen"
HARMONIC: Final = "harmonic"
SURVEY_SEEN: Final = "survey_seen"
SURVEY_HARMONIC: Final = "survey_harmonic"
EARLIER: Final = "earlier_"

_UNIT: Final = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where the figures of a question come from.

    Args:
        source: Which rollups, and so which units.
        dims: Columns of the breakdown.
        filtered: How many values each filtered column has.
        grain: Length of a period; None means one period.
        stretches: Rows that are read; their dates are values, not text, of the statement.
    """

    source: Source
    dims: tuple[str, ...] = ()
    filtered: tuple[tuple[str, int], ...] = ()
    grain: Grain | None = None
    stretches: tuple[Stretch, ...] = ()

    @property
    def windows(self) -> dict[str, list[tuple[dt.date, dt.date]]]:
        """The days of each table that are read."""
        out: dict[str, list[tuple[dt.date, dt.date]]] = {}
        for one in self.stretches:
            out.setdefault(one.table.name, []).append((one.first, one.last))
        return out

    @property
    def moments(self) -> dict[str, dt.date]:
        """The values that say where each stretch begins and ends."""
        out: dict[str, dt.date] = {}
        for number, one in enumerate(self.stretches):
            out |= {f"first_{number}": one.first, f"last_{number}": one.last}
        return out


def name_of(kind: str, *columns: str) -> str:
    """Return the name a figure has in the answer of the engine.

    Example:
        >>> name_of("cov", "clicks", "impressions")
        'cov_clicks_impressions'
    """
    return "_".join((kind, *columns))


def sums_of(metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return the columns some metrics are made of, each once."""
    return tuple(dict.fromkeys(name for metric in metrics for name in (metric.numerator, metric.denominator)))


def cell_moments(plan: Plan, metrics: Sequence[Metric]) -> str:
    """Return the SELECT of the moments of every cell.

    Values: `Plan.moments`; for buckets also ``cut``; for every filtered column its values ``<column>_<number>``.
    """
    keys = _keys(plan)
    selected = [*keys, *_moments(metrics), *_sketches(plan, metrics)]
    return _over_units(plan, metrics, selected, keys)


def event_moments(metrics: Sequence[Metric], *, bounded: bool = True) -> str:
    """Return the SELECT of the moments over all users straight from the events, as one cell.

    It proves the rollups, and answers when there are none. Values: ``start`` and ``end``, the midnights around.

    Args:
        metrics: Of sums of events only: no sessions, no days of activity.
        bounded: False leaves the moments out, for an engine that opens the days of the window and no others.
    """
    within = f"WHERE {Event.TS} >= :start AND {Event.TS} < :end" if bounded else ""
    sums = sums_of(metrics)
    counted = ", ".join(f"{COUNTS[name]} AS {name}" for name in sums)
    return f"""WITH per_unit AS (
  SELECT {Event.USER} AS {_UNIT}, {counted} FROM EVENTS {within} GROUP BY {Event.USER}
)
SELECT {", ".join(_moments(metrics))} FROM per_unit"""


def _moments(metrics: Sequence[Metric]) -> list[str]:
    sums = sums_of(metrics)
    moments = [f"CAST(COUNT(*) AS BIGINT) AS {UNITS}"]
    moments += [f"CAST(AVG({name}) AS DOUBLE) AS {name_of('mean', name)}" for name in sums]
    moments += [f"CAST(VAR_SAMP({name}) AS DOUBLE) AS {name_of('var', name)}" for name in sums]
    for metric in metrics:
        x, y = metric.numerator, metric.denominator
        moments += [
            f"CAST(COVAR_SAMP({x}, {y}) AS DOUBLE) AS {name_of('cov', x, y)}",
            f"CAST(COUNT_IF({x} <> 0 OR {y} <> 0) AS BIGINT) AS {name_of('contributing', metric.name)}",
            f"CAST(COUNT_IF({x} > 0) AS BIGINT) AS {name_of('positive', metric.name)}",
        ]
    return moments


def paired_moments(plan: Plan, metrics: Sequence[Metric]) -> str:
    """Return the SELECT of the moments of two periods side by side, over the units of both.

    Values: as `cell_moments` over both periods, and ``turn``, the first day of the later one.
    """
    sums = sums_of(metrics)
    both = [*sums, *(f"{EARLIER}{name}" for name in sums)]
    out = [f"CAST(COUNT(*) AS BIGINT) AS {UNITS}"]
    out += [f"CAST(AVG({name}) AS DOUBLE) AS {name_of('mean', name)}" for name in both]
    pairs: dict[tuple[str, str], None] = {}
    for metric in metrics:
        four = [metric.numerator, metric.denominator]
        four += [f"{EARLIER}{name}" for name in four]
        pairs |= {(a, b): None for number, a in enumerate(four) for b in four[number:]}
    out += [f"CAST(COVAR_SAMP({a}, {b}) AS DOUBLE) AS {name_of('cov', a, b)}" for a, b in pairs]
    later = ", ".join(
        f"SUM(IFF({PERIOD} >= :turn, {name}, 0)) AS {name}, SUM(IFF({PERIOD} < :turn, {name}, 0)) AS {EARLIER}{name}"
        for name in sums
    )
    return f"""WITH pieces AS (
{_pieces(plan, sums)}
), per_unit AS (
  SELECT {_UNIT}, {later} FROM pieces GROUP BY {_UNIT}
)
SELECT {", ".join(out)} FROM per_unit"""


def _over_units(plan: Plan, metrics: Sequence[Metric], selected: Sequence[str], keys: Sequence[str]) -> str:
    sums, sketched = sums_of(metrics), _registers(plan, metrics)
    registers = [f"MAX({name}) AS {name}" for name in sketched]
    summed = ", ".join([_UNIT, *keys, *(f"SUM({name}) AS {name}" for name in _carried(plan, sums)), *registers])
    grouped = f"GROUP BY {', '.join(keys)} ORDER BY {', '.join(keys)}" if keys else ""
    return f"""WITH pieces AS (
{_pieces(plan, [*sums, *sketched])}
), per_unit AS (
  SELECT {summed} FROM pieces GROUP BY {", ".join([_UNIT, *keys])}
)
SELECT {", ".join(selected)} FROM per_unit {grouped}"""


def _carried(plan: Plan, sums: Sequence[str]) -> list[str]:
    # Hours have no registers: their users are counted, and a group of users can be in no other.
    return [*sums, *([Rollup.USERS] if plan.source == "hours" and Rollup.USERS not in sums else [])]


def _sketches(plan: Plan, metrics: Sequence[Metric]) -> list[str]:
    if plan.source == "hours":
        return [f"CAST(SUM({Rollup.USERS}) AS BIGINT) AS {SEEN}"]
    out = []
    sketched = _registers(plan, metrics)
    for names, seen, harmonic in (
        (USER_REGISTERS, SEEN, HARMONIC),
        (SURVEY_REGISTERS, SURVEY_SEEN, SURVEY_HARMONIC),
    ):
        if names[0] in sketched:
            occupied = " + ".join(f"COUNT_IF({name} > 0)" for name in names)
            powers = " + ".join(f"SUM(POWER(CAST(2 AS DOUBLE), -{name}))" for name in names)
            out += [f"CAST({occupied} AS BIGINT) AS {seen}", f"CAST({powers} AS DOUBLE) AS {harmonic}"]
    return out


def _registers(plan: Plan, metrics: Sequence[Metric]) -> tuple[str, ...]:
    """Return the registers that are needed: of all users, or of those who were surveyed."""
    if plan.source != "buckets":
        return ()
    asked = {metric.denominator == Rollup.SURVEYS for metric in metrics}
    return (*(USER_REGISTERS if False in asked else ()), *(SURVEY_REGISTERS if True in asked else ()))


def _keys(plan: Plan) -> list[str]:
    return [*plan.dims, *([PERIOD] if plan.grain else [])]


def _pieces(plan: Plan, carried: Sequence[str]) -> str:
    filters = "".join(
        f" AND {column} IN ({', '.join(f':{column}_{number}' for number in range(count))})"
        for column, count in plan.filtered
    )
    cut = f"{CUT} = :cut AND " if plan.source == "buckets" else ""
    unit = Event.USER if plan.source == "users" else Rollup.BUCKET
    out = []
    for number, one in enumerate(plan.stretches):
        moment = one.table.moment
        day = f"CAST({moment} AS DATE)" if plan.source == "hours" else moment
        selected = [f"{unit} AS {_UNIT}", f"{_period(plan, moment)} AS {PERIOD}", *plan.dims, *_carried(plan, carried)]
        within = f"{cut}{day} >= :first_{number} AND {day} <= :last_{number}{filters}"
        out.append(f"  SELECT {', '.join(selected)} FROM {one.table.name} WHERE {within}")
    return "\n  UNION ALL\n".join(out)


def _period(plan: Plan, moment: str) -> str:
    if plan.grain == "week" and moment != Rollup.WEEK:
        return f"CAST(DATE_TRUNC('WEEK', {moment}) AS DATE)"
    return moment
