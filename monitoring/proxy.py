"""An online stand-in for precision@5, by rolling week, and how it goes together with the figure measured offline.

Of the first five films shown to a user, how many were relevant? A film that was looked at for ten seconds or more
counts as relevant. The mean is over users, as offline: each user who was shown anything counts once, with 0 when
nothing was relevant. Leaving those users out would flatter the figure: with the same data, 0.239 instead of 0.219.

It is a stand-in: nobody was asked what is relevant. Its level is its own; what may be read from it is its course, its
differences, and, where several index versions were measured both ways, whether it follows the offline figure.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sqlalchemy import select

from monitoring.benchmark import ScoreRow
from monitoring.findings import Interval
from monitoring.ground import Ground
from telemetry import privacy
from telemetry.answers import DIMENSIONS, PARENTS
from telemetry.statistics import LEAST_POINTS, Correlation, correlation
from telemetry.warehouse.tables import NONE
from workspace.checks import check_scalar
from workspace.columns import Event, Rollup
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    import pandas as pd

DAYS: Final = 7
"""The rolling week."""
BY: Final = ("market", "region", "device", "index_version")
_USERS, _MEAN, _VARIANCE, _WITHOUT = "users", "mean_share", "var_share", "without"
_LEAST_VERSIONS: Final = LEAST_POINTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Precision:
    """The stand-in for precision@5 of one segment in one week.

    Args:
        start: First day.
        end: Last day, included.
        segment: Whose; empty for everybody.
        value: Mean over users with its interval; None when it is not estimable, or about too few users.
        users: Users who were shown at least one of the first five places; None when there are too few to say.
        without_positive: Share of them with nothing relevant, who count as 0; None where ``value`` is None.
        note: Why there is no value.
    """

    start: dt.date
    end: dt.date
    segment: Mapping[str, str]
    value: Interval | None
    users: int | None
    without_positive: float | None
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "segment": dict(self.segment),
            "value": self.value.to_dict() if self.value else None,
            "users": self.users,
            "without_positive": self.without_positive,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCheck:
    """Whether the stand-in follows the offline figure, over index versions.

    Args:
        versions: The versions measured both ways: online and offline figure of each.
        correlation: Pearson's, with its interval; None when it is not estimable.
        missing: How many versions more it takes; 0 when it is estimable.
        note: In plain words.
    """

    versions: Mapping[str, tuple[float, float]]
    correlation: Correlation | None
    missing: int
    note: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "versions": {name: {"online": on, "offline": off} for name, (on, off) in self.versions.items()},
            "correlation": self.correlation.to_dict() if self.correlation else None,
            "missing": self.missing,
            "note": self.note,
        }


def weekly(ground: Ground, *, end: dt.date | None = None, by: str | None = None) -> tuple[Precision, ...]:
    """Return the stand-in for precision@5 of the seven days up to a day, with intervals by user.

    Args:
        ground: Where the telemetry is.
        end: Last day; None is the last day there is.
        by: ``market``, ``region``, ``device`` or ``index_version``; None gives one row for everybody.

    Returns:
        A row a segment, ordered by its name; one row that says why when there is nothing.

    Raises:
        StateError: When no telemetry is rolled up.
        InvalidValueError: For an unknown breakdown.

    Source: Student's t interval of a mean over users; the user is the unit of chance (Deng, Knoblich, Lu 2018).
    """
    first, last = ground.days()
    end = last if end is None else end
    start = end - dt.timedelta(days=DAYS - 1)
    rows = over(ground, start, end, by=by)
    if start >= first:
        return rows
    short = (start - first).days * -1
    return tuple(_noted(row, f"the week lacks {short} of its {DAYS} days: telemetry begins on {first}") for row in rows)


def over(ground: Ground, start: dt.date, end: dt.date, *, by: str | None = None) -> tuple[Precision, ...]:
    """Return the same of any days, for example of all days an index version served.

    Raises:
        InvalidValueError: For an unknown breakdown, or an end before the start.
    """
    if by is not None and by not in BY:
        raise InvalidValueError(f"by == {by!r}", f"must be one of {', '.join(BY)}, or None")
    check_scalar((end - start).days, "days between start and end", ge=0)
    frame = ground.warehouse.query(_statement(by), window=(start, end), parameters={"start": start, "end": end})
    if frame.empty or not frame[_USERS].sum():
        return (_nothing(start, end, "nobody was shown any of the first five places"),)
    hidden = _hidden(ground, frame, by)
    return tuple(
        _row(start, end, {by: str(row[DIMENSIONS[by]])} if by else {}, row, bool(hidden[place]), ground)
        for place, row in enumerate(frame.to_dict("records"))
    )


def against_offline(ground: Ground, *, start: dt.date | None = None, end: dt.date | None = None) -> ProxyCheck:
    """Compare the stand-in of each index version with the offline precision@5 of the same version.

    The offline figures are those of `monitoring.benchmark`, the newest of each version on the newest benchmark.

    Args:
        ground: Where both are.
        start: First day of the online figures; None is the first there is.
        end: Last day; None is the last there is.
    """
    first, last = ground.days()
    online = {
        row.segment["index_version"]: row.value.value
        for row in over(ground, start or first, end or last, by="index_version")
        if row.value is not None and row.segment.get("index_version", NONE) != NONE
    }
    return together(online, offline_figures(ground))


def together(online: Mapping[str, float], offline: Mapping[str, float]) -> ProxyCheck:
    """Correlate two figures over the versions that have both.

    Example:
        >>> together({"a": 0.1}, {"a": 0.2}).missing
        3
    """
    both = {name: (online[name], offline[name]) for name in sorted(online.keys() & offline.keys())}
    missing = max(0, _LEAST_VERSIONS - len(both))
    if missing:
        note = (
            f"not estimable: {len(both)} {'index version' if len(both) == 1 else 'index versions'} measured both "
            f"online and offline, {missing} more needed (online {len(online)}, offline {len(offline)})"
        )
        return ProxyCheck(versions=both, correlation=None, missing=missing, note=note)
    found = correlation([on for on, _ in both.values()], [off for _, off in both.values()])
    if found is None:
        return ProxyCheck(
            versions=both, correlation=None, missing=0, note="not estimable: one of the figures is the same everywhere"
        )
    sure = found.low > 0
    note = (
        f"over {found.points} index versions the online figure {'follows' if sure else 'is not shown to follow'} the "
        f"offline one: r = {found.value:.2f} ({found.low:.2f} to {found.high:.2f})"
    )
    return ProxyCheck(versions=both, correlation=found, missing=0, note=note)


def offline_figures(ground: Ground) -> dict[str, float]:
    """Return the offline precision@5 by index version, on the benchmark scored last and on no other."""
    query = select(ScoreRow.index_version, ScoreRow.benchmark_version, ScoreRow.precision).order_by(ScoreRow.seq)
    with ground.store.reading() as session:
        rows = session.execute(query).all()
    newest = rows[-1].benchmark_version if rows else ""
    return {row.index_version: float(row.precision) for row in rows if row.benchmark_version == newest}


def _statement(by: str | None) -> str:
    kept = f"{DIMENSIONS[by]}, " if by else ""
    grouped = f" GROUP BY {DIMENSIONS[by]} ORDER BY {DIMENSIONS[by]}" if by else ""
    # Who looks twice at one film has seen one relevant film at most.
    share = f"LEAST(CAST(SUM({Rollup.LONG_LOOKS}) AS DOUBLE) / SUM({Rollup.TOP_IMPRESSIONS}), 1)"
    return f"""WITH shares AS (
  SELECT {kept}{Event.USER}, {share} AS share_of_user
  FROM USER_DAY WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end
  GROUP BY {kept}{Event.USER} HAVING SUM({Rollup.TOP_IMPRESSIONS}) > 0
)
SELECT {kept}CAST(COUNT(*) AS BIGINT) AS {_USERS}, AVG(share_of_user) AS {_MEAN},
  VAR_SAMP(share_of_user) AS {_VARIANCE}, CAST(COUNT_IF(share_of_user = 0) AS BIGINT) AS {_WITHOUT}
FROM shares{grouped}"""


def _hidden(ground: Ground, frame: "pd.DataFrame", by: str | None) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Tell which rows are about too few users, or would give such a row away."""
    table = frame.assign(positives=frame[_USERS] - frame[_WITHOUT])
    dims = [DIMENSIONS[by]] if by else []
    k = ground.settings.k_anonymity
    return privacy.hidden_rows(table, dims, k, users=_USERS, positives="positives", parents=PARENTS)


def _row(
    start: dt.date, end: dt.date, segment: Mapping[str, str], row: Mapping[Any, Any], hidden: bool, ground: Ground
) -> Precision:
    from scipy import stats

    k, users = ground.settings.k_anonymity, int(row[_USERS])
    if hidden:
        few = f"fewer than {k} accounts, or the rest of the table would give them away"
        return _nothing(start, end, f"withheld: {few}", segment)
    mean, error = float(row[_MEAN]), float(np.sqrt(row[_VARIANCE] / users))
    reach = float(stats.t.ppf(0.975, users - 1)) * error
    return Precision(
        start=start,
        end=end,
        segment=segment,
        value=Interval(value=mean, low=max(0.0, mean - reach), high=min(1.0, mean + reach)),
        users=users,
        without_positive=float(row[_WITHOUT]) / users,
    )


def _nothing(start: dt.date, end: dt.date, note: str, segment: Mapping[str, str] | None = None) -> Precision:
    return Precision(
        start=start, end=end, segment=segment or {}, value=None, users=None, without_positive=None, note=note
    )


def _noted(row: Precision, note: str) -> Precision:
    return replace(row, note=f"{row.note}; {note}" if row.note else note)
