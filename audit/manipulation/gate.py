"""The admission gate: all signs of a film in one score that its parts add up to, and a threshold with a stated error.

A sign surprises by −log₁₀ of the share of films that show it as strongly. What surprises one film in twenty is no sign
at all; the score is the sum of what lies beyond: Σ max(0, surprise − log₁₀ 20). The threshold is the conformal quantile
of the norm's own scores: a clean film that comes from where the norm comes from is held with a chance of at most the
stated rate.

Source: Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World" (2005), section 2.2; Bates et al., "Testing
for outliers with conformal p-values" (Annals of Statistics 2023).
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.manipulation.hubness import HUBNESS, Sentinels
from audit.manipulation.norms import LEAST_FILMS, Floats, Tail
from audit.manipulation.texts import (
    COMPRESSION,
    FREQUENT,
    GENRES,
    KEYWORDS,
    MISMATCH,
    REACH,
    SAME_TERMS,
    SAME_TEXT,
    SELDOM,
    UNASKED,
    Signs,
    TextNorm,
)
from workspace.checks import check_scalar
from workspace.columns import Film
from workspace.errors import NotEstimableError

Rows = npt.NDArray[np.int64]

RATE: Final = 0.01
ORDINARY: Final = math.log10(20)
"""What one film in twenty shows is no sign."""
MOST_ENTRIES: Final[Mapping[str, int]] = {Film.KEYWORDS: 500, Film.GENRES: 50}
LONGEST_ENTRY: Final = 200
MOST_CHARACTERS: Final = 20_000
_LEAST_DECAY: Final = 0.25
_WORDS: Final[Mapping[str, str]] = {
    KEYWORDS: "{value:.0f} keywords where its genre has {usual:.0f}",
    GENRES: "{value:.0f} genres where films have {usual:.0f}",
    SELDOM: "genres that seldom meet, {value:.0f} pairs of them less than half as often as by chance",
    MISMATCH: "{value:.0f} keywords its synopsis says nothing of",
    REACH: "its keywords reach far for its genre: it shares {value:.2f} with the average film",
    FREQUENT: "shares {value:.2f} keywords with the average film, where films with as many share {usual:.2f}",
    UNASKED: "{value:.0f} frequent keywords that neither its genres nor its other keywords lead one to expect",
    COMPRESSION: "its texts repeat themselves: {value:+.2f} in compression against texts of its length",
    SAME_TEXT: "its synopsis is {value:.0%} that of {like}",
    SAME_TERMS: "people and keywords {value:.0%} those of {like}",
    HUBNESS: "near the top for {value:.0f} of the sentinel tastes, oddest in {like}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One sign's part in a score.

    Args:
        sign: Which.
        value: The figure as a reader counts it; None where the film has none.
        usual: What it is held against.
        z: Robust z.
        adds: Its part of the score.
        words: In a sentence.
    """

    sign: str
    value: float | None
    usual: float
    z: float
    adds: float
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the gate says of one film.

    Args:
        film_id: The film.
        score: Sum of the reasons' parts.
        threshold: What it was held against.
        held: Whether it lies above.
        reasons: What adds to the score, the largest first.
        exposure: Share of the sentinels' attention it would have.
        before: The share its last admitted content has; None for a new film.
    """

    film_id: str
    score: float
    threshold: float
    held: bool
    reasons: tuple[Reason, ...]
    exposure: float
    before: float | None

    @property
    def lift(self) -> float:
        """What it gains, in shares of all attention."""
        return self.exposure - (self.before or 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {**asdict(self), "lift": self.lift}


class Gate:
    """What is usual in a catalogue, and what is not let in without a look.

    Args:
        films: The norm: the films that were admitted, columns `Film.ALL`.
        rate: Share of clean films held at most.
        weights: Block weights that are served.
        markets: Regions of each market.

    Raises:
        NotEstimableError: With fewer than 50 films.
        InvalidValueError: When the rate is not inside (0, 0.5).
    """

    def __init__(
        self,
        films: pd.DataFrame,
        *,
        rate: float = RATE,
        weights: Mapping[str, float] | None = None,
        markets: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self.rate = check_scalar(rate, "rate", gt=0, lt=0.5, hint="0.01 holds one clean film in a hundred")
        if len(films) < LEAST_FILMS:
            raise NotEstimableError(f"{len(films)} films", f"must be {LEAST_FILMS} to tell what is usual")
        self._films = films.reset_index(drop=True)
        self._place = {film: row for row, film in enumerate(self._films[Film.ID])}
        self._texts = TextNorm(self._films)
        self._sentinels = Sentinels(self._films, weights=weights, markets=markets)
        everybody = np.arange(len(films))
        signs = self._signs(self._films, everybody)
        self._tails = {sign.name: Tail.fit(sign.z, least_decay=_LEAST_DECAY) for sign, _ in signs}
        self.scores: Floats = self._parts(signs).sum(axis=0)
        self.threshold = conformal_quantile(self.scores, rate)

    def judge(self, films: pd.DataFrame) -> list[Judgement]:
        """Judge films, of the norm or not, each alone among the films of the norm.

        Args:
            films: Columns `Film.ALL`; one whose id the norm knows takes the place of its earlier self.
        """
        if films.empty:
            return []
        films = films.reset_index(drop=True)
        own = np.array([self._place.get(film, -1) for film in films[Film.ID]], np.int64)
        signs = self._signs(films, own)
        parts = self._parts(signs)
        scores = parts.sum(axis=0)
        exposure = self._sentinels.hubs(films, own).exposure
        known = np.flatnonzero(own >= 0)
        before = np.full(len(films), np.nan)
        if len(known):
            rows = own[known]
            before[known] = self._sentinels.hubs(self._films.iloc[rows].reset_index(drop=True), rows).exposure
        return [
            Judgement(
                film_id=film,
                score=float(scores[row]),
                threshold=self.threshold,
                held=bool(scores[row] > self.threshold),
                reasons=self._reasons(signs, parts, row),
                exposure=float(exposure[row]),
                before=None if math.isnan(before[row]) else float(before[row]),
            )
            for row, film in enumerate(films[Film.ID])
        ]

    def _signs(self, films: pd.DataFrame, own: Rows) -> list[tuple[Signs, npt.NDArray[np.object_] | None]]:
        hubs = self._sentinels.hubs(films, own)
        nobody = np.full(len(films), -1, np.int64)
        hub = Signs(name=HUBNESS, values=hubs.counts, usual=np.zeros(len(films)), z=hubs.z, like=nobody)
        return [*((sign, None) for sign in self._texts.signs(films, own)), (hub, hubs.where)]

    def _parts(self, signs: Sequence[tuple[Signs, npt.NDArray[np.object_] | None]]) -> Floats:
        return np.stack([np.maximum(0.0, self._tails[one.name].surprise(one.z) - ORDINARY) for one, _ in signs])

    def _reasons(
        self, signs: Sequence[tuple[Signs, npt.NDArray[np.object_] | None]], parts: Floats, row: int
    ) -> tuple[Reason, ...]:
        out = []
        for (sign, where), part in zip(signs, parts[:, row], strict=True):
            if part <= 0:
                continue
            values = sign.values  # noqa: PD011 - an array of ours
            value = float(values[row])
            like = str(where[row]) if where is not None else self._named(int(sign.like[row]))
            words = _WORDS[sign.name].format(value=value, usual=sign.usual[row], like=like)
            out.append(Reason(sign=sign.name, value=None if math.isnan(value) else value, usual=float(sign.usual[row]),
                              z=float(sign.z[row]), adds=float(part), words=words))  # fmt: skip
        return tuple(sorted(out, key=lambda one: (-one.adds, one.sign)))

    def _named(self, row: int) -> str:
        return f"{self._films[Film.TITLE].iloc[row]} ({self._films[Film.ID].iloc[row]})" if row >= 0 else "another film"


def conformal_quantile(scores: Floats, rate: float) -> float:
    """Return the ⌈(n + 1)(1 − rate)⌉-th smallest score: a further score from there lies above with a chance ≤ rate.

    Example:
        >>> conformal_quantile(np.arange(1.0, 200.0), 0.05)
        190.0
    """
    place = math.ceil(round((len(scores) + 1) * (1 - rate), 9))
    # Too few films to promise the rate: nothing is held then.
    return float(np.sort(scores)[place - 1]) if place <= len(scores) else math.inf


def out_of_bounds(film: Mapping[str, Any]) -> str:
    """Return why a film's metadata can't be judged, or an empty text; looks at sizes first, so it is quick on any.

    Args:
        film: By the columns of `Film`.
    """
    for column in Film.LISTS:
        entries = film[column]
        most = MOST_ENTRIES.get(column)
        if most is not None and len(entries) > most:
            return f"{column}: {len(entries)} entries, at most {most}"
        longest = max(map(len, entries), default=0)
        if longest > LONGEST_ENTRY:
            return f"{column}: an entry of {longest} characters, at most {LONGEST_ENTRY}"
    for column in Film.TEXTS:
        if len(film[column]) > MOST_CHARACTERS:
            return f"{column}: {len(film[column])} characters, at most {MOST_CHARACTERS}"
    for column in (*Film.TEXTS, *Film.LISTS):
        told = film[column] if isinstance(film[column], str) else "".join(film[column])
        if any(unicodedata.category(character) == "Cc" for character in told):
            return f"{column}: holds control characters"
    return ""
