"""The films as rows of the contract: the latent shelf, told and dated."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from data.synthetic.people import People
from data.synthetic.randomness import CELL, Dice, Draw, Ints, cells, generator
from data.synthetic.regions import MARKETS, RATING_LADDERS, REGION_CODES, REGIONS
from data.synthetic.shelf import Shelf, day_number
from data.synthetic.spec import WorldSpec
from data.synthetic.story import Premise, Story, tell
from data.synthetic.users import MICROSECONDS_PER_DAY
from data.synthetic.vocabulary import GENRES, countries, themes
from workspace.columns import Film

TEXT_DRAWS: Final = 96
PROVIDER: Final = "synthetic"
FRESH_SHARE: Final = 0.04
BLOCKED_REGION_SHARE: Final = 0.18
HARSHNESS_STEPS: Final = (-0.9, 0.1, 1.0, 2.3)
TEXT_LIST: Final = pa.list_(pa.string())

FILM_SCHEMA: Final = pa.schema(
    [
        (Film.ID, pa.string()),
        (Film.TITLE, pa.string()),
        (Film.ORIGINAL_TITLE, pa.string()),
        (Film.SYNOPSIS, pa.string()),
        (Film.TAGLINE, pa.string()),
        (Film.RELEASE_DATE, pa.timestamp("us")),
        (Film.GENRES, TEXT_LIST),
        (Film.KEYWORDS, TEXT_LIST),
        (Film.CAST, TEXT_LIST),
        (Film.DIRECTORS, TEXT_LIST),
        (Film.WRITERS, TEXT_LIST),
        (Film.STUDIOS, TEXT_LIST),
        (Film.COUNTRIES, TEXT_LIST),
        (Film.LANGUAGES, TEXT_LIST),
        (Film.COLLECTION, pa.string()),
        (Film.RUNTIME_MIN, pa.float64()),
        (Film.AGE_RATING, pa.string()),
        (Film.MINIMUM_AGE, pa.float64()),
        (Film.POPULARITY, pa.float64()),
        (Film.VOTE_AVERAGE, pa.float64()),
        (Film.VOTE_COUNT, pa.float64()),
        (Film.AVAILABLE_REGIONS, TEXT_LIST),
        (Film.BLOCKED_REGIONS, TEXT_LIST),
        (Film.PROVIDER, pa.string()),
        (Film.UPDATED_AT, pa.timestamp("us", tz="UTC")),
    ]
)


def film_ids(rows: range) -> list[str]:
    """Return the ids of these rows; their text order is their row order."""
    return [f"f{row + 1:07d}" for row in rows]


class Filmography:
    """Tells the films of a shelf, cell by cell.

    Args:
        spec: The world.
        shelf: Its latent films.
        people: Who makes them.
    """

    def __init__(self, spec: WorldSpec, shelf: Shelf, people: People) -> None:
        self._spec = spec
        self._shelf = shelf
        self._people = people
        self._available, self._blocked = _rights(spec)
        self.minimum_age, self._certificate = _certificates(shelf)
        continued = np.unique(shelf.base[shelf.base >= 0])
        self._continued = np.zeros(len(shelf), dtype=np.bool_)
        self._continued[continued] = True

    @property
    def lawful(self) -> npt.NDArray[np.bool_]:
        """Whether a film may be shown in a region, shape (n_regions, n_films)."""
        allowed: npt.NDArray[np.bool_] = (self._available & ~self._blocked).T
        return np.ascontiguousarray(allowed)

    def tables(self) -> Iterator[pa.Table]:
        """Yield the contract rows of each cell in order."""
        for cell, rows in cells(len(self._shelf)):
            yield self._table(cell, rows)

    def _table(self, cell: int, rows: range) -> pa.Table:
        uniforms = generator(self._spec.seed, Draw.TEXT, cell).random((CELL, TEXT_DRAWS))
        stories: dict[int, Story] = {}
        records = []
        for row in rows:
            dice = Dice(uniforms[row - rows.start].tolist())
            base = int(self._shelf.base[row])
            # A sequel's base lies in the same cell and before it.
            stories[row] = tell(self._premise(row, stories.get(base)), dice)
            records.append(self._record(row, stories[row], dice))
        columns: dict[str, Any] = {name: [record[name] for record in records] for name in records[0]}
        columns |= self._numbers(cell, rows)
        return pa.table(
            [pa.array(columns[name], type=FILM_SCHEMA.field(name).type) for name in Film.ALL], schema=FILM_SCHEMA
        )

    def _premise(self, row: int, previous: Story | None) -> Premise:
        shelf = self._shelf
        return Premise(
            themes=tuple(themes()[theme] for theme in shelf.theme[row].tolist() if theme >= 0),
            genres=tuple(GENRES[genre] for genre in shelf.genre[row].tolist() if genre >= 0),
            country=countries()[shelf.country[row, 0]],
            tone=tuple(shelf.tone[row].tolist()),
            year=1970 + int(shelf.release_day[row] / 365.25),
            director=self._people.names[shelf.crew[row, 0]],
            previous=previous,
        )

    def _record(self, row: int, story: Story, dice: Dice) -> dict[str, Any]:
        shelf, names = self._shelf, self._people.names
        made_in = [countries()[country] for country in shelf.country[row].tolist() if country >= 0]
        director, writer = shelf.crew[row].tolist()
        studios = [dice.pick(country.studios) for country in made_in]
        languages = [country.language for country in made_in[: 1 + dice.below(2)]]
        own_script = dice.chance(0.3)
        return {
            Film.TITLE: story.title,
            Film.ORIGINAL_TITLE: story.original_title,
            Film.SYNOPSIS: story.synopsis,
            Film.TAGLINE: story.tagline,
            Film.KEYWORDS: list(story.keywords),
            Film.GENRES: [GENRES[genre] for genre in shelf.genre[row].tolist() if genre >= 0],
            Film.CAST: [names[person] for person in shelf.cast[row].tolist() if person >= 0],
            Film.DIRECTORS: [names[director]],
            Film.WRITERS: [names[director if own_script else writer]],
            Film.STUDIOS: studios,
            Film.COUNTRIES: [country.code for country in made_in],
            Film.LANGUAGES: list(dict.fromkeys(languages)),
            Film.COLLECTION: f"{story.base_title} Collection" if story.collection or self._continued[row] else "",
            Film.AGE_RATING: self._certificate[row],
            Film.PROVIDER: PROVIDER,
            Film.AVAILABLE_REGIONS: _codes(self._available[row]),
            Film.BLOCKED_REGIONS: [
                code for code, blocked in zip(REGION_CODES, self._blocked[row], strict=True) if blocked
            ],
        }

    def _numbers(self, cell: int, rows: range) -> dict[str, Any]:
        """Return the measured columns of a cell."""
        rng = generator(self._spec.seed, Draw.SHELF, (1 << 40) + cell)
        part, shelf, end = slice(0, len(rows)), self._shelf, day_number(self._spec.end)
        here = slice(rows.start, rows.stop)
        quality, fame, release = shelf.quality[here], shelf.fame[here], shelf.release_day[here]
        tone = shelf.tone[here]
        animated = (shelf.genre[here] == GENRES.index("Animation")).any(axis=1)
        runtime = 104 + 9 * tone[:, 2] - 2 * tone[:, 1] - 14 * animated + 13 * rng.standard_normal(CELL)[part]
        age = np.maximum(end - release, 1)
        votes = (
            np.exp(4.6 + 1.15 * fame + 0.4 * rng.standard_normal(CELL)[part]) * np.clip(age / 365.25, 0.02, 1.0) ** 0.7
        )
        count = np.maximum(votes.astype(np.int64), 1)
        average = 6.3 + 0.85 * quality + 1.6 * rng.standard_normal(CELL)[part] / np.sqrt(count)
        heat = np.exp(0.9 * fame) * (1 + 6 * np.exp(-age / 60)) * rng.lognormal(0, 0.25, CELL)[part]
        updated = (rng.exponential(70.0, CELL)[part] * MICROSECONDS_PER_DAY).astype(np.int64) + 60_000_000
        fresh = rng.random(CELL)[part] < FRESH_SHARE
        updated = np.where(
            fresh, (rng.random(CELL)[part] * 0.98 * MICROSECONDS_PER_DAY).astype(np.int64) + 60_000_000, updated
        )
        # Nothing is updated before it is announced, about a year ahead of its release.
        announced = (release - 365) * MICROSECONDS_PER_DAY
        return {
            Film.ID: film_ids(rows),
            Film.RELEASE_DATE: release * MICROSECONDS_PER_DAY,
            Film.RUNTIME_MIN: np.clip(np.round(runtime), 62, 221),
            Film.MINIMUM_AGE: pa.array(self.minimum_age[here].astype(float), mask=self.minimum_age[here] < 0),
            Film.POPULARITY: np.round(heat, 3),
            Film.VOTE_AVERAGE: np.round(np.clip(average, 1.0, 9.6), 1),
            Film.VOTE_COUNT: count.astype(float),
            Film.UPDATED_AT: np.maximum(end * MICROSECONDS_PER_DAY - updated, announced),
        }


def _codes(available: npt.NDArray[np.bool_]) -> list[str]:
    """Return the regions a film is sold in; an empty list means everywhere."""
    return [] if available.all() else [code for code, here in zip(REGION_CODES, available, strict=True) if here]


def _rights(spec: WorldSpec) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return (sold, legally blocked) by film and region, shape (n_films, n_regions) each."""
    market = np.array([MARKETS.index(region.market) for region in REGIONS])
    sold, blocked = [], []
    for cell, rows in cells(spec.films):
        rng = generator(spec.seed, Draw.SHELF, (1 << 41) + cell)
        partial = rng.random((CELL, 1)) < spec.partial_share
        absent = rng.integers(0, len(MARKETS), (CELL, 1))
        hit = rng.random((CELL, len(REGIONS))) < BLOCKED_REGION_SHARE
        # A block always falls on one region at least.
        hit[np.arange(CELL), rng.integers(0, len(REGIONS), CELL)] = True
        law = (rng.random((CELL, 1)) < spec.blocked_share) & hit
        sold.append(~(partial & (market[None, :] == absent))[: len(rows)])
        blocked.append(law[: len(rows)])
    return np.concatenate(sold), np.concatenate(blocked)


def _certificates(shelf: Shelf) -> tuple[Ints, list[str]]:
    """Return (minimum age, -1 where no certificate; label such as ``FSK 12``) of each film."""
    level = np.searchsorted(HARSHNESS_STEPS, shelf.harshness)
    ages, labels = np.full(len(shelf), -1, dtype=np.int64), []
    for row, (country, step) in enumerate(zip(shelf.country[:, 0].tolist(), level.tolist(), strict=True)):
        system = countries()[country].rating
        ladder = RATING_LADDERS[system]
        if ladder:
            label, ages[row] = ladder[step]
            labels.append(f"{system} {label}")
        else:
            labels.append("")
    return ages, labels
