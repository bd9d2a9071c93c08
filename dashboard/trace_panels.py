"""The parts of *Trace*: which request, its hops, its events, and the lines of the logs."""

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import access, components, words
from dashboard.loaders import traces
from dashboard.loaders.traces import SHOWN_LINES, Traced
from telemetry.system.questions import SERVICES
from telemetry.traces import Hop, Trace
from workspace.columns import Event, LogLine

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
_EVENT_KINDS: Final = {
    "impression": "shown",
    "click": "clicked",
    "focus": "looked at",
    "thumbs_down": "thumbs down",
    "refresh": "refreshed",
    "survey": "survey answer",
}
_SHOWN_MESSAGE: Final = 160


def choose() -> tuple[str, str]:
    """Draw the controls.

    Returns:
        The transaction and the reason for looking; empty where there is none yet.
    """
    which, why = st.columns([3, 2], vertical_alignment="bottom")
    with which:
        asked = st.text_input(
            "Transaction id", key="transaction", bind="query-params", placeholder="From a log line, a slate or an event"
        )
    with why:
        reason = access.reason_for_looking()
    return (asked or "").strip(), reason


def draw(found: Traced) -> None:
    """Draw one request."""
    trace = found.trace
    slowest = trace.slowest
    components.stats(
        [
            ("Took", f"{trace.duration_ms:,.1f} ms", f"began {trace.started_at:%Y-%m-%d %H:%M:%S} UTC"),
            ("Most of it in", slowest.service if slowest else "–", _own(slowest) if slowest else "no service said"),
            ("Outcome", "failed" if trace.failed else "answered", f"region {trace.region or 'unknown'}"),
            ("Events", f"{len(found.events):,}", "of the user with its films"),
        ]
    )
    _draw_hops(trace)
    _draw_slate(found)


def _own(hop: Hop) -> str:
    return f"{hop.self_ms or 0:,.1f} ms of its own, {hop.share or 0:.0%}"


def _draw_hops(trace: Trace) -> None:
    whole = trace.duration_ms or 1.0
    components.spans(
        [
            components.Span(
                label=hop.service,
                depth=hop.depth,
                start_pct=100 * (hop.started_at - trace.started_at).total_seconds() * 1000 / whole,
                length_pct=100 * (hop.duration_ms or 0.0) / whole,
                told="–" if hop.duration_ms is None else f"{hop.duration_ms:,.1f}",
                own="–" if hop.self_ms is None else f"{hop.self_ms:,.1f}",
                remark=hop.status or "",
                failed=hop.failed,
            )
            for hop in trace.hops
        ],
        caption="Hops in the order of a request; a bar begins where the hop began, and inner hops lie inside",
    )
    said = [
        (hop.service, f"{one.ts:%H:%M:%S.%f}"[:-3], one.level, one.text) for hop in trace.hops for one in hop.messages
    ]
    if said:
        components.table(
            ("Service", "At (UTC)", "Level", "Said"), said, tight=("At (UTC)",), caption="What the hops said besides"
        )


def _draw_slate(found: Traced) -> None:
    trace = found.trace
    if trace.slate_id:
        if found.slate_logged:
            components.show(
                f'<p>Slate <a href="{components.link("recommendations", slate=trace.slate_id)}" target="_self">'
                f"{components.text(trace.slate_id)}</a>: its films, and why each of them.</p>"
            )
        else:
            told = f"Slate {components.text(trace.slate_id)} is not in the log of this workspace: it can't be opened."
            components.show(f"<p>{told}</p>")
    if found.events_problem is not None:
        components.error(found.events_problem)
        return
    rows = [
        (
            f"{event[Event.TS]:%H:%M:%S}",
            _EVENT_KINDS.get(event[Event.TYPE], event[Event.TYPE]),
            components.anchor(traces.film_title(event[Event.FILM]), "film", film=event[Event.FILM])
            if event[Event.FILM]
            else "",
            _known(event[Event.POSITION]),
            _known(event[Event.VALUE]),
            event[Event.DEVICE],
        )
        for event in found.events.to_dict("records")
    ]
    if rows:
        components.table(
            ("At (UTC)", "Event", "Film", "Position", "Value", "Device"), rows, numeric=("Position", "Value"),
            tight=("At (UTC)",), caption="What the user did with what this request answered",
        )  # fmt: skip
    else:
        components.banner("No event names this request.", "They may not have arrived yet, or the user did nothing.")


def draw_lines(transaction_id: str) -> None:
    """List the lines of the logs, newest first."""
    text, service, level = st.columns(3)
    wanted = text.text_input("Text", key="text", bind="query-params", placeholder="Part of a line")
    services = service.multiselect(
        "Services", [*SERVICES, "cli"], key="service", bind="query-params", placeholder="All"
    )
    levels = level.multiselect("Levels", _LEVELS, key="level", bind="query-params", placeholder="All")
    found = traces.lines(
        services=tuple(services), levels=tuple(levels), text=wanted or "", transaction_id=transaction_id or None
    )
    if found.lines.empty:
        components.banner("No line fits.", "Take a filter away, or look for another transaction.")
        return
    rows = [
        (
            f"{line[LogLine.TS]:%Y-%m-%d %H:%M:%S}",
            line[LogLine.SERVICE] or "",
            _level(line[LogLine.LEVEL] or ""),
            (line[LogLine.MESSAGE] or "")[:_SHOWN_MESSAGE],
            _known(line[LogLine.DURATION_MS]),
            components.anchor(line[LogLine.TRANSACTION], "trace", transaction=line[LogLine.TRANSACTION])
            if line[LogLine.TRANSACTION]
            else "",
        )
        for line in found.lines.to_dict("records")
    ]
    caption = f"{words.count(found.matched, 'line')} in {words.count(found.files, 'file')}, newest first"
    caption += f"; the first {SHOWN_LINES} are shown" if found.matched > len(rows) else ""
    caption += f"; {words.count(found.malformed, 'line')} could not be read" if found.malformed else ""
    components.table(
        ("At (UTC)", "Service", "Level", "Message", "ms", "Transaction"), rows, numeric=("ms",), tight=("At (UTC)",),
        caption=caption,
    )  # fmt: skip


def _level(level: str) -> components.Markup:
    tones: dict[str, components.Tone] = {"ERROR": "bad", "CRITICAL": "bad", "WARNING": "warn"}
    return components.pill(level or "–", tones.get(level, "info"))


def _film(film_id: str | None) -> object:
    return components.anchor(traces.film_title(film_id), "film", film=film_id) if film_id else ""


def _known(value: float | None) -> str:
    return "" if value is None or pd.isna(value) else f"{value:,.4g}"
