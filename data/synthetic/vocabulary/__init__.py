"""The words of the world, read once from the TOML files beside this module."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Final

GENRES: Final = (
    "Action",
    "Adventure",
    "Animation",
    "Comedy",
    "Crime",
    "Documentary",
    "Drama",
    "Family",
    "Fantasy",
    "History",
    "Horror",
    "Music",
    "Mystery",
    "Romance",
    "Science Fiction",
    "Thriller",
    "War",
    "Western",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """What a film is about, with its phrases."""

    name: str
    genres: tuple[str, ...]
    keywords: tuple[str, ...]
    roles: tuple[str, ...]
    hooks: tuple[str, ...]
    turns: tuple[str, ...]
    nouns: tuple[str, ...]
    homes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Culture:
    """Names of people; ``family_first`` puts the family name in front."""

    women: tuple[str, ...]
    men: tuple[str, ...]
    family: tuple[str, ...]
    family_first: bool = False

    def full_name(self, given: str, family: str) -> str:
        """Return the name as it is written in this culture."""
        return f"{family} {given}" if self.family_first else f"{given} {family}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Country:
    """A country films come from."""

    code: str
    name: str
    share: float
    language: str
    cultures: dict[str, float]
    rating: str
    places: tuple[str, ...]
    studios: tuple[str, ...]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def themes() -> tuple[Theme, ...]:
    """Return all themes in the order of their file."""
    return tuple(
        Theme(name=name, **{key: tuple(value) for key, value in entry.items()})
        for name, entry in _read("themes").items()
    )


@cache
def cultures() -> dict[str, Culture]:
    """Return the names of people by culture."""
    return {
        name: Culture(
            women=tuple(entry["women"].split()),
            men=tuple(entry["men"].split()),
            family=tuple(entry["family"].split()),
            family_first=entry.get("family_first", False),
        )
        for name, entry in _read("names").items()
    }


@cache
def countries() -> tuple[Country, ...]:
    """Return the countries; their shares sum to one."""
    entries = _read("countries")
    total = sum(entry["share"] for entry in entries.values())
    return tuple(
        Country(
            code=code,
            name=entry["name"],
            share=entry["share"] / total,
            language=entry["language"],
            cultures=entry["cultures"],
            rating=entry["rating"],
            places=tuple(entry["places"]),
            studios=tuple(entry["studios"]),
        )
        for code, entry in entries.items()
    )


@cache
def prose() -> dict[str, Any]:
    """Return the sentence frames, moods, title patterns and taglines."""
    return _read("prose")
