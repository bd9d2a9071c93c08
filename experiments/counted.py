"""Sums of an experiment as of a day, as everything that judges reads them; and such sums as plain data."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, Self

import numpy as np
import pandas as pd

from experiments.cells import Cells
from experiments.metrics import Needs
from workspace.columns import Trial
from workspace.errors import IntegrityError

POOLED: Final = "small regions"
"""Name of the regions that hold too few users to stand alone."""


class Counted(Protocol):
    """Sums of an experiment as of a day: a snapshot of the warehouse, or what an evidence pack kept of one."""

    @property
    def as_of(self) -> dt.date:
        """Last day whose events it knows."""
        ...

    @property
    def cells(self) -> Cells:
        """Sums of users by variant and region at least."""
        ...

    @property
    def left_out(self) -> Mapping[str, int]:
        """What was left out, by reason."""
        ...

    @property
    def caps(self) -> Mapping[str, float]:
        """Value at which a sum of a user was cut, by its name."""
        ...

    @property
    def sql(self) -> Sequence[str]:
        """The statements the sums came from."""
        ...

    @property
    def digest(self) -> str:
        """Digest of the events behind the sums."""
        ...

    @property
    def computed_at(self) -> object:
        """When the sums were made."""
        ...

    @property
    def pending_dates(self) -> Sequence[dt.date]:
        """Days that changed since they were summed up."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What a reader of the figures must know about them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class KeptSums:
    """Sums by variant and region that need no warehouse: what an evidence pack holds."""

    as_of: dt.date
    cells: Cells
    left_out: Mapping[str, int]
    caps: Mapping[str, float]
    sql: tuple[str, ...]
    digest: str
    computed_at: str
    pending_dates: tuple[dt.date, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, counted: Counted, *, k: int = 1) -> Self:
        """Keep what a verdict needs of some sums.

        Args:
            counted: The sums.
            k: No cell about fewer users is kept: such regions are pooled.
        """
        stamp = counted.computed_at
        return cls(
            as_of=counted.as_of,
            cells=pooled(counted.cells.fold([Trial.VARIANT, Trial.REGION]), k),
            left_out=dict(counted.left_out),
            caps=dict(counted.caps),
            sql=tuple(counted.sql),
            digest=counted.digest,
            computed_at=stamp.isoformat() if isinstance(stamp, dt.datetime) else str(stamp),
            pending_dates=tuple(counted.pending_dates),
            notes=tuple(counted.notes),
        )

    @classmethod
    def nobody(cls, as_of: dt.date, needs: Needs) -> Self:
        """Return the sums of a day by which nobody was exposed."""
        cells = Cells.empty([Trial.VARIANT, Trial.REGION], needs)
        return cls(as_of=as_of, cells=cells, left_out={}, caps={}, sql=(), digest="", computed_at="")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data from which `from_dict` gives back the same bits."""
        return {
            "as_of": self.as_of.isoformat(),
            "cells": cells_to_dict(self.cells),
            "left_out": dict(self.left_out),
            "caps": dict(self.caps),
            "sql": list(self.sql),
            "digest": self.digest,
            "computed_at": self.computed_at,
            "pending_dates": [day.isoformat() for day in self.pending_dates],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Return sums from their plain data.

        Raises:
            IntegrityError: When they are not such.
        """
        try:
            return cls(
                as_of=dt.date.fromisoformat(document["as_of"]),
                cells=cells_from_dict(document["cells"]),
                left_out={str(name): int(count) for name, count in document["left_out"].items()},
                caps={str(name): float(value) for name, value in document["caps"].items()},
                sql=tuple(document["sql"]),
                digest=str(document["digest"]),
                computed_at=str(document["computed_at"]),
                pending_dates=tuple(dt.date.fromisoformat(day) for day in document["pending_dates"]),
                notes=tuple(document["notes"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(error) from error


def pooled(cells: Cells, k: int) -> Cells:
    """Return cells by variant and region in which no cell is about fewer than k users.

    Regions with fewer in an arm become one, with the smallest of the others when that is still too few: what is left
    of the whole then tells nothing about the few either.

    Args:
        cells: By variant and region.
        k: Least number of users of a cell.
    """
    counts: dict[str, list[int]] = {}
    for region, n in zip(cells.keys[Trial.REGION], cells.n, strict=True):
        counts.setdefault(str(region), []).append(int(n))
    small = {region for region, users in counts.items() if min(users) < k}
    rest = sorted((sum(users), region) for region, users in counts.items() if region not in small)
    while small and rest:
        inside = cells.where(**{Trial.REGION: small}).fold([Trial.VARIANT])
        if len(small) > 1 and (inside.n >= k).all():
            break
        small.add(rest.pop(0)[1])
    if len(small) < 2:  # noqa: PLR2004 - there is nothing to pool one region with
        return cells
    names = [POOLED if str(region) in small else region for region in cells.keys[Trial.REGION]]
    keys = cells.keys.assign(**{Trial.REGION: names})
    return replace(cells, keys=keys).fold([Trial.VARIANT, Trial.REGION])


def cells_to_dict(cells: Cells) -> dict[str, Any]:
    """Return cells as plain data."""
    return {
        "keys": {str(name): [str(value) for value in cells.keys[name]] for name in cells.keys.columns},
        "columns": list(cells.columns),
        "pairs": [list(pair) for pair in cells.pairs],
        "n": cells.n.tolist(),
        "means": cells.means.tolist(),
        "comoments": cells.comoments.tolist(),
        "third": None if cells.third is None else cells.third.tolist(),
    }


def cells_from_dict(document: Mapping[str, Any]) -> Cells:
    """Return cells from their plain data.

    Raises:
        IntegrityError: When they are not such.
    """
    try:
        columns = tuple(str(name) for name in document["columns"])
        pairs = tuple((int(left), int(right)) for left, right in document["pairs"])
        n = np.array(document["n"], dtype=np.float64)
        third = document["third"]
        return Cells(
            keys=pd.DataFrame({str(name): values for name, values in document["keys"].items()}, dtype=object),
            columns=columns,
            pairs=pairs,
            n=n,
            means=np.array(document["means"], dtype=np.float64).reshape(len(n), len(columns)),
            comoments=np.array(document["comoments"], dtype=np.float64).reshape(len(n), len(pairs)),
            third=None if third is None else np.array(third, dtype=np.float64).reshape(len(n), len(columns)),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(error) from error


def _damaged(error: Exception) -> IntegrityError:
    return IntegrityError(f"sums that can't be read: {error}", hint="ask for the evidence pack again")
