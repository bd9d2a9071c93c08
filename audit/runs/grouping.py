"""One axis of the panel as numbers: who belongs to which group, which groups are judged, and against whom."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from audit.groups import UNKNOWN
from audit.results import GroupCount, Side
from workspace.errors import UnknownError

Codes = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

GONE: Final = -2
"""Code of a film that left the catalogue: it counts nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Groups of users or of films along one axis.

    Args:
        side: ``user`` or ``provider``.
        axis: Its name.
        codes: Group of each unit, −1 where it is unknown, `GONE` where it does not count, shape ``(n,)``.
        names: Name of each group.
        counts: Units of each group.
        judged: Groups that hold at least the least share of all units, the reference among them.
        reference: Code of the group every other is held against.
    """

    side: Side
    axis: str
    codes: Codes
    names: tuple[str, ...]
    counts: tuple[int, ...]
    judged: tuple[bool, ...]
    reference: int

    @property
    def reference_name(self) -> str:
        """Name of the reference; empty where no group is known."""
        return self.names[self.reference] if self.names else ""

    @property
    def compared(self) -> tuple[int, ...]:
        """Codes of the groups held against the reference."""
        return tuple(code for code, judged in enumerate(self.judged) if judged and code != self.reference)

    @property
    def unknown(self) -> int:
        """Units whose group is unknown."""
        return int(np.count_nonzero(self.codes == -1))

    @property
    def size(self) -> int:
        """All units, known or not."""
        return int(np.count_nonzero(self.codes != GONE))

    def members(self, code: int) -> Codes:
        """Return the units of a group."""
        return np.flatnonzero(self.codes == code)

    def table(self, least_share: float, suppressed: Mapping[str, bool] | None = None) -> list[GroupCount]:
        """Return the group sizes, largest first, unknowns last.

        Args:
            least_share: Groups below are listed and not judged.
            suppressed: Groups whose size is withheld.
        """
        hidden = suppressed or {}
        total = self.size
        order = sorted(range(len(self.names)), key=lambda code: (-self.counts[code], self.names[code]))
        rows = [(self.names[code], self.counts[code], self.judged[code]) for code in order]
        out = [
            GroupCount(
                side=self.side, axis=self.axis, group=name,
                n=None if hidden.get(name) else count,
                share=None if hidden.get(name) else count / total,
                judged=judged and not hidden.get(name),
                reason=_reason(count, judged=judged, hidden=bool(hidden.get(name)), least_share=least_share),
            )
            for name, count, judged in rows
        ]  # fmt: skip
        if self.unknown and not hidden.get(UNKNOWN):
            out.append(
                GroupCount(
                    side=self.side, axis=self.axis, group=UNKNOWN, n=self.unknown, share=self.unknown / total,
                    judged=False, reason="the attribute is not known of them",
                )
            )  # fmt: skip
        elif self.unknown:
            out.append(
                GroupCount(
                    side=self.side, axis=self.axis, group=UNKNOWN, n=None, share=None, judged=False, reason="withheld",
                )
            )  # fmt: skip
        return out


def grouping(
    side: Side,
    axis: str,
    codes: npt.ArrayLike,
    names: Sequence[str],
    *,
    least_share: float,
    references: Mapping[str, str],
) -> Grouping:
    """Return an axis with its reference: the one named, or the largest group.

    Args:
        side: ``user`` or ``provider``.
        axis: Its name.
        codes: Group of each unit, −1 where unknown.
        names: Name of each group.
        least_share: Groups below this share of all units are not judged.
        references: Of the plan.

    Raises:
        UnknownError: When the named reference is no group of the axis, or nobody belongs to it; for users also when
            no group is known of anybody.
    """
    known = np.asarray(codes, dtype=np.int64)
    counts = np.bincount(known[known >= 0], minlength=len(names))
    wanted = references.get(axis)
    filled = [name for name, count in zip(names, counts, strict=True) if count]
    if wanted is not None and wanted not in names:
        raise UnknownError(f"reference of {axis} == {wanted!r}", "must be a group", f"there are: {', '.join(filled)}")
    if wanted is not None and wanted not in filled:
        raise UnknownError(
            f"reference of {axis} == {wanted!r}", "nobody belongs to it", f"name one of: {', '.join(filled)}"
        )
    if not filled and side == "user":
        raise UnknownError(f"axis == {axis!r}", "no unit has a known group on it", "leave the axis out of the plan")
    if not filled:
        # A catalogue that does not name studios is no fault of the plan: its films are counted as unknown.
        return Grouping(side=side, axis=axis, codes=known, names=(), counts=(), judged=(), reference=-1)
    # The largest group, the first by name among equals, so that nothing depends on the order of a table.
    largest = min(range(len(names)), key=lambda code: (-int(counts[code]), names[code]))
    reference = largest if wanted is None else list(names).index(wanted)
    least = least_share * int(np.count_nonzero(known != GONE))
    judged = tuple(bool(count and (count >= least or code == reference)) for code, count in enumerate(counts))
    return Grouping(
        side=side, axis=axis, codes=known, names=tuple(names), counts=tuple(counts.tolist()), judged=judged,
        reference=reference,
    )  # fmt: skip


def _reason(count: int, *, judged: bool, hidden: bool, least_share: float) -> str:
    if hidden:
        return "withheld"
    if not count:
        return "empty"
    return "" if judged else f"below {least_share:.0%} of the panel"
