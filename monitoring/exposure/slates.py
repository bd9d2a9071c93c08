"""The detector ``drift.slates``: slates that show two films of one lead, as they do when names leak into a ranking.

A sample of users is followed, whole users at a time: their slates resemble one another, so the unit of chance is the
user, or the random group of users where there are many. Numbers of slates leave the engine, not their names, and groups
of users, not users.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from monitoring.exposure.days import DAYS, LEAD, attributes_of
from monitoring.exposure.episodes import Episode, episodes
from monitoring.findings import Finding, Interval, Outcome, Severity
from monitoring.ground import Ground
from telemetry.statistics import relative_change
from telemetry.warehouse.tables import BUCKETS, EVENTS, NONE
from workspace.columns import Event, Rollup
from workspace.errors import StateError

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value

Floats = NDArray[np.float64]

NAME: Final = "drift.slates"
METRIC: Final = "repeated_lead"
MOST_SLATES: Final = 60_000
"""Slates a run looks at, over all days; of more, users are sampled."""
MOST_EVENTS: Final = 600_000_000
"""Events a run looks through: of more, every second day is read, or every third …"""
PSEUDONYMS: Final = 2**63 - 1
"""Pseudonyms are spread evenly up to here, and events of a day lie in their order: a range of them is a random sample
of users that an engine finds without reading the rest."""
SLATES_AN_EVENT: Final = 0.17
LEAST_ABS: Final = 0.05
LEAST_REL: Final = 0.3
"""Least change worth an alarm: five slates in a hundred, and three in ten of those there were."""
PENALTY: Final = 25.0
LEVEL: Final = 0.001
LEAST_DAYS: Final = 14
LEAST_SLATES: Final = 500
LEAST_KNOWN: Final = 0.5
_SLATE, _REPEATED, _KNOWN, _READ = "slate", "repeated", "known", "read"
_COVERS: Final = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much a share changed between two spans.

    Args:
        change: Relative, with its interval.
        p_value: Two-sided; NaN where it is not estimable.
        units: Users, or random groups of users, in both spans.
    """

    change: Interval
    p_value: float
    units: int


class SlateDrift:
    """Looks at slates with two films of one lead.

    Args:
        attributes: Lead by film id, instead of the first name of the catalogue's cast.
    """

    name: Final = NAME
    metrics: Final = (METRIC,)

    def __init__(self, attributes: pd.DataFrame | None = None) -> None:
        self._attributes = attributes

    def look(self, ground: Ground) -> Outcome:
        """Look at a sample of the slates of the last half year."""
        began = time.perf_counter()
        attributes = attributes_of(ground) if self._attributes is None else self._attributes
        if attributes is None:
            return _silent("no catalogue is imported: whose film is whose is not known")
        try:
            first, last = ground.days()
        except StateError as error:
            return _silent(error.what)
        if (last - first).days + 1 < LEAST_DAYS:
            return _silent(f"{(last - first).days + 1} of {LEAST_DAYS} days are there")
        slates = sampled_slates(ground, attributes[LEAD], max(first, last - dt.timedelta(days=DAYS - 1)), last)
        days = slates[Rollup.DATE].nunique()
        if days < LEAST_DAYS or len(slates) < LEAST_SLATES:
            return _silent(f"{days} of {LEAST_DAYS} days and {len(slates):,} of {LEAST_SLATES} slates are there")
        findings = _found(slates, ground.settings.k_anonymity)
        return Outcome(
            detector=self.name,
            findings=findings,
            notes=_notes(slates, (last - first).days + 1),
            looked_at=len(slates),
            seconds=time.perf_counter() - began,
        )


def sampled_slates(ground: Ground, leads: "pd.Series[str]", start: dt.date, end: dt.date) -> pd.DataFrame:
    """Return a sample of slates, a row each: day, group of users, index version, whether a lead is repeated.

    Args:
        ground: Where the events are.
        leads: Lead of each film, by film id; empty where a film has none.
        start: First day.
        end: Last day.

    Returns:
        Columns event_date, bucket, index_version, repeated, known (share of its films whose lead is known), read (how
        many days apart the days read are).
    """
    rows = ground.warehouse.rows(EVENTS, (start, end))
    apart = max(1, math.ceil(rows / MOST_EVENTS))
    wide = max(1, math.ceil(rows * SLATES_AN_EVENT / apart / MOST_SLATES))
    if apart == 1:
        spans = [(start, end)]
    else:
        chosen = [end - dt.timedelta(days=number) for number in range(0, (end - start).days + 1, apart)]
        spans = [(day, day) for day in reversed(chosen)]
    frames = [_slates(ground, leads, span, wide) for span in spans]
    frames = [frame for frame in frames if len(frame)] or frames[:1]
    return pd.concat(frames, ignore_index=True).assign(**{_READ: apart})


def repeated(slate: NDArray[np.int64], lead: NDArray[np.object_]) -> tuple[NDArray[np.bool_], Floats]:
    """Return for each slate whether two of its films have one lead, and the share of its films whose lead is known.

    Args:
        slate: Number of the slate of each film shown, from 0 without a gap, shape (n,).
        lead: Its lead; empty or None where it is not known, which is like no other.

    Example:
        >>> repeated(np.array([0, 0, 1, 1]), np.array(["a", "a", "", ""], dtype=object))[0].tolist()
        [True, False]
    """
    count = int(slate.max(initial=-1)) + 1
    codes = pd.factorize(np.where(pd.isna(lead), "", lead))[0].astype(np.int64)
    known = np.array([bool(one) and not pd.isna(one) for one in lead], dtype=bool)
    pairs, times = np.unique(np.stack([slate[known], codes[known]]), axis=1, return_counts=True)
    out = np.zeros(count, dtype=bool)
    out[pairs[0, times > 1]] = True
    films = np.bincount(slate, minlength=count)
    share: Floats = np.bincount(slate[known], minlength=count) / np.maximum(films, 1)
    return out, share


def difference(before: ArrayLike, within: ArrayLike) -> Difference:
    """Return how much a share changed between two spans of the same users.

    Args:
        before: Slates with what is counted and slates of each user, shape (2, n_users); 0 for who was not there.
        within: The same of the other span.

    Source: Deng, Knoblich, Lu 2018, section 3: the delta method on users, with the covariance of both spans.
    """
    from scipy import stats

    sums = np.concatenate([np.asarray(within, dtype=np.float64), np.asarray(before, dtype=np.float64)])
    units = sums.shape[1]
    if units < 2:  # noqa: PLR2004 - one unit has no variance
        return Difference(change=Interval(value=float("nan")), p_value=float("nan"), units=units)
    change, low, high = relative_change(sums.mean(axis=1), np.cov(sums), units)
    if not math.isfinite(change):
        return Difference(change=Interval(value=float("nan")), p_value=float("nan"), units=units)
    error = (math.log1p(high) - math.log1p(low)) / 2 / float(stats.t.ppf(0.975, units - 1))
    p_value = 2 * float(stats.t.sf(abs(math.log1p(change)) / error, units - 1)) if error > 0 else float("nan")
    return Difference(change=Interval(value=change, low=low, high=high), p_value=p_value, units=units)


def _slates(ground: Ground, leads: "pd.Series[str]", span: tuple[dt.date, dt.date], wide: int) -> pd.DataFrame:
    parameters: dict[str, Value] = {
        "start": dt.datetime.combine(span[0], dt.time()),
        "end": dt.datetime.combine(span[1] + dt.timedelta(days=1), dt.time()),
        "below": PSEUDONYMS // wide,
    }
    frame = ground.warehouse.query(
        f"SELECT CAST({Event.TS} AS DATE) AS {Rollup.DATE}, MOD({Event.USER}, {BUCKETS}) AS {Rollup.BUCKET}, "
        f"COALESCE({Event.INDEX_VERSION}, '{NONE}') AS {Event.INDEX_VERSION}, "
        f"DENSE_RANK() OVER (ORDER BY {Event.SLATE}) - 1 AS {_SLATE}, {Event.FILM} "
        f"FROM EVENTS WHERE {Event.TS} >= :start AND {Event.TS} < :end AND {Event.TYPE} = 'impression' "
        f"AND {Event.FILM} IS NOT NULL AND {Event.SLATE} IS NOT NULL "
        f"AND {Event.USER} <= :below",
        window=span,
        parameters=parameters,
    )
    codes, films = pd.factorize(frame[Event.FILM])
    lead = leads.reindex(list(films)).to_numpy(dtype=object)[codes] if len(frame) else np.empty(0, dtype=object)
    number = frame[_SLATE].to_numpy(dtype=np.int64)
    double, known = repeated(number, lead)
    kept = frame.drop_duplicates(_SLATE).sort_values(_SLATE)
    return pd.DataFrame(
        {
            Rollup.DATE: pd.to_datetime(kept[Rollup.DATE]).to_numpy(),
            Rollup.BUCKET: kept[Rollup.BUCKET].to_numpy(dtype=np.int64),
            Event.INDEX_VERSION: kept[Event.INDEX_VERSION].to_numpy(dtype=object),
            _REPEATED: double,
            _KNOWN: known,
        }
    )


def _found(slates: pd.DataFrame, k: int) -> tuple[Finding, ...]:
    daily = slates.groupby(Rollup.DATE)[_REPEATED].agg(["mean", "size"])
    days = tuple(day.date() for day in daily.index)
    series, weights = daily["mean"].to_numpy(dtype=np.float64), daily["size"].to_numpy(dtype=np.float64)
    found = []
    for one in episodes(series, weights, least_rel=LEAST_REL, least_abs=LEAST_ABS, penalty=PENALTY):
        stop = one.stop or len(days)
        place = slates[Rollup.DATE].rank(method="dense").to_numpy().astype(np.int64) - 1
        within = (place >= one.first) & (place < stop)
        changed = _compared(slates, within)
        # Any pair of days could have been the beginning and the end.
        p_value = min(1.0, changed.p_value * len(days) ** 2 / 2)
        if changed.units >= k and p_value < LEVEL:
            found.append(_finding(slates, within, one, days, changed, p_value))
    return tuple(sorted(found, key=lambda one: one.onset.at, reverse=True))


def _compared(slates: pd.DataFrame, within: NDArray[np.bool_]) -> Difference:
    groups = np.unique(slates[Rollup.BUCKET].to_numpy(), return_inverse=True)[1]
    double = slates[_REPEATED].to_numpy(dtype=np.float64)
    sums = [
        np.stack([np.bincount(groups[part], double[part], groups.max() + 1),
                  np.bincount(groups[part], minlength=groups.max() + 1)])
        for part in (~within, within)
    ]  # fmt: skip
    return difference(sums[0], sums[1])


def _finding(
    slates: pd.DataFrame,
    within: NDArray[np.bool_],
    one: Episode,
    days: tuple[dt.date, ...],
    changed: Difference,
    p_value: float,
) -> Finding:
    segment = _version_of(slates[Event.INDEX_VERSION], within)
    at = one.onset(days)
    place = f" of index version {segment[Event.INDEX_VERSION]}" if segment else ""
    until = f" until {days[one.stop - 1]}" if one.stop else ""
    return Finding(
        detector=NAME,
        metric=METRIC,
        segment=segment,
        onset=at,
        ended=one.ended(days),
        effect=changed.change,
        unit="relative",
        p_value=p_value,
        severity=Severity.WARNING,
        summary=(
            f"{one.level:.0%} of the slates{place} show two films of one lead since {days[one.first]}{until}, "
            f"before it were {one.before:.0%}: names may leak into the ranking."
        ),
        evidence={"before": one.before, "within": one.level, "slates": int(within.sum()), "units": changed.units},
    )


def _version_of(versions: "pd.Series[str]", within: NDArray[np.bool_]) -> Mapping[str, str]:
    """Return the index version that served those slates and few others, if there is one."""
    whole, inside = versions.value_counts(), versions[within].value_counts()
    for version, count in inside.items():
        if version != NONE and count >= _COVERS * max(inside.sum(), whole[version]):
            return {Event.INDEX_VERSION: str(version)}
    return {}


def _notes(slates: pd.DataFrame, days: int) -> tuple[str, ...]:
    notes = []
    known = float(slates[_KNOWN].mean())
    if known < LEAST_KNOWN:
        notes.append(f"the lead of {1 - known:.0%} of the films shown is not known: repeated ones are missed")
    apart = int(slates[_READ].iloc[0])
    if apart > 1:
        notes.append(f"{days} days have too many events to be read: every {apart} days one was")
    return tuple(notes)


def _silent(why: str) -> Outcome:
    return Outcome(detector=NAME, notes=(f"not estimable: {why}",))
