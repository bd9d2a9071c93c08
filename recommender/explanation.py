"""Why a film stands where it stands: one score, split exactly by block, by named feature and by history film.

All three views are cut from the same products ``query_d · film_d`` that ranked the film, so each sums to its score.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from recommender.answers import Explanation, FeatureTerm, HistoryTerm
from recommender.features import layout
from recommender.features.numbers import NUMBER_BLOCKS
from recommender.ranking import CLOSEST, block_terms, closest_film, total
from recommender.situation import Situation

Floats = npt.NDArray[np.float64]

_DENSE_LABELS = {
    layout.TEXT: "story: title, tagline and synopsis",
    layout.ACCLAIM: "acclaim: liked by many, of all time",
    layout.QUALITY: "quality: liking of all who watched it, shrunk to the mean",
    layout.POPULARITY: "popularity: liked by many lately, as of the date",
    layout.RECENCY: "recency: how new the release is",
    layout.AUDIENCE: "audience: watched by those who watched the same films",
}


def score_terms(situation: Situation, row: int) -> dict[str, float]:
    """Return every term of one film's score; they sum to it."""
    view = situation.view
    vector = view.index.take([row])
    terms = block_terms(view.matrix.layout, situation.query, vector)
    weight = situation.ask.weights.get(CLOSEST, 0.0)
    if weight and len(situation.profile.rows):
        similarity, _ = closest_film(view.index, view.matrix.layout, situation.profile, vector)
        terms[CLOSEST] = weight * similarity
    return {name: float(values[0]) for name, values in terms.items()}


def explain(situation: Situation, row: int) -> Explanation:
    """Return the three views of one film's score.

    Args:
        situation: The user's request.
        row: The film's row in the version.
    """
    view = situation.view
    blocks = score_terms(situation, row)
    score = float(total({name: np.array([value]) for name, value in blocks.items()})[0])
    return Explanation(
        user_id=situation.ask.user_id,
        film_id=view.stored.film_ids[row],
        title=view.titles[row],
        index_version=view.version,
        score=score,
        blocks=blocks,
        features=tuple(_features(situation, row, blocks)),
        history=tuple(_history(situation, row, blocks)),
    )


def _features(situation: Situation, row: int, blocks: Mapping[str, float]) -> list[FeatureTerm]:
    view = situation.view
    film: dict[str, Any] = view.films.iloc[row].to_dict()
    named = {block.name: block.label(film) for block in NUMBER_BLOCKS}
    out: list[FeatureTerm] = []
    spans = view.matrix.layout.ranges
    terms = view.stored.terms(row)
    for block, value in blocks.items():
        if block in named or block in _DENSE_LABELS:
            out.append(FeatureTerm(block=block, feature=named.get(block, _DENSE_LABELS.get(block, block)), value=value))
        elif block == CLOSEST:
            out.append(FeatureTerm(block=block, feature="closest film of the history", value=value))
        else:
            start, stop = spans[block]
            out.extend(
                FeatureTerm(block=block, feature=term.label, value=float(situation.query[term.column] * term.value))
                for term in terms
                if start <= term.column < stop
            )
    return sorted(out, key=lambda term: -abs(term.value))


def _history(situation: Situation, row: int, blocks: Mapping[str, float]) -> list[HistoryTerm]:
    view, person = situation.view, situation.profile
    places = view.matrix.layout
    weighted = view.index.take([row])[0].astype(np.float64) * places.spread(situation.ask.weights).astype(np.float64)
    by_act = np.zeros(len(person.rows))
    for name, scale in person.scales.items():
        weighted[places.columns(name)] *= scale
    if len(person.rows):
        columns = view.matrix.content_columns
        content = view.index.take(person.rows)[:, columns].astype(np.float64) - person.centre
        by_act += person.coefficients * (content @ weighted[columns])
        if view.matrix.audience_history is not None:
            heard = view.matrix.audience_history[person.rows].astype(np.float64)
            by_act += person.coefficients * (heard @ weighted[places.columns(layout.AUDIENCE)])
    values: dict[int, float] = {}
    for film, value in zip(person.rows.tolist(), by_act.tolist(), strict=True):
        values[film] = values.get(film, 0.0) + value
    if CLOSEST in blocks:
        _, nearest = closest_film(view.index, places, person, view.index.take([row]))
        values[int(nearest[0])] = values.get(int(nearest[0]), 0.0) + blocks[CLOSEST]
    out = [
        HistoryTerm(film_id=view.stored.film_ids[film], title=view.titles[film], value=value)
        for film, value in values.items()
        if film >= 0
    ]
    out.sort(key=lambda term: -abs(term.value))
    return [
        *out,
        *(
            HistoryTerm(film_id=None, title=_DENSE_LABELS[name], value=blocks[name])
            for name in layout.PRIOR_BLOCKS
            if name in blocks
        ),
    ]
