"""The parts of *Experiment*: what is looked at, and one panel for each question about it."""

import datetime as dt
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from dashboard import components, controls, scorecard_panels, words
from dashboard import experiment_words as told
from dashboard.design_panels import draw_plan
from dashboard.loaders import experiments as loaders
from dashboard.loaders.experiments import Chosen
from dashboard.panels import mode
from dashboard.tabs import draw_open
from experiments.analysis import Dimension, Segment
from experiments.metrics import METRICS, metric
from experiments.plan import State
from experiments.scorecard import MetricResult
from workspace.columns import Trial
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from dashboard.timelines import Line
    from experiments.resplit import Resplit

_DIMENSIONS: Final[dict[str, str]] = {"region": "Region", "device": "Device"}
_BREAKDOWN: Final = ("Users", "Change", "95 % interval", "p")
_MOST_BARS: Final = 20


def choose() -> Chosen | None:
    """Draw what is chosen: the experiment, the day and the adjustment; all of it lives in the address."""
    offered = loaders.names()
    if not offered:
        components.banner("No experiment is registered.", command="recommendr experiment create PLAN.json")
        return None
    linked = st.query_params.get("experiment")
    if linked and linked not in offered:
        raise InvalidValueError(
            f"experiment == {linked!r} in the address", "is not registered", f"there are {', '.join(offered[:8])}"
        )
    with st.container(key="request"):
        left, right = st.columns([3, 1], vertical_alignment="bottom")
    with left:
        name = controls.choose_one("Experiment", {one: one for one in offered}, "experiment") or offered[0]
    record = loaders.record(name)
    cuped = right.toggle("Adjust by the days before", value=record.plan.rule.cuped, key="cuped", bind="query-params")
    components.show(f'<p class="rr-lede">{components.text(record.plan.hypothesis)}</p>')
    days = loaders.days(name)
    as_of = None if not days else _rewound(days)
    return Chosen(record=record, as_of=as_of, cuped=bool(cuped))


def _rewound(days: list[dt.date]) -> dt.date:
    """Let a past day be chosen; the last one is where it stands."""
    linked = st.query_params.get("as_of")
    texts = [day.isoformat() for day in days]
    if linked and linked not in texts:
        raise InvalidValueError(
            f"day {linked!r} in the address", f"must be one of {texts[0]} to {texts[-1]}", "move the slider"
        )
    if len(texts) == 1:
        return days[0]
    chosen = st.select_slider("Verdict as of", texts, value=texts[-1], key="as_of", bind="query-params")
    return dt.date.fromisoformat(str(chosen))


def scorecard(chosen: Chosen) -> None:
    """Show the figures the verdict rests on."""
    kept = loaders.analysis(chosen)
    scorecard_panels.draw_scorecard(kept.value, loaders.least())


def over_time(chosen: Chosen) -> None:
    """Draw the cumulative lift with its always-valid band, and the exposures."""
    from dashboard import timelines

    plan = chosen.record.plan
    left, right = st.columns(2)
    with left:
        name = controls.choose_one("Metric", _titles(plan.metrics), "metric") or plan.metrics[0].metric
    with right:
        treatments = {one: one for one in plan.names[1:]}
        variant = controls.choose_one("Variant", treatments, "variant") or plan.names[1]
    found = loaders.course(chosen, name, variant).value
    moments = [pd.Timestamp(point.date) for point in found.points]
    nan = float("nan")
    line = timelines.Line(
        name=f"{metric(name).title}, {variant}",
        moments=moments,
        heights=[nan if point.estimate is None or point.estimate.rel is None else point.estimate.rel
                 for point in found.points],
        low=[nan if point.rel_band is None else max(point.rel_band[0], -1.0) for point in found.points],
        high=[nan if point.rel_band is None else min(point.rel_band[1], 1.0) for point in found.points],
    )  # fmt: skip
    figure = timelines.course([line], title="Change against control", tick="+.1%", mode=mode(), limit=("no change", 0))
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="lift")
    components.show(
        '<p class="rr-muted">Cumulative. The band holds the truth on every day at once with '
        f"{100 * (1 - found.alpha):g} % certainty, so that it may be watched; verdicts come at the planned looks "
        f"({', '.join(plan.look_date(day).isoformat() for day in plan.rule.look_days)}).</p>"
    )
    _missing(found.points)
    exposures(chosen)
    novelty(chosen)


def _missing(points: tuple[object, ...]) -> None:
    reasons = {str(reason) for point in points if (reason := getattr(point, "reason", None))}
    for reason in sorted(reasons):
        components.show(f'<p class="rr-muted">On some days there is no figure: {components.text(reason)}</p>')


def exposures(chosen: Chosen) -> None:
    """Draw how many users each variant has been shown to."""
    from dashboard import timelines

    st.header("Exposed users", anchor=False)
    frame = loaders.exposures(chosen).value
    if frame.empty:
        components.banner("Nobody has been exposed yet.")
        return
    days = pd.DatetimeIndex(sorted(pd.to_datetime(frame[Trial.DATE].unique())))
    summed = frame.groupby([Trial.VARIANT, Trial.DATE])[Trial.N].sum()
    lines: list[Line] = []
    for variant in chosen.record.plan.names:
        if variant in summed.index.get_level_values(0):
            course = summed[variant]
            course.index = pd.to_datetime(course.index)
            counts = course.reindex(days, fill_value=0).cumsum()
            counts = counts.where(counts >= loaders.least())
            lines.append(timelines.Line(name=variant, moments=days, heights=counts.astype(float).tolist()))
    figure = timelines.course(lines, title="Users so far", tick=",.0f", mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="exposed")


def novelty(chosen: Chosen) -> None:
    """Say whether the lift fades with the days since exposure."""
    st.header("Does the lift last?", anchor=False)
    results = loaders.analysis(chosen).value.scorecard.novelty
    if not results:
        components.show('<p class="rr-muted">It is not known yet: there are too few days.</p>')
        return
    names = ("Metric", "Variant", "First half", "95 % interval", "Second half", "95 % interval ", "p", "Says")
    rows = [
        (metric(one.metric).title, one.variant, told.change(one.early_rel), told.interval(one.early_ci),
         told.change(one.late_rel), told.interval(one.late_ci), told.p_value(one.p_adjusted),
         components.pill(one.reason or one.course.replace("_", " "), "warn" if one.flagged else "info"))
        for one in results
    ]  # fmt: skip
    components.table(
        names, rows, numeric=(names[2], names[4]), tight=(names[3], names[5]),
        caption="Change against control in the first and the second half of the days since a user was first exposed",
    )  # fmt: skip


def breakdown(chosen: Chosen) -> None:
    """Show the same metric within each region or on each device: where to look next, never a verdict."""
    plan = chosen.record.plan
    left, right = st.columns(2)
    with left:
        dim = controls.choose_one("By", _DIMENSIONS, "by") or "region"
    with right:
        name = controls.choose_one("Metric", _titles(plan.metrics), "metric") or plan.metrics[0].metric
    dimension: Dimension = "device" if dim == "device" else "region"
    found = loaders.breakdown(chosen, dimension).value
    rows = []
    withheld = 0
    for segment in found.segments:
        if segment.withheld is not None:
            withheld += 1
            continue
        rows += _segment_rows(segment, name)
    columns = (_DIMENSIONS[dim], "Variant", *_BREAKDOWN)
    components.table(
        columns, rows, numeric=("Users", "Change"), tight=("95 % interval",),
        caption=f"{metric(name).title} within each {_DIMENSIONS[dim].lower()}; uncorrected",
    )  # fmt: skip
    more = f" {words.count(withheld, 'segment')} withheld for privacy." if withheld else ""
    components.show(
        '<p class="rr-muted">Among many segments one or another differs by chance: a segment is a reason to ask, no '
        f"reason to decide.{more}</p>"
    )


def _segment_rows(segment: Segment, name: str) -> list[tuple[object, ...]]:
    return [
        (segment.value, one.variant, f"{sum((segment.users or {}).values()):,}", *_changes(one))
        for one in segment.metrics
        if one.name == name
    ]


def _changes(one: MetricResult) -> tuple[str, str, str]:
    if one.judged is None:
        return (one.reason or "not estimable", "–", "–")
    return (told.change(one.judged.rel), told.interval(one.judged.rel_ci), told.p_value(one.judged.p))


def health(chosen: Chosen) -> None:
    """List every check with what it found and what it could not have seen."""
    card = loaders.analysis(chosen).value.scorecard
    rows = [
        (told.check(one.check), components.pill(told.LEVELS[one.level], told.LEVEL_TONES[one.level]), one.message,
         one.blind_to or "–")
        for one in card.findings
    ]  # fmt: skip
    components.table(
        ("Check", "State", "Found", "Could not have seen"), rows, caption="Whether the figures can be trusted at all"
    )
    if card.srm is not None:
        shares = chosen.record.plan.shares
        counted = [
            (name, f"{shares.get(name, 0):.1%}", f"{card.srm.expected.get(name, 0):,.1f}", f"{number:,}")
            for name, number in card.srm.counts.items()
        ]
        components.table(
            ("Variant", "Intended", "Expected users", "Exposed users"), counted,
            numeric=("Intended", "Expected users", "Exposed users"),
            caption=f"Exposed users against the intended shares: p = {told.p_value(card.srm.p)}",
        )  # fmt: skip
    _draw_looks(chosen)


def _draw_looks(chosen: Chosen) -> None:
    looks = loaders.analysis(chosen).value.verdict.looks
    if not looks:
        return
    rows = [
        (str(look.number), look.date.isoformat(), f"{look.boundary:.3f}", told.p_value(look.level),
         told.p_value(min((one.p_adjusted for one in look.primaries if one.p_adjusted is not None), default=None)),
         components.pill(look.decision.value, told.DECISION_TONES[look.decision]),
         "; ".join((*look.refused, *(reason for stand in look.stands for reason in stand.blockers))) or "–")
        for look in looks
    ]  # fmt: skip
    names = ("Look", "Day", "Boundary |z|", "as p", "Least adjusted p", "Decides", "Held back by")
    components.table(
        names, rows, numeric=names[2:5], tight=("Day",),
        caption="The planned looks so far, each by what was known of its days; the first that decides stays",
    )  # fmt: skip


def proof(chosen: Chosen) -> None:
    """Split the experiment's own users at random a thousand times, and count how often that looks like an effect."""
    components.show(
        '<p class="rr-lede">The users of all variants together are split at random into two halves, a thousand times. '
        "There is nothing to be found between such halves: what is found all the same is the rate of false alarms "
        "of this analysis on your own data.</p>"
    )
    results = loaders.resplit(chosen).value
    rows = [_proof_row(name, one) for name, one in results.items()]
    names = ("Metric", "False alarms", "95 % interval", "Says")
    components.table(
        names, rows, numeric=("False alarms",), tight=("95 % interval",),
        caption="Share of 1,000 random splits with p below 5 %; 5 % is what was promised",
    )  # fmt: skip
    estimable = {name: one for name, one in results.items() if not isinstance(one, str) and one.rate is not None}
    if not estimable:
        return
    name = controls.choose_one("Metric", {one: METRICS[one].title for one in estimable}, "metric")
    if name:
        _draw_p_values(name, estimable[name])


def _proof_row(name: str, one: "Resplit | str") -> tuple[object, ...]:
    title = METRICS[name].title
    if isinstance(one, str):
        return (title, "–", "–", one)
    if one.rate is None or one.rate_ci is None:
        return (title, "–", "–", one.reason or "not estimable")
    low, high = one.rate_ci
    says = components.pill("as promised" if one.ok else "off its level", "good" if one.ok else "warn")
    return (title, f"{100 * one.rate:.1f} %", f"[{100 * low:.1f}, {100 * high:.1f}] %", says)


def _draw_p_values(name: str, one: "Resplit") -> None:
    from dashboard.histograms import p_values

    figure = p_values(one.p_values, bins=_MOST_BARS, mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="p-values")
    components.show(
        f'<p class="rr-muted">{components.text(METRICS[name].title)}: without an effect every p-value is as likely as '
        "any other, so that the bars should be level.</p>"
    )


def plan(chosen: Chosen) -> None:
    """Show what was fixed before launch, and whom it is shown to."""
    draw_plan(chosen.record)


def evidence(chosen: Chosen) -> None:
    """Hand out the file from which a stranger reaches the same verdict."""
    components.show(
        '<p class="rr-lede">One file with the plan, its rule, the sums and the statements behind them, and a hash over '
        "all of it. Whoever has it reaches the same verdict without this console and without the data.</p>"
    )
    pack = loaders.evidence(chosen)
    left, right = st.columns(2)
    left.download_button(
        "Download as HTML", pack.html, f"{pack.name}.html", "text/html", on_click="ignore", width="stretch"
    )
    right.download_button(
        "Download as JSON", pack.json, f"{pack.name}.json", "application/json", on_click="ignore", width="stretch"
    )
    components.stats(
        [
            ("SHA-256 of the pack", pack.digest[:16], pack.digest[16:32]),
            ("Plan", chosen.record.plan.digest[:16], "frozen at launch"),
            ("Ledger", pack.ledger[:16] or "–", "last record when it was made"),
        ]
    )
    components.banner(
        "Judge again", "On any machine with this program:", command=f"recommendr experiment recompute {pack.name}.json"
    )


def _titles(metrics: tuple[object, ...]) -> dict[str, str]:
    names = [str(getattr(one, "metric", "")) for one in metrics]
    return {name: METRICS[name].title for name in names}


PANELS: Final[dict[str, Callable[[Chosen], None]]] = {
    "Scorecard": scorecard,
    "Breakdown": breakdown,
    "Over time": over_time,
    "Health": health,
    "False alarms": proof,
    "Plan": plan,
    "Evidence": evidence,
}


def draw(chosen: Chosen) -> None:
    """Draw verdict and alarms, then the tabs, and only the open one's panel."""
    kept = None
    if chosen.as_of is not None:
        kept = loaders.analysis(chosen)
        components.last_good(kept)
        scorecard_panels.draw_alarms(kept.value.scorecard)
        scorecard_panels.draw_verdict(kept.value.verdict)
        _draw_standing(chosen)
        if chosen.record.state is State.CANARY:
            _draw_canary(chosen)
    else:
        components.banner("There is nothing to judge yet.", "No event of this experiment has been rolled up.")
    drawn = PANELS if kept is not None else dict.fromkeys(PANELS, _nothing_yet) | {"Plan": plan}
    draw_open(drawn, chosen)


def _nothing_yet(_: Chosen) -> None:
    components.show('<p class="rr-muted">Nothing to show before the first events.</p>')


def _draw_canary(chosen: Chosen) -> None:
    """Say what the canary does next; the scheduler does it."""
    step = loaders.canary(chosen)
    told_next = {"ramp": "goes on", "hold": "waits", "roll_back": "goes back"}[step.action]
    tone: components.Tone = "bad" if step.action == "roll_back" else "info"
    components.banner(
        f"The canary at {100 * step.share:g} % {told_next}: {told.sentence(step.reason)}",
        "`recommendr ingest --due` takes the step.", tone=tone,
    )  # fmt: skip


def _draw_standing(chosen: Chosen) -> None:
    """Say where the experiment stands: users, days, look, share of the users."""
    analysis, record = loaders.analysis(chosen).value, chosen.record
    card, verdict, plan_ = analysis.scorecard, analysis.verdict, record.plan
    users = [(name, f"{card.users.get(name, 0):,}", "users exposed") for name in plan_.names]
    days = (card.as_of - plan_.start).days + 1
    planned = plan_.rule.look_days[-1]
    state = record.state.value
    look = (
        "none yet" if verdict.look is None and not verdict.looks else f"{len(verdict.looks)} of {len(plan_.rule.looks)}"
    )
    following = f"next on {verdict.next_look}" if verdict.next_look else "all taken"
    components.stats(
        [
            *users,
            ("Day", f"{min(days, planned)} of {planned}", f"{plan_.start} to {plan_.planned_end}"),
            ("Looks", look, following),
            ("State", state, loaders.share_told(record)),
        ]
    )
