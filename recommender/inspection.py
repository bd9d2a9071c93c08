"""Questions about one request beyond its films: why not, what if, what is near, what the vectors hold."""

import itertools
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pandas as pd

from recommender.answers import Sensitivity, Verdict, WhatIf, WhyNot
from recommender.explanation import explain, score_terms
from recommender.features.layout import CONTENT_BLOCKS
from recommender.ranking import CANDIDATES
from recommender.situation import Desk, Situation
from recommender.slates import Slate, SlateItem
from recommender.view import View
from workspace.columns import Film, Interaction
from workspace.errors import UnknownError

NOT_INDEXED: Final = "not_indexed"
_PAIR_FILMS: Final = 6
_AXES: Final = 2


def same_conditions(slate: Slate, fresh: Situation, k: int) -> bool:
    """Say whether a logged slate answered the same question as a fresh request."""
    ask = fresh.ask
    return (slate.on, slate.region, slate.filters, slate.index_version, slate.snapshot_id, slate.k) == (
        ask.on,
        ask.region,
        ask.filters,
        fresh.view.version,
        fresh.view.catalogue.snapshot_id,
        k,
    )


def why_not(situation: Situation, film_id: str, *, k: int, slate_id: str | None) -> WhyNot:
    """Return the verdict on one film against a request's k films."""
    view = situation.view
    answer = WhyNot(
        user_id=situation.ask.user_id, film_id=film_id, verdict="unknown", candidates=CANDIDATES, k=k, slate_id=slate_id
    )
    try:
        title = str(view.catalogue.films[Film.TITLE].iloc[view.catalogue.film_row(film_id)])
    except UnknownError:
        return answer
    row = view.film_rows.get(film_id)
    rule = NOT_INDEXED if row is None else view.rules.stopped_by(row, situation.request)
    if row is None or rule is not None:
        return replace(answer, title=title, verdict="rule", rule=rule)
    return _compared(situation, row, replace(answer, title=title))


def _compared(situation: Situation, row: int, answer: WhyNot) -> WhyNot:
    """Rank an allowed film against the others and hold it against the one at rank k."""
    decision = situation.decide()
    # All candidates in their order after the re-rank, of which the first k are the slate.
    ranked = situation.rank(decision, CANDIDATES)
    rows = ranked.rows.tolist()
    last = ranked.contributions(min(answer.k, len(rows)) - 1)
    if row in rows:
        rank = rows.index(row) + 1
        own = ranked.contributions(rank - 1)
        verdict: Verdict = "recommended" if rank <= answer.k else "outranked"
    else:
        rank = situation.view.index.rank_of(situation.query, row, allowed=decision.allowed)
        own, verdict = score_terms(situation, row), "not_candidate"
    gap = {name: own.get(name, 0.0) - last.get(name, 0.0) for name in {**last, **own}}
    return replace(answer, verdict=verdict, rank=rank, gap=gap, score=sum(own.values()), score_at_k=sum(last.values()))


def what_if(removed: tuple[str, ...], before: tuple[SlateItem, ...], after: tuple[SlateItem, ...]) -> WhatIf:
    """Compare two slates."""
    old, new = [item.film_id for item in before], [item.film_id for item in after]
    return WhatIf(
        removed=removed,
        before=before,
        after=after,
        entered=tuple(film for film in new if film not in old),
        left=tuple(film for film in old if film not in new),
    )


def sensitivities(desk: Desk, base: Situation, row: int, *, pairs: bool, limit: int) -> list[Sensitivity]:
    """Recompute the profile without single history films, or pairs of the weightiest, and see what becomes of a film.

    Args:
        desk: Resolves the request again.
        base: The request as it is.
        row: The film.
        pairs: Pairs of the six weightiest films instead of singles.
        limit: At most so many answers; singles are tried in the order of their weight.
    """
    before = sum(score_terms(base, row).values())
    allowed = base.decide().allowed
    films = [term.film_id for term in explain(base, row).history if term.film_id is not None]
    removals: list[tuple[str, ...]] = [(film,) for film in films[:limit]]
    if pairs:
        removals = [tuple(pair) for pair in itertools.combinations(films[:_PAIR_FILMS], 2)][:limit]
    out = []
    for removed in removals:
        other = desk.situation(base.view, replace(base.ask, without=removed))
        change = sum(score_terms(other, row).values()) - before
        out.append(
            Sensitivity(
                removed=removed,
                titles=tuple(base.view.titles[base.view.film_rows[film]] for film in removed),
                score_change=change,
                new_rank=base.view.index.rank_of(other.query, row, allowed=allowed),
            )
        )
    return sorted(out, key=lambda found: -abs(found.score_change))


def neighbours(view: View, row: int, k: int) -> list[dict[str, Any]]:
    """Return the k films with the highest mean cosine over the content blocks, and each block's cosine."""
    blocks = [name for name in view.matrix.layout if name in CONTENT_BLOCKS]
    vector = view.index.take([row])[0].astype(np.float64)
    query = np.zeros_like(vector)
    query[view.matrix.content_columns] = vector[view.matrix.content_columns] / max(1, len(blocks))
    allowed = view.alive.copy()
    allowed[row] = False
    hits = view.index.search(query, k=k, allowed=allowed, candidates=k)
    found = view.index.take(hits.rows[:k]).astype(np.float64) * query
    return [
        {
            "film_id": view.stored.film_ids[other],
            "title": view.titles[other],
            "similarity": float(hits.scores[place]),
            "blocks": {
                name: float(found[place, view.matrix.layout.columns(name)].sum() * len(blocks)) for name in blocks
            },
        }
        for place, other in enumerate(hits.rows[:k].tolist())
    ]


def projection(view: View) -> pd.DataFrame:
    """Return the first two principal components of the content blocks: an illustration, distances are not scores."""
    from sklearn.decomposition import PCA  # a second of imports, for one illustration

    rows = np.flatnonzero(view.alive)
    content = view.index.take(rows)[:, view.matrix.content_columns]
    places = np.zeros((len(rows), _AXES))
    if min(content.shape) >= _AXES:
        places = PCA(n_components=_AXES, svd_solver="randomized", random_state=0).fit_transform(content)
    genres: list[list[str]] = view.films[Film.GENRES].take(rows).tolist()
    return pd.DataFrame(
        {
            Film.ID: [view.stored.film_ids[row] for row in rows],
            Film.TITLE: [view.titles[row] for row in rows],
            "x": places[:, 0],
            "y": places[:, 1],
            "genre": [names[0] if len(names) else "" for names in genres],
        }
    )


def raw_vectors(situation: Situation, row: int) -> pd.DataFrame:
    """Return every dimension of the user and the film side by side."""
    view = situation.view
    places = view.matrix.layout
    film = view.index.take([row])[0].astype(np.float64)
    blocks = [name for name in places for _ in range(places.columns(name).stop - places.columns(name).start)]
    dimensions = [column - places.columns(name).start for column, name in enumerate(blocks)]
    return pd.DataFrame(
        {
            "block": blocks,
            "dimension": dimensions,
            "user": situation.profile.vector,
            "weight": places.spread(situation.ask.weights).astype(np.float64),
            "film": film,
            "product": situation.query * film,
        }
    )


def history(situation: Situation) -> pd.DataFrame:
    """Return the acts with title and coefficient, newest first."""
    view = situation.view
    frame = situation.history[[Interaction.FILM, Interaction.KIND, Interaction.VALUE, Interaction.TS]].copy()
    known = frame[Interaction.FILM].isin(list(view.film_rows)).to_numpy()
    frame[Film.TITLE] = [
        view.titles[view.film_rows[film]] if film in view.film_rows else film for film in frame[Interaction.FILM]
    ]
    weight = np.zeros(len(frame))
    weight[known] = situation.profile.coefficients
    frame["weight"] = weight
    return frame.sort_values(Interaction.TS, ascending=False, kind="stable").reset_index(drop=True)
