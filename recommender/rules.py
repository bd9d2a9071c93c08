"""Which films may be recommended: each rule is one boolean mask, and the funnel counts what each removed.

Lawfulness (released, available, not blocked, old enough) and the user's own "no" (seen, dismissed) are never relaxed.
The user's filters, and films shown lately, are; when too few films remain, the answer names those whose relaxing helps.
"""

import datetime as dt
import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from workspace.checks import check_scalar
from workspace.columns import Film
from workspace.errors import InvalidValueError

Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]

CATALOGUE: Final = "catalogue"
RELEASED: Final = "released"
AVAILABILITY: Final = "availability"
LEGAL_BLOCK: Final = "legal_block"
AGE: Final = "age"
SEEN: Final = "seen"
DISMISSED: Final = "dismissed"
EXCLUDED_GENRES: Final = "excluded_genres"
AGE_FILTER: Final = "age_filter"
LANGUAGE: Final = "language"
YEAR: Final = "year"
SHOWN_LATELY: Final = "shown_lately"
RELAXABLE: Final = (EXCLUDED_GENRES, AGE_FILTER, LANGUAGE, YEAR, SHOWN_LATELY)
_OLDEST_AGE: Final = 120
_FIRST_FILM_YEAR: Final = 1870
_LAST_FILM_YEAR: Final = 2200
_NO_ROWS: Final = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a user chose for one request; all of it can be relaxed by the user.

    Args:
        exclude_genres: Films with any of these genres are out.
        maximum_age: Films rated for an older audience, or not rated at all, are out.
        languages: Films with none of these languages are out; empty means any.
        year_from: First release year.
        year_to: Last release year.

    Raises:
        InvalidValueError: For an impossible age or range of years.
    """

    exclude_genres: tuple[str, ...] = ()
    maximum_age: int | None = None
    languages: tuple[str, ...] = ()
    year_from: int | None = None
    year_to: int | None = None

    def __post_init__(self) -> None:
        """Check the limits."""
        if self.maximum_age is not None:
            check_scalar(self.maximum_age, "maximum_age", ge=0, le=_OLDEST_AGE, hint="years, for example 12")
        for name, year in (("year_from", self.year_from), ("year_to", self.year_to)):
            if year is not None:
                check_scalar(year, name, ge=_FIRST_FILM_YEAR, le=_LAST_FILM_YEAR, hint="a release year")
        if self.year_from is not None and self.year_to is not None and self.year_from > self.year_to:
            raise InvalidValueError(
                f"year_from == {self.year_from}", f"must be <= year_to == {self.year_to}", "swap the two"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "exclude_genres": list(self.exclude_genres),
            "maximum_age": self.maximum_age,
            "languages": list(self.languages),
            "year_from": self.year_from,
            "year_to": self.year_to,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`."""
        return cls(
            exclude_genres=tuple(values.get("exclude_genres", ())),
            maximum_age=values.get("maximum_age"),
            languages=tuple(values.get("languages", ())),
            year_from=values.get("year_from"),
            year_to=values.get("year_to"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """How many films a rule left over."""

    rule: str
    remaining: int
    removed: int
    relaxable: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"rule": self.rule, "remaining": self.remaining, "removed": self.removed, "relaxable": self.relaxable}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the rules need to know of one request; film rows, not ids."""

    on: dt.date
    region: str
    user_maximum_age: int | None = None
    user_excluded_genres: tuple[str, ...] = ()
    filters: Filters = field(default_factory=Filters)
    seen: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    dismissed: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    shown_lately: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The films allowed, and how they came to be.

    Args:
        allowed: Shape ``(n_films,)``.
        funnel: One step a rule, in order.
    """

    allowed: Mask
    funnel: tuple[FunnelStep, ...]

    @property
    def count(self) -> int:
        """How many films are allowed."""
        return self.funnel[-1].remaining


class RuleBook:
    """The rules over one catalogue, with the masks that many requests share kept ready.

    Args:
        release: Release dates, ``datetime64[D]``, NaT where unknown (an unknown date can't prove a film unreleased).
        minimum_age: In years, NaN where unknown (an unrated film is not shown under an age limit).
        genres: Mask of films by genre.
        languages: Mask of films by language.
        available: Mask of films by region they are offered in, ``"*"`` for those offered everywhere.
        blocked: Mask of films by region where law forbids them.
        alive: Films that are still in the catalogue; all of them when None.
    """

    def __init__(
        self,
        *,
        release: npt.NDArray[np.datetime64],
        minimum_age: npt.NDArray[np.float64],
        genres: Mapping[str, Mask],
        languages: Mapping[str, Mask],
        available: Mapping[str, Mask],
        blocked: Mapping[str, Mask],
        alive: Mask | None = None,
    ) -> None:
        self.size = len(release)
        self._alive = np.ones(self.size, dtype=np.bool_) if alive is None else alive
        self._alive_count = int(np.count_nonzero(self._alive))
        self._release = release.astype("datetime64[D]")
        self._minimum_age = minimum_age
        self._genres = dict(genres)
        self._languages = dict(languages)
        self._available = dict(available)
        self._blocked = dict(blocked)
        self._offered: dict[str, Mask] = {}
        self._released: tuple[dt.date | None, Mask] = (None, self._alive)

    @classmethod
    def of(cls, films: pd.DataFrame, alive: Mask | None = None) -> Self:
        """Read the rules' facts from a film table of the contract."""
        available = _masks(films[Film.AVAILABLE_REGIONS].tolist())
        everywhere = np.array([len(regions) == 0 for regions in films[Film.AVAILABLE_REGIONS]], dtype=np.bool_)
        return cls(
            release=pd.to_datetime(films[Film.RELEASE_DATE]).to_numpy("datetime64[D]"),
            minimum_age=pd.to_numeric(films[Film.MINIMUM_AGE]).to_numpy(np.float64, na_value=np.nan),
            genres=_masks(films[Film.GENRES].tolist()),
            languages=_masks(films[Film.LANGUAGES].tolist()),
            available={**available, "*": everywhere},
            blocked=_masks(films[Film.BLOCKED_REGIONS].tolist()),
            alive=alive,
        )

    @property
    def genres(self) -> tuple[str, ...]:
        """Every genre of the catalogue, sorted."""
        return tuple(sorted(self._genres))

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language of the catalogue, sorted."""
        return tuple(sorted(self._languages))

    @property
    def first_release(self) -> dt.date | None:
        """The oldest known release date; None when none is known."""
        known = self._release[~np.isnat(self._release)]
        return known.min().item() if known.size else None

    def decide(self, request: Request, *, without: str | None = None) -> Decision:
        """Apply every rule in order.

        Args:
            request: Who asks for what, when and where.
            without: One rule to leave out, to see what relaxing it would give.

        Returns:
            The allowed films and the funnel, ``catalogue`` first.

        Raises:
            InvalidValueError: For a date before the first film, or an unknown genre or language.
        """
        self._check(request)
        allowed = self._alive.copy()
        remaining = self._alive_count
        funnel = [FunnelStep(rule=CATALOGUE, remaining=remaining, removed=0, relaxable=False)]
        for rule, keep, drop in self._steps(request):
            left = remaining if rule == without else remaining - _apply(allowed, keep, drop, remaining)
            funnel.append(FunnelStep(rule=rule, remaining=left, removed=remaining - left, relaxable=rule in RELAXABLE))
            remaining = left
        return Decision(allowed=allowed, funnel=tuple(funnel))

    def stopped_by(self, row: int, request: Request) -> str | None:
        """Name the first rule that stops one film, or None."""
        if not self._alive[row]:
            return CATALOGUE
        for rule, keep, drop in self._steps(request):
            if row in drop or not all(mask[row] for mask in keep):
                return rule
        return None

    def relaxing(self, request: Request) -> tuple[str, ...]:
        """Name the relaxable rules whose leaving out would allow more films, most helpful first."""
        base = self.decide(request).count
        gains = {rule: self.decide(request, without=rule).count - base for rule in RELAXABLE}
        return tuple(sorted((rule for rule in gains if gains[rule] > 0), key=lambda rule: -gains[rule]))

    def _steps(self, request: Request) -> Iterator[tuple[str, Sequence[Mask], Rows]]:
        """Yield each rule with the masks a film must be in and the rows that are out."""
        filters = request.filters
        none = _NO_ROWS
        yield RELEASED, (self._released_by(request.on),), none
        yield AVAILABILITY, (self._offered_in(request.region),), none
        yield LEGAL_BLOCK, self._outside(self._blocked, (request.region,)), none
        yield AGE, self._suitable(request.user_maximum_age), none
        yield SEEN, (), request.seen
        yield DISMISSED, (), request.dismissed
        excluded = (*request.user_excluded_genres, *filters.exclude_genres)
        yield EXCLUDED_GENRES, self._outside(self._genres, excluded), none
        yield AGE_FILTER, self._suitable(filters.maximum_age), none
        yield LANGUAGE, self._speaking(filters.languages), none
        yield YEAR, self._between(filters.year_from, filters.year_to), none
        yield SHOWN_LATELY, (), request.shown_lately

    def _released_by(self, on: dt.date) -> Mask:
        # Nearly every request asks for today: one day's mask is worth keeping, and swapped whole between threads.
        day, mask = self._released
        if day != on:
            mask = ~(self._release > np.datetime64(on, "D"))
            self._released = (on, mask)
        return mask

    def _offered_in(self, region: str) -> Mask:
        if region not in self._offered:
            none = np.zeros(self.size, dtype=np.bool_)
            self._offered[region] = self._available.get(region, none) | self._available.get("*", none)
        return self._offered[region]

    @staticmethod
    def _outside(masks: Mapping[str, Mask], names: Sequence[str]) -> list[Mask]:
        return [~masks[name] for name in dict.fromkeys(names) if name in masks]

    def _suitable(self, maximum_age: int | None) -> list[Mask]:
        return [] if maximum_age is None else [self._minimum_age <= maximum_age]

    def _speaking(self, languages: Sequence[str]) -> list[Mask]:
        return [np.logical_or.reduce([self._languages[name] for name in languages])] if languages else []

    def _between(self, year_from: int | None, year_to: int | None) -> list[Mask]:
        first = [] if year_from is None else [self._release >= np.datetime64(dt.date(year_from, 1, 1))]
        last = [] if year_to is None else [self._release <= np.datetime64(dt.date(year_to, 12, 31))]
        return [*first, *last]

    def _check(self, request: Request) -> None:
        first = self.first_release
        if first is not None and request.on < first:
            raise InvalidValueError(
                f"on == {request.on}", f"must be >= {first}, the first film's release", "give a later date"
            )
        for kind, names, masks in (
            ("genre", request.filters.exclude_genres, self._genres),
            ("language", request.filters.languages, self._languages),
        ):
            for name in names:
                if name not in masks:
                    near = difflib.get_close_matches(name, list(masks), n=3, cutoff=0.4) or sorted(masks)[:8]
                    raise InvalidValueError(
                        f"{kind} == {name!r}", "no film of the catalogue has it", f"did you mean {', '.join(near)}?"
                    )


def _apply(allowed: Mask, keep: Sequence[Mask], drop: Rows, before: int) -> int:
    """Narrow a mask in place and return how many films that removed; what does not apply costs nothing."""
    removed = 0
    if len(drop):
        rows = np.unique(drop)
        removed = int(np.count_nonzero(allowed[rows]))
        allowed[rows] = False
    for mask in keep:
        np.logical_and(allowed, mask, out=allowed)
    return before - int(np.count_nonzero(allowed)) if keep else removed


def _masks(cells: Sequence[Sequence[str]]) -> dict[str, Mask]:
    rows: dict[str, list[int]] = {}
    for row, names in enumerate(cells):
        for name in names:
            rows.setdefault(name, []).append(row)
    masks: dict[str, Mask] = {}
    for name, members in rows.items():
        masks[name] = np.zeros(len(cells), dtype=np.bool_)
        masks[name][members] = True
    return masks
