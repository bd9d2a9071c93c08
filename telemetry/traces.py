"""One request through the services: its hops in order, and where its time went.

A service writes a line with its duration when it has answered; that line is a hop, which began the duration before it.
"""

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pandas as pd

from telemetry.logs import MOST_LINES, LogQuestion, search_logs
from telemetry.system.questions import SERVICES
from workspace.columns import LogLine
from workspace.errors import UnknownError
from workspace.paths import Paths

_CLOCKS_MS: Final = 2.0
"""Two services' clocks, and roundings, may differ by this much."""
_LEVELS_OF_FAILURE: Final = ("ERROR", "CRITICAL")
_FAILED: Final = 500
# The console and the command line answer people: what they call lies inside.
_ORDER: Final = {name: place for place, name in enumerate(("console", "cli", *SERVICES[:-1]))}
_SIDE_BY_SIDE: Final = _ORDER["user"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One line that is no hop."""

    ts: dt.datetime
    level: str
    text: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {"ts": self.ts.isoformat(), "level": self.level, "text": self.text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One service's part in a request.

    Args:
        service: Who.
        started_at: When it began; of a service that said no duration, when it first spoke.
        duration_ms: How long it took, with all it called; None when it did not say.
        self_ms: How long it worked itself: without what the hops inside took.
        share: Its own time by that of the whole request.
        status: As HTTP numbers them, or None.
        depth: How many hops it lies inside.
        messages: What it said besides, oldest first; with several hops of a service, at the first.
    """

    service: str
    started_at: dt.datetime
    duration_ms: float | None = None
    self_ms: float | None = None
    share: float | None = None
    status: str | None = None
    depth: int = 0
    messages: tuple[Message, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the service failed."""
        return self.status is not None and self.status.isdigit() and int(self.status) >= _FAILED

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "service": self.service,
            "started_at": self.started_at.isoformat(),
            "duration_ms": self.duration_ms,
            "self_ms": self.self_ms,
            "share": self.share,
            "status": self.status,
            "depth": self.depth,
            "messages": [message.to_dict() for message in self.messages],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One request.

    Args:
        transaction_id: Which.
        started_at: When its first hop began.
        duration_ms: From then to the end of its last.
        hops: In the order of a request: gateway, BFF, user, content, recommender, then any other.
        failed: Whether a hop failed or somebody wrote an error.
        slate_id: The slate it made, or None.
        region: Where it came from, or None.
        lines: How many lines were written about it.
    """

    transaction_id: str
    started_at: dt.datetime
    duration_ms: float
    hops: tuple[Hop, ...] = field(default_factory=tuple)
    failed: bool = False
    slate_id: str | None = None
    region: str | None = None
    lines: int = 0

    @property
    def slowest(self) -> Hop | None:
        """The hop that worked longest itself; None when no service said a duration."""
        timed = [hop for hop in self.hops if hop.self_ms is not None]
        return max(timed, key=lambda hop: hop.self_ms or 0.0) if timed else None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "transaction_id": self.transaction_id,
            "started_at": self.started_at.isoformat(),
            "duration_ms": self.duration_ms,
            "failed": self.failed,
            "slate_id": self.slate_id,
            "region": self.region,
            "lines": self.lines,
            "slowest": None if self.slowest is None else self.slowest.service,
            "hops": [hop.to_dict() for hop in self.hops],
        }


@dataclass(slots=True, kw_only=True)
class _Span:
    """A hop while its place is sought; milliseconds since the first line's beginning."""

    service: str
    start_ms: float
    end_ms: float
    status: str | None
    depth: int = 0
    inside: list["_Span"] = field(default_factory=list)

    def holds(self, other: "_Span") -> bool:
        """Whether the other lies inside, in time and by the order of a request."""
        if not (self.start_ms - _CLOCKS_MS <= other.start_ms and other.end_ms <= self.end_ms + _CLOCKS_MS):
            return False
        mine, theirs = _place(self.service), _place(other.service)
        # User, content and recommender are called side by side: none of them holds another.
        return mine < theirs and (mine < _SIDE_BY_SIDE or theirs == len(_ORDER))

    def self_ms(self) -> float:
        """Return the duration without what the hops inside cover; calls side by side count once."""
        covered, reached = 0.0, self.start_ms
        for one in sorted(self.inside, key=lambda span: span.start_ms):
            start, end = max(one.start_ms, reached), min(one.end_ms, self.end_ms)
            covered += max(0.0, end - start)
            reached = max(reached, end)
        return max(0.0, self.end_ms - self.start_ms - covered)


def trace(paths: Paths, transaction_id: str) -> Trace:
    """Return the request of a transaction.

    Args:
        paths: The workspace.
        transaction_id: Which.

    Raises:
        UnknownError: When no line bears it.
        StateError: When the logs can't be read.
    """
    found = search_logs(paths, LogQuestion(transaction_id=transaction_id, limit=MOST_LINES)).lines
    if found.empty:
        hint = "copy it from a log line, a slate or an event; logs are rotated, old ones are gone"
        raise UnknownError(f"transaction_id == {transaction_id!r}", "must be one that was logged", hint)
    return trace_of(found)


def trace_of(lines: pd.DataFrame) -> Trace:
    """Return the request that lines of one transaction tell of.

    Args:
        lines: As `telemetry.logs.query_logs` gives them; at least one.
    """
    lines = lines.sort_values(LogLine.TS, kind="stable", ignore_index=True)
    origin = lines[LogLine.TS].iloc[0].to_pydatetime()
    ended_ms = ((lines[LogLine.TS] - pd.Timestamp(origin)) / pd.Timedelta(milliseconds=1)).to_numpy()
    spans, said = [], []
    for end_ms, line in zip(ended_ms.tolist(), lines.to_dict("records"), strict=True):
        duration = float(line[LogLine.DURATION_MS])
        service = line[LogLine.SERVICE] or line[LogLine.LOGGER] or "unknown"
        if math.isnan(duration) or line[LogLine.SERVICE] is None:
            said.append((service, line))
        else:
            status = line[LogLine.STATUS]
            spans.append(_Span(service=service, start_ms=end_ms - duration, end_ms=end_ms, status=status))
    _nest(spans)
    first = min((span.start_ms for span in spans), default=0.0)
    last = max((span.end_ms for span in spans), default=float(ended_ms[-1]))
    hops = _hops(spans, said, origin, whole_ms=last - first)
    return Trace(
        transaction_id=str(lines[LogLine.TRANSACTION].iloc[0]),
        started_at=origin + dt.timedelta(milliseconds=first),
        duration_ms=last - first,
        hops=hops,
        failed=any(hop.failed for hop in hops) or bool(lines[LogLine.LEVEL].isin(_LEVELS_OF_FAILURE).any()),
        slate_id=_first(lines[LogLine.SLATE]),
        region=_first(lines[LogLine.REGION]),
        lines=len(lines),
    )


def _nest(spans: Sequence[_Span]) -> None:
    """Put each hop into the innermost that holds it."""
    for span in sorted(spans, key=lambda one: _place(one.service)):
        holders = [other for other in spans if other is not span and other.holds(span)]
        if holders:
            holder = max(holders, key=lambda other: (_place(other.service), other.start_ms - other.end_ms))
            holder.inside.append(span)
            span.depth = holder.depth + 1


def _hops(
    spans: Sequence[_Span], said: Sequence[tuple[str, dict[str, Any]]], origin: dt.datetime, *, whole_ms: float
) -> tuple[Hop, ...]:
    messages: dict[str, list[Message]] = {}
    for service, line in said:
        one = Message(
            ts=line[LogLine.TS].to_pydatetime(), level=line[LogLine.LEVEL] or "", text=line[LogLine.MESSAGE] or ""
        )
        messages.setdefault(service, []).append(one)
    hops = []
    for span in sorted(spans, key=lambda one: (_place(one.service), one.start_ms)):
        own = span.self_ms()
        hops.append(
            Hop(
                service=span.service,
                started_at=origin + dt.timedelta(milliseconds=span.start_ms),
                duration_ms=span.end_ms - span.start_ms,
                self_ms=own,
                share=own / whole_ms if whole_ms > 0 else None,
                status=span.status,
                depth=span.depth,
                messages=tuple(messages.pop(span.service, ())),
            )
        )
    hops += [Hop(service=name, started_at=lines[0].ts, messages=tuple(lines)) for name, lines in messages.items()]
    return tuple(sorted(hops, key=lambda hop: (_place(hop.service), hop.started_at)))


def _place(service: str) -> int:
    return _ORDER.get(service, len(_ORDER))


def _first(values: pd.Series) -> str | None:
    known = values.dropna()
    return None if known.empty else str(known.iloc[0])
