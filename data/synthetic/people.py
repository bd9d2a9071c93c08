"""The people who make films: one pool a country and trade, with names of that country's cultures."""

from dataclasses import dataclass
from enum import IntEnum
from math import ceil, gcd
from typing import Final

import numpy as np

from data.synthetic.randomness import Draw, Ints, generator
from data.synthetic.vocabulary import Culture, countries, cultures


class Trade(IntEnum):
    """What a person does on a film."""

    DIRECTOR = 0
    ACTOR = 1
    WRITER = 2


PEOPLE_PER_FILM: Final = {Trade.DIRECTOR: 0.2, Trade.ACTOR: 0.8, Trade.WRITER: 0.3}
SMALLEST_POOL: Final = {Trade.DIRECTOR: 4, Trade.ACTOR: 14, Trade.WRITER: 5}
MIDDLE: Final = "ABCDEFGHJKLMNPRSTVWZ"


def _numbered_name(culture: Culture, number: int) -> str:
    """Return the ``number``-th name of a culture; a stride through all pairs, so that no two numbers share a name."""
    given = culture.women + culture.men
    pairs = len(given) * len(culture.family)
    stride = next(step for step in range(int(pairs * 0.618), 2 * pairs) if gcd(step, pairs) == 1)
    round_, index = divmod(number, pairs)
    first, family = divmod(index * stride % pairs, len(culture.family))
    initials = ""
    # Beyond all pairs a middle initial keeps namesakes apart, as film credits do.
    while round_ > 0:
        round_, letter = divmod(round_ - 1, len(MIDDLE))
        initials += f" {MIDDLE[letter]}."
    return culture.full_name(given[first] + initials, culture.family[family])


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """Everyone who works on films.

    Attributes:
        names: Name of each person, the row is the person's id.
        starts: First id of the pool of a country and trade, shape (n_countries, 3).
        sizes: Size of that pool, shape (n_countries, 3).
    """

    names: list[str]
    starts: Ints
    sizes: Ints

    @classmethod
    def hire(cls, *, seed: int, films: int) -> "People":
        """Return the pools for a catalogue of this many films."""
        names: list[str] = []
        starts = np.zeros((len(countries()), len(Trade)), dtype=np.int64)
        sizes = np.zeros_like(starts)
        counts = dict.fromkeys(cultures(), 0)
        for row, country in enumerate(countries()):
            rng = generator(seed, Draw.PEOPLE, row)
            shares = np.array(list(country.cultures.values()))
            for trade in Trade:
                size = max(SMALLEST_POOL[trade], ceil(films * country.share * PEOPLE_PER_FILM[trade]))
                starts[row, trade], sizes[row, trade] = len(names), size
                for culture in rng.choice(list(country.cultures), size=size, p=shares / shares.sum()):
                    names.append(_numbered_name(cultures()[culture], counts[culture]))
                    counts[culture] += 1
        return cls(names=names, starts=starts, sizes=sizes)
