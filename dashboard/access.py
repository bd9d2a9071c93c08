"""Who looks, in which role, and for what stated reason.

Without a sign-in provider the console serves one person on this machine, in the role ``ml``. With one (``[auth]`` in
Streamlit's secrets) the roles come from ``[roles]``, address to role, and whoever has none sees nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

import streamlit as st

from dashboard import components
from dashboard.loaders import engine
from workspace.errors import InvalidValueError

Role = Literal["pm", "ml", "auditor", "admin"]

ROLES: Final[tuple[Role, ...]] = ("pm", "ml", "auditor", "admin")
REASONS: Final = ("Debugging a recommendation", "Reviewing a feature version", "Answering the user's own question")
LOCAL_ACTOR: Final = "local"
_LOOKED_AT: Final = "access_looked_at"
_ROLE_NOTED: Final = "access_role_noted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks.

    Args:
        actor: What the ledger calls them.
        role: What they may see; None when they have no role.
        local: Nobody had to sign in.
    """

    actor: str
    role: Role | None
    local: bool


def viewer() -> Viewer | None:
    """Return who looks, or None while nobody has signed in."""
    if not sign_in_configured():
        return Viewer(actor=LOCAL_ACTOR, role="ml", local=True)
    claims: dict[str, Any] = dict(st.user.to_dict())
    if not claims.get("is_logged_in") or _expired(claims):
        return None
    address = str(claims.get("email", "")).casefold()
    granted = {str(who).casefold(): role for who, role in dict(st.secrets.get("roles", {})).items()}
    role = granted.get(address)
    return Viewer(actor=address or str(claims.get("sub", "")), role=role if role in ROLES else None, local=False)


def sign_in_configured() -> bool:
    """Say whether the secrets name a sign-in provider."""
    try:
        return "auth" in st.secrets
    except FileNotFoundError:  # there are no secrets at all
        return False


def allow(page: str, roles: tuple[Role, ...]) -> Callable[[], None] | str:
    """Return the page for whom it is meant, and what to say instead for everyone else.

    Every page is registered for everyone, so that a deep link to a refused one says why instead of "not found".
    """
    who = viewer()
    if who is None:
        return sign_in
    record_role(who)
    if who.role not in roles:
        return lambda: forbidden(who, roles)
    return page


def sign_in() -> None:
    """Ask for the sign-in."""
    components.heading("Sign in")
    components.banner("This console is for signed-in staff.", "You come back to this address afterwards.")
    if st.button("Sign in", type="primary"):
        st.login()


def forbidden(who: Viewer, roles: tuple[Role, ...]) -> None:
    """Say which role a page needs."""
    components.heading("Not for your role")
    has = f"Your role is {who.role}." if who.role else "You have no role yet."
    components.banner(
        f"This page needs the role {' or '.join(roles)}.", f"{has} An administrator grants roles.", tone="warn"
    )


def reason_for_looking() -> str:
    """Ask why one user's own data is looked at; a local session states it once for all."""
    who = viewer()
    local = who is not None and who.local
    chosen = st.selectbox(
        "Reason for looking",
        REASONS,
        index=0 if local else None,
        key="reason",
        bind="query-params",
        accept_new_options=True,
        placeholder="State a reason",
        help="One user's own recommendations are shown for a stated reason, which the ledger keeps.",
    )
    return (chosen or "").strip()


def acting() -> str:
    """Return who changes something, for the ledger.

    Raises:
        InvalidValueError: When nobody is signed in, or in no role.
    """
    who = viewer()
    if who is None or who.role is None:
        raise InvalidValueError("nobody is signed in", "whoever changes something must be known", "sign in")
    return who.actor


def record_look(looked_at: str, reason: str, *, personal: bool = True) -> None:
    """Write to the ledger that one user's own data was looked at, once per user, reason and session.

    Args:
        looked_at: An id or a pseudonym of a user, which the ledger names by a keyed digest; else words.
        reason: The stated reason.
        personal: Whether it is an id or a pseudonym.
    """
    who = viewer()
    looked: set[tuple[str, str]] = st.session_state.setdefault(_LOOKED_AT, set())
    if who is None or (looked_at, reason) in looked:
        return
    engine.record_look(actor=who.actor, role=str(who.role), looked_at=looked_at, personal=personal, reason=reason)
    looked.add((looked_at, reason))


def record_role(who: Viewer) -> None:
    """Write to the ledger, once a session, that a signed-in viewer's role is another one than the ledger says."""
    if who.local or st.session_state.get(_ROLE_NOTED) == (who.actor, who.role):
        return
    engine.record_role(actor=who.actor, role=who.role)
    st.session_state[_ROLE_NOTED] = (who.actor, who.role)


def _expired(claims: dict[str, Any]) -> bool:
    # The cookie lives 30 days whatever the token says, so the token's own end is checked here.
    try:
        return float(claims.get("exp", "inf")) < time.time()
    except (TypeError, ValueError):
        return True
