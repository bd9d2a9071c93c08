"""Groups of films, and where a name comes from.

A film's group on each axis is read from its catalogue entry. The origin of a cast is read from its names alone, by the
same vocabulary that names the personas, so that it says what a reader of the names would think, never who somebody is.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.plan import CAST_ORIGIN, CROSS, ERA, FILM_AXES, LANGUAGE, ORIGIN_COUNTRY, STUDIO_SIZE
from data.synthetic.vocabulary import cultures
from workspace.columns import Film
from workspace.errors import InvalidValueError, UnknownError

Codes = npt.NDArray[np.int64]

UNKNOWN: Final = "unknown"
ORIGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "anglophone": ("english",),
    "african_american": ("african_american",),
    "western_european": ("french", "german", "italian", "nordic", "dutch"),
    "latin": ("spanish", "brazilian"),
    "slavic": ("russian", "polish"),
    "central_asian": ("central_asian",),
    "east_asian": ("japanese", "korean", "chinese"),
    "south_asian": ("indian",),
    "middle_eastern": ("arabic", "persian", "turkish"),
    "african": ("nigerian",),
}
"""Cultures of the vocabulary by the group their names are counted to."""
SMALL_STUDIO_FILMS: Final = 2
_DECADE: Final = 10
_TERCILES: Final = (1 / 3, 2 / 3)
_LEAST_WORDS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmGroups:
    """The group of every film on every axis.

    Args:
        axes: ``{axis: (codes, names)}``: codes of shape ``(n_films,)`` into names; −1 is unknown.
        notes: How an axis was cut, in words, where a name alone does not say it.
    """

    axes: Mapping[str, tuple[Codes, tuple[str, ...]]]
    notes: Mapping[str, str] = field(default_factory=dict)

    def of(self, axis: str) -> tuple[Codes, tuple[str, ...]]:
        """Return codes and names of an axis.

        Raises:
            UnknownError: For an axis that was not asked for.
        """
        if axis not in self.axes:
            raise UnknownError(
                f"film axis == {axis!r}", "must be one of the plan", f"there are: {', '.join(self.axes)}"
            )
        return self.axes[axis]

    def rows(self, axis: str, group: str) -> Codes:
        """Return the rows of a group's films.

        Raises:
            UnknownError: For an axis or a group that is not there.
        """
        codes, names = self.of(axis)
        return np.flatnonzero(codes == group_code(names, group, axis))

    def counts(self, axis: str) -> dict[str, int]:
        """Return how many films each group has, those of unknown group last."""
        codes, names = self.of(axis)
        found = np.bincount(codes + 1, minlength=len(names) + 1).tolist()
        return {**dict(zip(names, found[1:], strict=True)), UNKNOWN: found[0]}


def film_groups(
    films: pd.DataFrame, axes: Sequence[str], extra: Mapping[str, Mapping[str, str]] | None = None
) -> FilmGroups:
    """Group films.

    Args:
        films: Films of the contract, n of them; codes keep their order.
        axes: Of `audit.plan.FILM_AXES`, or of ``extra``.
        extra: More axes: ``{axis: {film_id: group}}``; a film that is not named is unknown.

    Returns:
        The groups, each axis sorted by name (eras by time, sizes by size).

    Raises:
        InvalidValueError: For an axis nobody knows.
    """
    given = dict(extra or {})
    found: dict[str, tuple[Codes, tuple[str, ...]]] = {}
    notes: dict[str, str] = {}
    for axis in dict.fromkeys(axes):
        if axis in given:
            found[axis] = coded([given[axis].get(film) for film in films[Film.ID]])
        elif axis == STUDIO_SIZE:
            found[axis], notes[axis] = _studio_sizes(films)
        elif axis in _LABELS:
            found[axis] = coded(_LABELS[axis](films))
        else:
            raise InvalidValueError(f"film axis == {axis!r}", f"must be one of {', '.join((*FILM_AXES, *given))}")
    return FilmGroups(axes=found, notes=notes)


def coded(labels: Sequence[str | None], order: Sequence[str] | None = None) -> tuple[Codes, tuple[str, ...]]:
    """Turn labels into codes.

    Args:
        labels: One a unit; None or empty is unknown.
        order: The order of the names; by name when None. Names that do not occur are left out.

    Returns:
        Codes of shape ``(n,)``, −1 for unknown, and the names.

    Example:
        >>> coded(["b", None, "a", "b"])
        (array([ 1, -1,  0,  1]), ('a', 'b'))
    """
    present = {label for label in labels if label}
    names = tuple(sorted(present)) if order is None else tuple(name for name in order if name in present)
    place = {name: code for code, name in enumerate(names)}
    return np.array([place.get(label, -1) if label else -1 for label in labels], np.int64), names


def crossed(parts: Sequence[tuple[Codes, tuple[str, ...]]]) -> tuple[Codes, tuple[str, ...]]:
    """Return the intersection of several axes: values joined by `CROSS`; unknown where any part is unknown."""
    values = [np.array([*names, ""], dtype=object)[codes] for codes, names in parts]
    labels = [CROSS.join(row) if all(row) else None for row in zip(*values, strict=True)]
    order = [""]
    for position, (_, names) in enumerate(parts):
        order = [f"{before}{CROSS if position else ''}{name}" for before in order for name in names]
    return coded(labels, order)


def group_code(names: Sequence[str], group: str, axis: str) -> int:
    """Return the code of a group.

    Raises:
        UnknownError: When no unit has it; the hint names those that occur.
    """
    if group not in names:
        there = ", ".join(names) or "none: every unit is of unknown group"
        raise UnknownError(f"{axis} == {group!r}", "must be a group that occurs", f"there are: {there}")
    return list(names).index(group)


def name_origin(name: str) -> str | None:
    """Return the group a full name is counted to, or None where the vocabulary does not decide it.

    Given and family name must both be of one culture: a given name alone is worn all over the world.

    Example:
        >>> name_origin("Misaki Ueda"), name_origin("Bae Ji-soo"), name_origin("Ueda")
        ('east_asian', 'east_asian', None)
    """
    words = [word for word in name.split() if not word.endswith(".")]  # middle initials keep namesakes apart
    if len(words) < _LEAST_WORDS:
        return None
    given, family = _cultures_of()
    nobody: frozenset[str] = frozenset()
    first, last = words[0], words[-1]
    plain = {one for one in given.get(first, nobody) & family.get(last, nobody) if not cultures()[one].family_first}
    turned = {one for one in given.get(last, nobody) & family.get(first, nobody) if cultures()[one].family_first}
    groups = {_group_of()[one] for one in plain | turned if one in _group_of()}
    return groups.pop() if len(groups) == 1 else None


def cast_origin(cast: Sequence[str]) -> str | None:
    """Return the group most of a cast's names are counted to, by billing where two are equal; None for none."""
    origins = [origin for name in cast if (origin := name_origin(name)) is not None]
    counts = Counter(origins)  # keeps the order of billing, and most_common is stable
    return counts.most_common(1)[0][0] if counts else None


@cache
def _group_of() -> dict[str, str]:
    return {culture: group for group, members in ORIGINS.items() for culture in members}


@cache
def _cultures_of() -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
    """Return the cultures that wear each given name, and each family name."""
    given: dict[str, set[str]] = {}
    family: dict[str, set[str]] = {}
    for name, culture in cultures().items():
        for word in (*culture.women, *culture.men):
            given.setdefault(word, set()).add(name)
        for word in culture.family:
            family.setdefault(word, set()).add(name)
    return _frozen(given), _frozen(family)


def _frozen(names: Mapping[str, set[str]]) -> dict[str, frozenset[str]]:
    return {word: frozenset(worn) for word, worn in names.items()}


def _first(column: str) -> Callable[[pd.DataFrame], list[str | None]]:
    return lambda films: [str(values[0]) if len(values) else None for values in films[column]]


def _decades(films: pd.DataFrame) -> list[str | None]:
    years = pd.to_datetime(films[Film.RELEASE_DATE]).dt.year
    return [None if pd.isna(year) else f"{int(year) // _DECADE * _DECADE}s" for year in years]


def _studio_sizes(films: pd.DataFrame) -> tuple[tuple[Codes, tuple[str, ...]], str]:
    """Cut films by how many films of the catalogue their first studio made: a third of the films each, about.

    A studio of at most two films is small whatever the terciles say.
    """
    studios = _first(Film.STUDIOS)(films)
    made = Counter(studio for studio in studios if studio)
    sizes = [made[studio] for studio in studios if studio]
    if not sizes:
        return coded([None] * len(films)), "no film names a studio"
    low, high = (int(value) for value in np.quantile(sizes, _TERCILES, method="lower"))
    low = max(low, SMALL_STUDIO_FILMS)
    high = max(high, low)
    names = ("small", "mid", "large")
    labels = [names[(made[one] > low) + (made[one] > high)] if one else None for one in studios]
    note = f"small: first studio with at most {low} films here; mid: at most {high}; large: more"
    return coded(labels, names), note


_LABELS: Final[Mapping[str, Callable[[pd.DataFrame], Sequence[str | None]]]] = {
    ORIGIN_COUNTRY: _first(Film.COUNTRIES),
    LANGUAGE: _first(Film.LANGUAGES),
    CAST_ORIGIN: lambda films: [cast_origin(cast) for cast in films[Film.CAST]],
    ERA: _decades,
}
