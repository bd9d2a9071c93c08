"""The controls of a request for recommendations; each lives in the URL, so that every view is a link."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import streamlit as st

from dashboard import access
from dashboard.loaders import recommendations as loaders
from dashboard.loaders.recommendations import Asked, Choices
from recommender.rules import Filters
from recommender.slates import Slate
from workspace.errors import InvalidValueError, RecommendrError

_FIRST_DAY: Final = dt.date(1870, 1, 1)
_LAST_DAY: Final = dt.date(2199, 12, 31)
_YEARS: Final = (1870, 2200)
_ASKED: Final = "asked_before"
_FRESH: Final = "asked_fresh"


def prefill() -> None:
    """Complete the address on the first run: from the slate it names, else with a user to begin with.

    Controls read the address when they are first drawn, so the run begins anew once it is complete.
    """
    query, state = st.query_params, st.session_state
    if _ASKED in state or "user" in query or "user" in state:
        return
    if "slate" in query:
        _fill_from(loaders.slate(query["slate"]))
    elif (who := access.viewer()) and who.local:
        query["user"] = next(iter(loaders.choices().users), "")
    if "user" in query:
        st.rerun()


def _fill_from(slate: Slate) -> None:
    filters = slate.filters
    values: dict[str, Any] = {
        "user": slate.user_id, "region": slate.region, "on": slate.on.isoformat(), "version": slate.index_version,
        "exclude": list(filters.exclude_genres), "age": filters.maximum_age, "language": list(filters.languages),
        "from": filters.year_from, "to": filters.year_to,
    }  # fmt: skip
    st.query_params.update({name: value for name, value in values.items() if value not in (None, [])})


def refused(choices: Choices) -> list[RecommendrError]:
    """Return what of the URL can't be used; Streamlit would drop it without a word."""
    query = st.query_params
    found: list[RecommendrError] = []
    for name, label, offered in (
        ("region", "region", choices.regions),
        ("version", "index version", choices.versions),
        ("exclude", "genre", choices.genres),
        ("language", "language", choices.languages),
        ("age", "age", [str(age) for age in choices.ages]),
    ):
        found += [
            InvalidValueError(
                f"{label} == {value!r} in the address", "is not offered here", f"there are {_some(offered)}"
            )
            for value in query.get_all(name)
            if value and value not in offered
        ]
    day = query.get("on", "")
    if day and not _is_day(day):
        found.append(
            InvalidValueError(f"date {day!r} in the address", "must be a day of the calendar", "write it as 2026-01-31")
        )
    return found


def _some(offered: Sequence[str]) -> str:
    return ", ".join(offered[:8]) + ("…" if len(offered) > 8 else "") if offered else "none"  # noqa: PLR2004


def _is_day(day: str) -> bool:
    try:
        return _FIRST_DAY <= dt.date.fromisoformat(day) <= _LAST_DAY
    except ValueError:
        return False


def ask(choices: Choices) -> Asked | None:
    """Draw the controls.

    Returns:
        What is asked for, or None until a user is chosen and a reason stated.

    Raises:
        InvalidValueError: When the years are the wrong way round.
    """
    with st.container(key="request"):
        who, where, when, which = st.columns([3, 2, 2, 3])
    with who:
        user = st.selectbox(
            "User", _with_present(choices.users, "user"), index=None, key="user", bind="query-params",
            accept_new_options=True, placeholder="Pick or paste a user id",
        )  # fmt: skip
    with where:
        region = st.selectbox(
            "Region", choices.regions, index=None, key="region", bind="query-params", placeholder="The user's own"
        )
    with when:
        on = st.date_input(
            "Date", value=None, min_value=_FIRST_DAY, max_value=_LAST_DAY, key="on", bind="query-params",
            format="YYYY-MM-DD",
        )  # fmt: skip
    with which:
        version = st.selectbox(
            "Index version", choices.versions, index=None, key="version", bind="query-params",
            placeholder="The current one",
        )  # fmt: skip
    with st.expander("Filters and reason", expanded=_any_filter()):
        filters = _filters(choices)
        reason = access.reason_for_looking()
    if not user or not reason:
        return None
    day = on if isinstance(on, dt.date) else None
    return Asked(user_id=user.strip(), region=region, on=day, version=version, filters=filters)


def _with_present(offered: Sequence[str], key: str) -> list[str]:
    present = st.session_state.get(key) or st.query_params.get(key)
    return [*offered, present] if present and present not in offered else list(offered)


def _any_filter() -> bool:
    return any(
        st.session_state.get(key) or st.query_params.get(key) for key in ("exclude", "language", "age", "from", "to")
    )


def _filters(choices: Choices) -> Filters:
    left, right = st.columns(2)
    with left:
        exclude = st.multiselect("Exclude genres", choices.genres, key="exclude", bind="query-params")
        languages = st.multiselect(
            "Languages", choices.languages, key="language", bind="query-params", placeholder="Any language"
        )
    with right:
        age = st.selectbox(
            "Suitable for age", choices.ages, index=None, key="age", bind="query-params", placeholder="Any age rating"
        )
        first, last = st.columns(2)
        low, high = _YEARS
        year_from = first.number_input("From year", low, high, None, key="from", bind="query-params", placeholder="Any")
        year_to = last.number_input("To year", low, high, None, key="to", bind="query-params", placeholder="Any")
    return Filters(
        exclude_genres=tuple(exclude), maximum_age=age, languages=tuple(languages),
        year_from=None if year_from is None else int(year_from), year_to=None if year_to is None else int(year_to),
    )  # fmt: skip


def refresh() -> None:
    """Ask for new films at the next run."""
    st.session_state[_FRESH] = True


def current_slate(asked: Asked) -> Slate:
    """Return the slate on show, and log one only when something new was asked for.

    Logging changes which films were "shown lately", so a rerun or a link reads its slate again instead.
    """
    state, query = st.session_state, st.query_params
    fresh, before = state.pop(_FRESH, False), state.get(_ASKED)
    found: Slate | None = None
    if not fresh and (before is None or before == asked):
        found = _linked(asked) or (loaders.latest_slate(asked) if before is None else None)
    shown = found or loaders.make_slate(asked)
    state[_ASKED] = asked
    if query.get("slate") != shown.slate_id:
        query["slate"] = shown.slate_id
        if before is not None:  # a film chosen of the last slate is none of this one
            query.pop("film", None)
            state.pop("film_choice", None)
    return shown


def _linked(asked: Asked) -> Slate | None:
    slate_id = st.query_params.get("slate")
    if not slate_id:
        return None
    slate = loaders.slate(slate_id)
    return slate if asked.is_explicitly_answered_by(slate) else None


def choose_one(label: str, offered: Mapping[str, str], key: str) -> str | None:
    """Let one of some named things be chosen; the address keeps its id, where ``bind`` would keep its label."""
    state, widget = st.session_state, f"{key}_choice"
    linked = st.query_params.get(key)
    if linked in offered:
        state[widget] = linked
    elif state.get(widget) not in offered:
        state.pop(widget, None)

    def follow() -> None:
        st.query_params[key] = state[widget]

    return st.selectbox(
        label, list(offered), format_func=lambda one: offered.get(one, one), key=widget, on_change=follow
    )


def choose_some(label: str, offered: Mapping[str, str], key: str, *, most: int, placeholder: str) -> list[str]:
    """Let some of some named things be chosen; the address keeps their ids."""
    state, widget = st.session_state, f"{key}_choice"
    state[widget] = [one for one in st.query_params.get_all(key) if one in offered][:most]

    def follow() -> None:
        st.query_params[key] = state[widget]

    return st.multiselect(
        label, list(offered), format_func=lambda one: offered.get(one, one), key=widget, on_change=follow,
        max_selections=most, placeholder=placeholder,
    )  # fmt: skip
