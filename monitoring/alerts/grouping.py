"""Grouping: alerts with the same values of some labels leave in one message, and the message itself."""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from monitoring.alerts.records import Alert, Event, iso

FORMAT: Final = 1
"""Raised when receivers must read a message differently."""
TOLD_AT_MOST: Final = 50
_SHOUTS: Final[Mapping[Event, str]] = {
    "firing": "FIRING",
    "resolved": "RESOLVED",
    "passed": "CAME AND WENT",
}
_RANKS: Final = ("critical", "warning", "info")


def group_key(labels: Mapping[str, str], group_by: Sequence[str]) -> str:
    """Return what alerts that leave together share.

    Example:
        >>> group_key({"rule": "drift", "region": "DE"}, ["rule", "market"])
        '{"market": "", "rule": "drift"}'
    """
    return json.dumps({name: labels.get(name, "") for name in group_by}, sort_keys=True, ensure_ascii=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message: what became of the alerts of one group.

    Args:
        event: What became of them.
        group: The labels they share.
        alerts: The gravest first.
        at: When.
    """

    event: Event
    group: Mapping[str, str]
    alerts: tuple[Alert, ...]
    at: dt.datetime

    @property
    def title(self) -> str:
        """One line.

        An event is told by the gravest of its alerts.
        """
        gravest = self.alerts[0].severity
        shared = ", ".join(f"{name} {value}" for name, value in self.group.items() if value) or "alerts"
        number = f"{len(self.alerts)} alerts" if len(self.alerts) > 1 else "1 alert"
        return f"[{_SHOUTS[self.event]}, {gravest}] {shared}: {number}"

    @property
    def lines(self) -> tuple[str, ...]:
        """One line an alert."""
        told = [f"{one.summary} {_times(one)}" for one in self.alerts[:TOLD_AT_MOST]]
        more = len(self.alerts) - TOLD_AT_MOST
        return (*told, f"… and {more} more") if more > 0 else tuple(told)

    def to_dict(self) -> dict[str, Any]:
        """Return what a webhook receives."""
        return {
            "format": FORMAT,
            "event": self.event,
            "at": self.at.isoformat(),
            "group": dict(self.group),
            "title": self.title,
            "lines": list(self.lines),
            "alerts": [_told(one) for one in self.alerts[:TOLD_AT_MOST]],
            "more": max(0, len(self.alerts) - TOLD_AT_MOST),
        }


def grouped(alerts: Iterable[Alert], event: Event, at: dt.datetime) -> tuple[Notice, ...]:
    """Make one message of each group.

    Args:
        alerts: What became of them is the same.
        event: What.
        at: When.
    """
    groups: dict[str, list[Alert]] = {}
    for alert in alerts:
        groups.setdefault(alert.group_key, []).append(alert)
    return tuple(
        Notice(event=event, group=json.loads(key), alerts=tuple(sorted(members, key=_gravity)), at=at)
        for key, members in sorted(groups.items())
    )


def narrowed(notice: Notice, rules: Iterable[str]) -> Notice | None:
    """Return the message with the alerts of some rules only; None when there is none of them."""
    wanted = set(rules)
    kept = tuple(alert for alert in notice.alerts if alert.rule in wanted)
    return replace(notice, alerts=kept) if kept else None


def _gravity(alert: Alert) -> tuple[int, dt.datetime, str]:
    rank = _RANKS.index(alert.severity) if alert.severity in _RANKS else len(_RANKS)
    return rank, alert.pending_at, alert.fingerprint


def _times(alert: Alert) -> str:
    over = f", over at {alert.resolved_at:%Y-%m-%d %H:%M} UTC" if alert.resolved_at else ""
    runbook = f" Runbook: {alert.runbook}" if alert.runbook else ""
    return f"(since {alert.pending_at:%Y-%m-%d %H:%M} UTC{over}){runbook}"


def _told(alert: Alert) -> dict[str, Any]:
    document = alert.to_dict()
    # What moves with every run is no part of a message: the same state gives the same bytes.
    for name in ("told_at", "seen_at"):
        del document[name]
    return {**document, "resolved_at": iso(alert.resolved_at)}
