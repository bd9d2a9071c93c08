"""Why not, what if, sensitivities, neighbours, vectors and the map."""

import datetime as dt

import numpy as np
import pytest

from recommender import rules
from recommender.answers import WhyNot
from recommender.engine import Recommender
from recommender.ranking import CANDIDATES
from recommender.rules import Filters
from recommender.situation import Situation
from tests.recommender import world
from tests.recommender.conftest import Workspace
from tests.recommender.test_ranking import brute_force, similarity
from workspace.columns import Film, Interaction
from workspace.errors import InvalidValueError


def situation_of(engine: Recommender, user: str, version: str | None = None) -> Situation:
    return engine.situation(engine.view(version), user)


def test_why_not_an_unknown_film(engine: Recommender) -> None:
    answer = engine.why_not("u2", "nope")
    assert (answer.verdict, answer.rule, answer.rank, answer.gap) == ("unknown", None, None, {})
    assert answer.sentence == "No film with the id nope is in the catalogue."
    assert list(answer.to_dict())[:4] == ["verdict", "rule", "rank", "gap"]


def test_why_not_names_each_rule(fresh: Workspace) -> None:
    engine = fresh.open()
    films = fresh.catalogue.films.set_index(Film.ID)
    seen = fresh.catalogue.history("u2")[Interaction.FILM].tolist()
    free = [film for film in films.index if film not in seen and film not in {"11", "12", "13", "14"}]
    engine.record("u2", free[0], "dismissed")
    shown = engine.recommend("u2").items[0].film_id
    horror = next(film for film in free[1:] if "Horror" in films.loc[film, Film.GENRES] and film != shown)
    german = next(film for film in free[1:] if films.loc[film, Film.LANGUAGES] == ["de"] and film != shown)
    grown_up = next(film for film in free[1:] if films.loc[film, Film.MINIMUM_AGE] == 16 and film != shown)
    old = next(film for film in free[1:] if films.loc[film, Film.RELEASE_DATE].year < 1990 and film != shown)
    young = next(u for u in fresh.catalogue.users.to_dict("records") if u["maximum_age"] == 12)["user_id"]
    asked = [
        (world.UNRELEASED, {}, rules.RELEASED),
        (world.ONLY_IN_SE, {"region": "US"}, rules.AVAILABILITY),
        (world.BLOCKED_IN_DE, {"region": "DE"}, rules.LEGAL_BLOCK),
        (seen[0], {}, rules.SEEN),
        (free[0], {}, rules.DISMISSED),
        (shown, {}, rules.SHOWN_LATELY),
        (horror, {"filters": Filters(exclude_genres=("Horror",))}, rules.EXCLUDED_GENRES),
        (german, {"filters": Filters(languages=("sv",))}, rules.LANGUAGE),
        (grown_up, {"filters": Filters(maximum_age=12)}, rules.AGE_FILTER),
        (old, {"filters": Filters(year_from=1990)}, rules.YEAR),
    ]
    for film, options, rule in asked:
        # Other options than those of the logged slate, so that it is asked of a fresh one.
        answer = engine.why_not("u2", film, **{"k": 4, **options})  # type: ignore[arg-type]
        assert (answer.verdict, answer.rule) == ("rule", rule), film
        assert rule in answer.sentence
    assert engine.why_not(young, world.FOR_ADULTS).rule == rules.AGE


def test_why_not_asks_the_latest_slate_of_the_same_conditions(fresh: Workspace) -> None:
    engine = fresh.open()
    slate = engine.recommend("u2")
    for item in slate.items:
        answer = engine.why_not("u2", item.film_id)
        assert (answer.verdict, answer.rank, answer.slate_id) == ("recommended", item.rank, slate.slate_id)
        assert "is recommended" in answer.sentence
    assert engine.why_not("u2", slate.items[0].film_id, k=6).slate_id is None


@pytest.mark.parametrize("reranked", [False, True])
def test_why_not_ranks_exactly_and_its_gap_sums(engine: Recommender, told: Workspace, reranked: bool) -> None:
    version = told.reranked if reranked else told.version
    situation = situation_of(engine, "u3", version)
    allowed = situation.decide().allowed
    order = brute_force(situation, allowed)
    if reranked:
        order = situation.rank(situation.decide(), len(order)).rows.tolist()
    slate = engine.recommend("u3", version=version, log=False)
    for place in (0, 4, 5, 6, 40, len(order) - 1):
        film = situation.view.stored.film_ids[order[place]]
        answer = engine.why_not("u3", film, version=version)
        assert answer.rank == place + 1
        assert answer.verdict == ("recommended" if place < 5 else "outranked")
        assert answer.score is not None
        assert answer.score_at_k == pytest.approx(slate.items[4].score, abs=1e-9)
        assert sum(answer.gap.values()) == pytest.approx(answer.score - answer.score_at_k, abs=1e-6)
        if place >= 5:
            assert answer.score <= answer.score_at_k + 1e-9
            assert f"ranks {place + 1}" in answer.sentence
            assert "largest gap to rank 5" in answer.sentence


def test_why_not_beyond_the_candidates_shows_the_exact_rank(
    engine: Recommender, monkeypatch: pytest.MonkeyPatch
) -> None:
    from recommender import inspection, ranking

    monkeypatch.setattr(inspection, "CANDIDATES", 20)
    monkeypatch.setattr(ranking.rank, "__kwdefaults__", {**(ranking.rank.__kwdefaults__ or {}), "candidates": 20})
    situation = situation_of(engine, "u3")
    order = brute_force(situation, situation.decide().allowed)
    answer = engine.why_not("u3", situation.view.stored.film_ids[order[100]])
    assert (answer.verdict, answer.rank, answer.candidates) == ("not_candidate", 101, 20)
    assert "outside the 20 candidates" in answer.sentence
    assert answer.score is not None
    assert answer.score_at_k is not None
    assert sum(answer.gap.values()) == pytest.approx(answer.score - answer.score_at_k, abs=1e-6)
    assert CANDIDATES == 200


def test_a_verdict_without_a_gap_still_reads_well() -> None:
    plain = WhyNot(user_id="u", film_id="7", verdict="outranked", candidates=200, k=5, rank=9)
    assert plain.sentence == "7 is allowed but ranks 9."


def test_what_if_equals_a_profile_that_never_had_the_film(fresh: Workspace) -> None:
    engine = fresh.open()
    history = fresh.catalogue.history("u2")
    removed = tuple(history.loc[history[Interaction.KIND] == "rated", Interaction.FILM].iloc[:2])
    found = engine.what_if("u2", removed, k=8)
    base = situation_of(engine, "u2")
    # The same profile by hand: pool what is left, then rank what was allowed before.
    left = base.acts.take(~np.isin(base.acts.films, [base.view.film_rows[film] for film in removed]))
    from recommender.profile import profile

    market = fresh.catalogue.user("u2")["market"]
    day = float((world.TODAY - dt.date(1970, 1, 1)).days + 1)
    person = profile(base.view.matrix, left, day=day, market=market, pooling=base.view.configuration.pooling)
    scores = np.asarray(base.view.index.vectors[:]).astype(np.float64) @ base.view.query(
        person.vector, base.ask.weights
    )
    allowed = np.flatnonzero(base.decide().allowed)
    order = sorted(allowed.tolist(), key=lambda row: (-round(scores[row], 10), row))[:8]
    assert [item.film_id for item in found.after] == [base.view.stored.film_ids[row] for row in order]
    assert [item.score for item in found.after] == pytest.approx(scores[order], abs=1e-9)
    assert list(found.before) == list(engine.recommend("u2", k=8, shown_lately=False, log=False).items)
    before, after = {i.film_id for i in found.before}, {i.film_id for i in found.after}
    assert set(found.entered) == after - before
    assert set(found.left) == before - after
    assert not set(removed) & after
    assert found.to_dict()["removed"] == list(removed)


def test_what_if_nothing_is_removed_changes_nothing(engine: Recommender) -> None:
    found = engine.what_if("u2", ())
    assert found.before == found.after
    assert (found.entered, found.left) == ((), ())


@pytest.mark.parametrize("k", [0, 201])
def test_what_if_and_why_not_refuse_an_impossible_k(engine: Recommender, k: int) -> None:
    with pytest.raises(InvalidValueError):
        engine.what_if("u2", (), k=k)
    with pytest.raises(InvalidValueError):
        engine.why_not("u2", "5", k=k)


@pytest.mark.parametrize("pairs", [False, True])
def test_sensitivities_are_recomputed_one_by_one(engine: Recommender, pairs: bool) -> None:
    film = engine.recommend("u2", log=False).items[0].film_id
    found = engine.sensitivities("u2", film, pairs=pairs, limit=6)
    assert len(found) == 6
    assert all(len(term.removed) == (2 if pairs else 1) for term in found)
    assert [abs(term.score_change) for term in found] == sorted((abs(t.score_change) for t in found), reverse=True)
    before = engine.explain("u2", film).score
    view = engine.view()
    base = engine.situation(view, "u2", shown_lately=False)
    for term in found:
        other = engine.situation(view, "u2", shown_lately=False, without=term.removed)
        row = view.film_rows[film]
        score = float(view.index.take([row])[0].astype(np.float64) @ other.query)
        assert term.score_change == pytest.approx(score - before, abs=1e-6)
        assert term.new_rank == brute_force(other, base.decide().allowed).index(row) + 1
        assert term.titles == tuple(view.titles[view.film_rows[gone]] for gone in term.removed)
        assert term.to_dict()["removed"] == list(term.removed)


def test_sensitivities_of_a_newcomer_are_none(engine: Recommender) -> None:
    assert engine.sensitivities("u55", "5") == []


def test_neighbours_are_the_most_alike_in_content(engine: Recommender) -> None:
    situation = situation_of(engine, "u2")
    row = situation.view.film_rows["5"]
    alike = {other: similarity(situation, row, other) for other in range(situation.view.index.rows) if other != row}
    expected = sorted(alike, key=lambda other: (-round(alike[other], 7), other))[:6]
    found = engine.neighbours("5", k=6)
    assert [hit["similarity"] for hit in found] == pytest.approx([alike[other] for other in expected], abs=1e-5)
    assert {hit["film_id"] for hit in found} == {situation.view.stored.film_ids[other] for other in expected}
    for hit in found:
        assert np.mean(list(hit["blocks"].values())) == pytest.approx(hit["similarity"], abs=1e-6)
        assert all(-1.0001 <= cosine <= 1.0001 for cosine in hit["blocks"].values())


def test_raw_vectors_multiply_to_the_score(engine: Recommender) -> None:
    frame = engine.raw_vectors("u2", "5")
    found = engine.explain("u2", "5")
    assert frame["product"].sum() == pytest.approx(found.score, abs=1e-6)
    assert (frame["user"] * frame["weight"] * frame["film"]).to_numpy() == pytest.approx(frame["product"].to_numpy())
    sums = frame.groupby("block")["product"].sum()
    assert {name: sums[name] for name in found.blocks} == pytest.approx(found.blocks, abs=1e-6)
    assert frame.groupby("block")["dimension"].min().eq(0).all()


def test_projection_places_every_film_and_shows_text_as_it_is(engine: Recommender) -> None:
    frame = engine.projection()
    assert len(frame) == world.FILMS
    assert np.isfinite(frame[["x", "y"]].to_numpy()).all()
    assert frame.equals(engine.projection())
    hostile = frame.set_index(Film.ID).loc[world.HOSTILE]
    assert hostile[Film.TITLE] == "<b>**Bold**</b> & \u202bright"
    assert frame.set_index(Film.ID).loc[world.UNDATED, "genre"] == ""


def test_a_version_of_priors_alone_has_a_map_without_places(fresh: Workspace) -> None:
    fresh.build(fresh.catalogue, only=("popularity", "acclaim"))
    engine = fresh.open()
    assert not engine.projection()[["x", "y"]].to_numpy().any()
    slate = engine.recommend("u2", log=False)
    assert len(slate.items) == 5
    found = engine.explain("u2", slate.items[0].film_id)
    assert sum(term.value for term in found.history) == pytest.approx(found.score, abs=1e-6)


def test_history_shows_the_newest_first_with_what_each_counts(engine: Recommender, told: Workspace) -> None:
    frame = engine.history("u2")
    own = told.catalogue.history("u2")
    assert sorted(frame[Film.ID]) == sorted(own[Interaction.FILM])
    assert frame[Interaction.TS].is_monotonic_decreasing
    rated = frame.loc[frame[Interaction.KIND] == "rated"]
    # No decay by default: a rating r counts (r − 2) / 3.
    assert rated["weight"].to_numpy() == pytest.approx((rated[Interaction.VALUE].to_numpy() - 2) / 3, abs=1e-6)
    titles = told.catalogue.films.set_index(Film.ID)[Film.TITLE]
    assert frame[Film.TITLE].tolist() == titles.loc[frame[Film.ID]].tolist()
