"""Cells of the rollups as a question asks for them, and which of them each metric withholds."""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from telemetry import privacy
from telemetry.answers import (
    DIMENSIONS,
    N_USERS,
    PARENTS,
    PERIOD,
    POSITIVES,
    MetricQuestion,
    Where,
    with_experiment,
)
from telemetry.estimates import CellTable
from telemetry.metrics import METRICS, Metric
from telemetry.warehouse import cells
from telemetry.warehouse.cells import Grain, Plan, Source, name_of
from telemetry.warehouse.protocol import Warehouse
from telemetry.warehouse.sql import Value
from telemetry.warehouse.stretches import BLOCKS, DAYS, WEEKS, Stretch, cover
from telemetry.warehouse.tables import HOUR_ROLLUP, UNKNOWN_MARKET, USER_DAY, smallest_cut
from workspace.columns import Event, Rollup


class Cells:
    """Reads cells from the smallest rollup that tells apart what is asked.

    Args:
        warehouse: Runs the queries.
        k: The least number of users a cell that leaves is about.
    """

    def __init__(self, warehouse: Warehouse, k: int) -> None:
        self._warehouse = warehouse
        self._k: Final = k

    def of(self, metrics: Sequence[Metric], question: MetricQuestion, most: int) -> CellTable:
        """Return the cells of a question, and which of them each metric withholds.

        What is withheld is decided on the table over every dimension of the question, filters among them, so that one
        filter after another gives no more away than the table itself.

        Args:
            metrics: Whose sums the cells hold.
            question: Span, breakdown, filter and grain; its metric is not used.
            most: Up to so many rows single users are summed up; beyond, random groups of users.
        """
        around = with_experiment((*question.by, *(dim for dim in question.where if dim not in question.by)))
        plan = self._plan(question, around, most)
        frame = self._cells(plan, metrics, question, around)
        dims = [*around, *([PERIOD] if question.grain else [])]
        hidden = {one.name: self._hidden(frame, one, dims) for one in metrics}
        kept = _matching(frame, question.where)
        frame = frame[kept].reset_index(drop=True)
        hidden = {name: flags[kept] for name, flags in hidden.items()}
        keys = [*question.by, *([PERIOD] if question.grain else [])]
        if len(frame) == len(frame.drop_duplicates(keys) if keys else frame.head(1)):
            return CellTable(frame, plan, hidden)
        return self._joined(metrics, question, most, keys, frame, hidden)

    def _joined(
        self,
        metrics: Sequence[Metric],
        question: MetricQuestion,
        most: int,
        keys: list[str],
        parts: pd.DataFrame,
        hidden: Mapping[str, NDArray[np.bool_]],
    ) -> CellTable:
        """Return cells made of several of the wider table: withheld as soon as one of these is."""
        plan = self._plan(question, question.by, most, filtered=True)
        frame = self._cells(plan, metrics, question, question.by)
        out = {}
        for one in metrics:
            own = self._hidden(frame, one, keys)
            if keys:
                flags = parts[keys].assign(_hidden=hidden[one.name]).groupby(keys, dropna=False)["_hidden"].any()
                own |= frame[keys].merge(flags.reset_index(), on=keys, how="left")["_hidden"].to_numpy(dtype=bool)
            else:
                own |= bool(hidden[one.name].any())
            out[one.name] = own
        return CellTable(frame, plan, out)

    def _plan(self, question: MetricQuestion, dims: Sequence[str], most: int, *, filtered: bool = False) -> Plan:
        source: Source = "hours" if question.grain == "hour" else "users"
        exact = question.exact
        if exact is None:
            exact = self._warehouse.rows(USER_DAY, (question.start, question.end)) <= most
        if source == "users" and not exact:
            source = "buckets"
        where = question.where if filtered else {}
        return Plan(
            source=source,
            dims=tuple(DIMENSIONS[dim] for dim in dims),
            filtered=tuple((DIMENSIONS[dim], len(values)) for dim, values in where.items()),
            grain=question.grain,
            stretches=_stretches(source, question.start, question.end, question.grain),
        )

    def _cells(
        self, plan: Plan, metrics: Sequence[Metric], question: MetricQuestion, dims: Sequence[str]
    ) -> pd.DataFrame:
        parameters = _values(plan, question.where)
        frame = self._warehouse.query(cells.cell_moments(plan, metrics), parameters=parameters, windows=plan.windows)
        frame = renamed(frame, dims)
        # Without a row there is nobody; a total of nothing still comes as one row.
        return frame[frame[cells.UNITS] > 0].reset_index(drop=True)

    def _hidden(self, frame: pd.DataFrame, one: Metric, dims: Sequence[str]) -> NDArray[np.bool_]:
        users = frame[name_of("contributing", one.name)].to_numpy()
        positives = frame[name_of("positive", one.name)].to_numpy()
        out = np.zeros(len(frame), dtype=bool)
        # A cell nobody has a share in shows nothing and hides nobody.
        shown = users > 0
        if privacy.all_may_leave(users[shown], positives[shown], self._k):
            return out
        table = pd.DataFrame({dim: frame[dim].to_numpy()[shown] for dim in dims}, index=range(int(shown.sum())))
        table = self._with_markets(table).assign(**{N_USERS: users[shown], POSITIVES: positives[shown]})
        out[shown] = privacy.hidden_rows(table, dims, self._k, users=N_USERS, positives=POSITIVES, parents=PARENTS)
        return out

    def _with_markets(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the market of each region, whose totals can be asked for too."""
        if "region" not in table or "market" in table:
            return table
        pairs = self._warehouse.query(f"SELECT {Event.REGION}, {Rollup.MARKET} FROM REGIONS")
        markets = dict(zip(pairs[Event.REGION], pairs[Rollup.MARKET], strict=True))
        return table.assign(market=[markets.get(region, UNKNOWN_MARKET) for region in table["region"]])

    def pairs(self, before: dt.date, start: dt.date, end: dt.date, where: Where, most: int) -> pd.DataFrame:
        """Return the moments of each user before a day and from it on, side by side.

        Args:
            before: First day of the earlier span, which ends as ``start`` begins.
            start: First day of the later span.
            end: Last day, included.
            where: Filter.
            most: Up to so many rows single users are summed up; beyond, random groups of users.
        """
        question = MetricQuestion(metric=METRICS[0].name, start=before, end=end, where=where)
        plan = self._plan(question, (), most, filtered=True)
        if plan.source == "buckets":
            # No stretch may lie across the day where one span ends and the other begins.
            earlier = _stretches(plan.source, before, start - dt.timedelta(days=1), None)
            plan = replace(plan, stretches=(*earlier, *_stretches(plan.source, start, end, None)))
        parameters = _values(plan, question.where) | {"turn": start}
        return self._warehouse.query(cells.paired_moments(plan, METRICS), parameters=parameters, windows=plan.windows)


def conditions(where: Where) -> tuple[str, dict[str, Value]]:
    """Return a filter as conditions that follow others in a statement, and the values bound in them."""
    text = ""
    values: dict[str, Value] = {}
    for dim, wanted in where.items():
        column = DIMENSIONS[dim]
        names = [f"{column}_{number}" for number in range(len(wanted))]
        text += f" AND {column} IN ({', '.join(f':{name}' for name in names)})"
        values |= dict(zip(names, wanted, strict=True))
    return text, values


def _stretches(source: Source, start: dt.date, end: dt.date, grain: Grain | None) -> tuple[Stretch, ...]:
    """Return what is read of the rollups for a span: the longest periods that the grain still tells apart."""
    if source != "buckets":
        return (Stretch(table=HOUR_ROLLUP if source == "hours" else USER_DAY, first=start, last=end),)
    return cover(start, end, DAYS if grain == "day" else WEEKS if grain == "week" else BLOCKS)


def _values(plan: Plan, where: Where) -> dict[str, Value]:
    known = frozenset(plan.dims) | {column for column, _ in plan.filtered}
    return {"cut": smallest_cut(known).number, **plan.moments, **conditions(where)[1]}


def _matching(frame: pd.DataFrame, where: Where) -> NDArray[np.bool_]:
    kept = np.ones(len(frame), dtype=bool)
    for dim, values in where.items():
        kept &= frame[dim].isin(list(values)).to_numpy(dtype=bool)
    return kept


def renamed(frame: pd.DataFrame, dims: Sequence[str]) -> pd.DataFrame:
    """Return an answer of the warehouse with its columns called as the dimensions are."""
    frame = frame.rename(columns={DIMENSIONS[dim]: dim for dim in dims})
    if PERIOD in frame:
        frame[PERIOD] = pd.to_datetime(frame[PERIOD])
    return frame
