"""Accounts that are no people: robots by how they behave on a day, click farms by the film they click.

An account's day is a *robot's* when it clicks without looking (ten clicks and more, less than a second of looking a
click) or asks for ten times what hardly anyone asks for, **and** a scorer finds it odder than every day of a random
crowd. The first says what is wrong, in words a person can check; the second keeps a busy evening out.

Click farms are looked for by film (`monitoring.outliers.farms`). Both are dated by day.

The engine gives single rows only of what stands out (at most `MOST_ROWS`) and of a random crowd; no figure that leaves
is about fewer accounts than `k_anonymity`.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.findings import Finding, Outcome, Severity
from monitoring.ground import Ground
from monitoring.outliers.episodes import crowd_of, end_of, episodes, onset_of, share_of
from monitoring.outliers.farms import farm_days, farm_findings
from monitoring.outliers.scorers import LEAST_ROWS, Floats, Mahalanobis, Scorer
from telemetry.warehouse.tables import FILM_DAY, USER_DAY
from workspace.columns import Conduct, Event, Rollup
from workspace.errors import NotEstimableError, StateError

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "outliers.users"
CROWD: Final = 5_000
"""About so many random days of accounts are the crowd."""
MOST_ROWS: Final = 10_000
LEAST_CLICKS: Final = 10
LEAST_LOOK_S: Final = 1.0
"""People look at a film they click, three of four for ten seconds and more."""
TIMES_BUSIER: Final = 10
LEAST_IMPRESSIONS: Final = 200
SUSPICIOUS_SHARE: Final = 0.05

_SUMS: Final = (
    Rollup.IMPRESSIONS,
    Rollup.CLICKS,
    Rollup.FOCUS_S,
    Rollup.SESSIONS,
    Rollup.SLATES,
    Rollup.REFRESHES,
    Rollup.THUMBS_DOWN,
    Rollup.SURVEYS,
)
_WITHIN: Final = f"{Rollup.DATE} >= :start AND {Rollup.DATE} <= :end"
_SUMMED: Final = ", ".join(f"CAST(SUM({name}) AS DOUBLE) AS {name}" for name in _SUMS)
_GROUPED: Final = f"SELECT {Rollup.DATE}, {Event.USER}, {_SUMMED} FROM USER_DAY WHERE {_WITHIN}"
_KEYS: Final = f"GROUP BY {Rollup.DATE}, {Event.USER}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Robots:
    """Days of accounts that stand out; single rows, for role and reason only.

    Args:
        rows: Day, account, sums of the day and ``score``, the oddest first.
        parts: How much each feature of `Conduct.BY_DAY` has to do with it, shape (n, 5).
        level: The highest score in the crowd.
        crowd: Days of accounts it was learnt from.
        volume: Impressions a day from which an account is far too busy.
        cut_off: Whether there were more than could be taken out.
    """

    rows: "pd.DataFrame"
    parts: Floats
    level: float
    crowd: int
    volume: float
    cut_off: bool


class OddUsers:
    """The detector ``outliers.users``.

    Args:
        scorer: Learns the crowd; the robust Mahalanobis distance when None.
    """

    name: Final = NAME
    metrics: Final = ("bots", "click_farm")

    def __init__(self, scorer: Scorer | None = None) -> None:
        self._scorer = scorer

    def look(self, ground: Ground) -> Outcome:
        """Look for robots and click farms in all days there are; see `Detector.look`."""
        began = time.perf_counter()
        try:
            span = ground.days()
        except StateError as error:
            return Outcome(detector=NAME, notes=(f"not estimable: {error.what}",))
        findings: list[Finding] = []
        notes: list[str] = []
        try:
            robots = robot_days(ground, *span, scorer=self._scorer)
            findings += _robot_findings(ground, robots, span)
            if robots.cut_off:
                notes.append(f"more than {MOST_ROWS:,} days of accounts stand out: only the busiest were looked at")
        except NotEstimableError as error:
            notes.append(f"robots are not estimable: {error.what}, {error.limit}")
        notes += _without_films(ground)
        farms, more = farm_days(ground, *span)
        findings += farm_findings(ground, farms, span)
        notes += more
        return Outcome(
            detector=NAME,
            findings=tuple(sorted(findings, key=lambda one: one.onset.at, reverse=True)),
            notes=tuple(notes),
            looked_at=ground.warehouse.rows(USER_DAY, span),
            seconds=time.perf_counter() - began,
        )


def robot_days(ground: Ground, start: dt.date, end: dt.date, *, scorer: Scorer | None = None) -> Robots:
    """Return the days of accounts that behave as no person does.

    Individual level: the caller makes sure of role and reason.

    Args:
        ground: The stores.
        start: First day.
        end: Last day.
        scorer: Learns the crowd; the robust Mahalanobis distance when None.

    Raises:
        NotEstimableError: With fewer than 50 days of accounts.
    """
    crowd = _crowd(ground, start, end)
    if len(crowd) < LEAST_ROWS:
        raise NotEstimableError(f"{len(crowd)} days of accounts", f"must be {LEAST_ROWS} to be a crowd")
    volume = max(LEAST_IMPRESSIONS, TIMES_BUSIER * float(np.quantile(crowd[Rollup.IMPRESSIONS], 0.99)))
    usual = crowd[~_signs(crowd, volume)]
    learnt = (scorer or Mahalanobis()).fit(conduct(usual))
    level = float(learnt.score(conduct(usual)).max())
    rows = _signed(ground, start, end, volume)
    cut_off = len(rows) > MOST_ROWS
    rows = rows.head(MOST_ROWS)
    measured = conduct(rows)
    scores = learnt.score(measured) if len(rows) else np.empty(0)
    parts = learnt.explain(measured) if len(rows) else np.empty((0, len(Conduct.BY_DAY)))
    odd = np.flatnonzero(scores > level)
    odd = odd[np.argsort(-scores[odd], kind="stable")]
    kept = rows.iloc[odd].assign(score=scores[odd]).reset_index(drop=True)
    return Robots(rows=kept, parts=parts[odd], level=level, crowd=len(usual), volume=volume, cut_off=cut_off)


def conduct(rows: "pd.DataFrame") -> Floats:
    """Return the features of days of accounts, shape (n, 5), in the order of `Conduct.BY_DAY`.

    Sums are taken to logarithms, since people differ by factors. Shares of few events are drawn towards the usual by
    half a click, a glance and the like, so that a day with one impression is not odd for having no click.
    """
    impressions, clicks = rows[Rollup.IMPRESSIONS].to_numpy(np.float64), rows[Rollup.CLICKS].to_numpy(np.float64)
    acts = rows[Rollup.REFRESHES] + rows[Rollup.THUMBS_DOWN] + rows[Rollup.SURVEYS]
    features = (
        np.log1p(impressions),
        np.log1p(impressions / np.maximum(rows[Rollup.SESSIONS].to_numpy(np.float64), 1.0)),
        np.log((clicks + 1.0) / (np.maximum(impressions - clicks, 0.0) + 9.0)),
        np.log1p((rows[Rollup.FOCUS_S].to_numpy(np.float64) + 15.0) / (clicks + 1.0)),
        np.log((acts.to_numpy(np.float64) + 0.2) / (rows[Rollup.SLATES].to_numpy(np.float64) + 1.0)),
    )
    return np.column_stack(features)


def _crowd(ground: Ground, start: dt.date, end: dt.date) -> "pd.DataFrame":
    """Return the days of random accounts; pseudonyms are uniform, so that a remainder is a random draw."""
    every = max(1, ground.warehouse.rows(USER_DAY, (start, end)) // CROWD)
    sql = f"{_GROUPED} AND MOD({Event.USER}, :every) = 0 {_KEYS} ORDER BY {Rollup.DATE}, {Event.USER}"
    return ground.warehouse.query(sql, window=(start, end), parameters={"start": start, "end": end, "every": every})


def _signs(rows: "pd.DataFrame", volume: float) -> "pd.Series":
    unseen = (rows[Rollup.CLICKS] >= LEAST_CLICKS) & (rows[Rollup.FOCUS_S] < LEAST_LOOK_S * rows[Rollup.CLICKS])
    return unseen | (rows[Rollup.IMPRESSIONS] >= volume)


def _signed(ground: Ground, start: dt.date, end: dt.date, volume: float) -> "pd.DataFrame":
    """Return the days of accounts with a sign of a robot, the busiest first."""
    # A first filter on single rows spares the engine to group all days of all accounts; a day is seldom in two rows.
    hint = (
        f"({Rollup.CLICKS} >= :half_clicks AND {Rollup.FOCUS_S} < :look * {Rollup.CLICKS} "
        f"OR {Rollup.IMPRESSIONS} >= :half_volume)"
    )
    having = (
        f"SUM({Rollup.CLICKS}) >= :clicks AND SUM({Rollup.FOCUS_S}) < :look * SUM({Rollup.CLICKS}) "
        f"OR SUM({Rollup.IMPRESSIONS}) >= :volume"
    )
    sql = (
        f"{_GROUPED} AND {hint} {_KEYS} HAVING {having} "
        f"ORDER BY SUM({Rollup.IMPRESSIONS}) DESC, {Rollup.DATE}, {Event.USER} LIMIT {MOST_ROWS + 1}"
    )
    values: dict[str, Any] = {"start": start, "end": end, "look": LEAST_LOOK_S, "clicks": LEAST_CLICKS}
    values |= {"half_clicks": LEAST_CLICKS // 2, "volume": volume, "half_volume": volume / 2}
    return ground.warehouse.query(sql, window=(start, end), parameters=values)


def _everyone(ground: Ground, start: dt.date, end: dt.date) -> tuple[float, float]:
    sql = (
        f"SELECT CAST(SUM({Rollup.IMPRESSIONS}) AS DOUBLE) AS {Rollup.IMPRESSIONS}, "
        f"CAST(SUM({Rollup.CLICKS}) AS DOUBLE) AS {Rollup.CLICKS} FROM USER_DAY WHERE {_WITHIN}"
    )
    found = ground.warehouse.query(sql, window=(start, end), parameters={"start": start, "end": end})
    return float(found[Rollup.IMPRESSIONS].fillna(0.0)[0]), float(found[Rollup.CLICKS].fillna(0.0)[0])


def _without_films(ground: Ground) -> list[str]:
    """Return a note when days are not summed up by film, as those of before this table are."""
    left = len(ground.warehouse.digests(USER_DAY).keys() - ground.warehouse.digests(FILM_DAY).keys())
    hint = "run `recommendr telemetry rollup`"
    return [f"click farms are not looked for on {left:,} days that are not summed up by film: {hint}"] if left else []


def _robot_findings(ground: Ground, robots: Robots, span: tuple[dt.date, dt.date]) -> list[Finding]:
    import pandas as pd

    days = pd.to_datetime(robots.rows[Rollup.DATE]).dt.date
    least = ground.settings.k_anonymity
    findings = []
    for first, last in episodes(days):
        inside = ((days >= first) & (days <= last)).to_numpy()
        rows, parts = robots.rows[inside], robots.parts[inside].mean(axis=0)
        count = int(rows[Event.USER].nunique())
        impressions, clicks = _everyone(ground, first, last)
        share = share_of(float(rows[Rollup.IMPRESSIONS].sum()), impressions, exact=count >= least)
        of_clicks = share_of(float(rows[Rollup.CLICKS].sum()), clicks, exact=count >= least)
        who = crowd_of(count, least)
        findings.append(
            Finding(
                detector=NAME,
                metric="bots",
                segment={},
                onset=onset_of(first),
                ended=end_of(last, span[1]),
                effect=share,
                unit="share of impressions",
                severity=Severity.CRITICAL if share.value >= SUSPICIOUS_SHARE else Severity.WARNING,
                summary=(
                    f"Robots: {who} from {first:%d %B %Y} to {last:%d %B %Y} made about {share.value:.1%} of the "
                    f"impressions and {of_clicks.value:.1%} of the clicks of these days."
                ),
                evidence={
                    "accounts": who,
                    "share_of_impressions": share.to_dict(),
                    "share_of_clicks": of_clicks.to_dict(),
                    "score_by_feature": _shares(parts),
                    "crowd": robots.crowd,
                    "settings": {"least_clicks": LEAST_CLICKS, "least_look_s": LEAST_LOOK_S, "volume": robots.volume},
                },
            )
        )
    return findings


def _shares(parts: Floats) -> dict[str, float]:
    """Return each feature's share of the score in whole per cent, the largest first: no more leaves of few accounts."""
    total = float(np.abs(parts).sum()) or 1.0
    shares = {name: round(float(part) / total, 2) for name, part in zip(Conduct.BY_DAY, parts, strict=True)}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
