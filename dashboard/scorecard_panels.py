"""The scorecard on *Experiment*: the verdict and every figure it rests on."""

import csv
import io
from typing import TYPE_CHECKING, Any, Final

import streamlit as st

from dashboard import components, words
from dashboard import experiment_words as told
from dashboard.panels import mode
from experiments.analysis import Analysis
from experiments.scorecard import MetricResult, Scorecard
from experiments.verdict import Verdict

if TYPE_CHECKING:
    from dashboard.forest import Row

_COLUMNS: Final = ("Metric", "Says", "Change", "95 % interval", "p", "Adjusted p", "Control", "Variant")
_RAW: Final = ("Metric", "Arm", "Above the line", "Below the line", "Users")
_PNG: Final[dict[str, Any]] = {
    "displayModeBar": True,
    "displaylogo": False,
    "modeBarButtons": [["toImage"]],
}


def draw_verdict(verdict: Verdict) -> None:
    """Say what to do, why, and what would change it."""
    tone = told.DECISION_TONES[verdict.decision]
    components.banner(
        f"{verdict.decision.value}: {told.sentence(verdict.reason)}",
        f"What would change this: {told.sentence(verdict.what_would_change)}",
        tone=tone,
    )


def draw_alarms(scorecard: Scorecard) -> None:
    """Put what forbids a verdict above everything else."""
    for finding in scorecard.findings:
        if finding.level == "error":
            components.banner(f"{told.check(finding.check)}: {finding.message}", finding.blind_to, tone="bad")


def draw_scorecard(analysis: Analysis, least: int) -> None:
    """Draw the forest, the tables and what they were computed from.

    Args:
        analysis: Scorecard and verdict as of a day.
        least: Sums below this many acts are withheld.
    """
    from dashboard.forest import forest

    card = analysis.scorecard
    rows = [row for one in card.metrics if (row := forest_row(one)) is not None]
    if rows:
        figure = forest(rows, mode=mode())
        config = _PNG | {"toImageButtonOptions": {"format": "png", "filename": f"{card.experiment_id}-{card.as_of}"}}
        st.plotly_chart(figure.chart, alt=figure.alt, config=config, key="forest")
        components.show(
            '<p class="rr-muted">Intervals of 95 %, adjusted for the number of metrics of the family. Grey and open: '
            "inconclusive. A dotted line is the margin of a guardrail: its interval must stay on the good side.</p>"
        )
    for role in ("primary", "guardrail", "secondary", "beside"):
        results = card.of(role)
        if results:
            _draw_family(told.ROLES[role], results)
    _draw_remarks(card)
    _draw_totals(card, least)
    left, right = st.columns(2)
    left.download_button(
        "Download as CSV", scorecard_csv(card), f"{card.experiment_id}-{card.as_of}.csv", "text/csv", on_click="ignore",
        width="stretch",
    )  # fmt: skip
    right.link_button("Evidence pack", f"?{_query(tab='Evidence')}", width="stretch")
    _draw_source(card)


def forest_row(one: MetricResult) -> "Row | None":
    """Return a metric as a row of the forest; None when there is no estimate."""
    from dashboard.forest import Judged, Row

    if one.judged is None or one.judged.rel is None:
        return None
    # The dotted line is what the guardrail is judged by: the plain interval, not the one of its family.
    ends = one.judged.rel_ci if one.role == "guardrail" else one.rel_ci_adjusted or one.judged.rel_ci
    judged: dict[str, Judged] = {"better": "good", "non_inferior": "good", "worse": "bad", "harmed": "bad"}
    margin = None if one.margin_rel is None else (-1 if one.better == "up" else 1) * one.margin_rel
    return Row(
        label=one.title,
        group=f"{told.ROLES[one.role]} · {one.variant}",
        change=one.judged.rel,
        low=ends[0],
        high=ends[1],
        judged=judged.get(one.status, "unclear"),
        margin=margin if one.role == "guardrail" else None,
    )


def _draw_family(title: str, results: tuple[MetricResult, ...]) -> None:
    st.header(title, anchor=False)
    several = len({one.variant for one in results}) > 1
    rows = [_row(one, several=several) for one in results]
    margin = "; the margin is what a guardrail tolerates" if results[0].role == "guardrail" else ""
    components.table(
        _COLUMNS, rows, numeric=(_COLUMNS[2], *_COLUMNS[6:]), tight=(_COLUMNS[1], *_COLUMNS[3:6]),
        caption=f"{title}: variant against control, stratified by region{margin}",
    )  # fmt: skip
    for one in results:
        if one.judged is None:
            components.show(f'<p class="rr-muted">{components.text(f"{one.title}, {one.variant}: {one.reason}")}</p>')


def _row(one: MetricResult, *, several: bool) -> tuple[object, ...]:
    name = f"{one.title}, {one.variant}" if several else one.title
    word, tone = told.STATUSES[one.status]
    if one.role == "guardrail" and one.margin_rel is not None:
        sign = told.MINUS if one.better == "up" else "+"
        name = f"{name} (margin {sign}{100 * one.margin_rel:g} %)"
    if one.judged is None:
        return (name, components.pill(word, tone), "–", "–", "–", "–", "–", "–")
    judged = one.judged
    return (
        name, components.pill(word, tone), told.change(judged.rel), told.interval(judged.rel_ci),
        told.p_value(judged.p), told.p_value(one.p_adjusted), told.value(judged.mean_control, one.unit),
        told.value(judged.mean_variant, one.unit),
    )  # fmt: skip


def _draw_remarks(card: Scorecard) -> None:
    remarks = []
    for one in card.metrics:
        if one.skew:
            remarks.append(f"{one.title}: {one.skew}")
        if one.cap is not None:
            remarks.append(f"{one.title}: what a user adds is cut at {one.cap:,.1f}.")
        if one.left_out:
            lost = ", ".join(f"{region} ({users:,})" for region, users in one.left_out.items())
            remarks.append(f"{one.title}: users of regions without both arms are left out: {lost}.")
    reduced = [one for one in card.metrics if one.variance_left is not None and one.role == "primary"]
    remarks += [
        f"{one.title}: the days before the experiment take {100 * (1 - one.variance_left):.0f} % off the variance."
        for one in reduced
        if one.variance_left is not None and one.variance_left < 1
    ]
    remarks += [
        f"Left out: {words.count(number, 'user')}: {reason.replace('_', ' ')}."
        for reason, number in card.left_out.items()
        if number
    ]
    if remarks:
        items = "".join(f"<li>{components.text(one)}</li>" for one in dict.fromkeys(remarks))
        components.show(f'<ul class="rr-muted">{items}</ul>')


def _draw_totals(card: Scorecard, least: int) -> None:
    with st.expander("Raw sums, and what each step of the analysis changes"):
        rows = []
        for one in card.metrics:
            if one.totals is None:
                continue
            raw = one.totals
            rows.append(
                (one.title, one.control, told.total(raw.numerator_control, least),
                 told.total(raw.denominator_control, least), f"{raw.users_control:,}")
            )  # fmt: skip
            rows.append(
                (one.title, one.variant, told.total(raw.numerator_variant, least),
                 told.total(raw.denominator_variant, least), f"{raw.users_variant:,}")
            )  # fmt: skip
        components.table(_RAW, rows, numeric=_RAW[2:], caption="Sums over all users of an arm; nothing adjusted")
        steps = [
            (one.title, one.variant, label, told.change(estimate.rel), told.interval(estimate.rel_ci),
             told.p_value(estimate.p), estimate.method)
            for one in card.metrics
            for label, estimate in (("all users together", one.plain), ("by region", one.raw), ("judged", one.judged))
            if estimate is not None
        ]  # fmt: skip
        names = ("Metric", "Variant", "Step", "Change", "95 % interval", "p", "Method")
        components.table(
            names, steps, numeric=("Change",), tight=names[4:6],
            caption="The same metric without and with each adjustment",
        )  # fmt: skip


def _draw_source(card: Scorecard) -> None:
    with st.expander("Where the figures come from"):
        components.show(f'<p class="rr-muted">{components.text(_source(card))}</p>')
        for at, sql in enumerate(card.sql):
            st.code(sql, language="sql", wrap_lines=True)
            if at + 1 < len(card.sql):
                st.divider()
    cuped = "" if card.cuped else " --raw"
    components.banner(
        "Reproduce", "The same figures from the command line:",
        command=f"recommendr experiment analyse {card.experiment_id} --as-of {card.as_of}{cuped} --json",
    )  # fmt: skip


def _source(card: Scorecard) -> str:
    return (
        f"Plan {card.plan_digest[:16]}, sums of {card.start} to {card.as_of}, computed {card.computed_at[:16]} from "
        f"events {card.source_digest[:16]}."
    )


def scorecard_csv(card: Scorecard) -> str:
    """Return every metric of a scorecard as CSV, one row a metric and variant."""
    out = io.StringIO()
    rows = [_csv_row(card, one) for one in card.metrics]
    writer = csv.DictWriter(out, fieldnames=list(rows[0]) if rows else ["experiment"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _csv_row(card: Scorecard, one: MetricResult) -> dict[str, object]:
    document = one.to_dict()
    flat: dict[str, object] = {"experiment": card.experiment_id, "as_of": card.as_of.isoformat()}
    flat |= {name: document[name] for name in ("name", "kind", "variant", "control", "n_control", "n_variant")}
    flat |= {name: document[name] for name in ("mean_control", "mean_variant", "diff", "rel", "p", "p_adjusted", "df")}
    for name in ("ci95", "rel_ci95"):
        low, high = document[name] or (None, None)
        flat |= {f"{name}_low": low, f"{name}_high": high}
    return flat | {name: document[name] for name in ("status", "method", "reason", "plan_digest") if name in document}


def _query(**changed: str) -> str:
    from urllib.parse import urlencode

    return urlencode({**st.query_params.to_dict(), **changed})
