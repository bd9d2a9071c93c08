"""From the moments of cells to values, intervals, users and changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from telemetry.answers import HIGH, LOW, N_USERS, PERIOD, POSITIVES, VALUE, Tile
from telemetry.metrics import Metric
from telemetry.statistics import Moments, Ratios, distinct_users, ratios, relative_change
from telemetry.warehouse import cells
from telemetry.warehouse.cells import Plan, name_of
from telemetry.warehouse.tables import SUB_REGISTERS, smallest_cut
from workspace.columns import Rollup


@dataclass(frozen=True, slots=True)
class CellTable:
    """Cells of an answer, with what each metric must withhold."""

    frame: pd.DataFrame
    plan: Plan
    hidden: Mapping[str, NDArray[np.bool_]]


def _estimates(frame: pd.DataFrame, one: Metric) -> Ratios:
    x, y = one.numerator, one.denominator
    names = {
        "units": cells.UNITS,
        "contributing": name_of("contributing", one.name),
        "mean_x": name_of("mean", x),
        "mean_y": name_of("mean", y),
        "var_x": name_of("var", x),
        "var_y": name_of("var", y),
        "cov_xy": name_of("cov", x, y),
    }
    return ratios(Moments(**{key: frame[name].to_numpy(dtype=np.float64) for key, name in names.items()}))


def _users(table: CellTable, one: Metric) -> NDArray[np.int64]:
    frame, plan = table.frame, table.plan
    if plan.source == "users":
        return np.asarray(frame[name_of("contributing", one.name)], dtype=np.int64)
    if plan.source == "hours":
        return np.asarray(frame[cells.SEEN], dtype=np.int64)
    registers = smallest_cut(frozenset(plan.dims) | {name for name, _ in plan.filtered}).buckets * SUB_REGISTERS
    asked = one.denominator == Rollup.SURVEYS
    seen = frame[cells.SURVEY_SEEN if asked else cells.SEEN].to_numpy(dtype=np.float64)
    harmonic = frame[cells.SURVEY_HARMONIC if asked else cells.HARMONIC].to_numpy(dtype=np.float64)
    # A group of users without a row is empty registers, each 2^0.
    absent = registers - SUB_REGISTERS * frame[cells.UNITS].to_numpy(dtype=np.float64)
    return distinct_users(harmonic + absent, seen, registers).astype(np.int64)


def rows_of(table: CellTable, one: Metric, keys: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return the rows of one metric that may be shown, and how many are withheld."""
    found = _estimates(table.frame, one)
    hidden = table.hidden[one.name]
    shown = (table.frame[name_of("contributing", one.name)].to_numpy() > 0) & ~hidden
    positives = table.frame[name_of("positive", one.name)].to_numpy()[shown]
    # Of groups of users with any positive one, nobody wants to know.
    counted = positives if table.plan.source == "users" else [None] * len(positives)
    rows = {
        **{key: table.frame[key].to_numpy()[shown] for key in keys},
        N_USERS: _users(table, one)[shown],
        VALUE: found.value[shown],
        LOW: found.low[shown],
        HIGH: found.high[shown],
        POSITIVES: pd.array(counted, dtype="Int64"),
    }
    return pd.DataFrame(rows), int(hidden.sum())


def tile_of(one: Metric, whole: CellTable, before: CellTable, sparks: CellTable, pairs: pd.DataFrame) -> Tile:
    """Return one metric at a glance.

    Args:
        one: Which.
        whole: Its span as one cell.
        before: The span before.
        sparks: Its span by period.
        pairs: Moments of both spans over the same units.
    """
    now, _ = rows_of(whole, one, [])
    earlier, _ = rows_of(before, one, [])
    course, _ = rows_of(sparks, one, [PERIOD])
    shown = len(now) == 1 and bool(np.isfinite(now[VALUE].iloc[0]))
    change = _change(pairs, one) if shown and len(earlier) == 1 else None
    periods = [moment.date() for moment in sorted(sparks.frame[PERIOD])]
    values = {moment.date(): float(value) for moment, value in zip(course[PERIOD], course[VALUE], strict=True)}
    return Tile(
        metric=one,
        value=float(now[VALUE].iloc[0]) if shown else None,
        ci=(float(now[LOW].iloc[0]), float(now[HIGH].iloc[0])) if shown else None,
        n_users=int(now[N_USERS].iloc[0]) if shown else None,
        change=change[0] if change else None,
        change_ci=change[1:] if change else None,
        spark=tuple(values.get(period) for period in periods),
        periods=tuple(periods),
    )


def _change(pairs: pd.DataFrame, one: Metric) -> tuple[float, float, float] | None:
    four = [one.numerator, one.denominator]
    four += [f"{cells.EARLIER}{name}" for name in four]
    row = pairs.iloc[0]
    covariance = np.empty((4, 4))
    for i, a in enumerate(four):
        for j, b in enumerate(four[i:], start=i):
            covariance[i, j] = covariance[j, i] = row[name_of("cov", a, b)]
    found = relative_change([row[name_of("mean", name)] for name in four], covariance, float(row[cells.UNITS]))
    return found if np.isfinite(found).all() else None
