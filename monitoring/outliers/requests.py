"""Requests that took far longer than usual, or failed together, by the lines of the log.

Each service has its usual time, a median and a spread on the logarithm, from all its lines. A request is slow in the
service where it exceeds that most: those that only waited for it are slow too, but less so by factor. Slow requests of
one service and region that follow one another make a finding; single ones are what logarithms of times have.
"""

import datetime as dt
import time
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from monitoring.outliers.scorers import LEAST_ROWS, Floats, Mahalanobis, Scorer
from telemetry.logs import MOST_LINES, LogQuestion, search_logs
from workspace.columns import LogLine

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "outliers.requests"
SPREADS: Final = 4.0
"""Robust standard deviations of the logarithm above the median from which a request is slow in a service."""
TIMES_SLOWER: Final = 3.0
LEAST_REQUESTS: Final = 5
LEAST_SHARE: Final = 0.5
"""Share of the requests of an episode that are slow, or failed."""
GAP: Final = dt.timedelta(hours=2)
FAILED: Final = 500
NORMAL_MAD: Final = 1.4826
"""A normal distribution's standard deviation is so many median absolute deviations."""


class OddRequests:
    """The detector ``outliers.requests``."""

    name: Final = NAME

    def look(self, ground: Ground) -> Outcome:
        """Look at the newest lines of the log; see `Detector.look`."""
        began = time.perf_counter()
        lines, notes = request_lines(ground)
        requests = lines[LogLine.TRANSACTION].nunique()
        if requests < LEAST_ROWS:
            note = f"not estimable: {requests} requests in the log, {LEAST_ROWS - requests} fewer than {LEAST_ROWS}"
            return Outcome(detector=NAME, notes=(note,), looked_at=requests)
        judged = slowness(lines)
        findings = [*_slow(judged, ground), *_failed(judged, ground)]
        return Outcome(
            detector=NAME,
            findings=tuple(sorted(_once(findings), key=lambda one: one.onset.at, reverse=True)),
            notes=tuple(notes),
            looked_at=requests,
            seconds=time.perf_counter() - began,
        )


def request_lines(ground: Ground) -> tuple["pd.DataFrame", list[str]]:
    """Return the newest lines that belong to a request and say how long it took, and what was not read."""
    import pandas as pd

    answer = search_logs(ground.paths, LogQuestion(limit=MOST_LINES, end=ground.clock.now()))
    lines = answer.lines
    notes = []
    if answer.matched > len(lines):
        notes.append(f"the log has {answer.matched:,} lines; the newest {len(lines):,} were looked at")
    if answer.malformed:
        notes.append(f"{answer.malformed:,} lines of the log can't be read and were passed over")
    took = pd.to_numeric(lines[LogLine.DURATION_MS], errors="coerce")
    kept = lines[lines[LogLine.TRANSACTION].notna() & lines[LogLine.SERVICE].notna() & (took > 0)]
    return kept.assign(**{LogLine.DURATION_MS: took[kept.index].astype("float64")}), notes


def slowness(lines: "pd.DataFrame") -> "pd.DataFrame":
    """Return the lines with ``slower``, the factor over the service's median, and ``spreads`` above it.

    A service whose times do not vary, or of fewer than 50 lines, has no usual spread: not estimable, NaN.
    """
    log_ms = np.log(lines[LogLine.DURATION_MS])
    groups = log_ms.groupby(lines[LogLine.SERVICE])
    middle = groups.transform("median")
    spread = (log_ms - middle).abs().groupby(lines[LogLine.SERVICE]).transform("median") * NORMAL_MAD
    enough = groups.transform("size") >= LEAST_ROWS
    usable = spread.where(enough & (spread > 0))
    return lines.assign(slower=np.exp(log_ms - middle), spreads=(log_ms - middle) / usable)


def ranked(lines: "pd.DataFrame", *, limit: int = 50, scorer: Scorer | None = None) -> "pd.DataFrame":
    """Return the oddest requests by the times of all their services at once, with each service's part of the score.

    Individual level: the caller makes sure of role and reason.

    Args:
        lines: As `request_lines` gave them.
        limit: How many.
        scorer: Learns what is usual; the robust Mahalanobis distance when None.

    Raises:
        NotEstimableError: With fewer than 50 requests that passed all services.
    """
    import pandas as pd

    table = np.log(
        lines.pivot_table(index=LogLine.TRANSACTION, columns=LogLine.SERVICE, values=LogLine.DURATION_MS, aggfunc="max")
    )
    matrix = table.to_numpy(dtype=np.float64)
    learnt = (scorer or Mahalanobis()).fit(matrix)
    score = learnt.score(matrix)
    top = np.argsort(np.where(np.isnan(score), np.inf, -score), kind="stable")[:limit]
    parts = pd.DataFrame(learnt.explain(matrix[top]), columns=[f"{name}_part" for name in table.columns])
    return pd.concat([pd.DataFrame({LogLine.TRANSACTION: table.index[top], "score": score[top]}), parts], axis=1)


def _slow(judged: "pd.DataFrame", ground: Ground) -> list[Finding]:
    slow = judged[(judged["spreads"] >= SPREADS) & (judged["slower"] >= TIMES_SLOWER)]
    # One line a request: of the service that exceeds its usual by most.
    worst = slow.sort_values("slower", ascending=False).drop_duplicates(LogLine.TRANSACTION)
    waited = slow.groupby(LogLine.TRANSACTION)[LogLine.SERVICE].agg(set).to_dict()
    out = []
    for (service, region), group in worst.groupby([LogLine.SERVICE, LogLine.REGION]):
        for rows in _runs(group.sort_values(LogLine.TS)):
            around = _around(judged, service, region, rows)
            if len(rows) < LEAST_REQUESTS or len(rows) < LEAST_SHARE * around["requests"]:
                continue
            effect = _factor(rows["slower"].to_numpy(), exact=len(rows) >= ground.settings.k_anonymity)
            others = sorted(set().union(*(waited[one] for one in rows[LogLine.TRANSACTION])) - {service})
            out.append(
                _finding(
                    ground,
                    "latency",
                    {LogLine.SERVICE: service, LogLine.REGION: region},
                    rows,
                    around,
                    effect,
                    unit="times the usual",
                    said=f"took about {effect.value:.0f} times as long as usual",
                    more={"waited_for_it": others},
                )
            )
    return out


def _factor(slower: Floats, *, exact: bool) -> Interval:
    """Return how many times slower, with the middle half of the requests; of a handful to one digit, without."""
    times = float(np.median(slower))
    if not exact:
        return Interval(value=float(f"{times:.1g}"))
    low, high = np.quantile(slower, [0.25, 0.75])
    return Interval(value=times, low=float(low), high=float(high))


def _failed(judged: "pd.DataFrame", ground: Ground) -> list[Finding]:
    import pandas as pd

    status = pd.to_numeric(judged[LogLine.STATUS], errors="coerce")
    failed = judged[status >= FAILED]
    # The service that failed answers first; those that called it log the same failure later.
    first = failed.sort_values(LogLine.TS).drop_duplicates(LogLine.TRANSACTION)
    out = []
    for (service, region), group in first.groupby([LogLine.SERVICE, LogLine.REGION]):
        for rows in _runs(group.sort_values(LogLine.TS)):
            around = _around(judged, service, region, rows)
            share = len(rows) / around["requests"]
            if len(rows) >= LEAST_REQUESTS and share >= LEAST_SHARE:
                out.append(
                    _finding(
                        ground,
                        "errors",
                        {LogLine.SERVICE: service, LogLine.REGION: region},
                        rows,
                        around,
                        Interval(value=share),
                        unit="share of requests",
                        said=f"failed in {share:.0%} of the requests",
                        more={},
                    )
                )
    return out


def _runs(rows: "pd.DataFrame") -> list["pd.DataFrame"]:
    """Return rows by time, cut where none follows within two hours."""
    cut = (rows[LogLine.TS].diff() > GAP).cumsum()
    return [run for _, run in rows.groupby(cut)]


def _around(judged: "pd.DataFrame", service: Any, region: Any, rows: "pd.DataFrame") -> dict[str, Any]:  # noqa: ANN401 - of a group
    """Return how many requests came in the time of a run, and the moments of those before and after it."""
    mine = judged[(judged[LogLine.SERVICE] == service) & (judged[LogLine.REGION] == region)]
    first, last = rows[LogLine.TS].iloc[0], rows[LogLine.TS].iloc[-1]
    inside = mine[(mine[LogLine.TS] >= first) & (mine[LogLine.TS] <= last)]
    before, after = mine[LogLine.TS][mine[LogLine.TS] < first], mine[LogLine.TS][mine[LogLine.TS] > last]
    return {
        "requests": int(inside[LogLine.TRANSACTION].nunique()),
        "before": (before.max() if len(before) else first).floor("min").to_pydatetime(),
        "over": bool(len(after)),
    }


def _finding(
    ground: Ground,
    metric: str,
    segment: dict[str, Any],
    rows: "pd.DataFrame",
    around: dict[str, Any],
    effect: Interval,
    *,
    unit: str,
    said: str,
    more: dict[str, Any],
) -> Finding:
    # To the minute: the moment of a single request would name it.
    first = rows[LogLine.TS].iloc[0].floor("min").to_pydatetime()
    last = rows[LogLine.TS].iloc[-1].ceil("min").to_pydatetime()
    place = {name: str(value) for name, value in segment.items()}
    least = ground.settings.k_anonymity
    counted = f"fewer than {least}" if around["requests"] < least else f"{around['requests']:,}"
    return Finding(
        detector=NAME,
        metric=metric,
        segment=place,
        onset=Onset(at=first, low=min(around["before"], first), high=first),
        # Of the requests in the log; the episode may have gone on between the last slow one and the next good one.
        ended=last if around["over"] else None,
        effect=effect,
        unit=unit,
        severity=Severity.WARNING,
        summary=(
            f"Requests to {place[LogLine.SERVICE]} in {place[LogLine.REGION]} {said} "
            f"from {first:%d %B %H:%M} to {last:%d %B %H:%M} UTC."
        ),
        evidence={"logged_requests": counted, **more},
    )


def _once(findings: list[Finding]) -> list[Finding]:
    """Leave out failures of the time and place of a slowness: they are its consequence."""
    slow = [one for one in findings if one.metric == "latency"]
    return [
        one
        for one in findings
        if one.metric == "latency"
        or not any(other.segment == one.segment and abs(other.onset.at - one.onset.at) <= GAP for other in slow)
    ]
