"""The parts of *Reliability*: the block diagram, the record of each component, and what would be otherwise."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import streamlit as st

from dashboard import block_diagram, components
from dashboard.loaders import reliability as loaders
from dashboard.loaders.reliability import ReliabilityView
from dashboard.tabs import draw_open
from monitoring.reliability.system import MINUTES_A_MONTH

if TYPE_CHECKING:
    from monitoring.findings import Interval
    from monitoring.reliability import ComponentAvailability

_EVERYWHERE: Final = "All regions"
_MOST_COPIES: Final = 5


def choose() -> ReliabilityView:
    """Draw the choice of a region and return the system there."""
    regions = [_EVERYWHERE, *loaders.regions()]
    region = st.selectbox("Region", regions, key="region", bind="query-params")
    kept = loaders.view(None if region == _EVERYWHERE else region)
    components.last_good(kept)
    return kept.value


def diagram(view: ReliabilityView) -> None:
    """Draw the diagram, how surely the whole works, and what each part means for it."""
    system = view.system
    if system.value is None:
        components.banner("How surely the whole works is not estimable.", "; ".join(system.notes), tone="warn")
    else:
        minutes = system.downtime_min
        components.stats(
            [
                (system.title, f"{system.value.value:.3%}", _bounds(system.value, "{:.3%}")),
                ("Minutes a month it does not", f"{minutes.value:,.1f}" if minutes else "–",
                 _bounds(minutes, "{:,.1f}") if minutes else ""),
            ]
        )  # fmt: skip
    block_diagram.draw(view.layout, view.components, system)
    components.show(
        '<p class="rr-muted">Everything must work on the way from in to out. Blue: the system fails with it alone.</p>'
    )
    components.table(
        ("Component", "Works", "95 % interval", "Birnbaum", "Share of failures", "Gain, min a month", "Alone"),
        [
            (one.title, f"{one.availability.value:.4%}", _bounds(one.availability, "{:.4%}") or "assumed",
             f"{one.birnbaum:.4f}", "–" if one.criticality is None else f"{one.criticality:.1%}",
             f"{one.gain * MINUTES_A_MONTH:,.2f}", "the system fails with it" if one.single else "others stand in")
            for one in system.blocks
        ],
        caption="The most important first. Birnbaum: how much more surely the system works when it works than when it "
        "fails. Gain: if it never failed",
        numeric=("Works", "95 % interval", "Birnbaum", "Share of failures", "Gain, min a month"),
    )  # fmt: skip
    items = "".join(f"<li>{components.text(note)}</li>" for note in system.notes)
    components.show(
        f'<details class="rr-muted"><summary>What is assumed or missing</summary><ul>{items}</ul></details>'
    )


def _bounds(interval: "Interval", form: str) -> str:
    if interval.low is None or interval.high is None:
        return ""
    return f"{form.format(interval.low)} to {form.format(interval.high)}"


def records(view: ReliabilityView) -> None:
    """Show what the availability of each component rests on."""
    components.table(
        (
            "Component",
            "Works",
            "Failures",
            "Hours up",
            "Hours down",
            "Hours between failures",
            "Hours to repair",
            "Source",
        ),
        [_record(one) for one in view.components.values()],
        caption="Over the last half year, all chosen regions together; failures are episodes, not samples",
        numeric=("Works", "Failures", "Hours up", "Hours down", "Hours between failures", "Hours to repair"),
        tight=("Source",),
    )
    components.show(
        '<p class="rr-muted">What must work is described in <code>monitoring/reliability.toml</code> of the workspace; '
        "without it the architecture of the platform is taken.</p>"
    )


def _record(one: "ComponentAvailability") -> Sequence[object]:
    works = "not estimable" if one.value is None else f"{one.value.value:.4%}"
    if not one.measured:
        return (one.title, works, "–", "–", "–", "–", "–", one.note or "assumed")
    return (
        one.title, works, "–" if one.failures is None else f"{one.failures:,}", f"{one.up_h:,.0f}",
        f"{one.down_h:,.2f}",
        "–" if one.mtbf_h is None else f"{one.mtbf_h.value:,.0f}", "–" if one.mttr_h is None else f"{one.mttr_h:.2f}",
        one.note or "measured",
    )  # fmt: skip


def otherwise(view: ReliabilityView) -> None:
    """Ask what would be if one component were better, worse or more."""
    titles = {name: one.title for name, one in view.components.items()}
    which, share, number = st.columns(3, vertical_alignment="bottom")
    name = which.selectbox("Component", list(titles), format_func=titles.__getitem__, key="block", bind="query-params")
    now = view.components[name].value
    percent = share.number_input(
        "Works, % of the time", min_value=0.0, max_value=100.0, step=0.01, format="%.4f",
        value=100.0 * now.value if now is not None else 99.9, key=f"works-{name}",
    )  # fmt: skip
    copies = number.number_input(
        "Copies", min_value=1, max_value=_MOST_COPIES, value=1, key="copies", bind="query-params"
    )
    same = now is not None and abs(percent - 100 * now.value) < 1e-4  # noqa: PLR2004 - what the field can show
    if same and copies == 1:
        components.banner("Change a share or a number of copies to see what would follow.")
        return
    found = loaders.supposed(view, name, availability=None if same else percent / 100, copies=int(copies))
    if found.before.value is None or found.after.value is None or found.difference is None:
        components.banner("What would follow is not estimable.", "; ".join(found.after.notes), tone="warn")
        return
    components.banner(f"Suppose: {found.change}.")
    components.stats(
        [
            ("Now", f"{found.before.value.value:.4%}", _bounds(found.before.value, "{:.4%}")),
            ("Then", f"{found.after.value.value:.4%}", _bounds(found.after.value, "{:.4%}")),
            ("Saved a month", f"{found.saved_min or 0.0:,.2f} min", _bounds(found.difference, "{:+.5%}")),
        ]
    )


PANELS: Final[dict[str, Callable[[ReliabilityView], None]]] = {
    "Diagram": diagram,
    "Components": records,
    "What if": otherwise,
}


def draw(view: ReliabilityView) -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS, view)
