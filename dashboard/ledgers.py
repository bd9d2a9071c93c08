"""The ledger as the console and the command line read it, and the change of a role it records."""

from typing import Final

from workspace.checks import check_scalar
from workspace.ledger import Ledger, LedgerEntry, LedgerHead, LedgerVerdict
from workspace.settings import Settings
from workspace.store import Store

ROLE: Final = "role.change"
_READ_AT_A_TIME: Final = 5_000


def verified(settings: Settings, noted: LedgerHead | None = None) -> LedgerVerdict:
    """Compute the whole chain again.

    Args:
        settings: The workspace.
        noted: A head noted earlier.
    """
    store = Store.open(settings)
    try:
        return Ledger(store).verify(noted)
    finally:
        store.close()


def records(settings: Settings, *, limit: int, action: str = "", actor: str = "") -> list[LedgerEntry]:
    """Return records, newest first.

    Args:
        settings: The workspace.
        limit: How many at most, 1 to 10,000.
        action: What their act begins with.
        actor: Whose act it was; empty for everybody's.

    Raises:
        InvalidValueError: When the limit is outside its limits.
        IntegrityError: When a record can't be read.
    """
    check_scalar(limit, "limit", ge=1, le=10_000)
    store = Store.open(settings)
    try:
        return matching(Ledger(store), limit=limit, action=action, actor=actor)
    finally:
        store.close()


def matching(ledger: Ledger, *, limit: int, action: str = "", actor: str = "") -> list[LedgerEntry]:
    """Return the newest records of an act and an actor."""
    found: list[LedgerEntry] = []
    offset = 0
    while len(found) < limit:
        entries = ledger.entries(_READ_AT_A_TIME, offset)
        found += [one for one in entries if one.action.startswith(action) and actor in {"", one.actor}]
        if len(entries) < _READ_AT_A_TIME:
            break
        offset += _READ_AT_A_TIME
    return found[:limit]


def record_role(ledger: Ledger, actor: str, role: str | None) -> bool:
    """Record that somebody's role is another one than the ledger says.

    Roles are granted in the secrets of the console, outside its reach; so a change is recorded when it is first met.

    Args:
        ledger: The ledger.
        actor: Whose role.
        role: The role they have now; None for none.

    Returns:
        Whether it had changed.
    """
    last = next(iter(matching(ledger, limit=1, action=ROLE, actor=actor)), None)
    before = None if last is None else last.details.get("role")
    if last is not None and before == role:
        return False
    ledger.append(actor, ROLE, actor, {"role": role, "before": before})
    return True
