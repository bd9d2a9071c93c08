"""The parts of *Alerts*: what fires, what the services promise, what is silenced, and what was told to whom."""

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from dashboard import access, components, words
from dashboard.components import Tone
from dashboard.loaders import watching
from dashboard.tabs import draw_open
from monitoring.alerts.records import Alert
from monitoring.alerts.silences import Silence
from monitoring.burn import words as spoken
from monitoring.objectives import ObjectiveStatus, Standing

SEVERITY_TONES: Final[dict[str, Tone]] = {"critical": "bad", "warning": "warn", "info": "info"}
_STANDINGS: Final[dict[Standing, tuple[str, Tone]]] = {
    "met": ("met", "good"),
    "at_risk": ("at risk", "warn"),
    "missed": ("missed", "bad"),
    "unknown": ("not estimable", "info"),
}
_HOURS: Final = {"1 hour": 1, "4 hours": 4, "1 day": 24, "3 days": 72, "1 week": 168, "30 days": 720}
_HIDDEN_LABELS: Final = ("rule", "severity", "detector")


def firing() -> None:
    """List what is pending or firing now, then what is over."""
    now = watching.open_alerts()
    if not now:
        components.banner(
            "Nothing fires.", "The last run of `recommendr monitor run` found every rule quiet.", tone="good"
        )
    else:
        components.table(
            ("Alert", "Where", "State", "Severity", "Since (UTC)", "What", "Runbook"),
            [_open_row(alert, silence) for alert, silence in now],
            caption=words.count(len(now), "open alert", "open alerts") + ", the latest first",
            tight=("State", "Since (UTC)"),
        )
    past = watching.past_alerts()
    if past:
        st.header("Resolved", anchor=False)
        components.table(
            ("Alert", "Where", "Severity", "Fired (UTC)", "Over (UTC)", "What"),
            [_past_row(alert) for alert, _ in past],
            caption=f"The latest {len(past)}",
            tight=("Fired (UTC)", "Over (UTC)"),
        )


def _open_row(alert: Alert, silence: Silence | None) -> Sequence[object]:
    state = alert.state if silence is None else f"{alert.state}, silenced"
    tone: Tone = "info" if silence is not None or alert.state == "pending" else "bad"
    return (
        alert.rule,
        where(alert),
        components.pill(state, tone),
        components.pill(alert.severity, SEVERITY_TONES.get(alert.severity, "info")),
        moment(alert.pending_at),
        alert.summary,
        alert.runbook or "–",
    )


def _past_row(alert: Alert) -> Sequence[object]:
    severity = components.pill(alert.severity, SEVERITY_TONES.get(alert.severity, "info"))
    return (alert.rule, where(alert), severity, moment(alert.fired_at), moment(alert.resolved_at), alert.summary)


def where(alert: Alert) -> str:
    """Return the place an alert is about, in words."""
    place = {name: value for name, value in alert.labels.items() if name not in _HIDDEN_LABELS}
    return ", ".join(f"{name} {value}" for name, value in sorted(place.items())) or "everywhere"


def moment(at: dt.datetime | None) -> str:
    """Return a moment to the minute, in UTC."""
    return "–" if at is None else f"{at:%Y-%m-%d %H:%M}"


def promised() -> None:
    """Show every objective with its budget, and how fast it burns."""
    kept = watching.objectives()
    components.last_good(kept)
    found = kept.value
    for alert in (alert for one in found for alert in one.alerts):
        components.banner(alert.text, alert.rule, tone="bad" if alert.level == "page" else "warn")
    rows = [_objective_row(one) for one in found]
    components.table(
        ("Objective", "Where", "Standing", "Target", "Attained", "Budget left", "Burns", "Counted", "Remark"),
        rows,
        numeric=("Target", "Attained", "Budget left", "Counted"),
        tight=("Standing",),
        caption="Each objective over its window; intervals are of 95 %",
    )
    components.show(
        '<p class="rr-muted">A burn rate of 1 spends the whole budget in one window. Two windows must burn too fast, '
        "and enough requests must have gone wrong, before anybody is told.</p>"
    )


def _objective_row(one: ObjectiveStatus) -> Sequence[object]:
    state, tone = _STANDINGS[one.standing]
    burns = "; ".join(
        f"{spoken(burn.rule.long)} {burn.long_rate:.1f}×" for burn in one.burns if burn.long_rate is not None
    )
    return (
        one.title,
        ", ".join(one.segment.values()) or "all services",
        components.pill(state, tone),
        _figure(one.target, one.unit),
        "–" if one.attained is None else _figure(one.attained.value, one.unit),
        "–" if one.remaining is None else f"{one.remaining.value:.0%}",
        burns or "–",
        f"{one.total:,.0f}" if one.total else "–",
        one.note or "–",
    )


def _figure(value: float, unit: str) -> str:
    return f"{value:.2%}" if unit == "share" else f"{value:,.3g} {unit}"


def silenced() -> None:
    """List the silences, and add one with its reason and its end."""
    known = watching.silences()
    held = known.all(active=True)
    if held:
        components.table(
            ("Silence", "Labels", "Reason", "By", "Ends (UTC)"),
            [
                (one.silence_id, ", ".join(f"{name}={value}" for name, value in one.matchers.items()), one.reason,
                 one.created_by, moment(one.ends_at))
                for one in held
            ],
            caption="Silences that hold; a silenced alert is still found and listed",
            tight=("Ends (UTC)",),
        )  # fmt: skip
    else:
        components.banner("Nothing is silenced.")
    _add_silence()
    if held:
        _end_silence([one.silence_id for one in held])


def _add_silence() -> None:
    st.header("Silence an alert", anchor=False)
    with st.form("silence", clear_on_submit=True, border=False):
        label, value, lasts = st.columns([2, 2, 1], vertical_alignment="bottom")
        name = label.text_input("Label", value="rule", help="For example rule, region, service or metric.")
        pattern = value.text_input("Value", help="A value of that label; * stands for anything.")
        hours = lasts.selectbox("For", list(_HOURS), index=1)
        reason = st.text_input("Reason", help="It is kept in the ledger.")
        if st.form_submit_button("Silence"):
            with components.guarded():
                length = dt.timedelta(hours=_HOURS[hours])
                made = watching.silences().add({name.strip(): pattern.strip()}, reason.strip(), length, access.acting())
                st.toast(f"Silenced until {moment(made.ends_at)} UTC.")
                st.rerun()


def _end_silence(ids: list[str]) -> None:
    with st.form("unsilence", clear_on_submit=True, border=False):
        which, why = st.columns([2, 3], vertical_alignment="bottom")
        chosen = which.selectbox("End a silence", ids)
        reason = why.text_input("Reason for ending it")
        if st.form_submit_button("End it"):
            with components.guarded():
                watching.silences().end(chosen, reason.strip(), access.acting())
                st.rerun()


def messages() -> None:
    """List the messages to people and programs, with what became of each."""
    sent = watching.told()
    if not sent:
        components.banner(
            "No message has left yet.",
            "Name a route in `alerts.toml`: webhook, e-mail or Slack.",
            command="recommendr monitor rules",
        )
        return
    components.table(
        ("Message", "Route", "State", "Attempts", "Made (UTC)", "Delivered (UTC)", "Last error"),
        [
            (one.body["title"], one.route, components.pill(one.state, "good" if one.delivered_at else "warn"),
             one.attempts, moment(one.created_at), moment(one.delivered_at), one.last_error or "–")
            for one in sent
        ],
        caption="The newest first; a message that could not be delivered is tried again until it is",
        numeric=("Attempts",), tight=("Made (UTC)", "Delivered (UTC)"),
    )  # fmt: skip


PANELS: Final[dict[str, Callable[[], None]]] = {
    "Alerts": firing,
    "Objectives": promised,
    "Silences": silenced,
    "Messages": messages,
}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS)
