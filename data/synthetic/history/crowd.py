"""The users of a history: how active each is, how readily each clicks, and to what.

Users differ far more than chance would have it. That is the point: whoever takes events for independent finds effects
that are not there.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data.synthetic.history.draws import (
    CELL,
    Draw,
    Flags,
    Floats,
    Ints,
    Rows,
    Words,
    generator,
    hexadecimal,
    mixed,
)
from data.synthetic.history.repertoire import Repertoire
from data.synthetic.history.spec import HistorySpec
from data.synthetic.regions import MARKETS, REGION_CODES, REGIONS
from data.synthetic.world import World
from workspace.columns import Interaction, User

DEVICE_SHARES: Final = (0.42, 0.24, 0.22, 0.12)
MARKET_ACTIVITY: Final = {"north_america": 1.10, "western_europe": 1.0, "central_asia": 0.78}
MARKET_CLICKS: Final = {"north_america": 1.0, "western_europe": 0.9, "central_asia": 1.2}
ACTIVITY_SPREAD: Final = 0.8
CLICK_SPREAD: Final = 0.65
THUMBS_SPREAD: Final = 0.6
ENGAGEMENT_IN_CLICKS: Final = 0.6
SENTIMENT_IN_ENGAGEMENT: Final = 0.5
"""True correlation of engagement and sentiment, both standard normal over users."""
BOT_SHARE: Final = 0.0002
FARM_SHARE: Final = 0.005
LEAST_BOTS, LEAST_FARM, LEAST_CROWD = 2, 8, 50
_ID_BITS, _ID_DIGITS, _PSEUDONYM_BITS = 40, 10, 63
MARKET_OF_REGION: Final = np.array([MARKETS.index(region.market) for region in REGIONS], dtype=np.int8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """One cell of users, by the order of their ids.

    Attributes:
        ids: Strings as they arrive, or the 63-bit pseudonyms as stored, shape (n,).
        key: What assignment hashes, shape (n,).
        region: Row in REGIONS, shape (n,).
        activity: Factor of the number of visits, mean one, shape (n,).
        clicks: Factor of the probability of a click, mean one, shape (n,).
        thumbs: Factor of the probability of a thumbs-down, mean one, shape (n,).
        engagement: Standard normal, in clicks and in the will to answer, shape (n,).
        sentiment: Standard normal, what a survey hears, shape (n,).
        device: Preferred device, shape (n,).
        favourite: Favourite genre, shape (n,).
        excluded: Refused genres, one bit each, shape (n,).
        maximum_age: Highest minimum age accepted, shape (n,).
        joined: Day since 1970 from which the user is there, shape (n,).
        bot: Shape (n,).
        farm: Whether the account belongs to the click farm, shape (n,).
    """

    ids: pa.Array
    key: Words
    region: npt.NDArray[np.int8]
    activity: Floats
    clicks: Floats
    thumbs: Floats
    engagement: Floats
    sentiment: Floats
    device: npt.NDArray[np.int8]
    favourite: npt.NDArray[np.int16]
    excluded: Words
    maximum_age: npt.NDArray[np.int16]
    joined: Rows
    bot: Flags
    farm: Flags

    def __len__(self) -> int:
        return len(self.region)


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """What a world says of its users, by the order of their ids; small beside the world, and sent to every worker."""

    ids: tuple[str, ...]
    region: npt.NDArray[np.int8]
    favourite: npt.NDArray[np.int16]
    excluded: Words
    maximum_age: npt.NDArray[np.int16]
    joined: Rows


class Crowds:
    """Makes the users, cell by cell.

    Args:
        spec: The history.
        films: Its films.
        members: The users of a world; None when the spec only gives their number.
        physical: Whether ids are pseudonyms.
    """

    def __init__(self, spec: HistorySpec, films: Repertoire, members: Members | None, *, physical: bool) -> None:
        self._spec = spec
        self._films = films
        self._members = members
        self._physical = physical
        self._pseudonyms: Ints | None = None
        if members is not None and physical:
            self._pseudonyms = pseudonyms(spec.seed, members.ids)
        self._kept: dict[int, Crowd] = {}

    def cell(self, cell: int) -> Crowd:
        """Return one cell; the last one asked for is kept."""
        if cell not in self._kept:
            self._kept = {cell: self._draw(cell)}
        return self._kept[cell]

    def _draw(self, cell: int) -> Crowd:
        spec, rng = self._spec, generator(self._spec.seed, Draw.USER, cell)
        low = cell * CELL
        rows = np.arange(low, min(spec.users, low + CELL), dtype=np.int64)
        count = len(rows)
        engagement, other, mood = (rng.standard_normal(count, dtype=np.float32) for _ in range(3))
        rho = np.float32(ENGAGEMENT_IN_CLICKS)
        willing = rho * engagement + np.sqrt(1 - rho**2) * other
        sentiment = SENTIMENT_IN_ENGAGEMENT * engagement + np.sqrt(1 - SENTIMENT_IN_ENGAGEMENT**2) * mood
        region = _picked([one.share for one in REGIONS], rng.random(count)).astype(np.int8)
        favourite = _picked(self._films.shares, rng.random(count)).astype(np.int16)
        activity = _spread_factor(rng.standard_normal(count, dtype=np.float32), ACTIVITY_SPREAD)
        thumbs = _spread_factor(rng.standard_normal(count, dtype=np.float32), THUMBS_SPREAD)
        device = _picked(DEVICE_SHARES, rng.random(count)).astype(np.int8)
        low_bits = rng.integers(0, 1 << 62, count, dtype=np.int64)
        members, here = self._members, slice(low, low + count)
        if members is not None:
            region, favourite = members.region[here], members.favourite[here]
        market = MARKET_OF_REGION[region]
        bot = _some(rows, spec.users, BOT_SHARE, LEAST_BOTS, 0.31)
        return Crowd(
            ids=self._ids(rows, here, low_bits),
            key=mixed(rows.astype(np.uint64), spec.seed + 1),
            region=region,
            activity=activity * _levels(MARKET_ACTIVITY)[market],
            clicks=_spread_factor(willing, CLICK_SPREAD) * _levels(MARKET_CLICKS)[market],
            thumbs=thumbs,
            engagement=engagement,
            sentiment=sentiment.astype(np.float32),
            device=device,
            favourite=favourite,
            excluded=np.zeros(count, dtype=np.uint64) if members is None else members.excluded[here],
            maximum_age=np.full(count, 99, dtype=np.int16) if members is None else members.maximum_age[here],
            joined=np.zeros(count, dtype=np.int32) if members is None else members.joined[here],
            bot=bot,
            farm=_some(rows, spec.users, FARM_SHARE, LEAST_FARM, 0.77) & ~bot,
        )

    def _ids(self, rows: Ints, here: slice, low_bits: Ints) -> pa.Array:
        if self._pseudonyms is not None:
            return pa.array(self._pseudonyms[here])
        if self._members is not None:
            return pa.array(self._members.ids[here], type=pa.string())
        # Each user has an equal stretch of the numbers and a random place in it: uniform, different and in order.
        bits = _PSEUDONYM_BITS if self._physical else _ID_BITS
        width = min((1 << bits) // self._spec.users, 1 << 62)
        numbers = rows * width + low_bits % width
        return pa.array(numbers) if self._physical else hexadecimal("u", numbers.astype(np.uint64), _ID_DIGITS)


def members_of(world: World, films: Repertoire, seed: int, *, physical: bool) -> Members:
    """Return what a history needs to know of a world's users, ordered by what they will be called."""
    users = world.users
    names = users[User.ID].to_numpy(dtype=object)
    order = np.argsort(pseudonyms(seed, names.tolist()) if physical else names, kind="stable")
    row = {name: place for place, name in enumerate(films.genres)}
    excluded = [sum(1 << row[name] for name in genres if name in row) for genres in users[User.EXCLUDED_GENRES]]
    ages = pd.to_numeric(users[User.MAXIMUM_AGE]).fillna(99).to_numpy(np.int16)
    joined = users[User.JOINED_AT].dt.tz_convert("UTC").dt.tz_localize(None).to_numpy("datetime64[D]").astype(np.int64)
    region = np.array([REGION_CODES.index(code) for code in users[User.REGION]], dtype=np.int8)
    return Members(
        ids=tuple(names[order].tolist()),
        region=region[order],
        favourite=_favourites(world, films)[order],
        excluded=np.array(excluded, dtype=np.uint64)[order],
        maximum_age=ages[order],
        joined=joined.astype(np.int32)[order],
    )


def pseudonyms(seed: int, names: Sequence[str]) -> Ints:
    """Return a 63-bit number for each id, as uniform as those the door makes but without its secret key."""
    salt = f"history {seed} ".encode()
    digests = b"".join(hashlib.sha256(salt + name.encode()).digest()[:8] for name in names)
    numbers: Ints = (np.frombuffer(digests, dtype=">u8").astype(np.uint64) >> np.uint64(1)).astype(np.int64)
    return numbers


def _favourites(world: World, films: Repertoire) -> npt.NDArray[np.int16]:
    """Return the genre each user met most often; the first one of the list for those who met nothing."""
    acts = world.interactions
    user = pd.Index(world.users[User.ID]).get_indexer(acts[Interaction.USER])
    film = pd.Index(films.ids.to_pylist()).get_indexer(acts[Interaction.FILM])
    met = np.zeros((len(world.users), len(films.genres)), dtype=np.int32)
    np.add.at(met, (user, films.genre[film]), 1)
    favourites: npt.NDArray[np.int16] = met.argmax(axis=1).astype(np.int16)
    return favourites


def _picked(shares: Sequence[float] | npt.NDArray[np.float64], uniforms: npt.NDArray[np.float64]) -> Ints:
    cumulated = np.cumsum(np.asarray(shares, dtype=np.float64))
    picked: Ints = np.searchsorted(cumulated, uniforms * cumulated[-1], side="right")
    return picked


def _spread_factor(normal: Floats, spread: float) -> Floats:
    """Return log-normal factors of mean one."""
    factors: Floats = np.exp(np.float32(spread) * normal - np.float32(spread**2 / 2))
    return factors


def _levels(of_market: dict[str, float]) -> Floats:
    """Return a factor by market, with mean one over the users."""
    mean = sum(region.share * of_market[region.market] for region in REGIONS)
    return np.array([of_market[market] / mean for market in MARKETS], dtype=np.float32)


def _some(rows: Ints, users: int, share: float, least: int, offset: float) -> Flags:
    """Return every so many users: about the share of all, but some in a small crowd, and none in a tiny one."""
    wanted = max(least, round(share * users)) if users >= LEAST_CROWD else 0
    if not wanted:
        return np.zeros(len(rows), dtype=np.bool_)
    step = users // wanted
    chosen: Flags = (rows % step == int(offset * step)) & (rows // step < wanted)
    return chosen
