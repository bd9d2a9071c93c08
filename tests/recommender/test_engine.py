"""The engine: slates and their replay, cold starts, time, versions, and what it refuses."""

import datetime as dt
import logging
from typing import Any

import numpy as np
import pytest

from recommender.building import BuildOptions, build_index
from recommender.catalogue import save_catalogue
from recommender.configuration import Configuration
from recommender.engine import Recommender
from recommender.index import list_versions, switch
from recommender.rules import Filters
from tests.recommender import catalogue_frames as frames
from tests.recommender import world
from tests.recommender.conftest import WEIGHTS, Workspace, settings_of
from workspace.clock import FrozenClock
from workspace.columns import Film, Interaction, User
from workspace.errors import IntegrityError, InvalidValueError, StateError, UnknownError
from workspace.paths import Paths

NEW_FILM = frames.film("900", "New in town", **{Film.GENRES: ["Western"], Film.RELEASE_DATE: dt.date(2021, 12, 1),
                                                Film.RUNTIME_MIN: 100.0, Film.MINIMUM_AGE: 0.0})  # fmt: skip


def ids(slate: Any) -> list[str]:
    return [item.film_id for item in slate.items]


def test_recommend_answers_with_what_it_takes_to_answer_again(fresh: Workspace) -> None:
    engine = fresh.open()
    chosen = Filters(exclude_genres=("Horror",), year_from=1970)
    slate = engine.recommend("u2", k=6, filters=chosen, region="SE", seed=9)
    answer = slate.to_dict()
    assert list(answer)[:5] == ["slate_id", "user_id", "index_version", "items", "funnel"]
    assert (answer["k"], answer["seed"], answer["region"], answer["on"]) == (6, 9, "SE", "2022-01-15")
    assert answer["index_version"] == fresh.version
    assert answer["snapshot_id"] == fresh.catalogue.snapshot_id
    assert set(answer["items"][0]) == {"film_id", "title", "rank", "score", "contributions"}
    assert answer["funnel"][0]["rule"] == "catalogue"
    assert answer["funnel"][-1]["rule"] == "shown_lately"
    assert sum(step["removed"] for step in answer["funnel"]) == world.FILMS - answer["funnel"][-1]["remaining"]
    stored = engine.slate(slate.slate_id)
    assert stored == slate
    assert engine.slates_of("u2") == [slate]
    assert engine.slates_of("u3") == []


def test_refresh_of_a_slate_gives_new_films_until_they_have_rested(fresh: Workspace) -> None:
    clock = FrozenClock(world.NOW)
    engine = fresh.open(clock)
    first, second = engine.recommend("u2"), engine.recommend("u2")
    assert len(set(ids(first)) | set(ids(second))) == 10
    assert second.funnel[-1].removed == 5
    assert ids(engine.recommend("u2", shown_lately=False, log=False)) == ids(first)
    clock.advance(dt.timedelta(days=8))
    assert ids(engine.recommend("u2", on=world.TODAY)) == ids(first)


def test_replay_is_identical_bit_for_bit_whatever_came_since(fresh: Workspace) -> None:
    engine = fresh.open()
    slates = [engine.recommend("u2"), engine.recommend("u2", filters=Filters(year_to=1999), k=9),
              engine.recommend("u5", on=world.PAST), engine.recommend("u9", version=fresh.reranked),
              engine.recommend("u55")]  # fmt: skip

    def all_identical(who: Recommender) -> bool:
        answers = [who.replay(slate.slate_id) for slate in slates]
        return all(a.identical and a.again == slate.items for a, slate in zip(answers, slates, strict=True))

    assert all_identical(engine)
    engine.record("u2", slates[0].items[0].film_id, "dismissed")
    engine.record("u2", slates[0].items[1].film_id, "watched")
    engine.recommend("u2")
    assert all_identical(engine)
    fresh.build(fresh.catalogue, without=("text", "audience"))
    engine.refresh()
    assert all_identical(engine)
    grown = world.changed(fresh.catalogue, NEW_FILM, edits={"20": {Film.GENRES: ["War"]}}, without=("30",))
    switch(fresh.paths, fresh.version)
    fresh.build(grown, strategy="incremental")
    engine.refresh()
    assert engine.catalogue.snapshot_id == grown.snapshot_id
    assert all_identical(engine)
    assert all_identical(fresh.open(FrozenClock(world.NOW + dt.timedelta(days=400))))
    answer = engine.replay(slates[0].slate_id).to_dict()
    assert answer["identical"] is True
    assert answer["differences"] == []


def test_replay_says_where_a_tampered_log_differs(fresh: Workspace) -> None:
    from sqlalchemy import text

    engine = fresh.open()
    slate = engine.recommend("u2")
    with engine.store.session() as session:
        session.execute(text("UPDATE slate_items SET score = score + 1 WHERE rank = 2"))
    found = engine.replay(slate.slate_id)
    assert not found.identical
    assert len(found.differences) == 1
    assert found.differences[0].startswith("rank 2: film")
    with engine.store.session() as session:
        session.execute(text("UPDATE slate_items SET film_id = 'x' WHERE rank = 1"))
    assert "film x was logged" in engine.replay(slate.slate_id).differences[0]


def test_a_dismissed_film_disappears_at_once_and_never_returns(fresh: Workspace) -> None:
    clock = FrozenClock(world.NOW)
    engine = fresh.open(clock)
    film = engine.recommend("u2", log=False).items[0].film_id
    engine.record("u2", film, "dismissed")
    assert film not in ids(engine.recommend("u2", k=100, log=False))
    clock.advance(dt.timedelta(days=500))
    assert film not in ids(engine.recommend("u2", k=100, log=False))
    assert engine.why_not("u2", film).rule == "dismissed"


def test_a_live_act_changes_the_profile_of_its_user_alone(fresh: Workspace) -> None:
    engine = fresh.open()
    before = {user: engine.recommend(user, log=False) for user in ("u55", "u56")}
    western = next(row[Film.ID] for row in fresh.catalogue.films.to_dict("records") if row[Film.GENRES] == ["Western"])
    engine.record("u55", western, "rated", 5.0)
    after = engine.recommend("u55", log=False)
    assert after.items != before["u55"].items
    assert engine.explain("u55", after.items[0].film_id).history[0].film_id == western
    assert engine.recommend("u56", log=False).items == before["u56"].items
    assert engine.history("u55")[Film.ID].tolist() == [western]


def test_a_newcomer_is_served_by_the_priors_alone(engine: Recommender) -> None:
    slate = engine.recommend("u55", log=False)
    assert len(slate.items) == 5
    spoken = {name for item in slate.items for name, value in item.contributions.items() if value}
    assert spoken <= {"acclaim", "quality", "popularity", "recency"}
    found = engine.explain("u55", slate.items[0].film_id)
    assert {term.film_id for term in found.history} == {None}


def test_a_user_who_joins_is_served_at_once(fresh: Workspace) -> None:
    engine = fresh.open()
    engine.add_user("just-joined", "DE")
    slate = engine.recommend("just-joined", k=200)
    assert slate.region == "DE"
    assert slate.items
    assert world.BLOCKED_IN_DE not in ids(slate)
    assert engine.replay(slate.slate_id).identical
    assert engine.user_ids("just") == ["just-joined"]
    engine.record("just-joined", "20", "watched")
    assert "20" not in ids(engine.recommend("just-joined", k=200, log=False))
    with pytest.raises(UnknownError, match="region == 'XX'"):
        engine.add_user("somebody", "XX")
    with pytest.raises(InvalidValueError, match="u1"):
        engine.add_user("u1", "DE")
    with pytest.raises(InvalidValueError):
        engine.add_user(" ", "DE")


def test_a_new_film_is_recommendable_after_one_increment_and_found_by_those_who_like_its_kind(
    fresh: Workspace,
) -> None:
    manifest = fresh.build(world.changed(fresh.catalogue, NEW_FILM), strategy="incremental")
    engine = fresh.open()
    assert engine.version == manifest.version
    ranks = {}
    for user in engine.user_ids(limit=world.USERS):
        ranks[user] = engine.why_not(user, "900").rank or world.FILMS
    by_liking = sorted(ranks, key=lambda user: _likes(engine, user, "Western"))
    fans, others = by_liking[-10:], by_liking[:10]
    assert np.median([ranks[user] for user in fans]) < np.median([ranks[user] for user in others])
    found = engine.explain(fans[-1], "900")
    assert found.blocks["genre"] > 0
    assert found.blocks["audience"] == 0
    assert sum(term.value for term in found.features) == pytest.approx(found.score, abs=1e-6)


def _likes(engine: Recommender, user: str, genre: str) -> float:
    situation = engine.situation(engine.view(), user)
    place = engine.view().stored.fitted.content.terms[0].place(f"genre: {genre}")[0]
    return float(situation.profile.vector[place])


def test_a_date_in_the_past_knows_only_what_came_before_it(engine: Recommender, told: Workspace) -> None:
    slate = engine.recommend("u2", k=200, on=world.PAST, log=False)
    history = told.catalogue.history("u2")
    before = history.loc[history[Interaction.TS] < "2021-01-02", Interaction.FILM]
    after = set(history[Interaction.FILM]) - set(before)
    assert len(before)
    assert after & set(ids(slate)), "a film not yet seen then may be shown"
    assert not set(before) & set(ids(slate))
    releases = told.catalogue.films.set_index(Film.ID)[Film.RELEASE_DATE]
    assert releases.loc[ids(slate)].max().date() <= world.PAST
    assert set(engine.history("u2", on=world.PAST)[Film.ID]) == set(before)
    explained = {term.film_id for term in engine.explain("u2", "5", on=world.PAST).history}
    assert explained == {*before, None}


def test_rules_hold_for_every_user(engine: Recommender, told: Workspace) -> None:
    for user in told.catalogue.users.to_dict("records"):
        found = set(ids(engine.recommend(user[User.ID], k=200, log=False)))
        assert world.UNRELEASED not in found
        assert not found & set(told.catalogue.history(user[User.ID])[Interaction.FILM])
        assert world.BLOCKED_IN_DE not in found or user[User.REGION] != "DE"
        assert world.ONLY_IN_SE not in found or user[User.REGION] == "SE"
        assert world.FOR_ADULTS not in found or not user[User.MAXIMUM_AGE] <= 12


def test_two_versions_answer_side_by_side(fresh: Workspace) -> None:
    other = fresh.build(fresh.catalogue, without=("text", "audience"), activate=False)
    engine = fresh.open()
    assert engine.version == fresh.version
    old, new = (engine.recommend("u2", version=version, log=False) for version in (fresh.version, other.version))
    assert "audience" in old.items[0].contributions
    assert "audience" not in new.items[0].contributions
    assert {manifest.version for manifest in engine.versions()} == {fresh.version, fresh.reranked, other.version}
    assert engine.recommend("u2", log=False).items == old.items
    switch(fresh.paths, other.version)
    assert engine.recommend("u2", log=False).items == new.items


def test_no_more_than_four_views_stay_open(fresh: Workspace) -> None:
    engine = fresh.open()
    for block in ("era", "age", "runtime", "origin", "collection"):
        manifest = fresh.build(fresh.catalogue, without=("text", block), activate=False)
        engine.recommend("u2", version=manifest.version, log=False)
    assert len(engine._views) == 4


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        ({"user_id": "nobody"}, UnknownError, "user 'nobody'"),
        ({"version": "v000000000000"}, UnknownError, "index version"),
        ({"version": "../etc"}, UnknownError, "index version"),
        ({"k": 0}, InvalidValueError, "k == 0, must be >= 1"),
        ({"k": -3}, InvalidValueError, "k == -3"),
        ({"k": 201}, InvalidValueError, "k == 201, must be <= 200"),
        ({"k": float("nan")}, InvalidValueError, "k == nan, must be a finite number"),
        ({"k": 2.5}, InvalidValueError, "must be a whole number"),
        ({"k": True}, InvalidValueError, "k == True"),
        ({"region": "XX"}, InvalidValueError, "region == 'XX', must be one of DE, SE, US"),
        ({"on": dt.date(1900, 1, 1)}, InvalidValueError, "on == 1900-01-01, must be >= 19"),
        ({"filters": Filters(exclude_genres=("Horor",))}, InvalidValueError, "did you mean Horror"),
        ({"filters": Filters(languages=("xx",))}, InvalidValueError, "language == 'xx'"),
    ],
)
def test_recommend_refuses_bad_input(engine: Recommender, ask: dict[str, Any], error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        engine.recommend(**{"user_id": "u2", "log": False, **ask})


def test_unknown_ids_are_named_everywhere(engine: Recommender) -> None:
    for call in (lambda: engine.explain("u2", "nope"), lambda: engine.explain("nobody", "5"),
                 lambda: engine.neighbours("nope"), lambda: engine.raw_vectors("u2", "nope"),
                 lambda: engine.what_if("u2", ["nope"]), lambda: engine.sensitivities("u2", "nope"),
                 lambda: engine.slate("nope"), lambda: engine.replay("nope"), lambda: engine.history("nobody"),
                 lambda: engine.why_not("nobody", "5")):  # fmt: skip
        with pytest.raises(UnknownError):
            call()


def test_record_refuses_what_it_can_t_know(fresh: Workspace) -> None:
    engine = fresh.open()
    for wrong, error in ((("nobody", "5", "watched"), UnknownError), (("u2", "nope", "watched"), UnknownError),
                         (("u2", "5", "liked"), InvalidValueError), (("u2", "5", "rated", 9.0), InvalidValueError),
                         (("u2", "5", "rated"), InvalidValueError),
                         (("u2", "5", "watched", float("nan")), InvalidValueError)):  # fmt: skip
        with pytest.raises(error):
            engine.record(*wrong)
    assert engine.live.last_seq() == 0


def test_all_films_filtered_is_an_empty_slate_with_its_funnel(fresh: Workspace) -> None:
    engine = fresh.open()
    nothing = Filters(year_from=1999, year_to=1999, exclude_genres=world.GENRES)
    slate = engine.recommend("u2", filters=nothing)
    assert slate.items == ()
    assert slate.funnel[-1].remaining == 0
    assert engine.replay(slate.slate_id).identical
    relaxed = engine.recommend("u2", filters=Filters(languages=("sv",), year_from=2022, year_to=2200))
    assert relaxed.items == ()
    assert relaxed.relax == ("year",)


def test_a_workspace_that_is_not_ready_says_what_to_do(tmp_path: Any) -> None:
    with pytest.raises(StateError):
        Recommender.open(settings_of(tmp_path / "empty"))
    home = Paths(tmp_path / "imported").ensure()
    save_catalogue(world.catalogue(films=20, users=3), home)
    engine = Recommender.open(settings_of(home.home))
    with pytest.raises(StateError, match="recommendr index build"):
        engine.recommend("u1")


def test_a_film_the_version_does_not_know_says_how_to_add_it(fresh: Workspace) -> None:
    save_catalogue(world.changed(fresh.catalogue, NEW_FILM, without=("30",)), fresh.paths)
    engine = fresh.open()
    with pytest.raises(UnknownError, match="--strategy incremental"):
        engine.explain("u2", "900")
    assert engine.why_not("u2", "900").rule == "not_indexed"
    assert "30" not in ids(engine.recommend("u2", k=200, log=False))
    assert engine.recommend("u2", log=False).funnel[0].remaining == world.FILMS - 1
    assert "900" in {found[0] for found in engine.search_titles("New in town")}


def test_a_corrupt_version_is_refused_by_name(fresh: Workspace) -> None:
    folder = fresh.paths.indexes / fresh.version
    for name in ("vectors.npy", "features.json", "terms_values.npy", "films.parquet", "manifest.json"):
        path = folder / name
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(IntegrityError, match=r"v[0-9a-f]{12}"):
            fresh.open().recommend("u2", log=False)
        path.write_bytes(content)
    assert fresh.open().recommend("u2", log=False).items


def test_ledger_has_a_row_for_each_switch_of_a_build(fresh: Workspace) -> None:
    first = fresh.build(fresh.catalogue, without=("text", "era"))
    fresh.build(fresh.catalogue, without=("text", "era"))
    fresh.build(fresh.catalogue, without=("text", "age"), activate=False)
    engine = fresh.open()
    rows = [entry for entry in engine.ledger.entries() if entry.action == "index.switch"]
    assert sorted(entry.subject for entry in rows) == sorted([fresh.reranked, fresh.version, first.version])
    latest = next(entry for entry in rows if entry.subject == first.version)
    assert latest.details == {"before": fresh.version, "strategy": "full"}
    assert engine.ledger.verify().ok
    assert len(list_versions(fresh.paths)) == 4


def test_shadowed_requests_log_their_recall(fresh: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    engine = Recommender.open(fresh.settings.model_copy(update={"shadow_rate": 1.0}), clock=FrozenClock(world.NOW))
    with caplog.at_level(logging.INFO, logger="recommender.engine"):
        engine.recommend("u2", log=False)
        engine.recommend("u2", k=3, log=False)
        engine.recommend("u2", filters=Filters(year_from=2199), log=False)
    shadowed = [record for record in caplog.records if record.message == "shadowed"]
    # Three wanted films are not two lost, and nothing allowed is nothing missed.
    assert [record.recall_at_5 for record in shadowed] == [1.0, 1.0, 1.0]  # type: ignore[attr-defined]


def test_recommend_logs_its_hop_without_the_user(fresh: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    engine = fresh.open()
    with caplog.at_level(logging.INFO, logger="workspace.logs"):
        slate = engine.recommend("u2", region="SE")
        with pytest.raises(UnknownError):
            engine.recommend("nobody-at-all")
    good, bad = (vars(record) for record in caplog.records if record.message == "hop")
    assert (good["service"], good["status"], good["slate_id"]) == ("recommender", 200, slate.slate_id)
    assert (good["region"], good["index_version"], good["films"]) == ("SE", fresh.version, 5)
    assert good["duration_ms"] >= slate.latency_ms * 0.9
    assert (bad["service"], bad["status"]) == ("recommender", 400)
    assert "'u2'" not in str(good)
    assert "nobody-at-all" not in str(bad)


def test_search_finds_films_and_users(engine: Recommender) -> None:
    assert engine.search_titles("film 17")[0][:2] == ("17", "Film 17")
    assert engine.search_titles("17")[0][0] == "17"
    undated = next(found for found in engine.search_titles("Film 16", limit=1))
    assert undated == ("16", "Film 16", None)
    assert engine.user_ids("u5", limit=3) == ["u5", "u50", "u51"]


def test_weights_of_a_configuration_change_the_order(fresh: Workspace) -> None:
    engine = fresh.open()
    era = build_index(fresh.settings, fresh.catalogue, clock=FrozenClock(world.NOW), options=BuildOptions(
        without=("text",), activate=False, configuration=Configuration(weights={**WEIGHTS, "era": 50.0})))  # fmt: skip
    assert ids(engine.recommend("u2", version=era.version, log=False)) != ids(engine.recommend("u2", log=False))
    assert engine.recommend("u2", version=era.version, log=False).weights["era"] == 50.0
