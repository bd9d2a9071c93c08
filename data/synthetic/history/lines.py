"""Lines of the log: for some requests of the last days, one line of each service it passed, at its end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np

from data.synthetic.history.draws import Draw, generator
from data.synthetic.history.plan import Plan
from data.synthetic.history.system import (
    ERRORS,
    LATENCY_MORE_S,
    LATENCY_REGION,
    LATENCY_SERVICE,
    MEDIAN_S,
    OUTAGE_SERVICE,
    SERVICES,
    SPREAD,
    TIMEOUTS,
)
from workspace.columns import LogLine

LOGGED_DAYS: Final = 3
MOST_TRANSACTIONS: Final = 2_000
FILE: Final = "history.jsonl"
LOGGERS: Final = {
    "gateway": "gateway.request",
    "bff": "bff.home",
    "user": "user.profile",
    "content": "content.films",
    "recommender": "recommender.slate",
}
MESSAGES: Final = {
    "gateway": "GET /home answered",
    "bff": "home page composed",
    "user": "profile read",
    "content": "films read",
    "recommender": "slate made",
}
OWN_S: Final = {"gateway": 0.02, "bff": 0.02}
_OK, _UNAVAILABLE, _TIMEOUT = 200, 503, 504


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request for a slate; ``real`` when the recommender made it."""

    transaction: str
    slate: str
    region: str
    at: datetime
    real: bool


def write_lines(plan: Plan, requests: Sequence[Request], path: Path) -> int:
    """Write the lines of requests by time and return how many there are; those of real slates go before others."""
    path.parent.mkdir()
    rng = generator(plan.spec.seed, Draw.LOG)
    chosen = sorted(requests, key=lambda request: not request.real)[:MOST_TRANSACTIONS]
    lines = [line for request in chosen for line in hops(plan, request, rng)]
    lines.sort(key=lambda line: (line[LogLine.TS], line[LogLine.TRANSACTION]))
    path.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
    return len(lines)


def hops(plan: Plan, request: Request, rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return the lines of one request: gateway around BFF around user, content and recommender, one after another."""
    took = {name: MEDIAN_S[name] * float(np.exp(SPREAD * rng.standard_normal())) for name in SERVICES[2:]}
    failed, status = _fate(plan, request, rng, took)
    own = {name: OWN_S[name] * float(np.exp(SPREAD * rng.standard_normal())) for name in OWN_S}
    took["bff"] = own["bff"] + sum(took[name] for name in SERVICES[2:])
    took["gateway"] = own["gateway"] + took["bff"]
    # A hop begins after a third of its caller's own work; the gateway ends when the slate is shown.
    begun = {"gateway": request.at - timedelta(seconds=took["gateway"])}
    begun["bff"] = begun["gateway"] + timedelta(seconds=own["gateway"] / 3)
    moment = begun["bff"] + timedelta(seconds=own["bff"] / 3)
    for name in SERVICES[2:]:
        begun[name] = moment
        moment += timedelta(seconds=took[name])
    touched = {failed, "bff", "gateway"} if failed else set()
    return [
        _line(request, name, begun[name] + timedelta(seconds=took[name]), took[name], status, bad=name in touched)
        for name in SERVICES
    ]


def _fate(plan: Plan, request: Request, rng: np.random.Generator, took: dict[str, float]) -> tuple[str, int]:
    """Return which service fails and how; lengthens what an incident lengthens."""
    luck = float(rng.random())
    window = plan.latency
    slow = request.region == LATENCY_REGION and plan.moment(window.first) <= request.at < plan.moment(window.stop)
    if slow:
        took[LATENCY_SERVICE] += LATENCY_MORE_S * float(np.exp(SPREAD * rng.standard_normal()))
        return (LATENCY_SERVICE, _TIMEOUT) if luck < TIMEOUTS else ("", _OK)
    return (OUTAGE_SERVICE, _UNAVAILABLE) if luck < ERRORS else ("", _OK)


def _line(request: Request, service: str, ended: datetime, seconds: float, status: int, *, bad: bool) -> dict[str, Any]:
    message = MESSAGES[service]
    if bad:
        message = (
            "timed out; served the last good slate" if status == _TIMEOUT else "unavailable; served from the cache"
        )
    line = {
        LogLine.TS: ended.astimezone(UTC).isoformat(timespec="microseconds"),
        LogLine.LEVEL: "ERROR" if bad else "INFO",
        LogLine.SERVICE: service,
        LogLine.LOGGER: LOGGERS[service],
        LogLine.MESSAGE: message,
        LogLine.TRANSACTION: request.transaction,
        LogLine.DURATION_MS: round(seconds * 1000, 3),
        LogLine.REGION: request.region,
        LogLine.SLATE: request.slate if service == SERVICES[-1] else None,
        LogLine.STATUS: status if bad else _OK,
    }
    return {name: value for name, value in line.items() if value is not None}
