"""The provider side: how exposure falls on groups of films, as it is, per relevance, and pair by pair.

The unit is the film: what varies is which films a group has, and a catalogue's few films limit what can be said of it
however many users are asked. What users alone would make it vary by, redrawn by taste, is told beside it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from audit.exposure import discounted_exposure, pairwise, position_weights
from audit.judging import Comparison, compare_means
from audit.runs.grouping import GONE, Grouping
from audit.runs.measuring import Measured, relevance
from audit.subject import Subject

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

EXPOSURE: Final = "exposure"
PER_RELEVANCE: Final = "exposure_per_relevance"
PAIRWISE: Final = "pairwise_accuracy"
MOST_RANKED: Final = 400
"""Users whose whole ranking is looked at for pairwise accuracy."""
REDRAWS: Final = 500
_CHUNK: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRow:
    """One comparison of the provider side before it is judged.

    Args:
        measure: ``exposure``, ``exposure_per_relevance`` or ``pairwise_accuracy``.
        axis: The film axis.
        code: The group of films.
        comparison: What was found.
        by_users: The interval of the ratio if only users varied; None where it can't be said.
    """

    measure: str
    axis: Grouping
    code: int
    comparison: Comparison
    by_users: tuple[float, float] | None = None


def compare_films(measured: Measured, subject: Subject) -> Iterator[FilmRow]:
    """Compare every judged group of films with its reference.

    Args:
        measured: The panel and what it was shown.
        subject: The version under audit.
    """
    n_films = len(subject.film_ids)
    shown = discounted_exposure(measured.rows, k=measured.plan.k, n_films=n_films)
    wanted = relevance(measured.panel, n_films)
    ranked = accuracy(measured, subject)
    for axis in measured.films.values():
        if not axis.names:
            continue
        draws = _redrawn(measured, axis)
        living = axis.codes != GONE
        # Over the mean film of the catalogue: 1 is what a film gets when all get the same.
        level = float(shown[living].mean()) or 1.0
        for code in axis.compared:
            one, other = axis.members(code), axis.members(axis.reference)
            yield FilmRow(
                measure=EXPOSURE,
                axis=axis,
                code=code,
                comparison=compare_means(shown[one] / level, shown[other] / level, alpha=measured.plan.alpha),
                by_users=draws(code, per_relevance=False),
            )
            yield FilmRow(
                measure=PER_RELEVANCE,
                axis=axis,
                code=code,
                comparison=per_relevance(
                    (shown[one], wanted[one]), (shown[other], wanted[other]), alpha=measured.plan.alpha
                ),
                by_users=draws(code, per_relevance=True),
            )
            values, clusters = ranked(axis)
            yield FilmRow(
                measure=PAIRWISE, axis=axis, code=code,
                comparison=compare_means(
                    values[:, code], values[:, axis.reference], alpha=measured.plan.alpha, clusters_group=clusters,
                    clusters_reference=clusters, most=1.0,
                ),
            )  # fmt: skip


def per_relevance(group: tuple[Floats, Floats], reference: tuple[Floats, Floats], *, alpha: float) -> Comparison:
    """Compare exposure over relevance of two groups of films.

    R = Σe / Σr; a film's linearised value is R + (e − R r) / r̄, whose mean is R and whose variance is R's times n.

    Source: Singh & Joachims (2018), Fairness of exposure in rankings, KDD, §4.2 (disparate treatment ratio); Deng,
    Knoblich & Lu (2018), Applying the delta method in metric analytics, KDD, §3.1.

    Args:
        group: Exposure and relevance of each of its films.
        reference: The same of the reference.
        alpha: Error of the intervals.
    """
    linear = []
    for name, (shown, wanted) in (("group", group), ("reference", reference)):
        if not wanted.sum():
            return Comparison(reason=f"not estimable: no film of the {name} was kept back of anybody")
        ratio = shown.sum() / wanted.sum()
        linear.append(ratio + (shown - ratio * wanted) / wanted.mean())
    return compare_means(linear[0], linear[1], alpha=alpha)


def accuracy(measured: Measured, subject: Subject) -> Callable[[Grouping], tuple[Floats, Codes]]:
    """Return how often relevant films of each group are ranked above irrelevant ones, by user.

    One account of each history is ranked, evenly spread ones where there are more than `MOST_RANKED`.

    Returns:
        A function from a film axis to accuracies ``(n_users, n_groups)`` and the users' clusters.
    """
    panel = measured.panel
    firsts = np.unique(panel.history_of, return_index=True)[1]
    chosen = np.sort(firsts)[np.unique(np.linspace(0, len(firsts) - 1, min(len(firsts), MOST_RANKED)).astype(np.int64))]
    vectors = subject.user_vectors(panel)[chosen] * subject.layout.spread(subject.weights)
    films = np.asarray(subject.view.index.vectors)
    kept = panel.by_account(panel.heldout, chosen)
    found: dict[str, list[Floats]] = {axis: [] for axis in measured.films}
    for start in range(0, len(chosen), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores = (vectors[part] @ films.T).astype(np.float64)
        scores[~subject.allowed(panel, chosen[part])] = np.nan
        for place in range(len(scores)):
            relevant = np.zeros(scores.shape[1], np.bool_)
            relevant[kept.films[kept.users == start + place]] = True
            for axis, groups in measured.films.items():
                if not groups.names:
                    continue
                found[axis].append(
                    pairwise(scores[place], relevant, np.maximum(groups.codes, -1), len(groups.names))[0]
                )

    def of(axis: Grouping) -> tuple[Floats, Codes]:
        return np.array(found[axis.axis]), measured.clusters[chosen]

    return of


def _redrawn(measured: Measured, axis: Grouping) -> Callable[..., tuple[float, float] | None]:
    """Return a function that gives the interval of a group's ratio under redrawn tastes (or users)."""
    size, groups = int(measured.clusters.max()) + 1, len(axis.names)
    shown, wanted = _by_cluster(measured, axis, size, groups)
    rng = np.random.default_rng([measured.plan.seed, 7])
    weights = rng.multinomial(size, np.full(size, 1 / size), REDRAWS).astype(np.float64)
    drawn, asked = weights @ shown, weights @ wanted
    counts = np.maximum(np.array(axis.counts, np.float64), 1)

    def interval(code: int, *, per_relevance: bool) -> tuple[float, float] | None:
        below = asked if per_relevance else np.broadcast_to(counts, drawn.shape)
        above, under = drawn[:, code] * below[:, axis.reference], drawn[:, axis.reference] * below[:, code]
        known = under > 0
        if known.sum() < REDRAWS / 2:
            return None
        ratios = above[known] / under[known]
        low, high = np.quantile(ratios, [measured.plan.alpha / 2, 1 - measured.plan.alpha / 2])
        return float(low), float(high)

    return interval


def _by_cluster(measured: Measured, axis: Grouping, size: int, groups: int) -> tuple[Floats, Floats]:
    filled = measured.rows >= 0
    weights = np.broadcast_to(position_weights(measured.rows.shape[1]), filled.shape)
    who = np.broadcast_to(measured.clusters[:, None], filled.shape)[filled]
    shown = _table(who, axis.codes[measured.rows[filled]], weights[filled], size, groups)
    panel = measured.panel
    copies = np.bincount(panel.history_of, minlength=panel.n_histories).astype(np.float64)
    home = np.zeros(panel.n_histories, np.int64)
    home[panel.history_of] = measured.clusters
    kept = panel.heldout
    return shown, _table(home[kept.users], axis.codes[kept.films], copies[kept.users], size, groups)


def _table(clusters: Codes, codes: Codes, weights: Floats, size: int, groups: int) -> Floats:
    known = codes >= 0
    cells = clusters[known] * groups + codes[known]
    out: Floats = np.bincount(cells, weights[known], size * groups).astype(np.float64).reshape(size, groups)
    return out
