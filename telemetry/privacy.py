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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import JSON, BigInteger, DateTime, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from telemetry.parts import EVENTS, PartLog
from workspace.checks import check_scalar
from workspace.clock import Clock
from workspace.store import Base, Store

if TYPE_CHECKING:
    import numpy as np
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


Lines = Sequence[tuple[str, ...]]
"""Groups of dimensions that are dropped together, coarsest last; for example a variant, then its experiment too."""

_FLOOR: Final = "_floor"
_POSITIVE: Final = "_positive"
_HIDDEN: Final = "_hidden"


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
    coarser = [parent for parent in known.values() if parent not in dims]
    table = frame[[*dims, *coarser]].copy()
    table.index = range(len(table))
    table[_FLOOR] = frame[users].to_numpy()
    # A numerator that is no rare act is everybody's.
    table[_POSITIVE] = frame[positives].to_numpy() if positives else frame[users].to_numpy()
    # Whoever asks for a table and whoever asks for a wider one must meet the same choice among its totals: dimensions
    # and rows are taken in one order, whatever the order of the question.
    keys = sorted(dims)
    table = table.sort_values(keys, kind="stable")
    found = _hidden(table.reset_index(drop=True), tuple(keys), known, k, {})
    flags: NDArray[np.bool_] = found[_HIDDEN].set_axis(table.index).sort_index().to_numpy(dtype=bool)
    return flags


def _hidden(
    table: "pd.DataFrame",
    dims: tuple[str, ...],
    parents: Mapping[str, str],
    k: int,
    known: dict[tuple[str, ...], "pd.DataFrame"],
) -> "pd.DataFrame":
    """Return the table over `dims` with the rows to be withheld, its totals first."""
    key = tuple(sorted(dims))
    if key in known:
        return known[key]
    cells = table.copy()
    acts = cells[_POSITIVE]
    hidden = (cells[_FLOOR] < k) | ((acts > 0) & (acts < k))
    lines = list(_margins(dims, parents))
    for line in lines:
        total = _hidden(_added_up(table, line, parents), line, parents, k, known)
        hidden |= _of_total(cells, total, line)
    cells[_HIDDEN] = hidden.to_numpy()
    _complete(cells, lines, k)
    known[key] = cells
    return cells


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


def _added_up(table: "pd.DataFrame", line: tuple[str, ...], parents: Mapping[str, str]) -> "pd.DataFrame":
    # Adding distinct users counts some twice. That can only hide less of a total, and a total of fewer than k users
    # has no row of k users below it.
    sums = [_FLOOR, _POSITIVE]
    keys = list(dict.fromkeys([*line, *(parents[dim] for dim in line if dim in parents and parents[dim] in table)]))
    if not keys:
        return table[sums].sum().to_frame().T
    return table.groupby(keys, dropna=False)[sums].sum().reset_index().sort_values(list(line), ignore_index=True)


def _of_total(cells: "pd.DataFrame", total: "pd.DataFrame", line: tuple[str, ...]) -> "pd.Series[bool]":
    import pandas as pd

    if not line:
        return pd.Series(bool(total[_HIDDEN].iloc[0]) if len(total) else False, index=cells.index)
    joined = cells[list(line)].merge(total[[*line, _HIDDEN]], on=list(line), how="left")
    return pd.Series(joined[_HIDDEN].to_numpy(dtype=bool), index=cells.index)


def _complete(cells: "pd.DataFrame", lines: Sequence[tuple[str, ...]], k: int) -> None:
    """Withhold more rows, smallest first, until no line gives one away; changes the column in place."""
    groups = [positions for line in lines for positions in _positions(cells, line)]
    floor, hidden = cells[_FLOOR].to_numpy(dtype=float), cells[_HIDDEN].to_numpy(dtype=bool).copy()
    acts = cells[_POSITIVE].to_numpy(dtype=float)
    changed = True
    while changed:
        changed = False
        for group in groups:
            positions = list(group)
            while _gives_away(hidden[positions], floor[positions], acts[positions], k):
                shown = [position for position in positions if not hidden[position]]
                hidden[min(shown, key=lambda position: (floor[position], position))] = True
                changed = True
    cells[_HIDDEN] = hidden


def _positions(cells: "pd.DataFrame", line: tuple[str, ...]) -> Iterable[Iterable[int]]:
    if not line:
        return [range(len(cells))]
    return [list(rows) for rows in cells.groupby(list(line), dropna=False, sort=False).indices.values()]


def _gives_away(hidden: "NDArray[np.bool_]", floor: "NDArray[np.float64]", acts: "NDArray[np.float64]", k: int) -> bool:
    """Tell whether the rows withheld in a line could be had from the others, or are too few users together."""
    withheld = int(hidden.sum())
    if withheld in (0, len(hidden)):
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
