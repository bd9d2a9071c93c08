"""The way down from a figure: a segment's users, one user's slates, and the films with why they were recommended.

Single users are for the role ``ml`` and a stated reason, which the ledger keeps.
"""

import pandas as pd
import streamlit as st

from dashboard import access, components, controls, words
from dashboard.loaders import telemetry as loaders
from dashboard.loaders.telemetry import Asked
from telemetry.metrics import METRICS, metric
from workspace.columns import Event
from workspace.errors import InvalidValueError


def drill_down(asked: Asked) -> None:
    """Go from the segment to its users, to one user's slates, to the films and why they were recommended."""
    viewer = access.viewer()
    if viewer is None or viewer.role != "ml":
        components.banner(
            "Single users are for the role ml.", "The other tabs hold what may be said of groups.", tone="warn"
        )
        return
    one = metric(controls.choose_one("Metric", {one.name: one.title for one in METRICS}, "metric") or METRICS[0].name)
    reason = access.reason_for_looking()
    if not reason:
        components.banner("State why you look at single users.", "The ledger keeps the reason.")
        return
    names = "; ".join(f"{words.dimension(dim)} {', '.join(values)}" for dim, values in asked.where) or "all users"
    access.record_look(f"telemetry segment: {names}", reason, personal=False)
    users = loaders.segment_users(asked, one.name, {})
    if users.empty:
        components.banner("Nobody is in this segment.", "Widen the period, or drop a filter.")
        return
    st.header(f"Users of the segment: {components.literal(names)}", anchor=False)
    base = {name: value for name, value in st.query_params.to_dict().items() if name != "who"}
    rows = [
        (components.anchor(_short_user(user), "telemetry", **base, who=str(user)), f"{above:,.4g}", f"{below:,.4g}")
        for user, above, below in users.itertuples(index=False)
    ]
    components.table(
        ("User (pseudonym)", words.measure(one.numerator), words.measure(one.denominator)), rows,
        numeric=(words.measure(one.numerator), words.measure(one.denominator)),
        caption=f"Those with most {words.measure(one.numerator).lower()} first, {len(rows)} shown",
    )  # fmt: skip
    who = st.query_params.get("who", "")
    if who:
        _draw_user(asked, who, reason)


def _draw_user(asked: Asked, who: str, reason: str) -> None:
    if not (who.isdecimal() and int(who) < 2**63):
        raise InvalidValueError(f"user == {who!r} in the address", "must be the number of a pseudonym")
    access.record_look(who, reason)
    events = loaders.events(asked, user=int(who))
    st.header(f"User {_short_user(int(who))}", anchor=False)
    if events.empty:
        components.banner("This user has no event in the period.")
        return
    slates = events[events[Event.SLATE].notna()].groupby(Event.SLATE, sort=False)
    rows = [_slate_row(str(slate), some) for slate, some in slates]
    components.table(
        ("Slate", "Shown (UTC)", "Films", "Clicks", "Thumbs down", "Index version", "Request"),
        rows[::-1], numeric=("Films", "Clicks", "Thumbs down"), tight=("Shown (UTC)",),
        caption="The user's slates, the newest first; a slate that the recommender logged opens with its reasons",
    )  # fmt: skip


def _slate_row(slate: str, events: pd.DataFrame) -> tuple[object, ...]:
    kinds = events[Event.TYPE].value_counts()
    first = events.iloc[0]
    clicked = events.loc[events[Event.TYPE].isin(["click", "impression"])].sort_values(Event.TYPE)
    film = clicked[Event.FILM].iloc[0] if len(clicked) else ""
    known = loaders.is_logged(slate)
    return (
        components.anchor(slate, "recommendations", slate=slate, film=film, tab="Why") if known else slate,
        f"{first[Event.TS]:%Y-%m-%d %H:%M}",
        int(kinds.get("impression", 0)),
        int(kinds.get("click", 0)),
        int(kinds.get("thumbs_down", 0)),
        first[Event.INDEX_VERSION] or "",
        components.anchor("trace", "trace", transaction=first[Event.TRANSACTION]) if first[Event.TRANSACTION] else "",
    )


def _short_user(user: int) -> str:
    return f"{user:016x}"
