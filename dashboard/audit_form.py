"""The form of an audit plan; every field lives in the address, so that a proposed plan is a link."""

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import streamlit as st

from audit.plan import CROSS, FILM_AXES, MEASURES, OBSERVED_AXES, USER_AXES, AuditPlan
from dashboard import audit_words as told
from dashboard import controls
from dashboard.loaders import audits as loaders
from workspace.errors import StateError

_USUAL: Final = AuditPlan(title="usual", index_version="", snapshot_id="", on=dt.date(2000, 1, 1))
_LARGEST: Final = ""
_PAIR: Final = "/"


def ask() -> dict[str, Any]:
    """Draw the form.

    Returns:
        Fields of a plan, those of its index version left to whoever declares it.

    Raises:
        StateError: When there is no index version to audit.
    """
    offered = loaders.versions()
    if not offered:
        raise StateError("no index version is there", "an audit needs one", "run `recommendr index build`")
    with st.container(key="request"):
        left, middle, right = st.columns([3, 2, 2])
    with left:
        title = st.text_input("Title", value="Bias audit", max_chars=120, key="title", bind="query-params")
    with middle:
        version = controls.choose_one("Index version", offered, "version") or next(iter(offered))
    with right:
        panel = controls.choose_one("Panel", told.PANELS, "panel") or _USUAL.panel
    known = OBSERVED_AXES if panel == "observed" else USER_AXES
    pairs = (CROSS.join(pair) for pair in combinations(known, 2))
    axes = {one: told.axis(one) for one in (*known, *pairs)}
    usual = [one for one in _USUAL.axes if one in axes] or [known[0]]
    fields: dict[str, Any] = {"title": title, "index_version": version, "panel": panel}
    fields["axes"] = tuple(_several("User groups", axes, "axes", usual))
    fields["film_axes"] = tuple(_several("Film groups", {one: told.axis(one) for one in FILM_AXES}, "film_axes",
                                         _USUAL.film_axes))  # fmt: skip
    fields["measures"] = tuple(_several("Measures", {one: told.measure(one) for one in MEASURES}, "measures",
                                        _USUAL.measures))  # fmt: skip
    with st.expander("References: the group every other is held against"):
        fields["references"] = _references([*fields["axes"], *fields["film_axes"]])
    with st.expander("Family of tests, error and parity"):
        fields |= _statistics(fields["axes"], fields["measures"])
    with st.expander("Size of the panel, slate and seed"):
        fields |= _sizes(panel)
    with st.expander("Date, index of one market, notes"):
        fields |= _rest(offered, version)
    return fields


def _several(label: str, offered: Mapping[str, str], key: str, usual: Sequence[str], **more: Any) -> list[str]:  # noqa: ANN401
    """Let some of some named things be chosen, the usual ones to begin with; the address keeps their ids."""
    state, widget = st.session_state, f"{key}_choice"
    if widget not in state:
        state[widget] = list(st.query_params.get_all(key) or usual)
    state[widget] = [one for one in state[widget] if one in offered]

    def follow() -> None:
        st.query_params[key] = state[widget]

    return st.multiselect(
        label, list(offered), format_func=lambda one: offered.get(one, one), key=widget, on_change=follow, **more
    )


def _references(axes: Sequence[str]) -> dict[str, str]:
    chosen = {}
    cells = st.columns(3)
    for at, axis in enumerate(axes):
        groups = loaders.groups(axis)
        if not groups:
            continue
        offered = {_LARGEST: "the largest group"} | {one: told.group(one) for one in groups}
        with cells[at % 3]:
            reference = controls.choose_one(told.axis(axis), offered, f"reference_{axis}")
        if reference:
            chosen[axis] = reference
    return chosen


def _statistics(axes: Sequence[str], measures: Sequence[str]) -> dict[str, Any]:
    offered = {
        f"{axis}{_PAIR}{measure}": f"{told.axis(axis)}: {told.measure(measure)}"
        for axis in axes
        for measure in measures
    }
    family = _several(
        "Declared family: confirmatory tests",
        offered,
        "family",
        (),
        placeholder="Left open: the usual one",
    )
    cells = st.columns(4, vertical_alignment="bottom")
    alpha = cells[0].number_input("Family-wise error, %", 0.1, 20.0, 100 * _USUAL.alpha, 0.5, key="alpha",
                                  bind="query-params")  # fmt: skip
    low = cells[1].number_input("Parity from", 0.1, 0.99, _USUAL.parity[0], 0.05, key="low", bind="query-params")
    high = cells[2].number_input("Parity to", 1.01, 10.0, _USUAL.parity[1], 0.05, key="high", bind="query-params")
    share = cells[3].number_input("Least share of a group, %", 0.0, 49.0, 100 * _USUAL.least_share, 0.5,
                                  key="least_share", bind="query-params")  # fmt: skip
    return {
        "family": tuple((axis, measure) for axis, _, measure in (one.partition(_PAIR) for one in family)),
        "alpha": round(alpha / 100, 6), "parity": (round(low, 6), round(high, 6)), "least_share": round(share / 100, 6),
    }  # fmt: skip


def _sizes(panel: str) -> dict[str, Any]:
    cells = st.columns(3, vertical_alignment="bottom")

    def whole(at: int, label: str, limits: tuple[int, int], key: str) -> int:
        return int(cells[at % 3].number_input(label, *limits, getattr(_USUAL, key), key=key, bind="query-params"))

    sized = {
        "k": whole(0, "Films in a slate", (1, 200), "k"),
        "seed": whole(1, "Seed", (0, 2**31 - 1), "seed"),
    }
    if panel == "observed":
        return sized | {
            "holdout_days": whole(2, "Days held back", (1, 3_650), "holdout_days"),
            "k_anonymity": whole(3, "Fewest users behind a figure", (_USUAL.k_anonymity, 10_000), "k_anonymity"),
        }
    return sized | {
        "tastes": whole(2, "Tastes", (2, 10_000), "tastes"),
        "history_length": whole(3, "Films in a history", (1, 1_000), "history_length"),
        "personas": whole(4, "Personas at most, 0 is all", (0, 200_000), "personas"),
    }


def _rest(offered: Mapping[str, str], version: str) -> dict[str, Any]:
    left, right = st.columns(2)
    on = left.date_input("Recommendations for", value=None, key="on", bind="query-params", format="YYYY-MM-DD",
                         help="Left empty: the day after the last act in the catalogue.")  # fmt: skip
    with right:
        others = {_LARGEST: "none"} | {one: name for one, name in offered.items() if one != version}
        market = controls.choose_one("Index of one market", others, "market_version")
    notes = st.text_input("Notes", max_chars=500, key="notes", bind="query-params")
    fields: dict[str, Any] = {"market_version": market or "", "notes": notes}
    return fields | ({"on": on} if isinstance(on, dt.date) else {})
