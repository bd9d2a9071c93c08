"""What the answers about one film or slate hold: an explanation, a verdict, a what-if, a replay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from recommender.slates import Slate, SlateItem

Verdict = Literal["unknown", "rule", "not_candidate", "outranked", "recommended"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureTerm:
    """A named feature's part of the score."""

    block: str
    feature: str
    value: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"block": self.block, "feature": self.feature, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryTerm:
    """A history film's part of the score; ``film_id`` is None for what no history film accounts for."""

    film_id: str | None
    title: str
    value: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {"film_id": self.film_id, "title": self.title, "value": self.value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One score, three ways; each view sums to it within 1e-6."""

    user_id: str
    film_id: str
    title: str
    index_version: str
    score: float
    blocks: dict[str, float]
    features: tuple[FeatureTerm, ...]
    history: tuple[HistoryTerm, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the keys of ``recommendr explain --json`` first."""
        return {
            "score": self.score,
            "blocks": dict(self.blocks),
            "features": [term.to_dict() for term in self.features],
            "history": [term.to_dict() for term in self.history],
            "user_id": self.user_id,
            "film_id": self.film_id,
            "title": self.title,
            "index_version": self.index_version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """Why a film is not among a user's k, or that it is.

    Args:
        rule: The first rule that stops it, when the verdict is ``rule``.
        rank: Its exact rank among the films allowed, 1 the best; None when it is unknown or stopped by a rule.
        gap: Its score minus that of the film at rank k, block by block; sums to ``score − score_at_k``.
        candidates: How many films are re-ranked; a rank beyond is ``not_candidate``.
    """

    user_id: str
    film_id: str
    verdict: Verdict
    candidates: int
    k: int
    title: str = ""
    rule: str | None = None
    rank: int | None = None
    gap: dict[str, float] = field(default_factory=dict)
    score: float | None = None
    score_at_k: float | None = None
    slate_id: str | None = None

    @property
    def sentence(self) -> str:
        """Say the verdict in words."""
        film = self.title or self.film_id
        if self.verdict == "unknown":
            return f"No film with the id {self.film_id} is in the catalogue."
        if self.verdict == "rule":
            return f"{film} was stopped by the rule “{self.rule}”."
        if self.verdict == "recommended":
            return f"{film} is recommended, at rank {self.rank}."
        worst = min(self.gap, key=lambda block: self.gap[block], default=None)
        because = f" The largest gap to rank {self.k} is in {worst} ({self.gap[worst]:+.3f})." if worst else ""
        if self.verdict == "not_candidate":
            return f"{film} ranks {self.rank}, outside the {self.candidates} candidates that are re-ranked.{because}"
        return f"{film} is allowed but ranks {self.rank}.{because}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values, the keys of ``recommendr why-not --json`` first."""
        return {
            "verdict": self.verdict,
            "rule": self.rule,
            "rank": self.rank,
            "gap": dict(self.gap),
            "user_id": self.user_id,
            "film_id": self.film_id,
            "title": self.title,
            "score": self.score,
            "score_at_k": self.score_at_k,
            "candidates": self.candidates,
            "k": self.k,
            "sentence": self.sentence,
            "slate_id": self.slate_id,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """The slate without some history films, recomputed."""

    removed: tuple[str, ...]
    before: tuple[SlateItem, ...]
    after: tuple[SlateItem, ...]
    entered: tuple[str, ...]
    left: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "removed": list(self.removed),
            "before": [item.to_dict() for item in self.before],
            "after": [item.to_dict() for item in self.after],
            "entered": list(self.entered),
            "left": list(self.left),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """What removing one or two history films does to one film's score and rank, recomputed."""

    removed: tuple[str, ...]
    titles: tuple[str, ...]
    score_change: float
    new_rank: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "removed": list(self.removed),
            "titles": list(self.titles),
            "score_change": self.score_change,
            "new_rank": self.new_rank,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A logged slate made again from what was logged."""

    slate_id: str
    identical: bool
    slate: Slate
    again: tuple[SlateItem, ...]
    differences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "identical": self.identical,
            "slate_id": self.slate_id,
            "differences": list(self.differences),
            "index_version": self.slate.index_version,
            "items": [item.to_dict() for item in self.again],
        }


def differences(before: tuple[SlateItem, ...], after: tuple[SlateItem, ...]) -> tuple[str, ...]:
    """List where two slates differ: film, score or any contribution, by the last bit."""
    if len(before) != len(after):
        return (f"{len(before)} films were logged, {len(after)} came again",)
    out: list[str] = []
    for old, new in zip(before, after, strict=True):
        if old.film_id != new.film_id:
            out.append(f"rank {old.rank}: film {old.film_id} was logged, {new.film_id} came again")
        elif old.score != new.score or _floats(old.contributions) != _floats(new.contributions):
            out.append(f"rank {old.rank}: film {old.film_id} scored {old.score!r}, now {new.score!r}")
    return tuple(out)


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
