"""Making a version the current one, with its row in the ledger, also when a crash came between the two."""

from typing import Final

from recommender import index
from workspace.ledger import Ledger
from workspace.paths import Paths

SWITCH: Final = "index.switch"
ROLLBACK: Final = "index.rollback"
_LOOK_BACK_ROWS: Final = 1_000


def activate(paths: Paths, ledger: Ledger, version: str, *, actor: str, strategy: str | None = None) -> str | None:
    """Switch to a version and record it.

    Args:
        paths: The workspace.
        ledger: Its ledger.
        version: The version.
        actor: Who does it.
        strategy: How the version was built, when this ends a build.

    Returns:
        The version that was current before.

    Raises:
        UnknownError: When there is no such version.
        IntegrityError: When it is damaged; the current one stays.
    """
    settle(paths, ledger)
    before = index.current_version(paths)
    index.switch(paths, version)
    ledger.append(actor, SWITCH, version, {"before": before} | ({"strategy": strategy} if strategy else {}))
    return before


def roll_back(paths: Paths, ledger: Ledger, *, actor: str) -> tuple[str, str | None]:
    """Go back to the version that was current before and record it.

    Returns:
        The version that is current now, and the one that was.

    Raises:
        StateError: When there was none before.
        IntegrityError: When it is damaged; the current one stays.
    """
    settle(paths, ledger)
    before = index.current_version(paths)
    now = index.rollback(paths)
    ledger.append(actor, ROLLBACK, now, {"before": before})
    return now, before


def settle(paths: Paths, ledger: Ledger) -> None:
    """Record a switch whose process was killed before it could write its row.

    The pointer and the ledger live in different stores, so a crash can come between them; the next to look finds it.
    """
    current = index.current_version(paths)
    rows = ledger.entries(_LOOK_BACK_ROWS)
    recorded = next((row.subject for row in rows if row.action in {SWITCH, ROLLBACK}), None)
    if current is None or recorded == current or (recorded is None and len(rows) == _LOOK_BACK_ROWS):
        return
    ledger.append(
        "recovery", SWITCH, current, {"before": recorded, "reason": "switched without a row: the process died"}
    )
