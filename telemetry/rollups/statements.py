"""The rollups as canonical SELECTs: the same text makes them on every engine.

Every figure is additive. A session, and a user's day, is counted in the one row where it began, so that the rows of any
breakdown add up to the total and a week is the sum of its days. Distinct users are not additive: they are counted
exactly for a day and a week (`ACTIVE_DAY`, `ACTIVE_WEEK`), and estimated from registers for any other span.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

from typing import Final

from telemetry.warehouse.sums import COUNTS, USER_COUNTS
from telemetry.warehouse.tables import (
    ACTIVE_CUTS,
    BUCKETS,
    CUT,
    CUTS,
    DIMENSION_COLUMNS,
    HOUR_BUCKETS,
    NONE,
    SUB_REGISTERS,
    SURVEY_REGISTERS,
    UNKNOWN_MARKET,
    USER_REGISTERS,
    Cut,
    Table,
)
from workspace.columns import Event, Rollup

_DOUBLES: Final = (Rollup.FOCUS_S, Rollup.SURVEY_SCORE)
_SUMS: Final = (*Rollup.SUMS, Rollup.USERS)
_TRIAL: Final = (Event.EXPERIMENT, Event.VARIANT, Event.INDEX_VERSION)
_WITHIN: Final = f"{Event.TS} >= :start AND {Event.TS} < :end"
_USER_DAY: Final = f"{Event.USER}, {Rollup.DATE}"
_EXPOSED: Final = f"{Event.REGION}, {Event.DEVICE}, {', '.join(_TRIAL)}"
# The bits above those that choose bucket and register.
_REST: Final = f"({Event.USER} - MOD({Event.USER}, {BUCKETS * SUB_REGISTERS}))"
_SHIFT: Final = (BUCKETS * SUB_REGISTERS).bit_length() - 1
_ALL_ZERO: Final = 63 - _SHIFT + 1


def _typed(column: str) -> str:
    return "DOUBLE" if column in _DOUBLES else "BIGINT"


def _summed(columns: tuple[str, ...]) -> str:
    return ",\n  ".join(f"CAST(SUM({name}) AS {_typed(name)}) AS {name}" for name in columns)


def _place(source: str) -> str:
    return f"{source} LEFT JOIN REGIONS ON {source}.{Event.REGION} = REGIONS.{Event.REGION}"


def _market() -> str:
    return f"COALESCE(REGIONS.{Rollup.MARKET}, '{UNKNOWN_MARKET}')"


def user_day() -> str:
    """Return the SELECT of some days by user and what the user was exposed to.

    Values: ``start`` and ``end``, the midnights around the days.
    """
    trial = ", ".join(f"COALESCE({name}, '{NONE}') AS {name}" for name in _TRIAL)
    counts = ",\n    ".join(f"{sql} AS {name}" for name, sql in USER_COUNTS.items())
    order = f"began, {Event.SESSION}, {_EXPOSED}"
    return f"""WITH pieces AS (
  SELECT CAST({Event.TS} AS DATE) AS {Rollup.DATE}, {Event.USER}, {Event.SESSION}, {Event.REGION}, {Event.DEVICE},
    {trial}, MIN({Event.TS}) AS began,
    {counts}
  FROM EVENTS WHERE {_WITHIN}
  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
), marked AS (
  SELECT pieces.*,
    IFF(ROW_NUMBER() OVER (PARTITION BY {_USER_DAY}, {Event.SESSION} ORDER BY {order}) = 1, 1, 0) AS {Rollup.SESSIONS},
    IFF(ROW_NUMBER() OVER (PARTITION BY {_USER_DAY} ORDER BY {order}) = 1, 1, 0) AS {Rollup.USERS}
  FROM pieces
)
SELECT {Rollup.DATE}, {Event.USER}, MOD({Event.USER}, {BUCKETS}) AS {Rollup.BUCKET},
  marked.{Event.REGION} AS {Event.REGION}, {_market()} AS {Rollup.MARKET}, {Event.DEVICE}, {", ".join(_TRIAL)},
  {_summed((*_SUMS, *Rollup.OF_USERS))}
FROM {_place("marked")}
GROUP BY {Rollup.DATE}, {Event.USER}, marked.{Event.REGION}, {_market()}, {Event.DEVICE}, {", ".join(_TRIAL)}
ORDER BY {Event.USER}, {_EXPOSED}"""


def hour() -> str:
    """Return the SELECT of some days by hour, place and random group of users; values as `user_day`.

    A user counts once for every hour, place and device.
    """
    counts = ",\n    ".join(f"{sql} AS {name}" for name, sql in COUNTS.items())
    return f"""WITH pieces AS (
  SELECT DATE_TRUNC('HOUR', {Event.TS}) AS {Rollup.HOUR}, {Event.USER}, {Event.REGION}, {Event.DEVICE},
    COUNT(DISTINCT {Event.SESSION}) AS {Rollup.SESSIONS}, 1 AS {Rollup.USERS},
    {counts}
  FROM EVENTS WHERE {_WITHIN}
  GROUP BY 1, 2, 3, 4
)
SELECT {Rollup.HOUR}, MOD({Event.USER}, {HOUR_BUCKETS}) AS {Rollup.BUCKET},
  pieces.{Event.REGION} AS {Event.REGION}, {_market()} AS {Rollup.MARKET}, {Event.DEVICE},
  {_summed(_SUMS)}
FROM {_place("pieces")}
GROUP BY {Rollup.HOUR}, MOD({Event.USER}, {HOUR_BUCKETS}), pieces.{Event.REGION}, {_market()}, {Event.DEVICE}
ORDER BY {Rollup.HOUR}, {Event.REGION}, {Event.DEVICE}, {Rollup.BUCKET}"""


def film_day() -> str:
    """Return the SELECT of some days by film and the index version that showed it; values as `user_day`.

    A user counts once for every film, version and day.
    """
    counts = ",\n  ".join(f"CAST({COUNTS[name]} AS BIGINT) AS {name}" for name in Rollup.OF_FILMS)
    return f"""SELECT CAST({Event.TS} AS DATE) AS {Rollup.DATE}, {Event.FILM},
  COALESCE({Event.INDEX_VERSION}, '{NONE}') AS {Event.INDEX_VERSION},
  {counts},
  CAST(COUNT(DISTINCT {Event.USER}) AS BIGINT) AS {Rollup.USERS}
FROM EVENTS WHERE {_WITHIN} AND {Event.FILM} IS NOT NULL
GROUP BY 1, 2, 3
ORDER BY {Rollup.DATE}, {Event.FILM}, 3"""


def _kept(cut: Cut) -> str:
    kept = (name if name in cut.columns else f"CAST(NULL AS VARCHAR) AS {name}" for name in DIMENSION_COLUMNS)
    return ", ".join(kept)


def _groups(*columns: str) -> str:
    return f"GROUP BY {', '.join(columns)}" if columns else ""


def bucket_day() -> str:
    """Return the SELECT of some days by random group of users, for each cut; values ``start`` and ``end``, days."""
    # The lowest set bit of a number is a power of two, whose logarithm no engine rounds to a neighbour.
    run = f"IFF({_REST} = 0, {_ALL_ZERO}, ROUND(LN(BITAND({_REST}, -{_REST})) / LN(2)) - {_SHIFT - 1})"
    registers = [
        f"IFF(MOD({Event.USER}, {BUCKETS * SUB_REGISTERS}) >= {BUCKETS * number} "
        f"AND MOD({Event.USER}, {BUCKETS * SUB_REGISTERS}) < {BUCKETS * (number + 1)}, {run}, 0) AS {name}"
        for number, name in enumerate(USER_REGISTERS)
    ]
    answered = [
        f"IFF({Rollup.SURVEYS} > 0, {user}, 0) AS {survey}"
        for user, survey in zip(USER_REGISTERS, SURVEY_REGISTERS, strict=True)
    ]
    maxima = ", ".join(f"CAST(MAX({name}) AS SMALLINT) AS {name}" for name in (*USER_REGISTERS, *SURVEY_REGISTERS))
    cuts = "\nUNION ALL\n".join(
        f"SELECT {Rollup.DATE}, {cut.number} AS {CUT}, MOD({Rollup.BUCKET}, {cut.buckets}) AS {Rollup.BUCKET}, "
        f"{_kept(cut)}, {_summed(_SUMS)}, {maxima} FROM placed "
        f"{_groups(Rollup.DATE, f'MOD({Rollup.BUCKET}, {cut.buckets})', *cut.columns)}"
        for cut in CUTS
    )
    return f"""WITH runs AS (
  SELECT USER_DAY.*, {", ".join(registers)} FROM USER_DAY WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} < :end
), placed AS (
  SELECT runs.*, {", ".join(answered)} FROM runs
), cuts AS (
{cuts}
)
SELECT * FROM cuts ORDER BY {CUT}, {", ".join(DIMENSION_COLUMNS)}, {Rollup.BUCKET}"""


def summed_up(table: Table, of: Table) -> str:
    """Return the SELECT of one longer period as the sum of shorter ones; values ``start`` and ``end``, Mondays.

    Args:
        table: The rollup by bucket of the longer periods.
        of: That of the shorter ones.
    """
    maxima = ", ".join(f"CAST(MAX({name}) AS SMALLINT) AS {name}" for name in (*USER_REGISTERS, *SURVEY_REGISTERS))
    return f"""SELECT CAST(:start AS DATE) AS {table.moment}, {CUT}, {Rollup.BUCKET}, {", ".join(DIMENSION_COLUMNS)},
  {_summed(_SUMS)}, {maxima}
FROM {of.name} WHERE {of.moment} >= :start AND {of.moment} < :end
GROUP BY {CUT}, {Rollup.BUCKET}, {", ".join(DIMENSION_COLUMNS)}
ORDER BY {CUT}, {", ".join(DIMENSION_COLUMNS)}, {Rollup.BUCKET}"""


def active_day() -> str:
    """Return the SELECT of the distinct users and the sessions of each of some days; values as `bucket_day`."""
    return _active(Rollup.DATE, Rollup.DATE, (Rollup.DATE,))


def active_week() -> str:
    """Return the SELECT of the distinct users and the sessions of one week; values as `bucket_week`."""
    return _active(f"CAST(:start AS DATE) AS {Rollup.WEEK}", Rollup.WEEK, ())


def _active(moment: str, order: str, grouped: tuple[str, ...]) -> str:
    cuts = "\nUNION ALL\n".join(
        f"SELECT {moment}, {cut.number} AS {CUT}, {_kept(cut)}, "
        f"CAST(COUNT(DISTINCT {Event.USER}) AS BIGINT) AS {Rollup.USERS}, "
        f"CAST(COALESCE(SUM({Rollup.SESSIONS}), 0) AS BIGINT) AS {Rollup.SESSIONS} "
        f"FROM USER_DAY WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} < :end "
        f"{_groups(*grouped, *cut.columns)}"
        for cut in ACTIVE_CUTS
    )
    return f"WITH cuts AS (\n{cuts}\n)\nSELECT * FROM cuts ORDER BY {order}, {CUT}, {', '.join(DIMENSION_COLUMNS)}"
