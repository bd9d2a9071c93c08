"""Attacks on a catalogue's metadata, injected to measure how many of them an audit finds; never part of a world.

Each attack is what a studio could do that wants its film recommended more often than its content earns:

* *keyword append*: 8 to 16 of the catalogue's most frequent keywords on top of the film's own;
* *genre stuffing*: 4 to 8 further genres;
* *mimicry*: keywords, genres, cast, directors and text of one of the most popular films, under the film's own title;
* *paraphrase*: the same film's genres and half of its keywords, its text told in other words.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import pandas as pd

from workspace.checks import check_scalar
from workspace.columns import Film
from workspace.errors import InvalidValueError

AttackKind = Literal["keyword_append", "genre_stuffing", "mimicry", "paraphrase"]
KINDS: Final[tuple[AttackKind, ...]] = get_args(AttackKind)
SHARES: Final = (0.001, 0.002, 0.005, 0.01)
"""Shares of the catalogue an evaluation attacks."""

APPENDED: Final = (8, 16)
STUFFED_GENRES: Final = (4, 8)
POPULAR_KEYWORDS: Final = 40
POPULAR_SHARE: Final = 0.02
LARGEST_SHARE: Final = 0.5

_WORD: Final = re.compile(r"[A-Za-z]+")
_SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
_SYNONYMS: Final = (
    "film movie picture", "story tale account", "man fellow", "woman lady", "young youthful", "old aged elderly",
    "love affection passion", "war conflict", "tries attempts seeks", "finds discovers uncovers", "life existence",
    "death demise", "city town", "village hamlet", "house home dwelling", "secret mystery", "learns realises",
    "begins starts commences", "ends finishes concludes", "knows understands", "small little", "big large great",
    "strange odd peculiar", "dangerous perilous risky", "killer murderer", "police constables", "friend companion",
    "enemy foe rival", "family kin", "child kid", "father dad", "mother mum", "money cash fortune", "job task",
    "night evening", "road way path", "against opposite", "keep hold retain", "leave quit abandon", "save rescue",
    "steal rob lift", "help aid assist", "hide conceal", "last final", "first earliest", "only merely just",
    "people folk", "world globe", "truth facts", "plan scheme", "fight battle struggle", "journey trip voyage",
    "turns changes", "follows trails", "asks demands", "wants desires wishes", "sea ocean", "mountain peak",
    "forest woods", "until till", "while as", "but yet", "into inside", "meets encounters", "together jointly",
    "quietly silently", "nobody none", "must should", "each every", "before until", "takes seizes", "between amid",
    "named called", "side flank", "makes crafts", "keeps holds", "loses forfeits", "dead lifeless", "remembers recalls",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Attacked:
    """A catalogue with an attack in it, and the truth about it.

    Args:
        kind: Which attack.
        films: Columns `Film.ALL`, the rows in the order given.
        film_ids: The films that were changed.
        models: Whom a mimicry or a paraphrase copies, by film id.
    """

    kind: AttackKind
    films: pd.DataFrame
    film_ids: tuple[str, ...]
    models: Mapping[str, str]


def attack(films: pd.DataFrame, kind: AttackKind, *, share: float, seed: int) -> Attacked:
    """Return the films with a share of them manipulated; the same arguments give the same films.

    Args:
        films: Columns `Film.ALL`.
        kind: The attack.
        share: Share of the films, in (0, 0.5]; one film at least.
        seed: Of which films, and how.

    Raises:
        InvalidValueError: When the kind is unknown or the share outside its limits, or there are too few films.
    """
    if kind not in KINDS:
        raise InvalidValueError(f"attack == {kind!r}", f"must be one of {', '.join(KINDS)}")
    check_scalar(share, "share", gt=0, le=LARGEST_SHARE)
    check_scalar(seed, "seed", ge=0)
    check_scalar(len(films), "films", ge=10, hint="an attack hides among others")
    rng = np.random.default_rng([seed, KINDS.index(kind)])
    popular = _popular(films)
    victims = np.setdiff1d(np.arange(len(films)), popular)
    chosen = np.sort(rng.choice(victims, max(1, round(share * len(films))), replace=False))
    rows = films.to_dict("records")
    shelf = _Shelf(rows, popular, rng)
    models: dict[str, str] = {}
    for place in chosen.tolist():
        changed, model = _ATTACKS[kind](shelf, rows[place])
        models |= {rows[place][Film.ID]: model} if model else {}
        rows[place] = rows[place] | changed
    ids = tuple(rows[place][Film.ID] for place in chosen.tolist())
    changed_films = films.copy()
    for column in (Film.KEYWORDS, Film.GENRES, Film.CAST, Film.DIRECTORS, Film.SYNOPSIS, Film.TAGLINE):
        cells = [row[column] for row in rows]
        changed_films[column] = pd.Series(cells, dtype=films[column].dtype, index=films.index)
    return Attacked(kind=kind, films=changed_films, film_ids=ids, models=models)


def _popular(films: pd.DataFrame) -> np.ndarray[Any, Any]:
    """Return the most popular films that have a text to copy; without popularity, those with most votes."""
    fame = films[Film.POPULARITY].fillna(films[Film.VOTE_COUNT]).fillna(0.0).to_numpy(np.float64)
    told = (films[Film.SYNOPSIS].str.len() > 0).to_numpy() & (films[Film.KEYWORDS].map(len) > 1).to_numpy()
    ranked = np.lexsort((np.arange(len(films)), -fame, ~told))
    return ranked[: max(3, round(POPULAR_SHARE * len(films)))]


class _Shelf:
    """What the attacks draw from."""

    def __init__(self, rows: list[dict[str, Any]], popular: np.ndarray[Any, Any], rng: np.random.Generator) -> None:
        self.rng = rng
        self.models = [rows[place] for place in popular.tolist()]
        counts = Counter(word for row in rows for word in row[Film.KEYWORDS])
        self.keywords = [word for word, _ in counts.most_common(POPULAR_KEYWORDS)]
        genres = Counter(genre for row in rows for genre in row[Film.GENRES])
        self.genres = [genre for genre, _ in genres.most_common()]

    def further(self, known: list[str], pool: list[str], bounds: tuple[int, int]) -> list[str]:
        """Return the known names and a number of others, mixed in as an editor would leave them: at the end."""
        others = [name for name in pool if name not in known]
        count = min(int(self.rng.integers(bounds[0], bounds[1] + 1)), len(others))
        chosen = self.rng.choice(len(others), count, replace=False)
        return [*known, *(others[place] for place in chosen.tolist())]

    def model(self) -> dict[str, Any]:
        """Return one of the popular films."""
        chosen: dict[str, Any] = self.models[int(self.rng.integers(len(self.models)))]
        return chosen


def _keyword_append(shelf: _Shelf, film: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    return {Film.KEYWORDS: shelf.further(film[Film.KEYWORDS], shelf.keywords, APPENDED)}, ""


def _genre_stuffing(shelf: _Shelf, film: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    return {Film.GENRES: shelf.further(film[Film.GENRES], shelf.genres, STUFFED_GENRES)}, ""


def _mimicry(shelf: _Shelf, _: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    model = shelf.model()
    copied = (Film.KEYWORDS, Film.GENRES, Film.CAST, Film.DIRECTORS, Film.SYNOPSIS, Film.TAGLINE)
    return {column: model[column] for column in copied}, model[Film.ID]


def _paraphrase(shelf: _Shelf, film: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    model = shelf.model()
    words = list(model[Film.KEYWORDS])
    taken = [words[place] for place in sorted(shelf.rng.permutation(len(words))[: -(-len(words) // 2)].tolist())]
    return {
        Film.SYNOPSIS: reworded(model[Film.SYNOPSIS], shelf.rng),
        Film.GENRES: model[Film.GENRES],
        Film.KEYWORDS: list(dict.fromkeys([*taken, *film[Film.KEYWORDS][:2]])),
    }, model[Film.ID]


_ATTACKS: Final[Mapping[AttackKind, Callable[[_Shelf, Mapping[str, Any]], tuple[dict[str, Any], str]]]] = {
    "keyword_append": _keyword_append,
    "genre_stuffing": _genre_stuffing,
    "mimicry": _mimicry,
    "paraphrase": _paraphrase,
}


def _thesaurus() -> dict[str, list[str]]:
    out: dict[str, list[str]] = {}
    for group in (entry.split() for entry in _SYNONYMS):
        out |= {word: [other for other in group if other != word] for word in group}
    return out


_OTHERS: Final = _thesaurus()


def reworded(text: str, rng: np.random.Generator) -> str:
    """Return a text in other words: synonyms where one is known, names cut to initials, sentences in another order."""

    def other(match: re.Match[str]) -> str:
        word = match.group()
        found = _OTHERS.get(word.lower())
        if found:
            return found[int(rng.integers(len(found)))]
        return f"{word[0]}." if word[0].isupper() and match.start() and text[match.start() - 2] not in ".!?" else word

    told = [one for one in _SENTENCE.split(_WORD.sub(other, text)) if one]
    return " ".join(told[place] for place in rng.permutation(len(told)).tolist())
