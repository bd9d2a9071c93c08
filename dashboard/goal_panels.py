"""The parts of *Goals*: the tree, the same tree as failures, and the figures that are entered by hand."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import streamlit as st

from dashboard import components, run_panels, tree
from dashboard.access import acting
from dashboard.components import Tone
from dashboard.loaders import goals as loaders
from dashboard.tabs import draw_open
from dashboard.tree import Branch
from monitoring.goal_entries import ENTERED, Entry, parse_period
from monitoring.goals import LEVELS, Failure, GoalNode, Status
from monitoring.measures import Reading, Unit
from workspace.errors import InvalidValueError

_TONES: Final[dict[Status, Tone]] = {"met": "good", "at risk": "warn", "missed": "bad", "unknown": "info"}
_FAILURE_TONES: Final[dict[Failure, Tone]] = {
    "does not occur": "good",
    "threatens": "warn",
    "occurs": "bad",
    "unknown": "info",
}
_SIGNS: Final = {">=": "at least", "<=": "at most"}
_FORMS: Final[dict[Unit, str]] = {
    "share": "{:.1%}",
    "relative": "{:+.1%}",
    "s": "{:.2f} s",
    "days": "{:.2f} d",
    "score": "{:.2f}",
    "money": "{:,.4g}",
    "count": "{:,.0f}",
}
_LEAST_WEEKS: Final = 2
_FEW: Final = 100


def as_tree() -> None:
    """Draw the goals from the organisational objectives down, or the failures they are the inverse of."""
    kept = loaders.goals()
    components.last_good(kept)
    run_panels.last_looked()
    nodes = kept.value
    counted = Counter(node.status for top in nodes for node in top.walk() if node.reading is not None)
    components.stats([(name.capitalize(), str(counted[name]), "") for name in _TONES])
    inverted = st.toggle(
        "As a fault tree",
        key="faults",
        bind="query-params",
        help="The same tree inverted: what fails when a goal is missed.",
    )
    branches = [_branch(node, inverted=inverted) for node in nodes]
    tree.draw(branches, label="Failures and what may cause them" if inverted else "Goals and what they rest on")
    components.show(
        '<p class="rr-muted">Met: the whole 95 % interval lies on the right side of the target. Missed: all of it lies '
        "on the wrong side. At risk: in between. What can't be estimated is unknown, never met.</p>"
    )


def _branch(node: GoalNode, *, inverted: bool) -> Branch:
    goal, reading = node.goal, node.reading
    branch = Branch(
        title=goal.failure if inverted else goal.title,
        state=node.failure if inverted else node.status,
        tone=_FAILURE_TONES[node.failure] if inverted else _TONES[node.status],
        link=components.link(goal.page) if goal.page != "goals" else "",
        remark=_remark(node),
        feeds=(
            ("Found", tuple(_told(key) for key in node.findings)),
            (LEVELS[goal.level], (f"owned by {goal.owner}",)),
            ("Risks", tuple(risk.title for risk in node.risks)),
            ("Watched by", goal.detectors),
        ),
        children=tuple(_branch(child, inverted=inverted) for child in node.children),
    )
    if reading is None:
        below = f"{node.below_not_met} below it not met" if node.below_not_met else "all below it met or unknown"
        return replace(branch, state=below, tone="warn" if node.below_not_met else "info")
    unit = reading.unit
    return replace(
        branch,
        figure="not estimable" if reading.value is None else figure(reading.value, unit),
        interval=interval(reading),
        target="" if node.target is None else f"target {_SIGNS[goal.op or '>=']} {figure(node.target, unit)}",
        trend=_trend(node.course, unit),
        course=tuple(one.value for one in node.course),
    )


def _told(key: str) -> str:
    detector, metric, place = key.split("/", 2)
    return f"{run_panels.named(metric)}, {place.replace('=', ' ')} ({detector})"


def _remark(node: GoalNode) -> str:
    said = [node.reading.note] if node.reading is not None and node.reading.note else []
    if node.reading is not None and node.below_not_met:
        said.append(f"{node.below_not_met} below it not met")
    return "; ".join(said)


def figure(value: float, unit: Unit) -> str:
    """Return a value as it is read, with its unit."""
    form = "{:.2f}" if unit == "count" and abs(value) < _FEW else _FORMS[unit]
    return form.format(value).replace("-", "\u2212")


def interval(reading: Reading) -> str:
    """Return the interval of a figure and what it is about."""
    told = []
    if reading.low is not None and reading.high is not None:
        told.append(f"{figure(reading.low, reading.unit)} to {figure(reading.high, reading.unit)}")
    if reading.as_of is not None:
        told.append(f"as of {reading.as_of:%Y-%m-%d %H:%M}")
    return ", ".join(told)


def _trend(course: Sequence[Reading], unit: Unit) -> str:
    known = [one.value for one in course if one.value is not None]
    if len(known) < _LEAST_WEEKS:
        return ""
    return f"{figure(known[0], unit)} {len(known)} weeks ago"


def entered() -> None:
    """List the figures entered, and take new ones from a form or as CSV."""
    found = loaders.entries()
    if found:
        components.table(
            ("Goal", "Period", "Value", "Note"),
            [(one.goal, one.period, f"{one.value:,.2f}", one.note or "–") for one in found],
            caption="Money of each period; growth is against the same period of the year before, else the one before",
            numeric=("Value",),
        )
    else:
        components.banner(
            "No figure is entered yet.", "Revenue is known outside this system: enter it, line by line or as CSV."
        )
    st.header("Enter a figure", anchor=False)
    _form()
    _paste()


def _form() -> None:
    with st.form("entry", clear_on_submit=True, border=False):
        which, when, money = st.columns(3, vertical_alignment="bottom")
        goal = which.selectbox("Goal", list(ENTERED))
        period = when.text_input("Period", placeholder="2026-05, 2026-Q2 or 2026")
        value = money.text_input("Money of the period", placeholder="125000")
        note = st.text_input("Note")
        if st.form_submit_button("Enter"):
            with components.guarded():
                start, end = parse_period(period.strip())
                entry = Entry(goal=goal, start=start, end=end, value=_number(value), note=note.strip())
                loaders.enter([entry], actor=acting(), source="hand")
                st.rerun()


def _number(typed: str) -> float:
    try:
        return float(typed.replace(",", "").replace(" ", ""))
    except ValueError as error:
        raise InvalidValueError(f"value == {typed!r}", "must be a number", "write 125000") from error


def _paste() -> None:
    with st.form("paste", clear_on_submit=True, border=False):
        typed = st.text_area(
            "Several at once, as CSV", placeholder="goal,period,value,note\nrevenue_ads,2026-05,125000,",
            help="With the columns goal, period, value and, if wanted, note. All lines are taken, or none.",
        )  # fmt: skip
        if st.form_submit_button("Take all") and typed.strip():
            with components.guarded():
                count = loaders.enter(loaders.read("the pasted lines", typed), actor=acting(), source="pasted")
                st.toast(f"{count} figures entered.")
                st.rerun()


PANELS: Final[dict[str, Callable[[], None]]] = {"Tree": as_tree, "Figures": entered}


def draw() -> None:
    """Draw the tabs, and only the open one's panel; their key is this page's own, since `/` passes through it."""
    draw_open(PANELS, key="view")
