"""The parts of *Audit* about groups: of users, and of films; each figure against its reference and the parity band."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from audit.plan import EXPOSURE
from audit.results import Figure, Side
from dashboard import audit_words as told
from dashboard import components, controls, words
from dashboard.panels import mode

if TYPE_CHECKING:
    from dashboard.loaders.audits import Report

_MOST_DRAWN: Final = 40
_ALL: Final = "all"
_ANY: Final = "any_difference"
_COLUMNS: Final = ("Verdict", "n", "Value", "Reference", "Ratio", "Adjusted p", "Could have seen")
_TASTE: Final = ("In histories (H)", "Gap E − H")


def by_user_group(report: "Report") -> None:
    """Draw each user group against its reference, for one axis and measure."""
    _draw(report, "user", "No figure of this report is by user group.")


def by_film_group(report: "Report") -> None:
    """Draw each film group against its reference, then what everybody together was shown."""
    _draw(report, "provider", "No figure of this report is by film group alone.")
    popularity(report)


def _draw(report: "Report", side: Side, nothing: str) -> None:
    # The gravest first, so that what a page opens on is what the report is about.
    figures = gravest_first([one for one in report.findings.figures if one.side == side and one.measure != _ANY])
    if not figures:
        components.banner(nothing, "The plan names the axes and the measures that were looked at.")
        return
    shown = _choose(figures, side)
    if not shown:
        components.banner("No figure has this verdict.", "Choose another verdict, or all of them.")
        return
    first = shown[0]
    components.show(f'<p class="rr-lede">{components.text(told.MEANINGS.get(told.scale(first), ""))}</p>')
    _any_difference(report, first)
    draw_chart(report, shown)
    draw_table(report, shown, f"{told.measure(first.measure)} by {_axes(first)}, the gravest first")
    in_words([one.words for one in shown])
    bias_table(report, first)


def _any_difference(report: "Report", one: Figure) -> None:
    """Say what one test over all groups of the axis says, before any two of them are compared."""
    asked = (_ANY, one.axis, one.measure, one.film_axis)
    for test in report.findings.figures:
        if (test.measure, test.axis, test.group, test.film_axis) == asked and test.p is not None:
            components.banner(
                f"Does any group differ from any other? p = {told.p_value(test.p_adjusted or test.p)}",
                test.words or test.method,
                tone="warn" if (test.p_adjusted or test.p) < report.plan.alpha else "info",
            )


def _axes(one: Figure) -> str:
    films = f" and {told.axis(one.film_axis).lower()}" if one.film_axis else ""
    return f"{told.axis(one.axis).lower()}{films}"


def _choose(figures: Sequence[Figure], side: Side) -> list[Figure]:
    """Let axis, measure, film axis and verdict be chosen; all of it lives in the address."""
    with st.container(key="request"):
        cells = st.columns(4)
    with cells[0]:
        axes = {one.axis: told.axis(one.axis) for one in figures}
        axis = controls.choose_one("User group" if side == "user" else "Film group", axes, _key("axis", side))
    left = [one for one in figures if one.axis == axis]
    with cells[1]:
        measures = {one.measure: told.measure(one.measure) for one in left}
        measure = controls.choose_one("Measure", measures, _key("measure", side))
    left = [one for one in left if one.measure == measure]
    films = {one.film_axis: told.axis(one.film_axis) for one in left if one.film_axis}
    if films:
        with cells[2]:
            film_axis = controls.choose_one("Film group", films, _key("films", side))
        left = [one for one in left if one.film_axis == film_axis]
    with cells[3 if films else 2]:
        verdicts = {_ALL: "All"} | {verdict.value: verdict.value.capitalize() for verdict in told.TONES}
        verdict = controls.choose_one("Verdict", verdicts, _key("verdict", side))
    return gravest_first([one for one in left if verdict in (None, _ALL) or one.verdict == verdict])


def _key(name: str, side: Side) -> str:
    # The sides have axes of their own: one's choice in the address means nothing to the other.
    return name if side == "user" else f"film_{name}"


def gravest_first(figures: Sequence[Figure]) -> list[Figure]:
    """Return figures by verdict, then by how far their ratio is from 1; those without a verdict last."""
    order = list(told.TONES)

    def rank(one: Figure) -> tuple[int, float]:
        far = 0.0 if one.ratio is None else math.inf if one.ratio <= 0 else abs(math.log(one.ratio))
        return (len(order) if one.verdict is None else order.index(one.verdict), -far)

    return sorted(figures, key=rank)


def draw_chart(report: "Report", figures: Sequence[Figure], *, key: str = "ratios") -> None:
    """Draw the ratios of figures as dots with their intervals."""
    from dashboard import audit_charts

    drawn = [one for one in figures if one.ratio is not None]
    if not drawn:
        components.show('<p class="rr-muted">None of these figures has a ratio that could be estimated.</p>')
        return
    kept = drawn[:_MOST_DRAWN]
    groups = [one.group for one in figures]
    dots = [
        audit_charts.Dot(
            label=told.group(one.film_group or one.group), group=told.group(one.group) if one.film_group else "",
            value=one.ratio or 0.0, interval=one.ratio_interval, seen=one.detectable_ratio,
            verdict="no verdict" if one.verdict is None else one.verdict.value,
            tone="info" if one.verdict is None else told.TONES[one.verdict],
        )
        for one in sorted(kept, key=lambda one: groups.index(one.group))
    ]  # fmt: skip
    figure = audit_charts.ratios(dots, parity=report.plan.parity, mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key=key)
    low, high = report.plan.parity
    more = (
        f" Drawn are the {_MOST_DRAWN} gravest of {len(drawn):,}; the table has all." if len(drawn) > len(kept) else ""
    )
    components.show(
        f'<p class="rr-muted">The shaded band, {low:g} to {high:g}, counts as parity. An interval inside it shows '
        "parity; one across its edge shows nothing either way. The upright stroke is the smallest disparity the row "
        f"would have seen with a chance of four in five.{more}</p>"
    )


def draw_table(report: "Report", figures: Sequence[Figure], caption: str) -> None:
    """List figures with n, interval, ratio, adjusted p and verdict, each with the way to its cause."""
    films = any(one.film_group for one in figures)
    references = {one.reference for one in figures}
    taste = any(one.measure == EXPOSURE and one.history_share is not None for one in figures)
    against = f", against {told.group(references.pop())}" if len(references) == 1 else ""
    head = ("Group", *(("Films of",) if films else ()), *(() if against else ("Against",)), *_COLUMNS)
    components.table(
        (*head, *(_TASTE if taste else ())),
        [_row(report, one, films=films, against=not against, taste=taste) for one in figures],
        caption=f"{caption}{against}", tight=("Value", "Ratio", *_TASTE), numeric=("n", "Reference", "Adjusted p"),
    )  # fmt: skip
    level = f"{100 * (1 - report.plan.alpha):g} %"
    methods = "; ".join(dict.fromkeys(one.method for one in figures if one.method))
    components.show(
        f'<p class="rr-muted">n counts {_units(figures[0], report)}. Intervals of values are at {level}, those of '
        "ratios at the level of the adjusted p: Holm’s within the declared family, Benjamini and Hochberg’s outside. "
        f"{components.text(methods)}</p>"
    )


def _units(one: Figure, report: "Report") -> str:
    if one.side == "provider":
        return "films"
    return "users" if report.plan.panel == "observed" else "personas"


def _row(report: "Report", one: Figure, *, films: bool, against: bool, taste: bool) -> tuple[object, ...]:
    scale = told.scale(one)
    share = (told.unit(one.history_share, scale), told.change(one.gap, one.gap_interval, scale))
    return (
        told.group(one.group),
        *((told.group(one.film_group) or told.NONE,) if films else ()),
        *((told.group(one.reference),) if against else ()),
        verdict(report, one),
        told.number(one.n),
        told.bounded(one.value, one.interval, scale),
        told.unit(one.value_reference, scale),
        told.ratio(one.ratio, one.ratio_interval),
        told.p_value(one.p_adjusted),
        detectable(one),
        *(share if taste else ()),
    )


def detectable(one: Figure) -> str:
    """Return the smallest disparity a row would have seen.

    Example:
        >>> detectable(Figure(measure="reach", side="user", axis="a", group="b", reference="c", detectable_ratio=0.7))
        'below 0.70'
    """
    if one.detectable_ratio is None:
        return told.NONE
    return f"{'below' if one.detectable_ratio < 1 else 'above'} {one.detectable_ratio:.2f}"


def verdict(report: "Report", one: Figure) -> object:
    """Return a verdict for a cell; where there is something to explain, it is the way to the cause."""
    if one.verdict is None:
        return one.reason or "no verdict"
    tone = told.TONES[one.verdict]
    if tone not in ("bad", "warn"):
        return components.pill(one.verdict.value, tone)
    return cause_link(report, one, one.verdict.value, tone)


def cause_link(report: "Report", one: Figure, label: str, tone: components.Tone) -> components.Markup:
    """Return a state for a cell that leads to what is behind it."""
    way = components.anchor("why?", "audit", report=report.report_id, tab="Cause", figure=one.key)
    return components.Markup(f"{components.pill(label, tone).markup} {way.markup}")


def in_words(said: Sequence[str]) -> None:
    """Say the rows of the table above in sentences, for whoever reads no table."""
    items = "".join(f"<li>{components.text(one)}</li>" for one in said if one)
    if items:
        counted = words.count(len([one for one in said if one]), "row")
        components.show(f"<details><summary>{counted} of this table in sentences</summary><ul>{items}</ul></details>")


def wide(value: object) -> components.Markup:
    """Return a text for a cell that stays readable on a narrow screen."""
    return components.Markup(f'<div class="long">{components.text(value)}</div>')


def bias_table(report: "Report", one: Figure) -> None:
    """Show the same comparison in the shape of Local Law 144: applicants, selected, rate, impact ratio."""
    tables = [
        table
        for table in report.content.get("bias_tables", [])
        if (table["side"], table["axis"], table["measure"], table["film_axis"])
        == (one.side, one.axis, one.measure, one.film_axis)
    ]
    if not tables:
        return
    st.header("As a bias-audit table", anchor=False)
    films = {str(at): told.group(table["film_group"]) for at, table in enumerate(tables)}
    at = int(controls.choose_one("Films of", films, _key("bias", one.side)) or 0) if one.film_axis else 0
    table = tables[at]
    applicants, selecting = "Films" if one.side == "provider" else "Applicants", table["kind"] == "selection"
    head = (applicants, *(("Selected",) if selecting else ()), "Rate" if selecting else "Score", "Impact ratio")
    rows = [
        (told.group(row["category"]), told.number(row["applicants"]),
         *((told.number(row["selected"]),) if selecting else ()), told.unit(row["rate"], told.scale(one)),
         told.ratio(row["impact_ratio"]), row["note"] or told.NONE)
        for row in table["rows"]
    ]  # fmt: skip
    most = told.group(table["most_selected"]) or "none"
    of = f", films of {told.group(table['film_group'])}" if one.film_axis else ""
    components.table(
        ("Category", *head, "Note"), rows, numeric=head,
        caption=f"{told.measure(one.measure)} by {told.axis(one.axis).lower()}{of}, against the most selected: {most}; "
        f"{told.number(table['unknown'])} of unknown category",
    )  # fmt: skip


def popularity(report: "Report") -> None:
    """List what the panel as a whole was shown: popular films, the long tail, how much of the catalogue."""
    found = report.findings.popularity
    if not found:
        return
    st.header("Popularity", anchor=False)
    n = report.findings.panel.get("users")
    told_of = f" of {n:,} users" if isinstance(n, int) else ""
    components.table(
        ("Measure", "Value", "Interval", "Convention"),
        [
            (told.measure(one.measure), told.unit(one.value, one.measure),
             told.ends(one.interval, one.measure) if one.interval else "a fact of the panel", one.convention)
            for one in found
        ],
        numeric=("Value",), tight=("Interval",), caption=f"What the slates{told_of} together hold",
    )  # fmt: skip
