"""The sums of an experiment as of a day: cells, exposures, what was left out, and how they came to be."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from experiments.cells import Cells, Floats, places
from experiments.metrics import Needs
from experiments.sums import statements
from experiments.sums.statements import PART
from workspace.columns import Trial


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Sums of the users of an experiment as of a day.

    Args:
        experiment_id: Which experiment.
        start: Its first day.
        as_of: Last day whose events count.
        pre_start: First day of the covariates; None without any.
        cells: By variant, region and hash bucket, or by variant and region alone when it was asked so.
        by_device: By variant and device.
        exposures: New users by date, variant and region; column ``n``.
        left_out: Users that no arm can be given, by reason.
        caps: Where a capped sum was cut, by its name.
        sql: The statements, in the canonical dialect.
        digest: Of the events or rollups they were computed from, and of what was asked.
        computed_at: When.
        pending_dates: Days that were not, or no longer rightly, rolled up.
        notes: What a reader of the figures must know about them.
    """

    experiment_id: str
    start: dt.date
    as_of: dt.date
    pre_start: dt.date | None
    cells: Cells
    by_device: Cells
    exposures: pd.DataFrame
    left_out: Mapping[str, int]
    caps: Mapping[str, float]
    sql: tuple[str, ...]
    digest: str
    computed_at: dt.datetime
    pending_dates: tuple[dt.date, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @property
    def users(self) -> dict[str, int]:
        """Exposed users of each variant."""
        folded = self.by_device.fold([Trial.VARIANT])
        return {str(name): int(n) for name, n in zip(folded.keys[Trial.VARIANT], folded.n, strict=True)}

    def small(self, k: int) -> dict[str, tuple[str, ...]]:
        """Return the regions and devices with an arm of fewer than k users: no figure about them is shown.

        Args:
            k: Least number of users a figure is about.
        """
        out = {}
        for name, cells in ((Trial.REGION, self.cells), (Trial.DEVICE, self.by_device)):
            folded = cells.fold([name, Trial.VARIANT])
            few = folded.keys[name][folded.n < k]
            out[name] = tuple(sorted({str(value) for value in few}))
        return out

    def facts(self) -> dict[str, Any]:
        """Return all that is not cells or exposures, as plain data."""
        return {
            "experiment_id": self.experiment_id,
            "start": self.start.isoformat(),
            "as_of": self.as_of.isoformat(),
            "pre_start": self.pre_start and self.pre_start.isoformat(),
            "left_out": dict(self.left_out),
            "caps": dict(self.caps),
            "sql": list(self.sql),
            "digest": self.digest,
            "computed_at": self.computed_at.isoformat(),
            "pending_dates": [day.isoformat() for day in self.pending_dates],
            "notes": list(self.notes),
        }


def cells_from(answer: pd.DataFrame, part: str, keys: list[str], needs: Needs) -> Cells:
    """Return the cells of one part of an answer of the warehouse.

    Sums of deviations from a centre c become means and comoments around the cell's own mean: with s = Σ (x − c),
    Σ (x − x̄)(y − ȳ) = Σ (x − c)(y − c′) − s s′ / n.

    Args:
        answer: Of a statement of `experiments.sums.statements`.
        part: Which rows of it.
        keys: Columns that tell cells apart, some of those the part is by.
        needs: The sums the statement was made for.
    """
    rows = answer[answer[PART] == part]
    if not len(rows):
        return Cells.empty(keys, needs)
    if rows.duplicated(keys).any():
        # Sums around one centre: those of finer cells simply add up.
        figures = [Trial.N, *statements.figure_names(needs)]
        rows = rows.groupby(keys, dropna=False, as_index=False)[figures].sum()
    rows = rows.sort_values(keys, ignore_index=True)
    at = range(len(needs.columns))
    pairs = places(needs)
    n = rows[Trial.N].to_numpy(dtype=np.float64)
    off = _figures(rows, [statements.sum_name(place) for place in at])
    products = _figures(rows, [statements.product_name(pair) for pair in pairs])
    cubes = _figures(rows, [statements.cube_name(place) for place in at])
    centre = _figures(answer[answer[PART] == statements.CENTRES], [statements.sum_name(place) for place in at])
    shift = off / n[:, None]
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.intp) for side in (0, 1))
    comoments = products - off[:, left] * shift[:, right]
    own = [pairs.index((place, place)) for place in at]
    # Rounding may take the square of what does not vary just below zero.
    comoments[:, own] = np.maximum(comoments[:, own], 0.0)
    return Cells(
        keys=_typed(rows[keys]),
        columns=needs.columns,
        pairs=pairs,
        n=n,
        means=centre + shift,
        comoments=comoments,
        third=cubes - 3 * shift * products[:, own] + 2 * n[:, None] * shift**3,
    )


def busiest_from(answer: pd.DataFrame) -> int:
    """Return the events of the longest visit, when the statement looked at visits."""
    return int(answer.loc[answer[PART] == statements.CENTRES, Trial.N].iloc[0])


def caps_from(answer: pd.DataFrame, needs: Needs) -> dict[str, float]:
    """Return where each capped sum was cut."""
    centre = answer[answer[PART] == statements.CENTRES].iloc[0]
    return {name: float(centre[statements.cube_name(needs.columns.index(name))]) for name, _ in needs.caps}


def exposures_from(answer: pd.DataFrame) -> pd.DataFrame:
    """Return new users by date, variant and region."""
    rows = answer[answer[PART] == statements.EXPOSURES]
    names = [statements.FIRST_DAY, Trial.VARIANT, Trial.REGION]
    out = rows[[*names, Trial.N]].rename(columns={statements.FIRST_DAY: Trial.DATE})
    out[Trial.DATE] = pd.to_datetime(out[Trial.DATE]).dt.date
    out[Trial.N] = out[Trial.N].astype("int64")
    return out.sort_values([Trial.DATE, Trial.VARIANT, Trial.REGION], ignore_index=True)


def left_out_from(answer: pd.DataFrame) -> dict[str, int]:
    """Return how many users no arm can be given, by reason."""
    rows = answer[answer[PART] == statements.LEFT_OUT]
    found = dict(zip(rows[statements.REASON], rows[Trial.N], strict=True))
    return {reason: int(found.get(reason, 0)) for reason in ("multiple", "no_variant", "unknown_variant")}


def _figures(rows: pd.DataFrame, names: list[str]) -> Floats:
    figures: Floats = rows[names].to_numpy(dtype=np.float64)
    return figures


def _typed(keys: pd.DataFrame) -> pd.DataFrame:
    whole = {name: "int64" for name in (Trial.BUCKET, Trial.AGE) if name in keys.columns}
    return keys.astype(whole).reset_index(drop=True)
