"""The tab *Cause* of *Audit*: from a row to its films and personas, the score terms that differ, and a replay."""

from typing import TYPE_CHECKING, Final

import streamlit as st

from audit.results import Figure, Verdict
from dashboard import access, components, controls, words
from dashboard import audit_words as told
from dashboard.audit_group_panels import gravest_first, wide
from dashboard.loaders import audits as loaders
from workspace.errors import UnknownError

if TYPE_CHECKING:
    from audit.causes import Cause
    from dashboard.loaders.audits import Report

_TRACED: Final = (Verdict.DISPARITY, Verdict.FLAGGED)
_MOST_FEATURES: Final = 15
_SMALL: Final = 1e-9


def draw(report: "Report") -> None:
    """Let a row be chosen, then lead from it to what made it."""
    figure = _choose(report)
    if figure is None:
        components.banner(
            "No row of this report is a disparity or flagged.",
            "There is no cause to look for; what could not have been seen is on the first tab.", tone="good",
        )  # fmt: skip
        return
    _row(figure)
    with components.guarded():
        cause = loaders.cause(report, figure.key, access.acting())
        films(cause)
        terms(cause)
        personas(cause)
        replay(cause)


def _choose(report: "Report") -> Figure | None:
    known = {one.key: one for one in report.findings.figures}
    linked = st.query_params.get("figure")
    if linked and linked not in known:
        raise UnknownError(
            f"figure {components.plain(linked)[:80]!r} in the address", "is not in this report", "choose a row of it"
        )
    rows = gravest_first([one for one in report.findings.figures if one.verdict in _TRACED])
    if linked and known[linked] not in rows:
        rows.insert(0, known[linked])
    offered = {one.key: _named(one) for one in rows}
    key = controls.choose_one("Row", offered, "figure") if offered else None
    return known.get(key or "")


def _named(one: Figure) -> str:
    said = "no verdict" if one.verdict is None else one.verdict.value
    return f"{said}: {told.place(one)}"


def _row(one: Figure) -> None:
    if one.words:
        components.show(f'<p class="rr-lede">{components.text(one.words)}</p>')
    share = ("In histories (H)", told.unit(one.history_share, one.measure), "what the group chose by itself")
    components.stats(
        [
            (_capital(one.group), told.unit(one.value, told.scale(one)), f"n = {told.number(one.n)}"),
            (_capital(one.reference), told.unit(one.value_reference, told.scale(one)),
             f"n = {told.number(one.n_reference)}"),
            ("Ratio", told.ratio(one.ratio), _bounds(one)),
            ("Verdict", "none" if one.verdict is None else one.verdict.value,
             f"adjusted p {told.p_value(one.p_adjusted)}"),
            *((share,) if one.history_share is not None else ()),
        ]
    )  # fmt: skip


def _capital(group: str) -> str:
    shown = told.group(group)
    return shown[:1].upper() + shown[1:]


def _bounds(one: Figure) -> str:
    return "" if one.ratio_interval is None else f"{one.ratio_interval[0]:.2f} to {one.ratio_interval[1]:.2f}"


def films(cause: "Cause") -> None:
    """List the films whose exposure differs most."""
    st.header("The films behind it", anchor=False)
    group, reference = _capital(cause.figure.group), _capital(cause.figure.reference)
    if not cause.films:
        components.show('<p class="rr-muted">Both were shown the same films equally often.</p>')
        return
    components.table(
        ("Film", group, reference, "Difference"),
        [
            (components.anchor(title, "film", film=film_id), told.unit(here, "exposure"), told.unit(there, "exposure"),
             _signed(difference, "exposure"))
            for film_id, title, here, there, difference in cause.films
        ],
        numeric=(group, reference, "Difference"),
        caption=f"Share of the slates, {group} and {reference}: the films that differ most",
    )  # fmt: skip


def terms(cause: "Cause") -> None:
    """Draw the score terms that differ, by block, then by named feature."""
    st.header("The score terms that differ", anchor=False)
    blocks = [(words.block(name), value) for name, value in cause.blocks if abs(value) > _SMALL]
    if not blocks:
        components.banner(
            "No score term differs.",
            "The scores are alike to the last digit: what differs is which films a rule lets each of them see.",
        )
        return
    total = sum(value for _, value in blocks)
    carrier = max(blocks, key=lambda one: abs(one[1]))
    whose = (
        f"The films of the group score {_told(total)} than those of the reference, for the mean user."
        if cause.figure.side == "provider"
        else f"The films that make the difference score {_told(total)} for the group than for the reference."
    )
    part = "Most of it" if len(blocks) > 1 else "All of it"
    components.show(f'<p class="rr-lede">{whose} {part} comes from <strong>{components.text(carrier[0])}</strong>.</p>')
    left, right = st.columns(2)
    with left:
        components.waterfall(
            sorted(blocks, key=lambda one: -abs(one[1])), total, total_label="Together",
            caption="Mean difference of the score, group less reference, by block",
        )  # fmt: skip
    features = sorted(cause.features, key=lambda one: -abs(one[2]))
    shown = features[:_MOST_FEATURES]
    rest = total - sum(value for _, _, value in shown)
    rows: list[tuple[object, ...]] = [
        (words.block(block), words.feature(block, label), components.amount(value)) for block, label, value in shown
    ]
    if abs(rest) > _SMALL:
        rows.append(("All blocks", "All other features", components.amount(rest)))
    with right:
        if rows:
            components.table(
                ("Block", "Feature", "Differs by"), rows, numeric=("Differs by",),
                total=("Together", "", f"{total:.4f}".replace("-", told.MINUS)),
                caption="The same difference by named feature, the largest first",
            )  # fmt: skip


def _told(value: float) -> str:
    return f"{abs(value):.4f} {'higher' if value > 0 else 'lower'}"


def _signed(value: float, measure: str) -> components.Markup:
    sign = "+" if value > 0 else ""
    tone = "rr-loss" if value < 0 else "rr-gain"
    return components.Markup(f'<span class="{tone}">{sign}{told.unit(value, measure)}</span>')


def personas(cause: "Cause") -> None:
    """List some of the personas whose lists make the row."""
    if not cause.personas:
        return
    st.header("The personas behind it", anchor=False)
    components.table(
        ("Persona", "Group", "Name", "Shown, first to last"),
        [
            (persona, told.group(group), name or told.NONE, wide(_films(shown)))
            for persona, group, name, shown in cause.personas
        ],
        caption="Personas whose lists differ most; none of them is a person",
    )  # fmt: skip


def _films(shown: object) -> str:
    return "; ".join(loaders.title(str(film)) for film in shown) if isinstance(shown, list | tuple) else str(shown)


def replay(cause: "Cause") -> None:
    """Put a pair of lists side by side, made again from the same plan."""
    again = cause.replay
    if not again:
        return
    st.header("One pair, made again", anchor=False)
    first, second = list(again["list_a"]), list(again["list_b"])
    made = "Both lists came again exactly as the audit had them." if again["again"] else "The lists came out different."
    alike = "One history, one list." if again["identical"] else "The two lists are not the same."
    components.banner(alike, made, tone="good" if again["again"] and again["identical"] else "warn")
    sides = ((again["persona_id_a"], first, second), (again["persona_id_b"], second, first))
    for column, (persona, shown, other) in zip(st.columns(2), sides, strict=True):
        with column:
            components.table(
                ("Rank", "Film", "In"),
                [
                    (rank, components.anchor(loaders.title(film), "film", film=film),
                     components.pill("both", "good") if film in other else components.pill("only here", "warn"))
                    for rank, film in enumerate(shown, 1)
                ],
                caption=f"List of {persona}",
            )  # fmt: skip
