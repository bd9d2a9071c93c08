"""What an A/B test may vary without a second index: block weights and the way histories are pooled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from recommender.features import layout
from recommender.profile import Pooling
from recommender.ranking import RERANK_TERMS
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

DEFAULT_WEIGHTS: Final[Mapping[str, float]] = {
    layout.TEXT: 0.3,
    layout.GENRE: 0.3,
    layout.KEYWORD: 0.3,
    layout.PEOPLE: 0.2,
    layout.COLLECTION: 0.3,
    layout.ORIGIN: 0.1,
    layout.ERA: 0.3,
    layout.RUNTIME: 0.05,
    layout.AGE: 0.1,
    layout.ACCLAIM: 3.0,
    layout.QUALITY: 0.0,
    layout.POPULARITY: 1.0,
    layout.RECENCY: 0.1,
    layout.AUDIENCE: 5.0,
}
"""Used until a catalogue's own weights are fitted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Block weights and pooling; part of the query, never of the index.

    Args:
        weights: ``{block or re-rank term: weight >= 0}``.
        pooling: How a history becomes a vector.
        evidence: What the weights rest on.
    """

    weights: Mapping[str, float]
    pooling: Pooling = field(default_factory=Pooling)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names and signs."""
        for name, weight in self.weights.items():
            if name not in layout.BLOCKS and name not in RERANK_TERMS:
                known = ", ".join((*layout.BLOCKS, *RERANK_TERMS))
                raise InvalidValueError(f"weight of {name!r}", f"must be of one of {known}")
            check_scalar(weight, f"weight of {name}", ge=0)

    def of_blocks(self, blocks: Iterable[str]) -> Self:
        """Keep the weights of some blocks; the re-rank terms stay."""
        kept = {*blocks, *RERANK_TERMS}
        return type(self)(
            weights={name: weight for name, weight in self.weights.items() if name in kept},
            pooling=self.pooling,
            evidence=self.evidence,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what a version's manifest keeps."""
        return {"weights": dict(self.weights), "pooling": self.pooling.to_dict(), "evidence": dict(self.evidence)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore from a version's manifest."""
        return cls(
            weights={name: float(value) for name, value in values["weights"].items()},
            pooling=Pooling.from_dict(values["pooling"]),
            evidence=dict(values.get("evidence", {})),
        )


DEFAULT: Final = Configuration(weights=DEFAULT_WEIGHTS)
