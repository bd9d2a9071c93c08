"""The questions answered by a Prometheus: each becomes one query, each answer a frame of our own making."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from telemetry.system import names
from telemetry.system.connection import Questioner, shown_url
from telemetry.system.questions import (
    EVERY,
    Kind,
    Known,
    Questions,
    Series,
    SystemQuestion,
    answer_frame,
)
from workspace.checks import check_scalar
from workspace.errors import UnreachableError

CHUNK_POINTS: Final = 10_000
"""Prometheus refuses more than 11,000 points a series."""
_MINUTE_S: Final = 60
_LOOKS: Final = 2_000
_GAUGES: Final = {
    Kind.CPU: ("avg", names.CPU),
    Kind.MEMORY: ("avg", names.MEMORY),
    Kind.AVAILABILITY: ("avg", names.UP),
    Kind.ACTIVE_SESSIONS: ("sum", names.ACTIVE_SESSIONS),
}


class PrometheusSystemMetrics(Questions):
    """Answers from a Prometheus that scrapes the services. Safe to share between threads.

    Args:
        url: Where it is.
        timeout_s: Seconds a question may take.

    Raises:
        InvalidValueError: When the URL is none, or the time not positive.
    """

    def __init__(self, url: str, timeout_s: float = 10) -> None:
        self._url = url
        self._timeout_s = check_scalar(timeout_s, "prometheus_timeout_s", gt=0, le=300)
        self.name: Final = f"Prometheus at {shown_url(url)}"

    def answer(self, question: SystemQuestion) -> pd.DataFrame:
        """Answer any question.

        Raises:
            UnreachableError: When Prometheus is gone or slow, or answers what can't be meant.
        """
        times = question.times
        query = query_of(question)
        values: dict[tuple[str, str], np.ndarray[Any, np.dtype[np.float64]]] = {}
        with Questioner(self._url, self._timeout_s) as questioner:
            for first in range(0, len(times), CHUNK_POINTS):
                chunk = times[first : first + CHUNK_POINTS]
                for one in questioner.over_time(query, int(chunk[0]), int(chunk[-1]), question.step_s):
                    label = _label(one, question.by)
                    mine = values.setdefault(label, np.full(len(times), np.nan))
                    at, read = self._points(one)
                    place = (at - times[0]) // question.step_s
                    # A range's edges may come twice, and a clock's odd seconds are none we asked for.
                    wanted = (place >= 0) & (place < len(times)) & ((at - times[0]) % question.step_s == 0)
                    mine[place[wanted]] = read[wanted]
        return answer_frame(question, [Series(*label, found) for label, found in values.items()])

    def known(self, start: dt.datetime, end: dt.datetime) -> Known:
        """Say which services and regions have samples, and from when to when (to the minute).

        Raises:
            UnreachableError: As `answer`.
        """
        length_s = max(1, math.ceil((end - start).total_seconds()))
        labels = f"{names.SERVICE}, {names.REGION}"
        query = f"group by ({labels}) (last_over_time({names.UP}[{length_s}s]))"
        with Questioner(self._url, self._timeout_s) as questioner:
            found = [_label(one, (names.SERVICE, names.REGION)) for one in questioner.instant(query, end.timestamp())]
            if not found:
                return Known()
            first, last = (self._extreme(questioner, pick, end.timestamp(), length_s) for pick in ("min", "max"))
        return Known.of([service for service, _ in found], [region for _, region in found], first, last)

    def _extreme(self, questioner: Questioner, pick: str, end_s: float, length_s: int) -> dt.datetime | None:
        """Look for the first or last sample in coarse steps, then around what was found by the minute."""
        coarse = max(_MINUTE_S, length_s // _LOOKS)
        found = self._stamp(questioner, pick, end_s, length_s, coarse)
        if found is not None and coarse > _MINUTE_S:
            to = min(end_s, found + coarse)
            found = self._stamp(questioner, pick, to, min(length_s, 2 * coarse), _MINUTE_S) or found
        return None if found is None else dt.datetime.fromtimestamp(found, dt.UTC)

    def _stamp(self, questioner: Questioner, pick: str, at_s: float, length_s: int, step_s: int) -> float | None:
        query = f"{pick}({pick}_over_time(timestamp({names.UP})[{length_s}s:{step_s}s]))"
        series = questioner.instant(query, at_s)
        if not series:
            return None
        try:
            stamp = float(series[0]["value"][1])
            dt.datetime.fromtimestamp(stamp, dt.UTC)
        except (LookupError, TypeError, ValueError, OverflowError, OSError) as error:
            raise self._nonsense() from error
        return stamp

    def close(self) -> None:
        """Nothing is held between two questions."""

    def _points(self, series: dict[str, Any]) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
        """Return times and values of a series; what is not finite is not known."""
        try:
            pairs = [(float(at), float(value)) for at, value in series["values"]]
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise self._nonsense() from error
        points = np.array(pairs, dtype=np.float64).reshape(-1, 2)
        points = points[np.isfinite(points[:, 0]) & (np.abs(points[:, 0]) < 1e12)]  # noqa: PLR2004 - far beyond any clock
        return np.rint(points[:, 0]).astype(np.int64), np.where(np.isfinite(points[:, 1]), points[:, 1], np.nan)

    def _nonsense(self) -> UnreachableError:
        hint = "check that RECOMMENDR_PROMETHEUS_URL leads to Prometheus and to nothing else"
        return UnreachableError(f"{self.name} answered series without readable values", hint=hint)


def query_of(question: SystemQuestion) -> str:
    """Return the question in PromQL.

    Example:
        >>> from telemetry.system.questions import asked
        >>> day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        >>> query_of(asked(Kind.CPU, {"start": day, "end": day + dt.timedelta(1), "step": dt.timedelta(hours=1)}))
        'avg by (service, region) (avg_over_time(recommendr_cpu_ratio[3600s]))'
    """
    kept = tuple(name for name in (names.SERVICE, names.REGION) if name in question.by)
    if question.kind in _GAUGES:
        together, gauge = _GAUGES[question.kind]
        return f"{together} by ({', '.join(kept)}) (avg_over_time({gauge}{_of(question)}))"
    requests = _rate(question, names.REQUESTS_TOTAL, kept)
    if question.kind == Kind.REQUEST_RATE:
        return requests
    if question.kind == Kind.ERROR_RATE:
        errors = _rate(question, names.REQUESTS_TOTAL, kept, f'{names.CODE}=~"{names.ERRORS}"')
        # A service that never failed has no series of errors: its share is 0, not unknown.
        return f"({errors} or {requests} * 0) / {requests}"
    if question.kind == Kind.WITHIN_LATENCY:
        bound = f"{question.limit_s:g}".replace(".", "\\\\.")
        # Clients write 1 as 1.0, others as 1.
        written = bound if "." in bound else f"{bound}(\\\\.0)?"
        good = _rate(question, names.BUCKET, kept, f'{names.LE}=~"{written}"')
        return f"{good} / {_rate(question, names.COUNT, kept)}"
    return f"histogram_quantile({question.quantile:.17g}, {_rate(question, names.BUCKET, (*kept, names.LE))})"


def _rate(question: SystemQuestion, series: str, kept: Sequence[str], condition: str = "") -> str:
    return f"sum by ({', '.join(kept)}) (rate({series}{_of(question, condition)}))"


def _of(question: SystemQuestion, condition: str = "") -> str:
    """Return the labels and the window that select the samples."""
    conditions = [condition] if condition else []
    for name, chosen in ((names.SERVICE, question.services), (names.REGION, question.regions)):
        if chosen is not None:
            conditions.append(f"{name}=~{_quoted('|'.join(map(_literal, chosen)))}")
    labels = f"{{{', '.join(conditions)}}}" if conditions else ""
    return f"{labels}[{question.window_s}s]"


def _literal(name: str) -> str:
    """Return a name as a regular expression that only it matches."""
    return "".join(f"\\{letter}" if letter in r"\.+*?()|[]{}^$" else letter for letter in name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _label(series: dict[str, Any], by: Sequence[str]) -> tuple[str, str]:
    metric = series["metric"] if isinstance(series["metric"], dict) else {}
    service, region = (str(metric.get(name, "")) if name in by else EVERY for name in (names.SERVICE, names.REGION))
    return service, region
