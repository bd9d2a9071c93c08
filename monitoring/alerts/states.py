"""States: pending → firing → resolved, in one transaction with the messages that tell of it.

An alert and its message are committed together, so that a process killed at any moment has either done both or
neither: the outbox never lacks what the table of alerts says was told.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from monitoring.alerts import outbox
from monitoring.alerts.grouping import group_key, grouped, narrowed
from monitoring.alerts.records import AT_ONCE, OPEN, Alert, AlertRow, Event, State, alert_of, aware, writing
from monitoring.alerts.rules import Rules
from monitoring.alerts.signals import Signal, Signals
from monitoring.alerts.silences import Silence, active_silences, silenced_by
from workspace.ids import new_id
from workspace.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Advance:
    """What one run did to the alerts.

    Args:
        firing: Alerts that fire now, the gravest first, with whether each is silenced.
        pending: How many are pending.
        held: How many stay as they are, since their rule could not be asked.
        fired: Ids of those that began to fire.
        resolved: Ids of those that were over.
        passed: Ids of those that were over before they were seen.
        messages: How many messages went into the outbox.
    """

    firing: tuple[tuple[Alert, bool], ...] = ()
    pending: int = 0
    held: int = 0
    fired: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    messages: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "firing": [{**alert.to_dict(), "silenced": silenced} for alert, silenced in self.firing],
            "pending": self.pending,
            "held": self.held,
            "fired": list(self.fired),
            "resolved": list(self.resolved),
            "passed": list(self.passed),
            "messages": self.messages,
        }


def next_alert(alert: Alert | None, signal: Signal | None, now: dt.datetime, group: str = "") -> Alert | None:
    """Return what becomes of an alert: the machine itself, without any store.

    Args:
        alert: The open alert of this fingerprint, if there is one.
        signal: What its rule says now; None: nothing.
        now: The moment.
        group: Key of its group, for a new alert.

    Returns:
        The alert as it is now; None when there is none and nothing to begin one.
    """
    if signal is None:
        return None if alert is None else replace(alert, state="resolved", resolved_at=now, seen_at=now)
    if signal.ended is not None:
        return _over(alert, signal, now, group)
    since = min(signal.since or now, now)
    begun = alert or _new(signal, since, now, group)
    begun = _refreshed(begun, signal, now)
    if begun.state == "pending" and now - begun.pending_at >= signal.lasts:
        return replace(begun, state="firing", fired_at=now)
    return begun


def advance(
    store: Store, rules: Rules, signals: Signals, now: dt.datetime, *, kept: dt.timedelta | None = None
) -> Advance:
    """Bring the alerts to what the signals say, and put what is to be told into the outbox.

    Args:
        store: The operational store.
        rules: Routes and grouping.
        signals: What the rules say.
        now: The moment.
        kept: Resolved alerts that are older are let go of; None keeps all.
    """
    with writing(store) as session:
        rows = {row.fingerprint: row for row in session.scalars(select(AlertRow).where(AlertRow.state.in_(OPEN)))}
        changes = _Changes(session, now)
        held = 0
        said = {one.fingerprint: one for one in signals.signals}
        for fingerprint, row in rows.items():
            if fingerprint not in said and signals.holds(row.rule, row.labels):
                held += 1
                continue
            changes.take(row, said.get(fingerprint), row.group_key)
        for fingerprint, signal in said.items():
            if fingerprint not in rows and not changes.told_before(signal):
                changes.take(None, signal, group_key(signal.labels, rules.group_by))
        if kept is not None:
            old = (AlertRow.state == "resolved") & (AlertRow.resolved_at < now - kept)
            session.execute(delete(AlertRow).where(old), execution_options=AT_ONCE)
        session.flush()
        silences = active_silences(session, now)
        messages = _tell(session, rules, changes, silences, now)
        opened = [alert_of(row) for row in session.scalars(select(AlertRow).where(AlertRow.state.in_(OPEN)))]
        firing = sorted((one for one in opened if one.state == "firing"), key=_gravity)
        return Advance(
            firing=tuple((one, silenced_by(one.labels, silences) is not None) for one in firing),
            pending=sum(one.state == "pending" for one in opened),
            held=held,
            fired=tuple(changes.ids["firing"]),
            resolved=tuple(changes.ids["resolved"]),
            passed=tuple(changes.ids["passed"]),
            messages=messages,
        )


def fires(store: Store, signal: Signal, now: dt.datetime) -> bool:
    """Tell whether a signal makes an alert that fires now, without changing anything."""
    with store.reading() as session:
        open_now = AlertRow.state.in_(OPEN) & (AlertRow.fingerprint == signal.fingerprint)
        row = session.scalars(select(AlertRow).where(open_now)).first()
        after = next_alert(None if row is None else alert_of(row), signal, now)
        return after is not None and after.state == "firing"


def silenced(store: Store, labels: Mapping[str, str], now: dt.datetime) -> bool:
    """Tell whether alerts with these labels are silenced."""
    with store.reading() as session:
        return silenced_by(labels, active_silences(session, now)) is not None


def alerts_in(
    store: Store, now: dt.datetime, states: Sequence[State] = OPEN, limit: int = 500
) -> tuple[tuple[Alert, Silence | None], ...]:
    """Return alerts in some states, the latest first, each with the silence that keeps it from being told now."""
    with store.reading() as session:
        query = select(AlertRow).where(AlertRow.state.in_(states))
        newest = query.order_by(AlertRow.pending_at.desc(), AlertRow.alert_id).limit(limit)
        found = [alert_of(row) for row in session.scalars(newest)]
        silences = active_silences(session, now)
        return tuple((one, silenced_by(one.labels, silences)) for one in found)


class _Changes:
    """Writes what becomes of alerts, and remembers which event it was."""

    def __init__(self, session: Session, now: dt.datetime) -> None:
        self._session = session
        self._now = now
        self.ids: dict[Event, list[str]] = {"firing": [], "resolved": [], "passed": []}

    def take(self, row: AlertRow | None, signal: Signal | None, group: str) -> None:
        """Advance one alert."""
        before = None if row is None else alert_of(row)
        after = next_alert(before, signal, self._now, group)
        if after is None:
            return
        if row is None:
            row = AlertRow(alert_id=after.alert_id, fingerprint=after.fingerprint, told_at=None)
            self._session.add(row)
        _write(row, after)
        was = None if before is None else before.state
        if after.state == "firing" and was != "firing":
            self.ids["firing"].append(after.alert_id)
        elif after.state == "resolved" and was is None:
            self.ids["passed"].append(after.alert_id)
        elif after.state == "resolved" and was == "firing":
            self.ids["resolved"].append(after.alert_id)

    def told_before(self, signal: Signal) -> bool:
        """Tell whether what is over was an alert already while it lasted."""
        if signal.ended is None:
            return False
        query = select(AlertRow).where(AlertRow.fingerprint == signal.fingerprint, AlertRow.state == "resolved")
        closed = [aware(row.resolved_at) for row in self._session.scalars(query) if row.resolved_at is not None]
        return any(moment >= (signal.since or signal.ended) for moment in closed)


def _tell(session: Session, rules: Rules, changes: _Changes, silences: Iterable[Silence], now: dt.datetime) -> int:
    """Put a message into the outbox for each route, event and group; return how many."""
    quiet = tuple(silences)
    told: dict[Event, list[AlertRow]] = {"firing": [], "resolved": [], "passed": []}
    # Also what began to fire while it was silenced, or while its route was broken, and fires still.
    waiting = select(AlertRow).where(AlertRow.state == "firing", AlertRow.told_at.is_(None))
    told["firing"] = [row for row in session.scalars(waiting) if not silenced_by(row.labels, quiet)]
    told["passed"] = [row for row in _rows(session, changes.ids["passed"]) if not silenced_by(row.labels, quiet)]
    # Whoever was told that it fires is told that it is over, silenced or not.
    told["resolved"] = [row for row in _rows(session, changes.ids["resolved"]) if row.told_at is not None]
    messages = 0
    for event, rows in told.items():
        reached: set[str] = set()
        for notice in grouped([alert_of(row) for row in rows], event, now):
            for route in rules.routes:
                routed = narrowed(notice, {one.rule for one in notice.alerts if route in rules.routes_of(one.rule)})
                if routed is not None:
                    outbox.put(session, route, routed)
                    reached |= {one.alert_id for one in routed.alerts}
                    messages += 1
        for row in rows:
            if event != "resolved" and row.alert_id in reached:
                row.told_at = now
    return messages


def _rows(session: Session, ids: Sequence[str]) -> list[AlertRow]:
    return [row for row in (session.get(AlertRow, one) for one in ids) if row is not None]


def _new(signal: Signal, since: dt.datetime, now: dt.datetime, group: str) -> Alert:
    return Alert(
        alert_id=new_id("alert"),
        fingerprint=signal.fingerprint,
        rule=signal.rule,
        state="pending",
        severity=signal.severity.value,
        labels=dict(signal.labels),
        group_key=group,
        value=signal.value,
        summary=signal.summary,
        runbook=signal.runbook,
        evidence=dict(signal.evidence),
        pending_at=since,
        seen_at=now,
    )


def _refreshed(alert: Alert, signal: Signal, now: dt.datetime) -> Alert:
    return replace(
        alert,
        severity=signal.severity.value,
        labels=dict(signal.labels),
        value=signal.value,
        summary=signal.summary,
        runbook=signal.runbook,
        evidence=dict(signal.evidence),
        seen_at=now,
    )


def _over(alert: Alert | None, signal: Signal, now: dt.datetime, group: str) -> Alert | None:
    ended = signal.ended or now
    if alert is not None:
        return replace(_refreshed(alert, signal, now), state="resolved", resolved_at=ended)
    since = min(signal.since or ended, ended)
    if ended - since < signal.lasts:
        return None
    passed = _new(signal, since, now, group)
    return replace(passed, state="resolved", fired_at=now, resolved_at=ended)


def _write(row: AlertRow, alert: Alert) -> None:
    row.rule, row.state, row.severity = alert.rule, alert.state, alert.severity
    row.labels, row.group_key = dict(alert.labels), alert.group_key
    row.value, row.summary, row.runbook = alert.value, alert.summary, alert.runbook
    row.evidence = dict(alert.evidence)
    row.pending_at, row.fired_at, row.resolved_at = alert.pending_at, alert.fired_at, alert.resolved_at
    row.seen_at = alert.seen_at


def _gravity(alert: Alert) -> tuple[int, dt.datetime]:
    ranks = ("critical", "warning", "info")
    return ranks.index(alert.severity), alert.pending_at
