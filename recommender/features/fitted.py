"""All blocks of a version, fitted: what encodes a film, now or later, into the same columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.acts import Acts
from recommender.features import layout
from recommender.features.audience import AudienceVectors, fit_audience
from recommender.features.content import ContentFeatures, ContentVectors
from recommender.features.layout import Layout
from recommender.features.priors import Priors
from workspace.errors import InvalidValueError

Vectors = npt.NDArray[np.float32]

FEATURE_CODE: Final = 1
"""Number of the feature code; raised whenever the same catalogue would be encoded differently."""


def chosen_blocks(without: Sequence[str] = (), only: Sequence[str] | None = None) -> tuple[str, ...]:
    """Return the blocks to build, in their order.

    Raises:
        InvalidValueError: For a block nobody knows, or when none is left.
    """
    for name in (*without, *(only or ())):
        if name not in layout.BLOCKS:
            raise InvalidValueError(f"block == {name!r}", f"must be one of {', '.join(layout.BLOCKS)}")
    blocks = tuple(name for name in layout.BLOCKS if name not in without and (only is None or name in only))
    if not blocks:
        raise InvalidValueError("blocks == none", "at least one must be left", "leave fewer out")
    return blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Films in the version's columns.

    Args:
        vectors: Candidate side, shape ``(n, dim)``.
        content: The content part with its named terms.
        audience_history: History side of the audience block, shape ``(n, audience dim)``; None without the block.
    """

    vectors: Vectors
    content: ContentVectors
    audience_history: Vectors | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedFeatures:
    """Fitted blocks.

    Args:
        content: Content blocks.
        priors: Priors of the interactions known at the fit.
        audience_dim: Width of the audience block; 0 leaves it out.
    """

    content: ContentFeatures
    priors: Priors
    audience_dim: int

    @property
    def layout(self) -> Layout:
        """Where each block lies: content, priors, audience."""
        audience = {layout.AUDIENCE: self.audience_dim} if self.audience_dim else {}
        return Layout.of({**self.content.dims, **self.priors.dims, **audience})

    def to_dict(self) -> dict[str, Any]:
        """Return what a version's folder keeps."""
        return {
            "code": FEATURE_CODE,
            "content": self.content.to_dict(),
            "priors": self.priors.to_dict(),
            "audience_dim": self.audience_dim,
        }

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Self:
        """Restore from `to_dict`."""
        return cls(
            content=ContentFeatures.from_dict(state["content"]),
            priors=Priors.from_dict(state["priors"]),
            audience_dim=int(state["audience_dim"]),
        )

    def extend(self, films: pd.DataFrame, text: Vectors | None) -> Encoded:
        """Encode films that come after the fit: their content speaks, their priors and audience are still unknown.

        Args:
            films: New or changed films.
            text: Their text vectors.
        """
        content = self.content.encode(films, text)
        nobody = Acts.none()
        priors = self.priors.vectors(films, nobody)
        audience = np.zeros((len(films), self.audience_dim), np.float32)
        return Encoded(
            vectors=np.hstack([content.vectors, priors, audience]),
            content=content,
            audience_history=audience if self.audience_dim else None,
        )


def fit_features(
    films: pd.DataFrame,
    acts: Acts,
    *,
    text: Vectors | None,
    blocks: Sequence[str],
    content: tuple[ContentFeatures, ContentVectors] | None = None,
) -> tuple[FittedFeatures, Encoded]:
    """Fit the named blocks and encode the catalogue.

    Args:
        films: The catalogue's films, n of them.
        acts: The interactions that may be known; an evaluation gives the training part.
        text: Text vectors, shape ``(n, text dim)``; None when the block is left out.
        blocks: Names of the blocks.
        content: An earlier content fit of the same films, which depends on no interaction and can be shared.

    Returns:
        The fit and the films in its columns.
    """
    if content is None:
        fitted = ContentFeatures.fit(films, text_dim=0 if text is None else text.shape[1], blocks=blocks)
        content = fitted, fitted.encode(films, text)
    priors = Priors.fit(films, acts, tuple(blocks))
    audience: AudienceVectors | None = None
    if layout.AUDIENCE in blocks and len(acts):
        audience = fit_audience(acts, len(films))
    features = FittedFeatures(
        content=content[0], priors=priors, audience_dim=0 if audience is None else audience.candidate.shape[1]
    )
    parts = [content[1].vectors, priors.vectors(films, acts)]
    if audience is not None:
        parts.append(audience.candidate)
    encoded = Encoded(
        vectors=np.hstack(parts), content=content[1], audience_history=None if audience is None else audience.history
    )
    return features, encoded
