"""The films a history shows: what a draw of films needs to know of them, from a world or from the seed."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from data.synthetic.films import film_ids
from data.synthetic.history.draws import Draw, Flags, Floats, Ints, Rows, Words, generator
from data.synthetic.history.plan import INCIDENT_FILMS
from data.synthetic.history.spec import HistorySpec
from data.synthetic.regions import REGION_CODES
from data.synthetic.world import World
from workspace.columns import Film

GENRES: Final = 16
"""Genres of films that no world gives."""
SLOTS: Final = 16_384
"""Length of a table of films; a film has as many places as its fame deserves."""
LEAD_GROUP: Final = 4
"""Films with the same lead, when no world gives a cast: four neighbours."""
PROVIDERS: Final = ("aurora", "boreal")
STUDIOS: Final = 40
FAME_SPREAD: Final = 1.0
QUALITY_SPREAD: Final = 0.25
NEVER: Final = np.iinfo(np.int32).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Repertoire:
    """Films by row.

    Attributes:
        ids: Film ids, shape (n,).
        genres: Names of the genres.
        genre: First genre of each film, a row of ``genres``, shape (n,).
        genre_bits: All genres of each film, one bit each, shape (n,).
        quality: Factor of the probability of a click, mean one, shape (n,).
        released: Day of release since 1970, shape (n,).
        minimum_age: Shape (n,).
        lead: Number of the lead, shape (n,).
        by_lead: Rows ordered by lead, shape (n,).
        lead_first: Place of a lead's first film in ``by_lead``, shape (n_leads,).
        lead_count: Films of a lead, shape (n_leads,).
        stuffer: Name of the studio that stuffs keywords.
        stuffed: Its films.
        farmed: The film the click farm clicks.
        provider_gone: Films of the provider that fails, shape (n,).
        broken: Films hit by the catalogue incident, shape (n,).
        tables: Films to draw from by region and genre; genre 0 is all films, shape (n_regions, 1 + n_genres, SLOTS).
        lawful: Whether a region may show a film, shape (n_regions, n).
        shares: Share of each genre among what is drawn from all films, shape (n_genres,).
        ruled: Whether region, release, age or genre can forbid a film.
    """

    ids: pa.Array
    genres: tuple[str, ...]
    genre: npt.NDArray[np.int16]
    genre_bits: Words
    quality: Floats
    released: Rows
    minimum_age: npt.NDArray[np.int16]
    lead: Rows
    by_lead: Rows
    lead_first: Rows
    lead_count: Rows
    stuffer: str
    stuffed: Rows
    farmed: int
    provider_gone: Flags
    broken: Flags
    tables: Rows
    lawful: Flags
    shares: npt.NDArray[np.float64]
    ruled: bool

    def __len__(self) -> int:
        return len(self.ids)


def repertoire(spec: HistorySpec, world: World | None) -> Repertoire:
    """Return the films of a history: the world's, or as many as the spec says."""
    rng = generator(spec.seed, Draw.FILM)
    count = spec.films if world is None else len(world.films)
    quality = rng.lognormal(-(QUALITY_SPREAD**2) / 2, QUALITY_SPREAD, count)
    fame = rng.lognormal(0.0, FAME_SPREAD, count)
    broken = rng.random(count) < INCIDENT_FILMS
    if world is None:
        frame = _plain(spec)
    else:
        frame = world.films
        fame = np.maximum(pd.to_numeric(frame[Film.POPULARITY]).fillna(0.0).to_numpy(np.float64), 0.02)
    genres, genre, bits = _genres(frame[Film.GENRES].tolist())
    lead = _coded([cast[0] if cast else film for cast, film in zip(frame[Film.CAST], frame[Film.ID], strict=True)])
    studios = [names[0] if len(names) else "" for names in frame[Film.STUDIOS]]
    stuffer, stuffed = _stuffer(studios)
    lawful = _lawful(frame)
    tables = _tables(lawful, genre, len(genres), fame)
    lead_count = np.bincount(lead)
    return Repertoire(
        ids=pa.array(frame[Film.ID].tolist(), type=pa.string()),
        genres=genres,
        genre=genre,
        genre_bits=bits,
        quality=quality.astype(np.float32),
        released=_released(frame),
        minimum_age=pd.to_numeric(frame[Film.MINIMUM_AGE]).fillna(0).to_numpy(np.int16),
        lead=lead,
        by_lead=np.argsort(lead, kind="stable").astype(np.int32),
        lead_first=(np.cumsum(lead_count) - lead_count).astype(np.int32),
        lead_count=lead_count.astype(np.int32),
        stuffer=stuffer,
        stuffed=stuffed,
        farmed=_farmed(lawful, fame),
        provider_gone=np.arange(count) % 2 == 1,
        broken=broken,
        tables=tables,
        lawful=lawful,
        shares=np.bincount(genre[tables[0, 0]], minlength=len(genres)) / SLOTS,
        ruled=world is not None,
    )


def _plain(spec: HistorySpec) -> pd.DataFrame:
    """Return films of which only what matters here is known."""
    rows = range(spec.films)
    return pd.DataFrame(
        {
            Film.ID: film_ids(rows),
            Film.GENRES: [[f"genre {1 + row * 7 % GENRES}"] for row in rows],
            Film.CAST: [[f"lead {1 + row // LEAD_GROUP}"] for row in rows],
            Film.STUDIOS: [[f"Studio {1 + row * 11 % STUDIOS}"] for row in rows],
            Film.AVAILABLE_REGIONS: [[] for _ in rows],
            Film.BLOCKED_REGIONS: [[] for _ in rows],
            Film.MINIMUM_AGE: 0,
            Film.RELEASE_DATE: pd.NaT,
        }
    )


def _coded(names: list[str]) -> Rows:
    codes: Rows = pd.factorize(np.array(names, dtype=object))[0].astype(np.int32)
    return codes


def _genres(lists: list[list[str]]) -> tuple[tuple[str, ...], npt.NDArray[np.int16], Words]:
    names = tuple(sorted({name for genres in lists for name in genres}))
    row = {name: place for place, name in enumerate(names)}
    first = np.array([row[genres[0]] if genres else 0 for genres in lists], dtype=np.int16)
    bits = np.array([sum(1 << row[name] for name in set(genres)) for genres in lists], dtype=np.uint64)
    return names, first, bits


def _released(frame: pd.DataFrame) -> Rows:
    dates = pd.to_datetime(frame[Film.RELEASE_DATE]).to_numpy("datetime64[D]")
    days: Rows = np.where(np.isnat(dates), NEVER, dates.astype(np.int64)).astype(np.int32)
    return days


def _stuffer(studios: list[str]) -> tuple[str, Rows]:
    """Return a studio of middling size, and its films."""
    sizes = pd.Series(studios).replace("", np.nan).value_counts()
    wanted = max(2.0, len(studios) / 75)
    order = sorted(sizes.items(), key=lambda item: (abs(item[1] - wanted), item[0]))
    name = str(order[0][0])
    return name, np.flatnonzero(np.array(studios, dtype=object) == name).astype(np.int32)


def _farmed(lawful: Flags, fame: npt.NDArray[np.float64]) -> int:
    """Return the least famous film that every region may show."""
    allowed = np.flatnonzero(lawful.all(axis=0))
    return int(allowed[np.argmin(fame[allowed])]) if len(allowed) else 0


def _lawful(frame: pd.DataFrame) -> Flags:
    regions = np.array(REGION_CODES)
    lawful = np.ones((len(regions), len(frame)), dtype=np.bool_)
    for row, (sold, blocked) in enumerate(zip(frame[Film.AVAILABLE_REGIONS], frame[Film.BLOCKED_REGIONS], strict=True)):
        if len(sold):
            lawful[:, row] = np.isin(regions, sold)
        if len(blocked):
            lawful[:, row] &= ~np.isin(regions, blocked)
    return lawful


def _tables(lawful: Flags, genre: npt.NDArray[np.int16], genres: int, fame: npt.NDArray[np.float64]) -> Rows:
    """Return tables from which a uniform place draws a film by its fame."""
    rules = np.unique(lawful, axis=0, return_inverse=True)
    found = np.empty((len(rules[0]), 1 + genres, SLOTS), dtype=np.int32)
    places = (np.arange(SLOTS) + 0.5) / SLOTS
    for rule, allowed in enumerate(rules[0]):
        everything = fame * allowed
        for one in range(1 + genres):
            weights = everything if one == 0 else everything * (genre == one - 1)
            # A genre of which a region may see nothing is drawn from all films.
            cumulated = np.cumsum(weights if weights.any() else everything)
            found[rule, one] = np.searchsorted(cumulated, places * cumulated[-1], side="right").clip(0, len(fame) - 1)
    tables: Rows = found[rules[1].reshape(-1)]
    return tables


def day_of(ordinals: Ints) -> Ints:
    """Return days since 1970 of proleptic ordinals."""
    return ordinals - 719_163
