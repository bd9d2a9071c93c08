"""Daily sums by random group of users, for every place, device and index version: what all drift is judged from.

A *group* is one of at most 1,024 random groups of users: what is random about a figure is who the users are, never the
events, and a group of users is as good a unit as a user (with few users a group is one). Groups are all that leaves the
engine. The arms of experiments that are under treatment are left out, so that a lift is not drift; so are user-days far
beyond what people do.

Where single users are summed up, every sum above a line is there twice: as it is, and with the days of users *cut* at
high quantiles, by which changes are found. A few heavy users make most of the noise of a ratio: cut, a change shows as
clearly as it would with two to three times as many users. How large it is, is said by the sums as they are.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitoring.ground import Ground
from telemetry.metrics import Metric
from telemetry.metrics import metric as metric_of
from telemetry.warehouse.protocol import Window
from telemetry.warehouse.sql import Value
from telemetry.warehouse.tables import BUCKET_DAY, BUCKETS, CUT, NONE, USER_DAY, smallest_cut
from workspace.columns import Event, Rollup
from workspace.errors import UnknownError

Floats = NDArray[np.float64]
Segment = Mapping[str, str]

HORIZON_DAYS: Final = 210
"""Only so many days back are looked at: half a year and the four weeks before it."""
METRICS: Final = ("ctr", "focus_s", "thumbs_down_rate", "refresh_rate", "survey_score", "survey_response_rate")
MOST_USER_DAYS: Final = 3_000_000
"""Up to so many rows single users are summed up in the engine; beyond, it starts from the stored random groups."""
FAR_OUT: Final = 3.0
"""Tukey's far-out fence, in distances between the quartiles of log impressions."""
LEAST_QUOTIENT: Final = 2.0
"""The quartiles are taken to lie at least so far apart: where everyone does the same, twice as much is not far out."""
CUT_QUANTILE: Final = 0.98
"""A user's day swings by x - R·y; swings are cut at this quantile and at the one as far from the other end."""
_NO_LIMIT: Final = 1e12
_USER_DAYS: Final = f"{Rollup.DATE}, {Event.USER}"
SUMS: Final = (
    Rollup.IMPRESSIONS,
    Rollup.CLICKS,
    Rollup.THUMBS_DOWN,
    Rollup.REFRESHES,
    Rollup.SLATES,
    Rollup.FOCUS_S,
    Rollup.SURVEYS,
    Rollup.SURVEY_SCORE,
    Rollup.USERS,
)
CUT_SUMS: Final = tuple(f"{name}_cut" for name in METRICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Breakdown:
    """Sums of one dimension.

    Args:
        parts: Its values, in order.
        sums: Shape (n_sums, n_groups, n_days, n_parts), by `SUMS`, and by `CUT_SUMS` where users were summed up.
    """

    parts: tuple[str, ...]
    sums: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Everything drift is judged from.

    Args:
        days: Consecutive, shape (n_days,).
        regions: By region.
        markets: Market of each region.
        devices: By device.
        versions: Impressions by day of each index version, shape (n_days,).
        source: Where it was read from.
        left_out_users: Users with a day far beyond what people do; None where single users were not looked at.
        left_out_days: Their days that were left out.
        treated: Experiments whose treatment is left out.
        treated_impressions: How many impressions that are.
    """

    days: tuple[dt.date, ...]
    regions: Breakdown
    markets: Mapping[str, str]
    devices: Breakdown
    versions: Mapping[str, Floats]
    source: str
    left_out_users: int | None
    left_out_days: int
    treated: tuple[str, ...]
    treated_impressions: int

    def segments(self) -> list[dict[str, str]]:
        """Return every segment, the larger before the smaller: everyone, markets, regions, devices."""
        markets = [{"market": name} for name in sorted(set(self.markets.values()))]
        regions = [{"market": self.markets[name], "region": name} for name in self.regions.parts]
        return [{}, *markets, *regions, *({"device": name} for name in self.devices.parts)]

    def sums(self, metric: Metric, segment: Segment, *, cut: bool = False) -> tuple[Floats, Floats]:
        """Return what stands above and below the line of a metric, by group and day.

        Args:
            metric: Which.
            segment: Of whom; a region may be named without its market.
            cut: With the extremes cut, where users were summed up.

        Returns:
            Both of shape (n_groups, n_days).

        Raises:
            UnknownError: When nobody is in the segment.
        """
        broken, chosen = self._chosen(segment)
        above = SUMS.index(metric.numerator)
        if cut and len(broken.sums) > len(SUMS):
            above = len(SUMS) + METRICS.index(metric.name)
        x, y = (
            broken.sums[at][:, :, chosen].sum(axis=2, dtype=np.float64)
            for at in (above, SUMS.index(metric.denominator))
        )
        return x, y

    def children(self, segment: Segment) -> list[list[dict[str, str]]]:
        """Return the ways a segment falls apart: everyone into markets or devices, a market into regions."""
        every = self.segments()
        if not segment:
            return [[one for one in every if set(one) == {"market"}], [one for one in every if set(one) == {"device"}]]
        if set(segment) == {"market"}:
            return [[one for one in every if "region" in one and one["market"] == segment["market"]]]
        return []

    def serving(self) -> tuple[str, ...]:
        """Return the index version that showed most on each day, "" on a day without any, shape (n_days,)."""
        if not self.versions:
            return ("",) * len(self.days)
        names = tuple(self.versions)
        shown = np.array([self.versions[name] for name in names])
        return tuple(
            names[place] if total > 0 else "" for place, total in zip(shown.argmax(0), shown.sum(0), strict=True)
        )

    def _chosen(self, segment: Segment) -> tuple[Breakdown, list[int]]:
        if "device" in segment:
            broken, wanted = self.devices, {segment["device"]}
        elif "region" in segment:
            broken, wanted = self.regions, {segment["region"]}
        elif "market" in segment:
            broken = self.regions
            wanted = {region for region, market in self.markets.items() if market == segment["market"]}
        else:
            broken, wanted = self.regions, {*self.regions.parts}
        chosen = [place for place, name in enumerate(broken.parts) if name in wanted]
        if segment and not chosen:
            raise UnknownError(f"segment == {dict(segment)}", "must be a market, region or device somebody is in")
        return broken, chosen


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Which rows count: not those under treatment, and not those of user-days that are far out.

    Args:
        window: Days that are read.
        treated: Pairs of experiment and variant that are left out.
        fence: Impressions from which on a user-day is far out; None leaves all in.
        cuts: Of each metric the ratio R and the swings its sums are cut at; empty cuts nothing.
    """

    window: Window
    treated: tuple[tuple[str, str], ...] = ()
    fence: float | None = None
    cuts: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)

    @property
    def bound(self) -> dict[str, Value]:
        """The values of `rows`."""
        out: dict[str, Value] = {"start": self.window[0], "end": self.window[1]}
        for number, (experiment, variant) in enumerate(self.treated):
            out |= {f"experiment_{number}": experiment, f"variant_{number}": variant}
        if self.fence is not None:
            out["fence"] = self.fence
        for name, (ratio, low, high) in self.cuts.items():
            out |= {f"ratio_{name}": ratio, f"low_{name}": low, f"high_{name}": high}
        return out

    def summed(self) -> str:
        """Return the sums of rows that count, by `SUMS` and `CUT_SUMS`."""
        out = [f"CAST(SUM({name}) AS DOUBLE) AS {name}" for name in SUMS]
        for cut, name in zip(CUT_SUMS, self.cuts, strict=False):
            of = metric_of(name)
            level = f":ratio_{name} * {of.denominator}"
            swing = f"GREATEST(LEAST({of.numerator} - {level}, :high_{name}), :low_{name})"
            out.append(f"CAST(SUM({level} + {swing}) AS DOUBLE) AS {cut}")
        return ", ".join(out)

    def treatment(self) -> str:
        """Return the condition that holds for a row under treatment."""
        pairs = (
            f"({Event.EXPERIMENT} = :experiment_{number} AND {Event.VARIANT} = :variant_{number})"
            for number in range(len(self.treated))
        )
        return f"({' OR '.join(pairs)})" if self.treated else "FALSE"

    def within(self) -> str:
        """Return the condition that holds for a row of these days."""
        return f"{Rollup.DATE} >= :start AND {Rollup.DATE} <= :end"

    def rows(self, table: str = USER_DAY.name) -> str:
        """Return the steps of a statement that end in ``kept``, the rows that count."""
        if self.fence is None:
            return f"kept AS (SELECT * FROM {table} WHERE {self.within()} AND NOT {self.treatment()})"
        return f"""far AS (
  SELECT {_USER_DAYS} FROM USER_DAY WHERE {self.within()}
  GROUP BY {_USER_DAYS} HAVING SUM({Rollup.IMPRESSIONS}) > :fence
), kept AS (
  SELECT USER_DAY.* FROM USER_DAY
  LEFT JOIN far ON USER_DAY.{Rollup.DATE} = far.{Rollup.DATE} AND USER_DAY.{Event.USER} = far.{Event.USER}
  WHERE USER_DAY.{Rollup.DATE} >= :start AND USER_DAY.{Rollup.DATE} <= :end
    AND far.{Event.USER} IS NULL AND NOT {self.treatment()}
)"""


def read(ground: Ground, *, most_user_days: int = MOST_USER_DAYS) -> Cells:
    """Read the sums of the last `HORIZON_DAYS` days.

    Args:
        ground: The workspace.
        most_user_days: Up to so many rows of single users the engine sums up users; beyond, stored random groups.

    Raises:
        StateError: When nothing is rolled up yet.
    """
    first, last = ground.days()
    window = (max(first, last - dt.timedelta(days=HORIZON_DAYS - 1)), last)
    treated = treated_arms(ground, last)
    single = ground.warehouse.rows(USER_DAY, window) <= most_user_days
    kept = Kept(window=window, treated=treated, fence=_fence(ground, window) if single else None)
    if single:
        kept = replace(kept, cuts=_cuts(ground, kept))
    days = tuple(window[0] + dt.timedelta(days=ahead) for ahead in range((last - window[0]).days + 1))
    places, markets = _broken_down(ground, kept, days, (Event.REGION, Rollup.MARKET), single=single)
    devices, _ = _broken_down(ground, kept, days, (Event.DEVICE,), single=single)
    users, far = _far_out(ground, kept) if single else (None, 0)
    return Cells(
        days=days,
        regions=places,
        markets=markets,
        devices=devices,
        versions=_versions(ground, kept, days, single=single),
        source="users" if single else "random groups",
        left_out_users=users,
        left_out_days=far,
        treated=tuple(sorted({experiment for experiment, _ in treated})),
        treated_impressions=_treated_impressions(ground, kept, single=single),
    )


def treated_arms(ground: Ground, until: dt.date) -> tuple[tuple[str, str], ...]:
    """Return the arms that are not control, of every experiment that was launched by a day."""
    out = []
    for record in ground.registry.all():
        if record.launched_at is not None and record.launched_at.date() <= until:
            out += [(record.plan.experiment_id, variant.name) for variant in record.plan.variants[1:]]
    return tuple(out)


def _fence(ground: Ground, window: Window) -> float | None:
    """Return the impressions from which on a user-day is far out.

    Source: Tukey 1977, "Exploratory Data Analysis", section 2D, on the logarithm, since impressions are skewed.
    """
    sql = f"""WITH totals AS (
  SELECT SUM({Rollup.IMPRESSIONS}) AS shown FROM USER_DAY
  WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end GROUP BY {_USER_DAYS}
)
SELECT CAST(PERCENTILE_CONT(0.25) WITHIN GROUP (ORDER BY shown) AS DOUBLE) AS low,
  CAST(PERCENTILE_CONT(0.75) WITHIN GROUP (ORDER BY shown) AS DOUBLE) AS high
FROM totals WHERE shown > 0"""
    row = ground.warehouse.query(sql, window=window, parameters={"start": window[0], "end": window[1]}).iloc[0]
    if not row["low"] > 0:
        return None
    return float(row["high"] * max(row["high"] / row["low"], LEAST_QUOTIENT) ** FAR_OUT)


def _cuts(ground: Ground, kept: Kept) -> dict[str, tuple[float, float, float]]:
    """Return of each metric its ratio and the quantiles of the swings of users' days.

    Source: Wilcox 2012, "Introduction to Robust Estimation and Hypothesis Testing", section 3.3 (winsorising).
    """
    metrics = [metric_of(name) for name in METRICS]
    ratios = ", ".join(
        f"CAST(SUM({one.numerator}) AS DOUBLE) / NULLIF(SUM({one.denominator}), 0) AS ratio_{one.name}"
        for one in metrics
    )
    quantiles = ", ".join(
        f"CAST(PERCENTILE_CONT({quantile:.2f}) WITHIN GROUP (ORDER BY IFF({one.denominator} > 0, "
        f"{one.numerator} - ratio_{one.name} * {one.denominator}, NULL)) AS DOUBLE) AS {end}_{one.name}"
        for one in metrics
        for end, quantile in (("low", 1 - CUT_QUANTILE), ("high", CUT_QUANTILE))
    )
    kept_ratios = ", ".join(f"MAX(ratio_{one.name}) AS ratio_{one.name}" for one in metrics)
    sql = f"""WITH {kept.rows()}, ratios AS (SELECT {ratios} FROM kept)
SELECT {kept_ratios}, {quantiles} FROM kept CROSS JOIN ratios"""
    row = ground.warehouse.query(sql, window=kept.window, parameters=kept.bound).iloc[0]
    out = {}
    for one in metrics:
        ratio, low, high = (float(row[f"{end}_{one.name}"]) for end in ("ratio", "low", "high"))
        # An act so rare that most days have none has no quantile to cut at.
        sound = low < 0 < high
        out[one.name] = (ratio, low, high) if sound else (ratio if ratio > 0 else 0.0, -_NO_LIMIT, _NO_LIMIT)
    return out


def _far_out(ground: Ground, kept: Kept) -> tuple[int, int]:
    """Return how many users have days that are far out, and how many days those are."""
    if kept.fence is None:
        return 0, 0
    sql = f"""WITH far AS (
  SELECT {_USER_DAYS} FROM USER_DAY WHERE {kept.within()}
  GROUP BY {_USER_DAYS} HAVING SUM({Rollup.IMPRESSIONS}) > :fence
)
SELECT COUNT(DISTINCT {Event.USER}) AS n_users, COUNT(*) AS days FROM far"""
    row = ground.warehouse.query(sql, window=kept.window, parameters=kept.bound).iloc[0]
    return int(row["n_users"]), int(row["days"])


def _treated_impressions(ground: Ground, kept: Kept, *, single: bool) -> int:
    if not kept.treated:
        return 0
    table, values, only = _totals(kept, frozenset({Event.EXPERIMENT, Event.VARIANT}), single=single)
    sql = (
        f"SELECT COALESCE(SUM({Rollup.IMPRESSIONS}), 0) AS shown FROM {table} "
        f"WHERE {only}{kept.within()} AND {kept.treatment()}"
    )
    return int(ground.warehouse.query(sql, window=kept.window, parameters=values)["shown"].iloc[0])


def _versions(ground: Ground, kept: Kept, days: tuple[dt.date, ...], *, single: bool) -> dict[str, Floats]:
    table, values, only = _totals(kept, frozenset({Event.INDEX_VERSION}), single=single)
    sql = (
        f"SELECT {Rollup.DATE}, {Event.INDEX_VERSION}, CAST(SUM({Rollup.IMPRESSIONS}) AS DOUBLE) AS shown "
        f"FROM {table} WHERE {only}{kept.within()} AND {Event.INDEX_VERSION} <> '{NONE}' GROUP BY 1, 2 ORDER BY 1, 2"
    )
    frame = ground.warehouse.query(sql, window=kept.window, parameters=values)
    names = sorted(frame[Event.INDEX_VERSION].unique().tolist())
    shown = np.zeros((len(names), len(days)))
    at = np.array([names.index(name) for name in frame[Event.INDEX_VERSION]], dtype=np.int64)
    shown[at, _places(frame, days)] = frame["shown"].to_numpy(dtype=np.float64)
    return dict(zip(names, shown, strict=True))


def _totals(kept: Kept, columns: frozenset[str], *, single: bool) -> tuple[str, dict[str, Value], str]:
    """Return the shortest table that knows some columns, the values, and the condition that picks its rows."""
    if single:
        return USER_DAY.name, kept.bound, ""
    return BUCKET_DAY.name, kept.bound | {"cut": smallest_cut(columns).number}, f"{CUT} = :cut AND "


def _broken_down(
    ground: Ground, kept: Kept, days: tuple[dt.date, ...], columns: Sequence[str], *, single: bool
) -> tuple[Breakdown, dict[str, str]]:
    """Return the sums by the first of the columns, and what the last one says of each of its values."""
    asked = frozenset({*columns, *((Event.EXPERIMENT, Event.VARIANT) if kept.treated else ())})
    cut = smallest_cut(asked)
    values = kept.bound if single else kept.bound | {"cut": cut.number}
    groups = BUCKETS if single else cut.buckets
    names = (*SUMS, *(CUT_SUMS if kept.cuts else ()))
    only = "" if single else f" WHERE {CUT} = :cut"
    by = ", ".join((Rollup.DATE, Rollup.BUCKET, *columns))
    sql = f"""WITH {kept.rows() if single else kept.rows(BUCKET_DAY.name)}
SELECT {by}, {kept.summed()} FROM kept{only} GROUP BY {by}"""
    frame = ground.warehouse.query(sql, window=kept.window, parameters=values)
    parts = sorted(frame[columns[0]].unique().tolist())
    out = np.zeros((len(names), groups, len(days), len(parts)), dtype=np.float32)
    at = pd.Categorical(frame[columns[0]], categories=parts).codes.astype(np.int64)
    groups_at = frame[Rollup.BUCKET].to_numpy(dtype=np.int64)
    for place, name in enumerate(names):
        out[place, groups_at, _places(frame, days), at] = frame[name].to_numpy()
    told = frame.drop_duplicates(columns[0])
    return Breakdown(parts=tuple(parts), sums=out), dict(zip(told[columns[0]], told[columns[-1]], strict=True))


def _places(frame: pd.DataFrame, days: tuple[dt.date, ...]) -> NDArray[np.int64]:
    """Return the place of each row among the days."""
    since = frame[Rollup.DATE].to_numpy().astype("datetime64[D]") - np.datetime64(days[0], "D")
    places: NDArray[np.int64] = since.astype(np.int64)
    return places
