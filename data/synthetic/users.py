"""The users: pseudonyms, regions, markets and the preferences they state."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.synthetic.randomness import CELL, Draw, Ints, choose_rows, generator
from data.synthetic.regions import REGIONS
from data.synthetic.shelf import day_number
from data.synthetic.spec import WorldSpec
from data.synthetic.vocabulary import GENRES
from workspace.columns import User

ID_BITS: Final = 40
OLD_HAND_SHARE: Final = 0.62
PREMIUM_SHARE: Final = 0.34
CONSENT_SHARE: Final = 0.93
EXCLUDER_SHARE: Final = 0.16
AGE_LIMITED_SHARE: Final = 0.07
NEWCOMER_DAYS: Final = 20
MICROSECONDS_PER_DAY: Final = 86_400_000_000
NEVER_EXCLUDED: Final = ("Drama", "Comedy")

USER_SCHEMA: Final = pa.schema(
    [
        (User.ID, pa.string()),
        (User.REGION, pa.string()),
        (User.MARKET, pa.string()),
        (User.PREMIUM, pa.bool_()),
        (User.JOINED_AT, pa.timestamp("us", tz="UTC")),
        (User.EXCLUDED_GENRES, pa.list_(pa.string())),
        (User.MAXIMUM_AGE, pa.float64()),
        (User.CONSENT, pa.bool_()),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCell:
    """One whole cell of users.

    Attributes:
        region: Row in REGIONS, shape (CELL,).
        joined_day: Days since 1970-01-01, shape (CELL,).
        excluded: Refused genres, shape (CELL, n_genres).
        maximum_age: Highest minimum age accepted, -1 for no limit, shape (CELL,).
        premium: Shape (CELL,).
        consent: Shape (CELL,).
    """

    region: Ints
    joined_day: Ints
    excluded: npt.NDArray[np.bool_]
    maximum_age: Ints
    premium: npt.NDArray[np.bool_]
    consent: npt.NDArray[np.bool_]


def user_ids(seed: int, rows: range) -> list[str]:
    """Return the pseudonyms of these rows: a permutation of 40-bit numbers, so that no two users share one."""
    mask = (1 << ID_BITS) - 1
    offset = (seed * 0x9E3779B97F4A7C15 + 0x51ED270B) & mask
    ids = []
    for row in rows:
        # Odd multipliers and a half-width xor-shift are each one-to-one on 40 bits.
        mixed = (row * 0x5851F42D4D + offset) & mask
        mixed = ((mixed ^ (mixed >> 20)) * 0x2545F4914F) & mask
        ids.append(f"u{mixed ^ (mixed >> 20):010x}")
    return ids


def draw_users(spec: WorldSpec, cell: int) -> UserCell:
    """Return one cell of users."""
    rng = generator(spec.seed, Draw.USER, cell)
    region = choose_rows(np.array([region.share for region in REGIONS]), rng.random(CELL))
    start, end = day_number(spec.start), day_number(spec.end)
    before = start - (rng.exponential(500, CELL)).astype(np.int64) - 1
    latest = max(start + 1, end - NEWCOMER_DAYS)
    during = rng.integers(start, latest, CELL)
    joined = np.where(rng.random(CELL) < OLD_HAND_SHARE, before, during)
    excluded = np.zeros((CELL, len(GENRES)), dtype=np.bool_)
    excluder = rng.random(CELL) < EXCLUDER_SHARE
    for times in (1.0, 0.35):
        genre = rng.integers(0, len(GENRES), CELL)
        excluded[np.arange(CELL), genre] |= excluder & (rng.random(CELL) < times)
    excluded[:, [GENRES.index(name) for name in NEVER_EXCLUDED]] = False
    limit = rng.choice([12, 13, 16], CELL)
    return UserCell(
        region=region,
        joined_day=joined,
        excluded=excluded,
        maximum_age=np.where(rng.random(CELL) < AGE_LIMITED_SHARE, limit, -1),
        premium=rng.random(CELL) < PREMIUM_SHARE,
        consent=rng.random(CELL) < CONSENT_SHARE,
    )


def user_table(spec: WorldSpec, rows: range, cell: UserCell) -> pa.Table:
    """Return the contract rows of the first ``len(rows)`` users of a cell."""
    count = len(rows)
    genres = [[GENRES[genre] for genre in np.flatnonzero(mask)] for mask in cell.excluded[:count]]
    ages = cell.maximum_age[:count]
    return pa.table(
        [
            pa.array(user_ids(spec.seed, rows)),
            pa.array([REGIONS[row].code for row in cell.region[:count]]),
            pa.array([REGIONS[row].market for row in cell.region[:count]]),
            pa.array(cell.premium[:count]),
            pa.array(cell.joined_day[:count] * MICROSECONDS_PER_DAY).cast(pa.timestamp("us", tz="UTC")),
            pa.array(genres, type=pa.list_(pa.string())),
            pa.array(ages.astype(float), mask=ages < 0),
            pa.array(cell.consent[:count]),
        ],
        schema=USER_SCHEMA,
    )
