"""The parts of *Drift*: findings along time with their causes, a figure's course, its segments, and the benchmark."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import components, run_panels
from dashboard.loaders import drift as loaders
from dashboard.loaders import watching
from dashboard.panels import mode
from dashboard.tabs import draw_open
from monitoring.drift.cells import Segment
from monitoring.drift.telemetry import Node
from monitoring.findings import Change, Finding
from telemetry.metrics import metric as metric_of
from workspace.columns import Rollup

if TYPE_CHECKING:
    from dashboard.components import Tone
    from monitoring.benchmark import BenchmarkScore

WATCHED: Final = ("drift.", "objectives.", "outliers.")
_DRIFT: Final = ("drift.",)
_SPAN: Final = dt.timedelta(weeks=26)
_MARKED: Final = 8
_EVERYONE: Final = "everyone"
_TICKS: Final = {"share": ".2~%", "s": ".3~f", "score": ".2f", "count": ".3~f"}


def findings() -> None:
    """Draw what was found along time, and one finding with its causes."""
    run = run_panels.last_looked()
    if run is None:
        return
    found = [one for one in run.findings if one.detector.startswith(WATCHED)]
    if not found:
        components.banner("Nothing has drifted.", "Every detector looked and stayed silent.", tone="good")
    else:
        _timeline(found, run.finished_at)
        run_panels.listed(found, f"{len(found)} findings of the last run, the gravest first")
        _one(found)
    run_panels.unseen(run, WATCHED)


def _timeline(found: Sequence[Finding], now: dt.datetime) -> None:
    from dashboard import findings_chart

    start = min(*(one.onset.low for one in found), now - _SPAN)
    shown = [
        findings_chart.Stretch(
            label=f"{run_panels.named(one.metric)} · {run_panels.place(one)}", summary=one.summary, began=one.onset.at,
            low=one.onset.low, high=one.onset.high, ended=one.ended, grade=one.severity.value,
        )
        for one in found
    ]  # fmt: skip
    versions = [
        findings_chart.Event(name=one.name, at=one.at) for one in _changes(start, now) if one.kind == "index_version"
    ]
    figure = findings_chart.stretches(shown, span=(start, now), events=versions, mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="timeline")
    components.show(
        '<p class="rr-muted">A bar lasts from the likeliest beginning to the end; the thin line is the 95 % interval '
        "of the beginning. Dotted: a new index version.</p>"
    )


def _changes(start: dt.datetime, end: dt.datetime) -> tuple[Change, ...]:
    run = watching.last_run()
    return loaders.changed(start, end, run.findings if run else ()).value


def _one(found: Sequence[Finding]) -> None:
    st.header("Why", anchor=False)
    labels = {_told_apart(one): run_panels.titled(one) for one in found}
    key = st.selectbox("Finding", list(labels), format_func=labels.__getitem__, key="finding", bind="query-params")
    one = next((finding for finding in found if _told_apart(finding) == key), found[0])
    components.show(f"<p>{components.text(one.summary)}</p>")
    began, over = run_panels.when(one)
    components.stats(
        [
            ("Began (UTC)", began, f"95 %: {run_panels.between(one)}"),
            ("Over", over, ""),
            ("How large", run_panels.size(one), run_panels.effect(one).partition(" (")[2].rstrip(")")),
            ("p, adjusted", *_chance(one.p_value)),
        ]
    )
    if one.causes:
        components.table(
            ("Change", "Which", "Began (UTC)", "How likely", "Why"),
            [
                (cause.change.kind.replace("_", " "), cause.change.name, f"{cause.change.at:%Y-%m-%d %H:%M}",
                 f"{cause.weight:.0%}", cause.reason)
                for cause in one.causes
            ],
            caption="Likely: it began with the finding, reaches the same users, and can do such a thing",
            numeric=("How likely",), tight=("Began (UTC)",),
        )  # fmt: skip
    else:
        components.banner("Nothing known was changed at that time that would explain it.")
    run_panels.evidence(one)
    if one.detector == "drift.telemetry":
        _course(one.metric, one.segment, found=(one,))


def _told_apart(finding: Finding) -> str:
    """Return what no other finding has: two incidents in one place share their key."""
    return f"{finding.key}@{finding.onset.at:%Y%m%dT%H%M}"


def _chance(p_value: float | None) -> tuple[str, str]:
    if p_value is None:
        return "–", "no test behind it"
    return (f"{p_value:.2g}" if p_value > 0 else "< 1e-300"), "over everything looked at"


def course() -> None:
    """Draw one figure in one segment over time, beside what was expected."""
    left, right = st.columns(2)
    titles = {name: title for title, name in loaders.METRICS.items()}
    name = left.selectbox("Figure", list(titles), format_func=titles.__getitem__, key="metric", bind="query-params")
    places = {_labelled(segment): segment for segment in loaders.places(name)}
    chosen = right.selectbox("Whose", list(places), key="where", bind="query-params")
    run = watching.last_run()
    _course(name, places[chosen], found=run.findings if run else ())


def _course(name: str, segment: Segment, *, found: Sequence[Finding]) -> None:
    from dashboard import timelines

    kept = loaders.course(name, segment)
    components.last_good(kept)
    frame, unit = kept.value, metric_of(name).unit
    lines = [
        timelines.Line(
            name=f"{metric_of(name).title}, {_labelled(segment)}", moments=frame[Rollup.DATE], heights=frame["value"],
            low=frame["low"], high=frame["high"],
        ),
        timelines.Line(name="expected", moments=frame[Rollup.DATE], heights=frame["expected"]),
    ]  # fmt: skip
    end = frame[Rollup.DATE].iloc[-1]
    marks = [
        timelines.Mark(name="found", start=one.onset.at, end=one.ended or end.tz_localize("UTC"))
        for one in found
        if one.metric == name and dict(one.segment) == dict(segment) and one.detector == "drift.telemetry"
    ]
    figure = timelines.course(
        lines, title=metric_of(name).title, tick=_TICKS.get(unit, ".3~f"), mode=mode(), marks=marks
    )
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key=f"course-{name}-{segment}")
    components.show(
        '<p class="rr-muted">Events of treatment arms are left out, so that an experiment is not drift. Expected: the '
        "level between changes with the week put back.</p>"
    )


def _labelled(segment: Segment) -> str:
    return ", ".join(f"{name} {value}" for name, value in segment.items()) or _EVERYONE


def segments() -> None:
    """Show one figure in every segment, one week against the four before."""
    left, right = st.columns(2)
    titles = {name: title for title, name in loaders.METRICS.items()}
    name = left.selectbox("Figure", list(titles), format_func=titles.__getitem__, key="metric", bind="query-params")
    weeks = loaders.weeks()
    if not weeks:
        components.banner("Not estimable: a week and four before it take 35 days.", tone="info")
        return
    told = {f"{week}": week for week in weeks}
    week = told[right.selectbox("Week from", list(told), key="week", bind="query-params")]
    kept = loaders.segments(name, week)
    components.last_good(kept)
    unit = metric_of(name).unit
    rows = [_segment_row(node, unit) for node in _ordered(kept.value)]
    components.table(
        ("Segment", "Before", "That week", "Change", "95 % interval", "p, adjusted", "Verdict"),
        rows,
        numeric=("Before", "That week", "Change", "95 % interval", "p, adjusted"),
        caption=f"{metric_of(name).title} of the same users in both times; p-values by Benjamini and Hochberg",
    )


def _ordered(nodes: Sequence[Node]) -> list[tuple[int, Node]]:
    """Return the nodes with those below each right after it, and how deep each lies."""
    found: list[tuple[int, Node]] = []

    def walk(parent: Segment | None, depth: int) -> None:
        for node in nodes:
            if (node.parent is None) == (parent is None) and (
                parent is None or dict(node.parent or {}) == dict(parent)
            ):
                found.append((depth, node))
                walk(node.segment, depth + 1)

    walk(None, 0)
    return found


def _segment_row(placed: tuple[int, Node], unit: str) -> Sequence[object]:
    depth, node = placed
    label = f"{'– ' * depth}{_labelled(node.segment)}"
    if node.now is None or node.before is None or node.effect is None:
        return (label, "–", "–", "–", "–", "–", "not estimable")
    share = unit == "share"

    def value(one: float) -> str:
        return f"{one:.2%}" if share else f"{one:.3f}"

    low, high = node.effect.low or 0.0, node.effect.high or 0.0
    tone: Tone = "warn" if node.flagged else "good"
    return (
        label, value(node.before), value(node.now), _change(node.effect.value), f"{_change(low)} to {_change(high)}",
        "–" if node.p_value is None else f"{node.p_value:.3g}",
        components.pill("changed" if node.flagged else "as before", tone),
    )  # fmt: skip


def _change(value: float) -> str:
    return f"{value:+.1%}".replace("-", "\u2212")


def model() -> None:
    """Show the online stand-in for precision@5, and how it goes together with the benchmark over versions."""
    kept = loaders.precision()
    components.last_good(kept)
    one = kept.value
    if one is None or one.value is None:
        note = one.note if one is not None else "no telemetry"
        components.banner(f"The stand-in for precision@5 is not estimable: {note}")
    else:
        low, high = one.value.low, one.value.high
        bounds = "" if low is None or high is None else f"{low:.1%} to {high:.1%}"
        components.stats(
            [
                ("precision@5, online", f"{one.value.value:.1%}", bounds),
                ("Accounts", f"{one.users:,}" if one.users else "–", f"{one.start} to {one.end}"),
                ("Without a relevant film", f"{one.without_positive:.0%}" if one.without_positive is not None else "–",
                 "each counts as 0"),
            ]
        )  # fmt: skip
    st.header("On the benchmark", anchor=False)
    scores = loaders.scores()
    if scores:
        components.table(
            ("Index version", "Scored (UTC)", "precision@5", "95 % interval", "Users", "With nothing relevant"),
            [_score(one) for one in scores],
            caption="The newest first; who has nothing relevant counts as 0",
            numeric=("precision@5", "95 % interval", "Users", "With nothing relevant"),
        )
    else:
        components.banner(
            "No index version has been scored on the benchmark yet.", command="recommendr monitor benchmark --score"
        )
    check = loaders.agreement().value
    st.header("Does it follow the benchmark?", anchor=False)
    components.show(f"<p>{components.text(check.note[:1].upper() + check.note[1:])}.</p>")
    if check.versions:
        components.table(
            ("Index version", "Online", "Offline"),
            [(name, f"{online:.3f}", f"{offline:.3f}") for name, (online, offline) in check.versions.items()],
            caption="Versions measured both ways", numeric=("Online", "Offline"),
        )  # fmt: skip


def _score(one: "BenchmarkScore") -> Sequence[object]:
    low, high = one.precision.low, one.precision.high
    return (
        one.index_version, f"{one.scored_at:%Y-%m-%d %H:%M}", f"{one.precision.value:.4f}",
        "–" if low is None or high is None else f"{low:.4f} to {high:.4f}", f"{len(one.user_ids):,}",
        f"{one.without_positive:,}",
    )  # fmt: skip


PANELS: Final[dict[str, Callable[[], None]]] = {
    "Findings": findings,
    "Course": course,
    "Segments": segments,
    "Model": model,
}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS)
