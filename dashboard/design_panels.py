"""Designing an experiment: how many users it needs, how long that takes here, and who would be in it."""

from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import components, controls, words
from dashboard import experiment_words as told
from dashboard.loaders import designs, experiments
from dashboard.panels import mode
from experiments.metrics import METRICS, metric
from experiments.sizing import Size, Wanted

if TYPE_CHECKING:
    from experiments.records import Record

_SPLITS: Final = {"1": "half and half", "9": "10 % control, 90 % variant", "0.1111": "90 % control, 10 % variant"}


def draw_plan(record: "Record") -> None:
    """Show what was fixed before launch, who would be in it, and everything that was done to it since."""
    plan = record.plan
    components.show(f'<p class="rr-lede">{components.text(plan.hypothesis)}</p>')
    frozen = "frozen" if record.state.value != "draft" else "a draft: nothing is frozen yet"
    components.stats(
        [
            ("Owner", plan.owner, f"flag {plan.flag}"),
            ("Layer", plan.layer, f"{100 * plan.default_allocation:g} % of the users of a region"),
            ("Looks", ", ".join(str(day) for day in plan.rule.look_days), "full days after the start"),
            (
                "Error",
                f"{100 * plan.rule.alpha:g} %",
                f"over all looks, {plan.rule.spending.replace('_', ' ')} spending",
            ),
            ("Plan", plan.digest[:12], frozen),
        ]
    )
    components.table(
        ("Variant", "Weight", "Share", "Index version"),
        [
            (one.name, f"{one.weight:g}", f"{plan.shares[one.name]:.1%}", one.index_version or "the current one")
            for one in plan.variants
        ],
        numeric=("Weight", "Share"), caption="The first one is the control",
    )  # fmt: skip
    components.table(
        ("Metric", "Used as", "Good is", "Margin", "Meaning"),
        [
            (metric(one.metric).title, one.kind, metric(one.metric).better,
             f"{100 * one.margin_rel:g} %" if one.kind == "guardrail" else "–", metric(one.metric).meaning)
            for one in plan.metrics
        ],
        numeric=("Margin",),
        caption=f"Primary metrics are corrected by {plan.rule.primary_family}, all others by {plan.rule.other_family}",
    )  # fmt: skip
    with components.guarded():
        preview(record)
    if record.ramp:
        components.table(
            ("Since", "Share of the users"),
            [(f"{at:%Y-%m-%d %H:%M}", f"{100 * share:g} %") for at, share in record.ramp],
            numeric=("Share of the users",), caption="The ramp",
        )  # fmt: skip
    _draw_history(record)


def preview(record: "Record") -> None:
    """Count who of the users there are would get which variant."""
    plan = record.plan
    frame = designs.assigned(record)
    names = [*plan.names, designs.OUTSIDE]
    rows = [
        (
            region,
            *(told.total(float(row.get(name, 0)), experiments.least()) for name in names),
            f"{designs.allocated(plan, str(region)):.0%}",
        )
        for region, row in frame.iterrows()
    ]
    columns = ("Region", *plan.names, "Not in it", "Planned share")
    components.table(
        columns, rows, numeric=columns[1:],
        caption=f"By salt and weights: {words.count(int(frame.sum().sum()), 'user')} of the catalogue",
    )  # fmt: skip
    if not plan.salt:
        components.show('<p class="rr-muted">The draft has no salt yet; its id stands in for it until launch.</p>')


def _draw_history(record: "Record") -> None:
    rows = [
        (entry.at[:16].replace("T", " "), entry.actor, entry.action, _details(entry.details), entry.hash[:12])
        for entry in experiments.history(record.plan.experiment_id)
    ]
    components.table(
        ("When", "Who", "What", "Details", "Ledger"), rows, tight=("When",), caption="Everything that was done to it"
    )


def _details(details: dict[str, object]) -> str:
    shown = {name: value for name, value in details.items() if not isinstance(value, dict | list)}
    return ", ".join(f"{name} {str(value)[:24]}" for name, value in shown.items()) or "–"


def calculator() -> None:
    """Ask what is to be found, and say how many users and days that takes at the traffic there is."""
    name = controls.choose_one("Metric", {one.name: one.title for one in METRICS.values()}, "metric") or "ctr"
    cells = st.columns(4, vertical_alignment="bottom")
    mde = cells[0].number_input("Least change to find, %", 0.1, 100.0, 5.0, 0.5, key="mde", bind="query-params")
    alpha = cells[1].number_input("Two-sided error, %", 0.1, 20.0, 5.0, 0.5, key="alpha", bind="query-params")
    power = cells[2].number_input("Power, %", 50.0, 99.0, 80.0, 1.0, key="power", bind="query-params")
    share = cells[3].number_input("Users taking part, %", 0.1, 100.0, 10.0, 1.0, key="share", bind="query-params")
    split = controls.choose_one("Split", _SPLITS, "split") or "1"
    wanted = Wanted(
        mde_rel=mde / 100, alpha=alpha / 100, power=power / 100, share=share / 100, ratio=float(split)
    )  # fmt: skip
    sized = designs.size(name, wanted)
    _draw_answer(sized)
    _draw_chart(sized)
    _draw_all(sized)


def _draw_answer(sized: Size) -> None:
    mde, one = sized.wanted.mde_rel, metric(sized.metric)
    days = "more than a year" if sized.days is None else words.count(sized.days, "day")
    components.banner(
        f"{sized.users:,} users in all find a change of {100 * mde:g} % with the power asked for.",
        f"At the traffic there is, with {100 * sized.wanted.share:g} % of the users taking part, that takes {days}.",
        tone="warn" if sized.days is None else "info",
    )
    components.stats(
        [
            ("Control", f"{sized.n_control:,}", "users"),
            ("Variant", f"{sized.n_variant:,}", "users"),
            ("Takes", days, f"by when {sized.base.users:,} different users have come"),
            ("Now", told.value(sized.base.mean, one.unit), one.title),
            ("Spread", told.value(sized.base.sd, one.unit), "standard deviation of a user"),
        ]
    )


def _draw_chart(sized: Size) -> None:
    from dashboard.curves import curve

    figure = curve(
        [point.days for point in sized.course], [point.mde_rel for point in sized.course],
        titles=("Days", "Least change that is found"), ticks=(",d", ".0%"), mode=mode(),
        at=None if sized.days is None else (sized.days, sized.wanted.mde_rel),
    )  # fmt: skip
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="mde-chart")
    components.show(
        '<p class="rr-muted">Users come back, so that twice the days are fewer than twice the users: both are taken '
        "from the last weeks. The error is that of one look at the end; planned looks cost a few per cent more.</p>"
    )


def _draw_all(sized: Size) -> None:
    """Say for every metric what the same users would find."""
    found = designs.every(sized)
    rows = [
        (METRICS[name].title, METRICS[name].kind, f"{100 * least:.1f} %" if isinstance(least, float) else least)
        for name, least in found.items()
    ]
    components.table(
        ("Metric", "Used as", "Least change found"), rows, numeric=("Least change found",),
        caption=f"What {sized.users:,} users find of every metric, at the same error and power",
    )  # fmt: skip
