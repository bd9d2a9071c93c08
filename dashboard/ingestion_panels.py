"""The parts of *Ingestion health*."""

from typing import Final

import streamlit as st

from dashboard import components, words
from dashboard.loaders import ingestion
from dashboard.loaders.ingestion import PERIODS, Ingestion
from dashboard.panels import mode
from telemetry.health import Health

_MEGABYTE: Final = 1e6
_LEAST_HOURS: Final = 3
_NAMES: Final = {
    "events": "Events",
    "user_day": "Users by day",
    "bucket_day": "Groups of users by day",
    "bucket_week": "Groups of users by week",
    "bucket_block": "Groups of users by four weeks",
    "active_day": "Active users by day",
    "active_week": "Active users by week",
    "hour": "Hours",
}


def draw() -> None:
    """Draw the page's parts."""
    period = st.selectbox("Period", list(PERIODS), index=1, key="period", bind="query-params")
    kept = ingestion.ingestion(period)
    components.last_good(kept)
    view = kept.value
    if view.health.newest_batch is None:
        components.banner(
            "No telemetry was ever taken in.",
            "Events come by files, by the spool folder or by Kafka.",
            command="recommendr telemetry ingest PATH",
        )
        return
    _draw_state(view)
    _draw_rates(view.health)
    _draw_refusals(view.health)
    _draw_stored(view.health)
    _draw_diagnosis()


def _draw_state(view: Ingestion) -> None:
    health = view.health
    total = health.total
    lag = "–" if total.lag_s is None else _span(total.lag_s)
    components.stats(
        [
            ("Read", f"{total.read:,}", f"since {view.since:%Y-%m-%d %H:%M} UTC"),
            ("Accepted", f"{total.accepted:,}", f"{total.late:,} of them late, into their own day"),
            ("Duplicates", f"{total.duplicates:,}", "counted once"),
            ("Quarantined", f"{total.quarantined:,}", _share(health.quarantined_share)),
            ("Rate", "–" if total.events_per_s is None else f"{total.events_per_s:,.0f} /s", "while taking in"),
            ("Mean lag", lag, "from an event to its receipt"),
        ]
    )
    if not health.balanced:
        components.banner(
            "The account does not balance: rows read are not those accepted, known and refused together.",
            "This is a defect; `recommendr telemetry doctor` says more.", tone="bad",
        )  # fmt: skip
    newest = f"Newest event {health.newest_event:%Y-%m-%d %H:%M} UTC. " if health.newest_event else ""
    if health.pending_dates:
        components.banner(
            f"{words.count(len(health.pending_dates), 'day')} with events that are not rolled up yet.",
            f"{newest}Metrics of these days are out of date until then.",
            tone="warn", command="recommendr telemetry rollup",
        )  # fmt: skip
    else:
        components.banner("Every day is rolled up.", newest.strip(), tone="good")


def _draw_rates(health: Health) -> None:
    st.header("Over time", anchor=False)
    if not health.hours:
        components.banner("Nothing came in during this period.")
        return
    if len(health.hours) < _LEAST_HOURS:
        components.table(
            ("Hour (UTC)", "Accepted", "Duplicates", "Quarantined"),
            [(f"{hour.at:%Y-%m-%d %H:%M}", f"{hour.accepted:,}", f"{hour.duplicates:,}", f"{hour.quarantined:,}")
             for hour in health.hours],
            numeric=("Accepted", "Duplicates", "Quarantined"), caption="Hours in which anything was taken in",
        )  # fmt: skip
        return
    from dashboard import timelines

    moments = [hour.at for hour in health.hours]
    lines = [
        timelines.Line(name=name, moments=moments, heights=[float(getattr(hour, column)) for hour in health.hours])
        for name, column in (("Accepted", "accepted"), ("Duplicates", "duplicates"), ("Quarantined", "quarantined"))
    ]
    figure = timelines.course(lines, title="Rows an hour", tick=",.0f", mode=mode())
    st.plotly_chart(figure.chart, alt=figure.alt, config={"displayModeBar": False}, key="rates")


def _draw_refusals(health: Health) -> None:
    st.header("Quarantine", anchor=False)
    if not health.refusals:
        components.banner("Nothing was refused in this period.", tone="good")
        return
    components.table(
        ("Field", "Reason", "Rows"), [(one.field or "row", one.reason, f"{one.rows:,}") for one in health.refusals],
        numeric=("Rows",), caption="Why rows were refused, most first; the rows are kept in telemetry/quarantine",
    )  # fmt: skip


def _draw_stored(health: Health) -> None:
    st.header("Stored", anchor=False)
    rows = [
        (
            _NAMES.get(one.dataset, one.dataset),
            f"{one.parts:,}",
            f"{one.rows:,}",
            f"{one.bytes / _MEGABYTE:,.1f}",
            "" if one.first is None else f"{one.first} to {one.last}",
        )
        for one in health.stored
    ]
    components.table(
        ("What", "Files", "Rows", "MB", "Days"), rows, numeric=("Files", "Rows", "MB"), tight=("Days",),
        caption="Events, and what is kept of them so that long questions cost little",
    )  # fmt: skip


def _draw_diagnosis() -> None:
    st.header("Diagnosis", anchor=False)
    if not st.button("Check the stores now"):
        components.show('<p class="rr-muted">Files, hashes, rollups, keys, retention and space; takes seconds.</p>')
        return
    with components.guarded():
        rows = [
            (one.check, components.pill("fine", "good") if one.ok else components.pill("look", "bad"), one.message,
             one.cure)
            for one in ingestion.diagnosis()
        ]  # fmt: skip
        components.table(("Check", "State", "Found", "Cure"), rows, caption="As `recommendr telemetry doctor` finds it")


def _share(share: float | None) -> str:
    return "nothing was read" if share is None else f"{share:.2%} of the rows read, kept with their reasons"


def _span(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} s"
