"""Privacy of what leaves the warehouse: no figure about fewer than k users, why it was asked, how long it is kept.

The policy. A row is withheld when fewer than k users stand behind it, or when its numerator is the act of at least one
but fewer than k users. A row withheld alone in its line could be had by subtracting the others from the published
total; so in every line at least two rows are withheld, or none, and those withheld count at least k users together.
A total that is withheld takes the rows below it along, since they would add up to it. The share of users who did *not*
act is no ground to withhold: the figures are shares of events, not of users.

Whoever asks for two spans of time that differ by one day, or joins knowledge from outside, is not stopped by this; that
would take noise. Every question is therefore recorded with who asked and why.
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import JSON, BigInteger, DateTime, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.parts import EVENTS, PartLog
from workspace.checks import check_scalar
from workspace.clock import Clock
from workspace.store import Base, Store

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from workspace.ledger import Ledger


class Purpose(StrEnum):
    """Why telemetry may be asked for."""

    PRODUCT_ANALYTICS = "product analytics"
    EXPERIMENT = "experiment"
    RECOMMENDATION_QUALITY = "recommendation quality"
    RELIABILITY = "reliability"
    AUDIT = "audit"
    OPERATIONS = "operations"


class AccessRow(Base):
    """One question, as stored."""

    __tablename__ = "telemetry_access"

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), index=True)
    actor: Mapped[str] = mapped_column(Text)
    purpose: Mapped[str] = mapped_column(Text)
    question: Mapped[dict[str, Any]] = mapped_column(JSON)
    rows: Mapped[int] = mapped_column(Integer)
    suppressed: Mapped[int] = mapped_column(Integer)


def record_access(
    store: Store, clock: Clock, *, actor: str, purpose: Purpose, question: Mapping[str, Any], rows: int, suppressed: int
) -> None:
    """Remember who asked what, why, and how much of the answer was withheld."""
    with store.session() as session:
        session.add(
            AccessRow(
                at=clock.now(),
                actor=actor,
                purpose=purpose.value,
                question=dict(question),
                rows=rows,
                suppressed=suppressed,
            )
        )


def suppress(
    frame: "pd.DataFrame",
    dims: Sequence[str],
    k: int,
    *,
    users: str,
    positives: str | None = None,
    parents: Mapping[str, str] | None = None,
) -> tuple["pd.DataFrame", int]:
    """Drop the rows that may not leave.

    Args:
        frame: One row a cell of the table over all of `dims`.
        dims: Columns of the breakdown, the period among them.
        k: Least number of users behind a row.
        users: Column of the number of users, or of a number that is never above it.
        positives: Column of those whose act is counted in the numerator; None when it is no rare act.
        parents: Dimension and the coarser one it lies within, for example region and market; the coarser one must be
            a column of the frame.

    Returns:
        The rows that may be shown, in their order, and how many were dropped.

    Example:
        >>> import pandas as pd
        >>> table = pd.DataFrame({"region": ["KG", "UZ", "US"], "n": [3, 40, 900]})
        >>> suppress(table, ["region"], 10, users="n")[0]["region"].tolist()
        ['US']
    """
    hidden = hidden_rows(frame, dims, k, users=users, positives=positives, parents=parents)
    return frame[~hidden].reset_index(drop=True), int(hidden.sum())


def all_may_leave(users: "NDArray[Any]", positives: "NDArray[Any]", k: int) -> bool:
    """Tell whether no row of a table is withheld, nor any total of them.

    Totals are sums of rows: when every row has k users, and no act or k, so has every total.
    """
    return bool((users >= k).all() and ((positives == 0) | (positives >= k)).all())


def hidden_rows(
    frame: "pd.DataFrame",
    dims: Sequence[str],
    k: int,
    *,
    users: str,
    positives: str | None = None,
    parents: Mapping[str, str] | None = None,
) -> "NDArray[np.bool_]":
    """Tell for each row whether it must be withheld; arguments as `suppress`."""
    k = check_scalar(k, "k", ge=2)
    known = {dim: parent for dim, parent in (parents or {}).items() if dim in dims and parent in frame.columns}
    # Whoever asks for a table and whoever asks for a wider one must meet the same choice among its totals: dimensions
    # and rows are taken in one order, whatever the order of the question.
    keys = tuple(sorted(dims))
    carried = dict.fromkeys((*keys, *known.values()))
    codes = {
        name: np.unique(frame[name].to_numpy(dtype=object).astype(str), return_inverse=True)[1] for name in carried
    }
    floor = frame[users].to_numpy(dtype=np.float64)
    # A numerator that is no rare act is everybody's.
    acts = frame[positives].to_numpy(dtype=np.float64) if positives else floor
    place = _added_up(_Cells(codes=codes, floor=floor, acts=acts), keys)[1]
    order = np.argsort(place, kind="stable")
    cells = _Cells(codes={name: code[order] for name, code in codes.items()}, floor=floor[order], acts=acts[order])
    out = np.zeros(len(frame), dtype=bool)
    out[order] = _hidden(cells, keys, known, k, {})
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Cells of a table: the number of their value in each dimension, their users and those who acted."""

    codes: Mapping[str, "NDArray[np.intp]"]
    floor: "NDArray[np.float64]"
    acts: "NDArray[np.float64]"


def _codes(values: "pd.Series[Any]") -> "NDArray[np.intp]":
    return np.unique(values.to_numpy(dtype=object).astype(str), return_inverse=True)[1]


def _hidden(
    cells: _Cells,
    dims: tuple[str, ...],
    parents: Mapping[str, str],
    k: int,
    known: dict[tuple[str, ...], "NDArray[np.bool_]"],
) -> "NDArray[np.bool_]":
    """Tell which cells of the table over `dims` must be withheld, its totals decided first."""
    if dims in known:
        return known[dims]
    hidden = (cells.floor < k) | ((cells.acts > 0) & (cells.acts < k))
    lines = []
    for line in _margins(dims, parents):
        total, place = _added_up(cells, line)
        hidden |= _hidden(total, line, parents, k, known)[place]
        lines += np.split(np.argsort(place, kind="stable"), np.cumsum(np.bincount(place))[:-1])
    _complete(hidden, cells, lines, k)
    known[dims] = hidden
    return hidden


def _margins(dims: tuple[str, ...], parents: Mapping[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield the dimensions of every total that lies directly above a table."""
    inner = {parent for dim, parent in parents.items() if dim in dims}
    for dim in dims:
        parent = parents.get(dim)
        rest = tuple(name for name in dims if name != dim)
        if parent is not None and parent not in rest:
            yield tuple(sorted((*rest, parent)))
        elif dim not in inner:
            # A variant without its experiment is no total anybody can ask for.
            yield rest


def _added_up(cells: _Cells, line: tuple[str, ...]) -> tuple[_Cells, "NDArray[np.intp]"]:
    """Return the totals over some dimensions, in their order, and for every cell the number of its total."""
    # Adding distinct users counts some twice. That can only hide less of a total, and a total of fewer than k users
    # has no row of k users below it.
    key = np.zeros(len(cells.floor), dtype=np.int64)
    for name in line:
        code = cells.codes[name]
        key = key * (int(code.max(initial=0)) + 1) + code
    _, first, place = np.unique(key, return_index=True, return_inverse=True)
    total = _Cells(
        codes={name: code[first] for name, code in cells.codes.items()},
        floor=np.bincount(place, cells.floor, len(first)).astype(np.float64),
        acts=np.bincount(place, cells.acts, len(first)).astype(np.float64),
    )
    return total, place


def _complete(hidden: "NDArray[np.bool_]", cells: _Cells, lines: Sequence["NDArray[np.intp]"], k: int) -> None:
    """Withhold more cells, smallest first, until no line gives one away; changes the flags in place."""
    changed = True
    while changed:
        changed = False
        for line in lines:
            while _gives_away(hidden[line], cells.floor[line], cells.acts[line], k):
                shown = line[~hidden[line]]
                # The first of the smallest: lines are in the order of the table.
                hidden[shown[np.argmin(cells.floor[shown])]] = True
                changed = True


def _gives_away(hidden: "NDArray[np.bool_]", floor: "NDArray[np.float64]", acts: "NDArray[np.float64]", k: int) -> bool:
    """Tell whether the cells withheld in a line could be had from the others, or are too few users together."""
    withheld = int(hidden.sum())
    if withheld in {0, len(hidden)}:
        return False
    together = float(acts[hidden].sum())
    return withheld == 1 or float(floor[hidden].sum()) < k or 0 < together < k


def retain(parts: PartLog, days: int, clock: Clock, ledger: "Ledger", *, actor: str = "retention") -> int:
    """Delete the telemetry of days that are older than it may be kept; `roll_up` then drops their rollups.

    Args:
        parts: The visible parts; this function takes their writing lock.
        days: For how long telemetry is kept.
        clock: What is today.
        ledger: Where the deletion is recorded, before the files go.
        actor: Who asked for it.

    Returns:
        The number of parts deleted.
    """
    days = check_scalar(days, "days", ge=1)
    last = clock.now().date() - dt.timedelta(days=days)
    with parts.writing():
        old = parts.parts(EVENTS, end=last - dt.timedelta(days=1))
        if not old:
            return 0
        parts.commit(retired=[part.part_id for part in old])
        dates = sorted({part.date for part in old})
        details = {"first": dates[0].isoformat(), "last": dates[-1].isoformat(), "rows": sum(p.rows for p in old)}
        ledger.append(actor, "telemetry.retain", EVENTS, details)
        for part in old:
            part.path.unlink(missing_ok=True)
    return len(old)
