"""Ranking and explanation: every view sums to the score, and the order is that of brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.engine import Recommender
from recommender.explanation import explain
from recommender.features.layout import CONTENT_BLOCKS
from recommender.ranking import CLOSEST, DIVERSITY, block_terms, rank
from recommender.rules import Filters
from recommender.situation import Situation
from tests.recommender import world
from tests.recommender.conftest import RERANKED, WEIGHTS, Workspace

EXACT = 1e-6
users = st.integers(1, world.USERS).map(lambda number: f"u{number}")
filters = st.builds(
    Filters,
    exclude_genres=st.lists(st.sampled_from(world.GENRES), max_size=5, unique=True).map(tuple),
    maximum_age=st.none() | st.integers(0, 18),
    languages=st.lists(st.sampled_from(["sv", "de", "en"]), max_size=2, unique=True).map(tuple),
    year_from=st.none() | st.integers(1960, 1999),
    year_to=st.none() | st.integers(2000, 2022),
)
regions = st.none() | st.sampled_from(list(world.REGIONS))


def brute_force(situation: Situation, allowed: np.ndarray) -> list[int]:
    """Return every allowed row by the float64 product of everything, ties by the lower row."""
    scores = np.asarray(situation.view.index.vectors[:]).astype(np.float64) @ situation.query
    # Rows that are equal must tie although BLAS may sum them in another order.
    return sorted(np.flatnonzero(allowed).tolist(), key=lambda row: (-round(scores[row], 10), row))


@settings(max_examples=40)
@given(user=users, filters=filters, region=regions, k=st.integers(1, 12), reranked=st.booleans())
def test_every_view_of_every_recommendation_sums_to_its_score(
    engine: Recommender, told: Workspace, user: str, filters: Filters, region: str | None, k: int, reranked: bool
) -> None:
    version = told.reranked if reranked else told.version
    slate = engine.recommend(user, k=k, filters=filters, region=region, version=version, log=False)
    assert len(slate.items) == min(k, slate.funnel[-1].remaining)
    assert [item.rank for item in slate.items] == list(range(1, len(slate.items) + 1))
    situation = engine.situation(engine.view(version), user, filters=filters, region=region)
    for item in slate.items:
        assert sum(item.contributions.values()) == pytest.approx(item.score, abs=EXACT)
        found = explain(situation, situation.view.film_rows[item.film_id])
        # What a film is docked for resembling the others belongs to the slate, not to the film.
        assert found.score == pytest.approx(item.score - item.contributions.get(DIVERSITY, 0.0), abs=EXACT)
        assert sum(found.blocks.values()) == pytest.approx(found.score, abs=EXACT)
        assert sum(term.value for term in found.features) == pytest.approx(found.score, abs=EXACT)
        assert sum(term.value for term in found.history) == pytest.approx(found.score, abs=EXACT)


@settings(max_examples=40)
@given(user=users, filters=filters, k=st.integers(1, 180))
def test_order_equals_brute_force_and_k_films_come_whenever_k_are_allowed(
    engine: Recommender, user: str, filters: Filters, k: int
) -> None:
    slate = engine.recommend(user, k=k, filters=filters, log=False)
    situation = engine.situation(engine.view(), user, filters=filters)
    decision = situation.decide()
    expected = brute_force(situation, decision.allowed)[:k]
    assert [situation.view.film_rows[item.film_id] for item in slate.items] == expected
    assert len(slate.items) == min(k, decision.count)


@pytest.mark.parametrize("allowed_films", [0, 1, 2, 5, 20, 90, 180])
def test_rank_holds_at_every_selectivity(engine: Recommender, allowed_films: int) -> None:
    situation = engine.situation(engine.view(), "u2")
    for seed in range(3):
        mask = np.zeros(situation.view.index.rows, np.bool_)
        mask[np.random.default_rng(seed).permutation(len(mask))[:allowed_films]] = True
        ranked = rank(situation.view.index, situation.view.matrix.layout, situation.profile, situation.query,
                      situation.ask.weights, allowed=mask, k=5)  # fmt: skip
        assert ranked.rows.tolist() == brute_force(situation, mask)[:5]
        assert len(ranked.rows) == min(5, allowed_films)


def test_fewer_than_k_come_with_what_to_relax(engine: Recommender) -> None:
    everything = Filters(exclude_genres=world.GENRES)
    slate = engine.recommend("u2", filters=everything, log=False)
    assert len(slate.items) == slate.funnel[-1].remaining <= 1
    assert slate.relax == ("excluded_genres",)
    assert engine.recommend("u2", log=False).relax == ()


def similarity(situation: Situation, left: int, right: int) -> float:
    places = situation.view.matrix.layout
    pair = situation.view.index.take([left, right]).astype(np.float64)
    blocks = [name for name in places if name in CONTENT_BLOCKS]
    return float(np.mean([pair[0, places.columns(name)] @ pair[1, places.columns(name)] for name in blocks]))


def naive_greedy(situation: Situation, k: int) -> list[tuple[int, float, float, float]]:
    """Return (row, score, closest-film term, diversity term): the best film given those already taken, k times."""
    vectors = np.asarray(situation.view.index.vectors[:]).astype(np.float64)
    liked = situation.profile.rows[situation.profile.liked].tolist()
    candidates = brute_force(situation, situation.decide().allowed)[:200]
    closest = {
        row: RERANKED[CLOSEST] * max((similarity(situation, row, film) for film in liked), default=0.0)
        for row in candidates
    }
    taken: list[tuple[int, float, float, float]] = []
    while len(taken) < min(k, len(candidates)):
        best = None
        for row in candidates:
            if row in [other[0] for other in taken]:
                continue
            alike = max((max(0.0, similarity(situation, row, other[0])) for other in taken), default=0.0)
            docked = -RERANKED[DIVERSITY] * alike
            score = float(vectors[row] @ situation.query) + closest[row] + docked
            if best is None or score > best[1] + 1e-9:
                best = (row, score, closest[row], docked)
        assert best is not None
        taken.append(best)
    return taken


@pytest.mark.parametrize("user", ["u2", "u9", "u55"])
def test_re_rank_terms_equal_a_naive_greedy_choice(engine: Recommender, told: Workspace, user: str) -> None:
    narrow = Filters(exclude_genres=("Drama", "Comedy", "Western"))
    slate = engine.recommend(user, k=4, filters=narrow, version=told.reranked, log=False)
    situation = engine.situation(engine.view(told.reranked), user, filters=narrow)
    expected = naive_greedy(situation, 4)
    assert [situation.view.film_rows[item.film_id] for item in slate.items] == [found[0] for found in expected]
    for item, (_, score, closest, docked) in zip(slate.items, expected, strict=True):
        assert item.score == pytest.approx(score, abs=EXACT)
        assert item.contributions.get(CLOSEST, 0.0) == pytest.approx(closest, abs=EXACT)
        assert item.contributions[DIVERSITY] == pytest.approx(docked, abs=EXACT)
        assert item.contributions[DIVERSITY] <= 0.0
    assert slate.items[0].contributions[DIVERSITY] == 0.0


def test_closest_film_is_zero_for_a_user_who_liked_nothing(fresh: Workspace) -> None:
    engine = fresh.open()
    engine.record("u55", "20", "thumbs_down", -1.0)
    slate = engine.recommend("u55", version=fresh.reranked, log=False)
    assert {item.contributions[CLOSEST] for item in slate.items} == {0.0}
    found = engine.explain("u55", slate.items[0].film_id, version=fresh.reranked)
    assert sum(term.value for term in found.history) == pytest.approx(found.score, abs=EXACT)


def test_block_terms_are_the_same_bits_however_many_films_are_asked_for(engine: Recommender) -> None:
    situation = engine.situation(engine.view(), "u3")
    places, vectors = situation.view.matrix.layout, situation.view.index.take(np.arange(50))
    whole = block_terms(places, situation.query, vectors)
    for row in range(50):
        alone = block_terms(places, situation.query, vectors[row : row + 1])
        assert all(alone[name][0] == whole[name][row] for name in places)


def test_explain_names_features_and_history(engine: Recommender, told: Workspace) -> None:
    found = engine.explain("u2", "5")
    films = told.catalogue.films
    genres = films[films["film_id"] == "5"].iloc[0]["genres"]
    named = {term.feature for term in found.features}
    assert {f"genre: {genre}" for genre in genres} <= named
    assert "story: title, tagline and synopsis" in named
    acted = set(told.catalogue.history("u2")["film_id"])
    assert {term.film_id for term in found.history if term.film_id is not None} == acted
    assert {term.title.split(":")[0] for term in found.history if term.film_id is None} == {
        "acclaim", "quality", "popularity", "recency"}  # fmt: skip
    assert list(found.blocks) == list(engine.view().matrix.layout)
    assert set(found.blocks) == set(WEIGHTS)
    answer = found.to_dict()
    assert list(answer)[:4] == ["score", "blocks", "features", "history"]
    assert answer["history"][0] == {"film_id": found.history[0].film_id, "title": found.history[0].title,
                                    "value": found.history[0].value}  # fmt: skip


def test_explain_says_why_a_seen_film_scores_as_it_does(engine: Recommender, told: Workspace) -> None:
    seen = told.catalogue.history("u2")["film_id"].iloc[0]
    found = engine.explain("u2", seen)
    assert sum(found.blocks.values()) == pytest.approx(found.score, abs=EXACT)
