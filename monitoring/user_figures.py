"""Figures of what users did, over whole days that end on a given one: ratios of sums with intervals by user.

The days are cut into blocks of equal length, counted back from the last day, so that every block of seven days holds
each weekday once. Everybody who was shown a film counts, also those who never reacted. Only aggregates leave the
engine, and none about fewer than k accounts.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from telemetry.privacy import hidden_rows
from telemetry.queries import MOST_USER_DAYS
from telemetry.statistics import Moments, ratios, relative_change
from telemetry.warehouse.sums import FIRST_POSITIONS, LONG_LOOK_S
from telemetry.warehouse.tables import EVENTS, USER_DAY
from workspace.checks import check_scalar
from workspace.columns import Event, Rollup, Trial
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from monitoring.ground import Ground
    from telemetry.warehouse.sql import Value

MOST_EVENTS: Final = 3_000_000
"""Figures of single slates are read from the events themselves; of more rows than this, those of a sample of users."""
PSEUDONYMS: Final = 2**63
"""Pseudonyms are spread evenly below it, so that those below a share of it are a random share of the users."""
SEGMENTS: Final = (Rollup.MARKET, Event.REGION, Event.DEVICE, Event.INDEX_VERSION)
_EXPRESSIONS: Final = {
    Trial.INTERACTIONS: f"({Rollup.EVENTS} - {Rollup.IMPRESSIONS})",
    Trial.ACTIVE_DAYS: Rollup.USERS,
}
_BLOCK: Final = "block"
_UNIT: Final = "unit"
_UNITS: Final = "units"
_ACCOUNTS: Final = "accounts"
_SHOWN: Final = "shown"
_RELEVANT: Final = "relevant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """A ratio of two sums over users.

    Args:
        name: What it is called.
        numerator: Column of `USER_DAY` above the line, or one of the sums experiments know.
        denominator: The one below.
    """

    name: str
    numerator: str
    denominator: str


SLATES_A_USER: Final = Ratio(name="slates_a_user", numerator=Rollup.SLATES, denominator=_ACCOUNTS)
"""Slates shown to an average account that was active at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One ratio over one block of days, for everybody or one segment.

    Args:
        name: Of the ratio.
        block: 0 for the newest block, 1 for the one before.
        segment: Value of the dimension; empty for everybody.
        value: NaN when it is not estimable or withheld.
        low: Low end of the interval, NaN likewise.
        high: High end.
        users: Accounts that have a share in it; of very many, estimated to ± 2 %.
        note: Why there is no value.
    """

    name: str
    block: int
    segment: str
    value: float
    low: float
    high: float
    users: int
    note: str = ""


def blocks(
    ground: "Ground",
    wanted: Sequence[Ratio],
    *,
    end: dt.date,
    days: int = 7,
    count: int = 1,
    by: str | None = None,
) -> list[Figure]:
    """Return ratios of the newest blocks of days.

    Args:
        ground: The stores.
        wanted: Which ratios.
        end: Last day of the newest block.
        days: Length of a block.
        count: How many blocks.
        by: A column of `SEGMENTS` to break them down by; None for everybody together.

    Returns:
        One figure for each ratio, block and segment that has any row; newest block first.

    Raises:
        InvalidValueError: For another dimension.

    Source: Deng, Knoblich, Lu 2018, "Applying the Delta Method in Metric Analytics", section 3; beyond a million rows
    random groups of users, Wolter 2007, chapter 2.
    """
    _checked(days, count, by)
    first = end - dt.timedelta(days=days * count - 1)
    grouped = ground.warehouse.rows(USER_DAY, (first, end)) > MOST_USER_DAYS
    sql = _blocks_sql(wanted, days, by, unit=Rollup.BUCKET if grouped else Event.USER)
    frame = ground.warehouse.query(sql, window=(first, end), parameters={"first": first, "last": end})
    return [found for one in wanted for found in _figures(ground, frame, one, by, grouped=grouped)]


def changes(
    ground: "Ground", wanted: Ratio, earlier: tuple[dt.date, dt.date], later: Sequence[tuple[dt.date, dt.date]]
) -> list[Figure]:
    """Return how much a ratio changed from one span of days to each of some others, relatively; 0.05 is 5 % more.

    The same users are in both spans and their covariance counts, so that loyal users narrow the interval.

    Args:
        ground: The stores.
        wanted: The ratio.
        earlier: First and last day of the span compared with.
        later: First and last day of each span in question; each must begin after the other ends.

    Returns:
        One figure for each later span, in their order, its number as the block.

    Raises:
        InvalidValueError: When a span overlaps the one compared with, or ends before it begins.
    """
    if not later:
        return []
    for span in later:
        if not earlier[0] <= earlier[1] < span[0] <= span[1]:
            raise InvalidValueError(
                f"spans == {earlier[0]} … {earlier[1]}, {span[0]} … {span[1]}", "must lie one after the other"
            )
    whole = (min(span[0] for span in later), max(span[1] for span in later))
    grouped = sum(ground.warehouse.rows(USER_DAY, span) for span in (earlier, whole)) > MOST_USER_DAYS
    parameters: dict[str, Value] = {"first": earlier[0], "last": earlier[1], "turn": whole[0], "end": whole[1]}
    for number, span in enumerate(later):
        parameters |= {f"from_{number}": span[0], f"to_{number}": span[1]}
    sql = _changes_sql(wanted, len(later), unit=Rollup.BUCKET if grouped else Event.USER)
    window, windows = (earlier[0], whole[1]), {USER_DAY.name: [earlier, whole]}
    row = ground.warehouse.query(sql, window=window, windows=windows, parameters=parameters).iloc[0]
    k = ground.settings.k_anonymity
    return [_change_of(row, wanted, number, k, grouped=grouped) for number in range(len(later))]


def _change_of(row: "pd.Series[Any]", wanted: Ratio, number: int, k: int, *, grouped: bool) -> Figure:
    users = int(row[_ACCOUNTS] if grouped else row[f"units_{number}"])
    nothing = Figure(name=wanted.name, block=number, segment="", value=np.nan, low=np.nan, high=np.nan, users=users)
    if users < k or any(0 < row[name] < k for name in (f"positive_{number}", "positive_early")):
        return replace(nothing, users=0, note=_few(k))
    four = _four(number)
    covariance = np.empty((4, 4))
    for i, j in combinations_with_replacement(range(4), 2):
        covariance[i, j] = covariance[j, i] = row[f"cov_{four[i]}_{four[j]}"]
    value, low, high = relative_change([row[f"mean_{name}"] for name in four], covariance, float(row[_UNITS]))
    if not np.isfinite(value):
        return replace(nothing, note=f"not estimable: {wanted.numerator} is 0 in one of the two spans")
    return replace(nothing, value=value, low=low, high=high)


def relevant_slates(ground: "Ground", *, end: dt.date, days: int = 7, count: int = 1) -> list[Figure]:
    """Return the share of slates with at least one relevant film among the first five.

    A film is relevant when it was clicked or looked at for at least ten seconds. Slates are told apart in the events
    only, so of more than `MOST_EVENTS` rows a random sample of users is taken, and the note says how large; users are
    what chance acts on, so the intervals are right for it.

    Args:
        ground: The stores.
        end: Last day of the newest block.
        days: Length of a block.
        count: How many blocks.

    Returns:
        One figure for each block that has any slate; newest block first.
    """
    _checked(days, count, None)
    start = end - dt.timedelta(days=days * count - 1)
    share = min(1.0, MOST_EVENTS / max(1, ground.warehouse.rows(EVENTS, (start, end))))
    early = f"{Event.POSITION} <= {FIRST_POSITIONS}"
    liked = f"{Event.TYPE} = 'click' OR ({Event.TYPE} = 'focus' AND {Event.VALUE} >= {LONG_LOOK_S})"
    one = Ratio(name="relevant_in_five", numerator=_RELEVANT, denominator=_SHOWN)
    sql = f"""WITH slates AS (
  SELECT {Event.USER} AS {_UNIT}, {Event.SLATE}, CAST(MIN({Event.TS}) AS DATE) AS day,
    MAX(IFF({early} AND {Event.TYPE} = 'impression', 1, 0)) AS {_SHOWN},
    MAX(IFF({early} AND ({liked}), 1, 0)) AS liked
  FROM EVENTS WHERE {Event.TS} >= :start AND {Event.TS} < :stop AND {Event.SLATE} IS NOT NULL
    AND {Event.USER} <= :most GROUP BY 1, 2
), per_unit AS (
  SELECT {_UNIT}, CAST(FLOOR(DATEDIFF('day', day, :last) / {days}) AS BIGINT) AS {_BLOCK}, SUM({_SHOWN}) AS {_SHOWN},
    SUM({_SHOWN} * liked) AS {_RELEVANT}, 1 AS {_ACCOUNTS}
  FROM slates GROUP BY 1, 2
)
SELECT {_BLOCK}, COUNT(*) AS {_UNITS}, SUM({_ACCOUNTS}) AS {_ACCOUNTS}, {", ".join(_moments(one))}
FROM per_unit GROUP BY {_BLOCK} ORDER BY {_BLOCK}"""
    parameters: dict[str, Value] = {
        "start": start,
        "stop": end + dt.timedelta(days=1),
        "last": end,
        "most": min(int(share * PSEUDONYMS), PSEUDONYMS - 1),
    }
    frame = ground.warehouse.query(sql, window=(start, end), parameters=parameters)
    found = _figures(ground, frame, one, None, grouped=False)
    if share == 1:
        return found
    note = f"of a random {share:.1%} of the accounts: all of them have too many events to be read"
    return [f if f.note else replace(f, note=note) for f in found]


def _figures(ground: "Ground", frame: "pd.DataFrame", one: Ratio, by: str | None, *, grouped: bool) -> list[Figure]:
    k = ground.settings.k_anonymity
    own = {name: frame[f"{name}_{one.name}"].to_numpy(dtype=np.float64) for name in _PARTS}
    found = ratios(Moments(units=frame[_UNITS].to_numpy(dtype=np.float64), **own))
    out = []
    hidden = _hidden(frame, one, by, k)
    for at, row in enumerate(frame.to_dict("records")):
        contributing = int(own["contributing"][at])
        users = int(row[_ACCOUNTS]) if grouped else contributing
        figure = Figure(
            name=one.name, block=int(row[_BLOCK]), segment=str(row[by]) if by else "", users=users,
            value=float(found.value[at]), low=float(found.low[at]), high=float(found.high[at]),
        )  # fmt: skip
        if contributing == 0:
            figure = replace(figure, note=f"not estimable: there are no {one.denominator.replace('_', ' ')}")
        elif hidden[at]:
            figure = replace(figure, value=np.nan, low=np.nan, high=np.nan, users=0, note=_few(k))
        out.append(figure)
    return out


def _hidden(frame: "pd.DataFrame", one: Ratio, by: str | None, k: int) -> "NDArray[np.bool_]":
    """Tell which rows are about too few accounts, or would give such a row away by subtraction.

    Of random groups of users those with any are counted: each holds at least one account.
    """
    table = frame.assign(**{_SHOWN: frame[f"contributing_{one.name}"], _RELEVANT: frame[f"positive_{one.name}"]})
    out = np.zeros(len(frame), dtype=bool)
    for _, rows in table[table[_SHOWN] > 0].groupby(_BLOCK):
        hidden = hidden_rows(rows, [by] if by else [], k, users=_SHOWN, positives=_RELEVANT)
        out[frame.index.get_indexer(rows.index[hidden])] = True
    return out


def _blocks_sql(wanted: Sequence[Ratio], days: int, by: str | None, *, unit: str) -> str:
    sums = dict.fromkeys(name for one in wanted for name in (one.numerator, one.denominator))
    # Accounts are counted, not summed: one a user, estimated for a group of users.
    summed = "".join(f"SUM({_EXPRESSIONS.get(name, name)}) AS {name}, " for name in sums if name != _ACCOUNTS)
    keys = ", ".join([_BLOCK, *([by] if by else [])])
    moments = ", ".join(text for one in wanted for text in _moments(one))
    return f"""WITH placed AS (
  SELECT *, CAST(FLOOR(DATEDIFF('day', {Rollup.DATE}, :last) / {days}) AS BIGINT) AS {_BLOCK}
  FROM USER_DAY WHERE {Rollup.DATE} >= :first AND {Rollup.DATE} <= :last
), per_unit AS (
  SELECT {keys}, {unit} AS {_UNIT}, {summed}{_accounts(unit)} AS {_ACCOUNTS}
  FROM placed GROUP BY {keys}, {unit}
)
SELECT {keys}, COUNT(*) AS {_UNITS}, SUM({_ACCOUNTS}) AS {_ACCOUNTS}, {moments}
FROM per_unit GROUP BY {keys} ORDER BY {keys}"""


def _accounts(unit: str) -> str:
    # A sketch for every single user would take longer than all the rest.
    return "1" if unit == Event.USER else f"APPROX_COUNT_DISTINCT({Event.USER})"


def _four(number: int) -> tuple[str, str, str, str]:
    """Return the names of numerator and denominator of a later span, and of the earlier one."""
    return (f"x_{number}", f"y_{number}", "x_early", "y_early")


def _changes_sql(wanted: Ratio, count: int, *, unit: str) -> str:
    x, y = (_EXPRESSIONS.get(name, name) for name in (wanted.numerator, wanted.denominator))
    spans = {"early": (":first", ":last")} | {str(at): (f":from_{at}", f":to_{at}") for at in range(count)}
    summed = ", ".join(
        f"SUM(IFF({Rollup.DATE} >= {first} AND {Rollup.DATE} <= {last}, {sql}, 0)) AS {name}_{of}"
        for of, (first, last) in spans.items()
        for name, sql in (("x", x), ("y", y))
    )
    moments = [f"CAST(AVG({name}_{of}) AS DOUBLE) AS mean_{name}_{of}" for of in spans for name in ("x", "y")]
    pairs = dict.fromkeys(pair for at in range(count) for pair in combinations_with_replacement(_four(at), 2))
    moments += [f"CAST(COVAR_SAMP({a}, {b}) AS DOUBLE) AS cov_{a}_{b}" for a, b in pairs]
    moments += [f"COUNT_IF(x_{of} > 0) AS positive_{of}" for of in spans]
    moments += [f"COUNT_IF({' OR '.join(f'{name} <> 0' for name in _four(at))}) AS units_{at}" for at in range(count)]
    return f"""WITH per_unit AS (
  SELECT {unit} AS {_UNIT}, {summed}, {_accounts(unit)} AS {_ACCOUNTS}
  FROM USER_DAY WHERE ({Rollup.DATE} >= :first AND {Rollup.DATE} <= :last)
    OR ({Rollup.DATE} >= :turn AND {Rollup.DATE} <= :end)
  GROUP BY {unit}
)
SELECT COUNT(*) AS {_UNITS}, SUM({_ACCOUNTS}) AS {_ACCOUNTS}, {", ".join(moments)} FROM per_unit"""


_PARTS: Final = ("contributing", "mean_x", "mean_y", "var_x", "var_y", "cov_xy")


def _moments(one: Ratio) -> list[str]:
    x, y, name = one.numerator, one.denominator, one.name
    return [
        f"CAST(COUNT_IF({x} <> 0 OR {y} <> 0) AS BIGINT) AS contributing_{name}",
        f"CAST(COUNT_IF({x} > 0) AS BIGINT) AS positive_{name}",
        f"CAST(AVG({x}) AS DOUBLE) AS mean_x_{name}",
        f"CAST(AVG({y}) AS DOUBLE) AS mean_y_{name}",
        f"CAST(VAR_SAMP({x}) AS DOUBLE) AS var_x_{name}",
        f"CAST(VAR_SAMP({y}) AS DOUBLE) AS var_y_{name}",
        f"CAST(COVAR_SAMP({x}, {y}) AS DOUBLE) AS cov_xy_{name}",
    ]


def _few(k: int) -> str:
    return f"withheld: it would be about fewer than {k} accounts"


def _checked(days: int, count: int, by: str | None) -> None:
    check_scalar(days, "days", ge=1)
    check_scalar(count, "count", ge=1)
    if by is not None and by not in SEGMENTS:
        raise InvalidValueError(f"by == {by!r}", f"must be one of {', '.join(SEGMENTS)}")
