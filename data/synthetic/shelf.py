"""The latent side of the films: what each one is about, where and when it was made, how good and how known it is."""

from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from typing import Final

import numpy as np

from data.synthetic.people import People, Trade
from data.synthetic.randomness import CELL, Draw, Floats, Ints, cells, choose_rows, generator
from data.synthetic.spec import WorldSpec
from data.synthetic.vocabulary import GENRES, countries, themes

CAST: Final = 6
HIDDEN: Final = 4
FIRST_YEAR: Final = 1950
NEW_SHARE: Final = 0.13
SEQUEL_SHARE: Final = 0.12
HOME_BOOST: Final = 8.0
LONGEST_SERIES: Final = 3
OWN_SECOND_GENRE: Final = 0.75
BORROWED_GENRE: Final = 0.4
ANIMATED: Final = 0.4
DOCUMENTED_FROM: Final = 0.965
CO_PRODUCTION: Final = 0.14
THIRD_THEME: Final = 0.35
SAME_CREW: Final = 0.7
EPOCH: Final = date(1970, 1, 1)

# How light, fast, large and dreamlike a genre usually is, each from -1 to 1.
GENRE_TONES: Final = {
    "Action": (0.0, 1.2, 0.5, 0.0),
    "Adventure": (0.5, 0.7, 0.9, 0.2),
    "Animation": (0.9, 0.4, 0.0, 0.7),
    "Comedy": (1.2, 0.3, -0.4, 0.0),
    "Crime": (-0.8, 0.4, -0.1, -0.6),
    "Documentary": (-0.1, -0.7, 0.0, -1.2),
    "Drama": (-0.4, -0.7, -0.5, -0.3),
    "Family": (1.2, 0.2, 0.0, 0.2),
    "Fantasy": (0.3, 0.2, 0.7, 1.0),
    "History": (-0.3, -0.4, 0.9, -0.4),
    "Horror": (-1.2, 0.3, -0.3, 0.8),
    "Music": (0.5, 0.0, -0.2, 0.1),
    "Mystery": (-0.5, -0.2, -0.3, 0.4),
    "Romance": (0.4, -0.4, -0.6, 0.0),
    "Science Fiction": (-0.2, 0.4, 0.6, 0.6),
    "Thriller": (-0.8, 0.9, -0.1, 0.0),
    "War": (-1.0, 0.5, 1.0, -0.5),
    "Western": (-0.3, 0.1, 0.6, -0.2),
}
TONES: Final = np.array([GENRE_TONES[genre] for genre in GENRES])
HARSHNESS: Final = {
    "Horror": 2.0,
    "War": 1.3,
    "Crime": 1.2,
    "Thriller": 1.2,
    "Action": 0.7,
    "Western": 0.7,
    "Drama": 0.5,
    "Mystery": 0.6,
    "Family": -2.0,
    "Animation": -0.9,
    "Comedy": -0.1,
    "Music": 0.0,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Latent arrays of the films, one row a film; -1 where there is none.

    Attributes:
        theme: Themes, the main one first, shape (n, 3).
        genre: Genres, the main one first, shape (n, 4).
        country: Countries, the main one first, shape (n, 2).
        tone: Light, pace, scale, dream; shape (n, 4).
        quality: Standard normal.
        fame: How well known for its age, about standard normal with a heavy right tail.
        hidden: What no description tells, shape (n, 4).
        harshness: Drives the age rating, about -2 to 3.
        release_day: Days since 1970-01-01.
        base: Row of the film this one continues.
        part: 1 for a first or only film, 2 and 3 for its sequels.
        crew: Director and writer, shape (n, 2).
        cast: Actors in order of billing, shape (n, 6).
        burst_day: Day when the film is talked about again, days since 1970-01-01.
    """

    theme: Ints
    genre: Ints
    country: Ints
    tone: Floats
    quality: Floats
    fame: Floats
    hidden: Floats
    harshness: Floats
    release_day: Ints
    base: Ints
    part: Ints
    crew: Ints
    cast: Ints
    burst_day: Ints

    def __len__(self) -> int:
        return len(self.quality)

    @classmethod
    def stock(cls, spec: WorldSpec, people: People) -> "Shelf":
        """Return all films of a world."""
        parts = [_stock_cell(spec, people, cell, rows) for cell, rows in cells(spec.films)]
        return cls(**{field.name: np.concatenate([part[field.name] for part in parts]) for field in fields(cls)})


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to ``day``."""
    return (day - EPOCH).days


@cache
def _companions() -> Floats:
    """Return how well two themes go together, shape (n_themes, n_themes); a theme does not accompany itself."""
    member = np.array([[genre in theme.genres for genre in GENRES] for theme in themes()], dtype=float)
    together: Floats = 0.05 + member @ member.T
    np.fill_diagonal(together, 0)
    return together


@cache
def _theme_by_country() -> Floats:
    """Return the weight of each theme in each country, shape (n_countries, n_themes)."""
    weight = np.ones((len(countries()), len(themes())))
    for column, theme in enumerate(themes()):
        if theme.homes:
            weight[:, column] = [HOME_BOOST if country.code in theme.homes else 0.12 for country in countries()]
    return weight


def _genres(main: Ints, second: Ints, uniforms: Floats) -> Ints:
    """Return up to four genres a film from its themes, shape (n, 4)."""
    rows = np.full((len(main), 4), -1, dtype=np.int64)
    plain = {"Documentary", "Animation"}
    for row, (first, other) in enumerate(zip(main.tolist(), second.tolist(), strict=True)):
        draw = uniforms[row]
        own, company = themes()[first].genres, themes()[other].genres
        lead = own[min(int(draw[0] ** 1.6 * len(own)), len(own) - 1)]
        names = [lead]
        if draw[1] < OWN_SECOND_GENRE and len(own) > 1:
            names.append(own[int(draw[2] * len(own))])
        if draw[3] < BORROWED_GENRE:
            names.append(company[int(draw[4] * len(company))])
        if lead in {"Family", "Fantasy"} and draw[5] < ANIMATED:
            names.insert(1, "Animation")
        elif draw[5] > DOCUMENTED_FROM and lead not in {"Horror", "Fantasy", "Science Fiction", "Family", "Animation"}:
            names = ["Documentary", *[name for name in names if name in {"History", "Music", "Drama", "Crime", "War"}]]
        unique = [name for name in dict.fromkeys(names) if name == names[0] or name not in plain or "Family" in names]
        rows[row, : len(unique[:4])] = [GENRES.index(name) for name in unique[:4]]
    return rows


def _people(people: People, country: Ints, theme: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return (crew (n, 2), cast (n, 6)): people stay with their subjects, and a few are in everything."""

    def hire(trade: Trade, seats: int, loyalty: float) -> Ints:
        start, size = people.starts[country, trade][:, None], people.sizes[country, trade][:, None]
        shape = (len(country), seats)
        # Each subject has its own stretch of the pool; u squared makes some of its people busier than others.
        stretch = (theme[:, None] + 1.6 * rng.random(shape) ** 2) / (len(themes()) + 1)
        anyone = rng.random(shape) ** 1.5
        place = np.where(rng.random(shape) < loyalty, stretch, anyone)
        hired: Ints = start + np.minimum((place * size).astype(np.int64), size - 1)
        return hired

    crew = np.concatenate([hire(Trade.DIRECTOR, 1, 0.8), hire(Trade.WRITER, 1, 0.7)], axis=1)
    cast = hire(Trade.ACTOR, CAST + 3, 0.6)
    # Nobody is billed twice: keep the first six different actors, -1 where a small pool ran out.
    seated = np.full((len(country), CAST), -1, dtype=np.int64)
    for row, names in enumerate(cast.tolist()):
        different = list(dict.fromkeys(names))[:CAST]
        seated[row, : len(different)] = different
    return crew, seated


def _release_days(spec: WorldSpec, rng: np.random.Generator) -> Ints:
    end, start = day_number(spec.end), day_number(spec.start)
    first = day_number(date(FIRST_YEAR, 1, 1))
    new = rng.random(CELL) < NEW_SHARE
    recent = rng.integers(start, end - 1, CELL)
    # Catalogues thin out with age: half of the older films are of the last twelve years.
    past = start - (rng.gamma(1.25, 14.0, CELL) * 365.25).astype(np.int64)
    wrapped = np.where(past < first, first + rng.integers(0, start - first, CELL), past)
    days: Ints = np.where(new, recent, wrapped)
    return days


def _stock_cell(spec: WorldSpec, people: People, cell: int, rows: range) -> dict[str, Ints | Floats]:
    """Draw one cell whole, then cut it, so that a film is the same however many follow it in the cell."""
    rng = generator(spec.seed, Draw.FILM, cell)
    shares = np.array([country.share for country in countries()])
    country = choose_rows(shares, rng.random(CELL))
    abroad = np.where(rng.random(CELL) < CO_PRODUCTION, choose_rows(shares, rng.random(CELL)), -1)
    main = choose_rows(_theme_by_country()[country], rng.random(CELL))
    second = choose_rows(_companions()[main], rng.random(CELL))
    third = np.where(rng.random(CELL) < THIRD_THEME, choose_rows(_companions()[second], rng.random(CELL)), -1)
    third = np.where(third == main, -1, third)
    genre = _genres(main, second, rng.random((CELL, 6)))
    lead = TONES[genre[:, 0]]
    next_ = np.where(genre[:, 1:2] >= 0, TONES[genre[:, 1]], lead)
    tone = 0.6 * lead + 0.3 * next_ + 0.65 * rng.standard_normal((CELL, 4))
    quality = rng.standard_normal(CELL)
    fame = 0.35 * quality + 0.25 * (country == 0) + 0.9 * rng.gumbel(-0.577, 0.78, CELL)
    crew, cast = _people(people, country, main, rng)
    harsh = np.array([HARSHNESS.get(name, 0.2) for name in GENRES])
    drawn: dict[str, Ints | Floats] = {
        "theme": np.stack([main, second, third], axis=1),
        "genre": genre,
        "country": np.stack([country, np.where(abroad == country, -1, abroad)], axis=1),
        "tone": tone,
        "quality": quality,
        "fame": fame,
        "hidden": rng.standard_normal((CELL, HIDDEN)),
        "harshness": harsh[genre[:, 0]]
        + 0.4 * harsh[np.maximum(genre[:, 1], 0)]
        - 0.35 * tone[:, 0]
        + 0.5 * rng.standard_normal(CELL),
        "release_day": _release_days(spec, rng),
        "base": np.full(CELL, -1),
        "part": np.ones(CELL, dtype=np.int64),
        "crew": crew,
        "cast": cast,
        "burst_day": rng.integers(day_number(spec.start), day_number(spec.end), CELL),
    }
    _continue_stories(drawn, rows.start, rng, day_number(spec.end))
    return {name: values[: len(rows)] for name, values in drawn.items()}


def _continue_stories(drawn: dict[str, Ints | Floats], first_row: int, rng: np.random.Generator, end_day: int) -> None:
    """Turn some films of the cell, in place, into sequels of an earlier one; a trilogy at most."""
    documentary = GENRES.index("Documentary")
    wanted, candidates, years, stay = (rng.random(CELL) for _ in range(4))
    continued: set[int] = set()
    for row in np.flatnonzero(wanted < SEQUEL_SHARE).tolist():
        base = int(candidates[row] * row)
        release = int(drawn["release_day"][base] + 365.25 * (1.5 + 4.5 * years[row]))
        unsuited = drawn["part"][base] >= LONGEST_SERIES or drawn["genre"][base, 0] == documentary or base in continued
        if row == 0 or unsuited or release >= end_day - 1:
            continue
        continued.add(base)
        for name in ("theme", "genre", "country"):
            drawn[name][row] = drawn[name][base]
        drawn["tone"][row] = 0.85 * drawn["tone"][base] + 0.15 * drawn["tone"][row]
        drawn["quality"][row] = 0.5 * drawn["quality"][base] + 0.75 * drawn["quality"][row] - 0.3
        drawn["fame"][row] = max(drawn["fame"][row], 0.8 * drawn["fame"][base])
        drawn["harshness"][row] = drawn["harshness"][base]
        drawn["release_day"][row] = release
        drawn["crew"][row] = drawn["crew"][base] if stay[row] < SAME_CREW else drawn["crew"][row]
        drawn["cast"][row, :3] = drawn["cast"][base, :3]
        repeated = np.isin(drawn["cast"][row, 3:], drawn["cast"][row, :3])
        drawn["cast"][row, 3:][repeated] = -1
        drawn["base"][row], drawn["part"][row] = first_row + base, drawn["part"][base] + 1
