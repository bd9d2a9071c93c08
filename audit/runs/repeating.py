"""One population asked about twice: what two reports of observed users tell together about a few of them."""

from collections.abc import Iterable, Sequence

import numpy as np

from audit.groups import UNKNOWN
from audit.panel import Panel, user_groups
from audit.plan import OBSERVED_AXES
from audit.results import Findings
from audit.suppression.differencing import DifferencingError, DifferencingGuard

Filter = tuple[str, frozenset[int]]


def refuse_overlap(panel: Panel, findings: Findings, earlier: Sequence[Findings]) -> None:
    """Refuse findings that, beside reports handed out before, tell about fewer than k users.

    A report withholds what its own figures give away. Region KG in one report and KG's free users in the next give KG's
    premium users by subtraction: that only both together show. What a report gives away by itself is its own affair
    (`audit.runs.withholding`) and not refused here.

    Args:
        panel: The observed users of these findings.
        findings: What a run found.
        earlier: Findings of other reports; those of another population are passed over.

    Raises:
        DifferencingError: Naming the two filters, never a number.
    """
    same = [one for one in earlier if one.panel.get("panel_hash") == findings.panel.get("panel_hash")]
    if not same:
        return
    k = findings.plan.k_anonymity
    cells, sizes = _finest(panel)
    own = _published(panel, findings, cells)
    before = [one for report in same for one in _published(panel, report, cells)]
    alone = DifferencingGuard(sizes, k=k)
    beside = DifferencingGuard(sizes, k=k, answered=before)
    for name, members in own:
        try:
            beside.admit(name, members)
        except DifferencingError:
            if alone.may(name, members):
                raise
        if alone.may(name, members):
            alone.admit(name, members)


def _finest(panel: Panel) -> tuple["np.ndarray[tuple[int], np.dtype[np.int64]]", dict[int, int]]:
    """Return the finest cell of each user, shape ``(n,)``, and how many users each has."""
    columns = np.column_stack([user_groups(panel, axis)[0] for axis in OBSERVED_AXES])
    _, cells = np.unique(columns, axis=0, return_inverse=True)
    cells = cells.reshape(-1).astype(np.int64)
    return cells, dict(enumerate(np.bincount(cells).tolist()))


def _published(
    panel: Panel, findings: Findings, cells: "np.ndarray[tuple[int], np.dtype[np.int64]]"
) -> Iterable[Filter]:
    """Yield the groups whose size a report tells, as sets of the finest cells."""
    groups: dict[str, tuple[np.ndarray, tuple[str, ...]]] = {}
    found: list[Filter] = []
    for one in findings.counts:
        if one.side != "user" or one.n is None or one.group == UNKNOWN:
            continue
        if one.axis not in groups:
            groups[one.axis] = user_groups(panel, one.axis)
        codes, names = groups[one.axis]
        members = cells[codes == list(names).index(one.group)]
        found.append((f"{one.axis} {one.group}", frozenset(np.unique(members).tolist())))
    return found
