"""The parts of *Audit* about attributes: what swapping one changes, what a vector betrays of it, and by market."""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from audit.results import Leak, Pooled, Swap
from dashboard import audit_words as told
from dashboard import components, controls, words
from dashboard.audit_group_panels import in_words, wide
from dashboard.loaders import audits as loaders
from dashboard.panels import mode

if TYPE_CHECKING:
    from dashboard.components import Tone
    from dashboard.loaders.audits import Report

_WHOLE: Final = "all"
_MOST_EXAMPLES: Final = 20


def swaps(report: "Report") -> None:
    """Say for every attribute what swapping it changed, and which block the change came through."""
    found = report.findings.swaps
    if not found:
        components.banner(
            "Nothing was swapped in this audit.",
            "Only personas have names, genders and ages; a panel of pseudonymous users has none to swap.",
        )
        return
    components.show(
        '<p class="rr-lede">Two personas with one history and one attribute between them must be shown one list, film '
        "for film. There is no tolerance: any pair that differs names the block that let the attribute in.</p>"
    )
    components.table(
        ("Swapped", "Verdict", "Pairs", "Lists that differ", "By a rule"),
        [
            (told.axis(one.attribute), components.pill(*swap_verdict(one)), f"{one.pairs:,}", f"{one.differing:,}",
             f"{one.by_rule:,}")
            for one in found
        ],
        numeric=("Pairs", "Lists that differ", "By a rule"), tight=("Verdict",),
        caption="What swapping one attribute changed, histories alike",
    )  # fmt: skip
    items = "".join(f"<li>{components.text(one.words)}</li>" for one in found)
    components.show(f"<ul>{items}</ul>")
    for one in found:
        if one.leaking_blocks or one.examples:
            _swap(report, one)


def swap_verdict(one: Swap) -> "tuple[str, Tone]":
    """Return what a swap says."""
    if not one.pairs:
        return "not tested", "info"
    if not one.passed:
        return ("lists differ" if one.differing else "scores differ"), "bad"
    if not one.differing:
        return "invariant", "good"
    return ("use is declared", "info") if one.declared else ("differs by rule alone", "info")


def _swap(report: "Report", one: Swap) -> None:
    st.header(told.axis(one.attribute), anchor=False)
    if one.leaking_blocks:
        components.waterfall(
            [(words.block(block), value) for block, value in one.leaking_blocks],
            sum(value for _, value in one.leaking_blocks), total_label="Together",
            caption=f"{told.axis(one.attribute)}: mean absolute difference of the score terms within pairs, by block",
        )  # fmt: skip
    if one.examples:
        components.table(
            ("Persona", "Other", "Films before", "Films after", "Block"),
            [_example(example) for example in one.examples[:_MOST_EXAMPLES]],
            caption=f"{told.axis(one.attribute)}: examples of pairs whose lists differ",
        )
    figure = next((figure for figure in report.findings.disparities if figure.axis == one.attribute), None)
    if figure is not None and not one.passed:
        way = components.anchor(told.place(figure), "audit", report=report.report_id, tab="Cause", figure=figure.key)
        components.show(f'<p class="rr-muted">The way to its cause: {way.markup}</p>')


def _example(example: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        str(example.get("persona", told.NONE)), str(example.get("other", told.NONE)),
        wide(_films(example.get("films_before"))), wide(_films(example.get("films_after"))),
        words.block(str(example.get("block", ""))) or told.NONE,
    )  # fmt: skip


def _films(value: object) -> str:
    if isinstance(value, list | tuple):
        return "; ".join(loaders.title(str(film)) for film in value) or told.NONE
    return str(value or told.NONE)


def leaks(report: "Report") -> None:
    """Draw how well each attribute can be told from the user vector, block by block."""
    found = report.findings.leaks
    if not found:
        components.banner("No proxy leak was measured in this audit.", "It needs personas, whose attributes are known.")
        return
    components.show(
        '<p class="rr-lede">How well a group can be told from what the recommender keeps of a user. An area of 0.5 is '
        "chance; a block whose whole interval lies above it carries the attribute, named or not.</p>"
    )
    axes = {one.axis: told.axis(one.axis) for one in found}
    axis = controls.choose_one("Attribute", axes, "leak")
    shown = sorted((one for one in found if one.axis == axis), key=lambda one: (one.block != _WHOLE, -(one.auc or 0)))
    declared = {one.attribute for one in report.findings.swaps if one.declared}
    _draw_leaks(shown, declared)
    components.table(
        ("Block", "Verdict", "AUC", "Interval", "n", "Groups", "Adjusted p"),
        [
            (block(one), components.pill(*leak_verdict(one, declared)), _area(one),
             _between(one), f"{one.n:,}",
             f"{one.groups:,}", told.p_value(one.p_adjusted))
            for one in shown
        ],
        numeric=("AUC", "Interval", "n", "Groups", "Adjusted p"), tight=("Verdict",),
        caption=f"{told.axis(str(axis))}: how well it can be told from each block; p adjusted over all blocks and axes",
    )  # fmt: skip
    in_words([one.words for one in shown])
    carrying = [one for one in found if one.carries]
    if carrying:
        components.table(
            ("Attribute", "Block", "Verdict", "AUC", "Interval", "n"),
            [
                (told.axis(one.axis), block(one), components.pill(*leak_verdict(one, declared)), _area(one),
                 _between(one), f"{one.n:,}")
                for one in sorted(carrying, key=lambda one: one.axis in declared)
            ],
            numeric=("AUC", "Interval", "n"), tight=("Verdict",), caption="Every block that carries an attribute",
        )  # fmt: skip


def _area(one: Leak) -> str:
    return told.NONE if one.auc is None else f"{one.auc:.3f}"


def _between(one: Leak) -> str:
    return told.NONE if one.interval is None else f"{one.interval[0]:.3f} to {one.interval[1]:.3f}"


def block(one: Leak) -> str:
    """Return the block a leak is about."""
    return "The whole vector" if one.block == _WHOLE else words.block(one.block)


def leak_verdict(one: Leak, declared: Collection[str] = ()) -> "tuple[str, Tone]":
    """Return what a leak says.

    Args:
        one: The leak.
        declared: Attributes the recommender says it uses.
    """
    if one.auc is None:
        return "not estimable", "info"
    if not one.carries:
        return "no sign of it", "good"
    return ("carries it, declared", "info") if one.axis in declared else ("carries it", "bad")


def _draw_leaks(shown: list[Leak], declared: Collection[str]) -> None:
    from dashboard import audit_charts

    dots = [
        audit_charts.Dot(
            label=block(one), group="", value=one.auc, interval=one.interval,
            verdict=leak_verdict(one, declared)[0], tone=leak_verdict(one, declared)[1],
        )
        for one in shown
        if one.auc is not None
    ]  # fmt: skip
    if dots:
        figure = audit_charts.shares(dots, mode=mode())
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="leaks")


def markets(report: "Report") -> None:
    """Draw a comparison market by market, with what they say together and whether they agree."""
    found = report.findings.pooled
    if not found:
        components.banner(
            "Nothing was pooled over markets.", "It takes at least two markets with enough users, or a market’s index."
        )
        return
    shown = _choose_pooled(found)
    components.table(
        ("Comparison", "Pooled ratio", "p", "Heterogeneity p", "Markets"),
        [
            (wide(_pooled(one)),
             told.ratio(one.ratio, one.interval), told.p_value(one.p), told.p_value(one.heterogeneity_p),
             f"{len(one.markets):,}")
            for one in shown
        ],
        numeric=("Pooled ratio", "p", "Heterogeneity p", "Markets"),
        caption="Pooled over markets by Mantel and Haenszel, the least alike first",
    )  # fmt: skip
    in_words([one.words for one in shown])
    components.show(
        '<p class="rr-muted">The heterogeneity p asks whether the markets agree: a small one says that one figure for '
        "all hides what differs between them. None of these p is adjusted: they say where to look.</p>"
    )
    chosen = controls.choose_one("Comparison", {str(at): _pooled(one) for at, one in enumerate(shown)}, "pooled")
    _draw_markets(report, shown[int(chosen or 0)])


def _choose_pooled(found: Sequence[Pooled]) -> list[Pooled]:
    """Let axis and films be chosen; the comparisons that are least alike come first."""
    with st.container(key="request"):
        left, right = st.columns(2)
    with left:
        axis = controls.choose_one("Compared", {one.axis: told.axis(one.axis) for one in found}, "pooled_axis")
    some = [one for one in found if one.axis == axis]
    with right:
        offered = {_kind(one): _kind_in_words(one) for one in some}
        kind = controls.choose_one("Measure", offered, "pooled_measure")
    some = [one for one in some if _kind(one) == kind]
    return sorted(some, key=lambda one: (_or_one(one.heterogeneity_p), _or_one(one.p), -_far(one.ratio)))


def _kind(one: Pooled) -> str:
    return f"{one.measure}/{one.film_axis}"


def _kind_in_words(one: Pooled) -> str:
    films = f", by {told.axis(one.film_axis).lower()}" if one.film_axis else ""
    return f"{told.measure(one.measure)}{films}"


def _or_one(p: float | None) -> float:
    return 1.0 if p is None else p


def _far(ratio: float | None) -> float:
    return 0.0 if ratio is None else math.inf if ratio <= 0 else abs(math.log(ratio))


def _pooled(one: Pooled) -> str:
    films = f" ({told.axis(one.film_axis).lower()} {told.group(one.film_group)})" if one.film_group else ""
    groups = f"{told.group(one.group)} against {told.group(one.reference)}"
    return f"{told.measure(one.measure)}{films}: {groups}"


def _draw_markets(report: "Report", one: Pooled) -> None:
    from dashboard import audit_charts

    low, high = report.plan.parity
    dots = []
    for market in one.markets:
        ratio, ends = market.get("ratio"), (market.get("low"), market.get("high"))
        if ratio is not None:
            interval = None if ends[0] is None or ends[1] is None else (float(ends[0]), float(ends[1]))
            dots.append(_market_dot(str(market.get("market", "")), float(ratio), interval, (low, high)))
    if one.ratio is not None:
        dots.append(_market_dot("All together", one.ratio, one.interval, (low, high)))
    if dots:
        figure = audit_charts.ratios(dots, parity=(low, high), mode=mode())
        st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="markets")
    components.table(
        ("Market", "n", "Ratio", "Low", "High"),
        [
            (told.group(str(market.get("market", ""))), told.number(market.get("n")), told.ratio(market.get("ratio")),
             told.ratio(market.get("low")), told.ratio(market.get("high")))
            for market in one.markets
        ],
        numeric=("n", "Ratio", "Low", "High"), caption=f"{_pooled(one)}, market by market",
    )  # fmt: skip


def _market_dot(label: str, ratio: float, interval: "tuple[float, float] | None", parity: tuple[float, float]) -> Any:  # noqa: ANN401
    from dashboard import audit_charts

    said: tuple[str, Tone] = ("interval reaches out of the band", "info")
    if interval is not None and parity[0] <= interval[0] and interval[1] <= parity[1]:
        said = ("interval inside the band", "good")
    elif interval is not None and (interval[1] < parity[0] or interval[0] > parity[1]):
        said = ("interval outside the band", "warn")
    return audit_charts.Dot(
        label=told.group(label), group="", value=ratio, interval=interval, verdict=said[0], tone=said[1]
    )
