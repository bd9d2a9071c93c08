"""Click farms: accounts that click one film again and again, found by the film and dated by day.

A day of a film is looked at by account when the film is clicked far more readily than on its other days. It is a farm's
when a fifth of its clicks, and twenty at least, come from accounts that clicked it three times a day and more and
clicked little else. Only counts leave the engine.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from monitoring.findings import Finding, Severity
from monitoring.ground import Ground
from monitoring.outliers.episodes import crowd_of, end_of, episodes, onset_of, share_of
from workspace.columns import Conduct, Event, Rollup

if TYPE_CHECKING:
    import pandas as pd

NAME: Final = "outliers.users"
AGAIN: Final = 3
"""Clicks of one account on one film in a day from which it is at it again and again."""
MOSTLY: Final = 0.4
"""Share of an account's clicks of the day on that one film."""
LEAST_FILM_CLICKS: Final = 20
TIMES_READIER: Final = 2.0
LEAST_SHARE: Final = 0.2
"""Share of a film's clicks from such accounts that makes a farm of them."""
LEVEL: Final = 1e-6
MOST_DAYS: Final = 40
MOST_ROWS: Final = 10_000
_WITHIN: Final = f"{Rollup.DATE} >= :start AND {Rollup.DATE} <= :end"


def farm_days(ground: Ground, start: dt.date, end: dt.date) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the days of films that a farm clicked, and notes on what was not looked at.

    Args:
        ground: The stores.
        start: First day.
        end: Last day.

    Returns:
        Of each film and day the film, the day, its impressions and clicks, its usual CTR, and how many accounts
        clicked it again and again with how many clicks.
    """
    suspects = _readier(_films_by_day(ground, start, end))
    days = list(dict.fromkeys(one["day"] for one in suspects))
    notes = []
    if len(days) > MOST_DAYS:
        notes.append(
            f"on {len(days):,} days films have far more clicks than usual: "
            f"only the {MOST_DAYS} clearest were looked at by account"
        )
    again = {day: _again(ground, day) for day in days[:MOST_DAYS]}
    found = []
    for one in suspects:
        accounts, clicks = again.get(one["day"], {}).get(one["film"], (0, 0.0))
        if clicks >= max(LEAST_FILM_CLICKS, LEAST_SHARE * one["clicks"]):
            found.append({**one, "accounts": accounts, "their_clicks": clicks})
    return found, notes


def farm_findings(ground: Ground, farms: list[dict[str, Any]], span: tuple[dt.date, dt.date]) -> list[Finding]:
    """Return a finding for each film and run of days.

    Args:
        ground: The stores.
        farms: As `farm_days` gave them.
        span: First and last day looked at.
    """
    least = ground.settings.k_anonymity
    findings = []
    for film in sorted({one["film"] for one in farms}):
        mine = [one for one in farms if one["film"] == film]
        for first, last in episodes(one["day"] for one in mine):
            inside = [one for one in mine if first <= one["day"] <= last]
            # Accounts of different days can't be added up; the day with most is a lower bound.
            count, seen = (max(one[name] for one in inside) for name in ("accounts", "users"))
            clicks, shown = (sum(one[name] for one in inside) for name in ("clicks", "impressions"))
            theirs = sum(one["their_clicks"] for one in inside)
            who = crowd_of(count, least)
            share = share_of(theirs, clicks, exact=count >= least)
            findings.append(
                Finding(
                    detector=NAME,
                    metric="click_farm",
                    segment={Event.FILM: film},
                    onset=onset_of(first),
                    ended=end_of(last, span[1]),
                    effect=share,
                    unit="share of the film's clicks",
                    p_value=float(min(1.0, np.exp(min(one["log_p"] for one in inside)))),
                    severity=Severity.WARNING,
                    summary=(
                        f"Click farm: from {first:%d %B %Y} to {last:%d %B %Y} about {share.value:.0%} of the clicks "
                        f"on film {film} came from {who} that clicked it {AGAIN} times a day and more."
                    ),
                    evidence={
                        "accounts": who,
                        "film_id": film,
                        # A film that hardly anyone else saw: its figures would be those of a handful of accounts.
                        "ctr": clicks / shown if shown and seen >= least else None,
                        "usual_ctr": inside[0]["usual_ctr"],
                        "impressions": shown if seen >= least else None,
                        "settings": {"again": AGAIN, "least_share": LEAST_SHARE, "level": LEVEL},
                    },
                )
            )
    return findings


def _films_by_day(ground: Ground, start: dt.date, end: dt.date) -> "pd.DataFrame":
    """Return the days of films with many clicks beside those of all films; sums of films, not of people."""
    sql = f"""WITH days AS (
  SELECT {Rollup.DATE}, {Event.FILM}, CAST(SUM({Rollup.IMPRESSIONS}) AS DOUBLE) AS {Rollup.IMPRESSIONS},
    CAST(SUM({Rollup.CLICKS}) AS DOUBLE) AS {Rollup.CLICKS}, CAST(SUM({Rollup.USERS}) AS DOUBLE) AS {Rollup.USERS}
  FROM FILM_DAY WHERE {_WITHIN} GROUP BY {Rollup.DATE}, {Event.FILM}
), everything AS (
  SELECT SUM({Rollup.CLICKS}) / SUM({Rollup.IMPRESSIONS}) AS rate FROM days
), marked AS (
  SELECT days.*, rate, IFF({Rollup.CLICKS} >= :least AND {Rollup.IMPRESSIONS} > 0
    AND {Rollup.CLICKS} >= :times * rate * {Rollup.IMPRESSIONS}, 1, 0) AS suspect
  FROM days CROSS JOIN everything
), films AS (
  SELECT {Event.FILM}, SUM(IFF(suspect = 0, {Rollup.IMPRESSIONS}, 0)) AS other_impressions,
    SUM(IFF(suspect = 0, {Rollup.CLICKS}, 0)) AS other_clicks
  FROM marked GROUP BY {Event.FILM}
)
SELECT marked.*, other_impressions, other_clicks
FROM marked JOIN films ON marked.{Event.FILM} = films.{Event.FILM}
WHERE suspect = 1
ORDER BY {Rollup.CLICKS} DESC, {Rollup.DATE} LIMIT {MOST_ROWS}"""
    values: dict[str, Any] = {"start": start, "end": end, "least": LEAST_FILM_CLICKS, "times": TIMES_READIER}
    return ground.warehouse.query(sql, window=(start, end), parameters=values)


def _readier(days: "pd.DataFrame") -> list[dict[str, Any]]:
    """Return the days of films that are clicked far more readily than on their other days, the clearest first."""
    from scipy.stats import binom

    if not len(days):
        return []
    shown, clicks = days[Rollup.IMPRESSIONS].to_numpy(), days[Rollup.CLICKS].to_numpy()
    rate = days["rate"].to_numpy()
    # Its days that are not suspect, drawn towards the rate of all films by a hundred impressions: it may have few.
    others = days["other_impressions"].to_numpy(), days["other_clicks"].to_numpy()
    usual = (others[1] + 100 * rate) / (others[0] + 100)
    # A film may be clicked twice an impression; a binomial may not.
    log_p = binom.logsf(np.minimum(clicks, shown) - 1, shown, np.clip(usual, 1e-9, 1.0))
    found = [
        {
            "film": str(days[Event.FILM].iloc[place]),
            "day": _date(days[Rollup.DATE].iloc[place]),
            "impressions": float(shown[place]),
            "clicks": float(clicks[place]),
            "users": int(days[Rollup.USERS].iloc[place]),
            "usual_ctr": float(usual[place]),
            "log_p": float(log_p[place]),
        }
        for place in np.flatnonzero((log_p < np.log(LEVEL)) & (clicks >= TIMES_READIER * usual * shown))
    ]
    return sorted(found, key=lambda one: (one["log_p"], one["film"], one["day"]))


def _again(ground: Ground, day: dt.date) -> dict[str, tuple[int, float]]:
    """Return for each film of a day how many accounts clicked it again and again, and how often together."""
    # Mostly this film: a robot clicks whatever it is shown, now and then the same film three times.
    sql = f"""WITH clicked AS (
  SELECT {Event.USER}, {Event.FILM}, COUNT(*) AS {Conduct.SAME_FILM} FROM EVENTS
  WHERE {Event.TS} >= :start AND {Event.TS} < :end AND {Event.TYPE} = 'click'
  GROUP BY {Event.USER}, {Event.FILM}
), accounts AS (
  SELECT {Event.USER}, SUM({Conduct.SAME_FILM}) AS {Rollup.CLICKS} FROM clicked GROUP BY {Event.USER}
)
SELECT clicked.{Event.FILM} AS {Event.FILM}, COUNT(*) AS {Rollup.USERS},
  CAST(SUM({Conduct.SAME_FILM}) AS DOUBLE) AS {Rollup.CLICKS}
FROM clicked JOIN accounts ON clicked.{Event.USER} = accounts.{Event.USER}
WHERE {Conduct.SAME_FILM} >= :again AND {Conduct.SAME_FILM} >= :mostly * accounts.{Rollup.CLICKS}
GROUP BY clicked.{Event.FILM} ORDER BY clicked.{Event.FILM}"""
    begun = dt.datetime.combine(day, dt.time())
    values: dict[str, Any] = {"start": begun, "end": begun + dt.timedelta(days=1), "again": AGAIN, "mostly": MOSTLY}
    found = ground.warehouse.query(sql, window=(day, day), parameters=values)
    columns = (found[name] for name in (Event.FILM, Rollup.USERS, Rollup.CLICKS))
    return {str(film): (int(users), float(clicks)) for film, users, clicks in zip(*columns, strict=True)}


def _date(value: Any) -> dt.date:  # noqa: ANN401 - engines give dates, datetimes or timestamps
    return value.date() if isinstance(value, dt.datetime) else value
