"""The tables every engine has, once: names of the canonical SQL, the dataset behind each, its columns and their types.

Three columns belong to the rollups by bucket alone. A *cut* says by which dimensions a row is broken down; the others
are empty in it. A *register* is one of a HyperLogLog sketch (Flajolet, Fusy, Gandouet, Meunier 2007): the longest run
of zero bits among the users of a bucket, merged over days by the maximum, from which distinct users are estimated.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final, Literal

from workspace.columns import Event, Rollup
from workspace.errors import UnknownError

Type = Literal["BIGINT", "SMALLINT", "DOUBLE", "VARCHAR", "DATE", "TIMESTAMP"]

NONE: Final = "none"
"""Stands in the rollups for an event that belongs to no experiment, or came without an index version."""
UNKNOWN_MARKET: Final = "unknown"
BUCKETS: Final = 1_024
FINE_BUCKETS: Final = 128
"""Buckets of the cut by every dimension at once, which would be as long as the users themselves with more."""
HOUR_BUCKETS: Final = 64
SUB_REGISTERS: Final = 4

CUT: Final = "cut"
BLOCK: Final = "block_start"
FIRST_MONDAY: Final = dt.date(1970, 1, 5)
"""Weeks and blocks of four weeks are counted from here."""
USER_REGISTERS: Final = tuple(f"user_register_{number}" for number in range(SUB_REGISTERS))
SURVEY_REGISTERS: Final = tuple(f"survey_register_{number}" for number in range(SUB_REGISTERS))

_EXPOSURE: Final[tuple[tuple[str, Type], ...]] = (
    (Event.REGION, "VARCHAR"),
    (Rollup.MARKET, "VARCHAR"),
    (Event.DEVICE, "VARCHAR"),
    (Event.EXPERIMENT, "VARCHAR"),
    (Event.VARIANT, "VARCHAR"),
    (Event.INDEX_VERSION, "VARCHAR"),
)
DIMENSION_COLUMNS: Final = tuple(name for name, _ in _EXPOSURE)
_SECONDS_AND_SCORES: Final = (Rollup.FOCUS_S, Rollup.SURVEY_SCORE)
_SUMS: Final[tuple[tuple[str, Type], ...]] = tuple(
    (name, "DOUBLE" if name in _SECONDS_AND_SCORES else "BIGINT") for name in (*Rollup.SUMS, Rollup.USERS)
)
ADDED: Final[tuple[tuple[str, Type], ...]] = tuple((name, "BIGINT") for name in Rollup.OF_USERS)
"""Columns of `USER_DAY` that its first version did not have."""
_REGISTERS: Final[tuple[tuple[str, Type], ...]] = tuple(
    (name, "SMALLINT") for name in (*USER_REGISTERS, *SURVEY_REGISTERS)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table.

    Args:
        name: Its name in the canonical SQL.
        dataset: Name of its parts.
        columns: Names and types, in order.
        moment: Column that places a row in time.
        days: How many days one part covers, from the day the part is listed under.
    """

    name: str
    dataset: str
    columns: tuple[tuple[str, Type], ...]
    moment: str
    days: int = 1

    def first_part(self, start: dt.date) -> dt.date:
        """Return the day of the oldest part that can hold rows from a day on."""
        return start - dt.timedelta(days=self.days - 1)


EVENTS: Final = Table(
    name="EVENTS",
    dataset="events",
    columns=(
        (Event.ID, "VARCHAR"),
        (Event.TS, "TIMESTAMP"),
        (Event.RECEIVED_AT, "TIMESTAMP"),
        (Event.USER, "BIGINT"),
        (Event.SESSION, "VARCHAR"),
        (Event.TRANSACTION, "VARCHAR"),
        (Event.REGION, "VARCHAR"),
        (Event.DEVICE, "VARCHAR"),
        (Event.TYPE, "VARCHAR"),
        (Event.SLATE, "VARCHAR"),
        (Event.FILM, "VARCHAR"),
        (Event.POSITION, "SMALLINT"),
        (Event.VALUE, "DOUBLE"),
        (Event.EXPERIMENT, "VARCHAR"),
        (Event.VARIANT, "VARCHAR"),
        (Event.INDEX_VERSION, "VARCHAR"),
        (Event.EXTRA, "VARCHAR"),
    ),
    moment=Event.TS,
)
USER_DAY: Final = Table(
    name="USER_DAY",
    dataset="user_day",
    columns=((Rollup.DATE, "DATE"), (Event.USER, "BIGINT"), (Rollup.BUCKET, "BIGINT"), *_EXPOSURE, *_SUMS, *ADDED),
    moment=Rollup.DATE,
)
BUCKET_DAY: Final = Table(
    name="BUCKET_DAY",
    dataset="bucket_day",
    columns=((Rollup.DATE, "DATE"), (CUT, "BIGINT"), (Rollup.BUCKET, "BIGINT"), *_EXPOSURE, *_SUMS, *_REGISTERS),
    moment=Rollup.DATE,
)
BUCKET_WEEK: Final = Table(
    name="BUCKET_WEEK",
    dataset="bucket_week",
    columns=((Rollup.WEEK, "DATE"), *BUCKET_DAY.columns[1:]),
    moment=Rollup.WEEK,
    days=7,
)
BUCKET_BLOCK: Final = Table(
    name="BUCKET_BLOCK",
    dataset="bucket_block",
    columns=((BLOCK, "DATE"), *BUCKET_DAY.columns[1:]),
    moment=BLOCK,
    days=28,
)
ACTIVE_DAY: Final = Table(
    name="ACTIVE_DAY",
    dataset="active_day",
    columns=((Rollup.DATE, "DATE"), (CUT, "BIGINT"), *_EXPOSURE, (Rollup.USERS, "BIGINT"), (Rollup.SESSIONS, "BIGINT")),
    moment=Rollup.DATE,
)
ACTIVE_WEEK: Final = Table(
    name="ACTIVE_WEEK",
    dataset="active_week",
    columns=((Rollup.WEEK, "DATE"), *ACTIVE_DAY.columns[1:]),
    moment=Rollup.WEEK,
    days=7,
)
FILM_DAY: Final = Table(
    name="FILM_DAY",
    dataset="film_day",
    columns=(
        (Rollup.DATE, "DATE"),
        (Event.FILM, "VARCHAR"),
        (Event.INDEX_VERSION, "VARCHAR"),
        *((name, "BIGINT") for name in (*Rollup.OF_FILMS, Rollup.USERS)),
    ),
    moment=Rollup.DATE,
)
HOUR_ROLLUP: Final = Table(
    name="HOUR_ROLLUP",
    dataset="hour",
    columns=((Rollup.HOUR, "TIMESTAMP"), (Rollup.BUCKET, "BIGINT"), *_EXPOSURE[:3], *_SUMS),
    moment=Rollup.HOUR,
)
TABLES: Final = (
    EVENTS,
    USER_DAY,
    BUCKET_DAY,
    BUCKET_WEEK,
    BUCKET_BLOCK,
    ACTIVE_DAY,
    ACTIVE_WEEK,
    FILM_DAY,
    HOUR_ROLLUP,
)
ROLLUPS: Final = TABLES[1:]
REGIONS: Final = "REGIONS"
REGION_COLUMNS: Final[tuple[tuple[str, Type], ...]] = _EXPOSURE[:2]


def table_of(dataset: str) -> Table:
    """Return the table of a dataset.

    Raises:
        UnknownError: When there is none.

    Example:
        >>> table_of("hour").name
        'HOUR_ROLLUP'
    """
    for table in TABLES:
        if table.dataset == dataset:
            return table
    raise UnknownError(f"dataset == {dataset!r}", "must be one of " + ", ".join(table.dataset for table in TABLES))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One way to break the rollups by bucket down.

    Args:
        number: What the column `CUT` holds.
        columns: The dimensions kept.
        buckets: How many random groups the users fall into.
    """

    number: int
    columns: tuple[str, ...]
    buckets: int = BUCKETS


_PLACE: Final = (Event.REGION, Rollup.MARKET)
_TRIAL: Final = (Event.EXPERIMENT, Event.VARIANT)
CUTS: Final = (
    Cut(number=0, columns=()),
    Cut(number=1, columns=_PLACE),
    Cut(number=2, columns=(Event.DEVICE,)),
    Cut(number=3, columns=_TRIAL),
    Cut(number=4, columns=(Event.INDEX_VERSION,)),
    Cut(number=5, columns=(*_PLACE, *_TRIAL)),
    Cut(number=6, columns=DIMENSION_COLUMNS, buckets=FINE_BUCKETS),
)
MARKET_CUT: Final = Cut(number=7, columns=(Rollup.MARKET,))
"""Only where users are counted exactly: sums of a market are those of its regions."""
ACTIVE_CUTS: Final = (*CUTS[:6], MARKET_CUT)


def smallest_cut(columns: frozenset[str]) -> Cut:
    """Return the shortest cut that knows some dimensions.

    Example:
        >>> smallest_cut(frozenset({"market"})).number
        1
    """
    return next(cut for cut in CUTS if columns <= set(cut.columns))
