"""What a small panel of personas would be shown, when films are described in another way: scores in memory."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from audit.exposure import position_weights
from audit.personas import build_panel
from audit.plan import GENDER, AuditPlan
from audit.subject import Subject
from recommender.view import View
from workspace.columns import Interaction
from workspace.errors import StateError

Floats = npt.NDArray[np.float64]
Vectors = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

SLATE: Final = 5
_SOFTNESS: Final = 0.3


class Projection:
    """One persona a taste, with the score of every film.

    Args:
        view: The version and the catalogue.
        tastes: How many personas.
        weights: Block weights; those of the version when None.
        seed: Of the tastes.

    Attributes:
        panel: The personas; the first account of each history is the one projected.
        scores: Score of every film, −∞ where it may not be shown, shape ``(n_tastes, n_films)``.

    Raises:
        StateError: When the catalogue has no interaction, and so no day to ask on.
    """

    def __init__(self, view: View, *, tastes: int, weights: Mapping[str, float] | None = None, seed: int = 1) -> None:
        latest = view.catalogue.interactions[Interaction.TS]
        if latest.empty:
            raise StateError("the catalogue has no interaction", "a panel is asked on the day of the newest")
        plan = AuditPlan(
            title="projection",
            index_version=view.version,
            snapshot_id=view.catalogue.snapshot_id,
            on=latest.max().date(),
            axes=(GENDER,),
            tastes=tastes,
            seed=seed,
        )
        self.panel = build_panel(plan, view)
        subject = Subject(view, plan.on)
        first = np.unique(self.panel.history_of, return_index=True)[1]
        spread = view.matrix.layout.spread(weights or view.configuration.weights)
        self._queries = (subject.user_vectors(self.panel)[first] * spread).astype(np.float64)
        self._allowed = subject.allowed(self.panel, first)
        films = np.asarray(view.index.vectors)
        self.scores: Floats = np.where(self._allowed, self._queries @ films.T.astype(np.float64), -np.inf)

    def exposure(self, rows: Rows, vectors: Vectors | None = None) -> float:
        """Return the share of all discounted exposure that some films get.

        Args:
            rows: The films.
            vectors: Other vectors for them, shape ``(len(rows), dim)``; their own when None.
        """
        others = self.scores.copy()
        others[:, rows] = -np.inf
        own = self.scores[:, rows]
        if vectors is not None:
            own = np.where(self._allowed[:, rows], self._queries @ vectors.T.astype(np.float64), -np.inf)
        # Only places on the slate count, and only the best of the other films can take them.
        best = -np.sort(-np.partition(others, -SLATE, axis=1)[:, -SLATE:], axis=1)
        shown = np.argsort(-np.hstack([best, own]), axis=1, kind="stable")[:, :SLATE] >= SLATE
        weights = position_weights(SLATE)
        return float((shown * weights).sum() / (weights.sum() * len(shown)))

    def nearness(self, row: int, vectors: Vectors) -> Floats:
        """Return how close a film comes to the slates under each of several vectors, 0 … 1, shape ``(len(vectors),)``.

        A smooth stand-in for exposure, which is zero for most films whatever is tried: the mean over personas of the
        logistic of how far the film's score lies above the last place.
        """
        last = -np.partition(-self.scores, SLATE - 1, axis=1)[:, SLATE - 1]
        ahead = self._queries @ vectors.T.astype(np.float64) - last[:, None]
        near: Floats = (self._allowed[:, row, None] * expit(ahead / _SOFTNESS)).mean(axis=0)
        return near
