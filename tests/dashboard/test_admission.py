"""The gate at imports: nothing is dropped silently, what is held stays out, and a decision is in effect at once."""

import time
from datetime import UTC, date, datetime

import pandas as pd
import pytest

from audit.manipulation.queue import ReviewQueue
from dashboard import admission
from dashboard.admission import HELD_NEW, SOURCE
from dashboard.imports import publish
from data.synthetic import WorldSpec, generate
from data.synthetic.attacks import attack
from recommender.catalogue import Catalogue, build_catalogue, load_catalogue
from recommender.providers import FilmUpdate, update_films
from tests.dashboard.conftest import call
from workspace.columns import Film, Interaction, Quarantine
from workspace.errors import InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

WORLD = generate(WorldSpec(films=220, users=15, seed=3, end=date(2026, 3, 1)))


def catalogue(films: pd.DataFrame) -> Catalogue:
    known = WORLD.interactions[Interaction.FILM].isin(set(films[Film.ID]))
    return build_catalogue(films, WORLD.users, WORLD.interactions[known], manifest={"source": "test"})


@pytest.fixture
def settings(home: Paths) -> Settings:
    return Settings(home=home.home)


@pytest.fixture
def first(settings: Settings) -> Catalogue:
    """All but the last twenty films, admitted."""
    return publish(settings, catalogue(WORLD.films.iloc[:-20]), previous=None, actor="test").catalogue


def stuffed(films: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    attacked = attack(films, "keyword_append", share=0.02, seed=1)
    return attacked.films, attacked.film_ids


def test_the_first_import_queues_the_oddest_for_review_and_withholds_none(settings: Settings) -> None:
    made = catalogue(WORLD.films)
    admitted = admission.admit(settings, made, previous=None, actor="test")
    assert admitted.catalogue.snapshot_id == made.snapshot_id
    assert len(admitted.reviews) <= 0.01 * len(WORLD.films)
    assert {one.state for one in admitted.reviews} <= {"review"}


def test_an_edit_that_is_held_keeps_the_last_admitted_content(settings: Settings, first: Catalogue) -> None:
    films, attacked = stuffed(first.films)
    admitted = publish(settings, catalogue(films), previous=first, actor="test")
    assert set(admitted.withheld) == set(attacked)
    assert admitted.catalogue.snapshot_id == first.snapshot_id
    rows = admitted.catalogue.quarantine
    assert set(rows.loc[rows[Quarantine.SOURCE] == SOURCE, Quarantine.KEY]) == set(attacked)
    again = publish(settings, catalogue(films), previous=admitted.catalogue, actor="test")
    assert set(again.withheld) == set(attacked)
    assert again.reviews == ()


def test_new_films_that_are_held_stay_out_with_their_interactions_and_all_rows_add_up(
    settings: Settings, first: Catalogue
) -> None:
    late = WORLD.films.tail(20).copy()
    words = WORLD.films[Film.KEYWORDS].explode().value_counts().index[:14].tolist()
    late[Film.KEYWORDS] = [[*cell, *words] for cell in late[Film.KEYWORDS]]
    delivered = catalogue(pd.concat([WORLD.films.iloc[:-20], late], ignore_index=True))
    admitted = publish(settings, delivered, previous=first, actor="test")
    served, out = admitted.catalogue, set(admitted.withheld)
    assert out == set(late[Film.ID])
    assert len(delivered.films) == len(served.films) + len(out)
    refused = served.quarantine[served.quarantine[Quarantine.SOURCE] == SOURCE]
    lost = delivered.interactions[Interaction.FILM].isin(out).sum()
    assert len(refused) == len(out) + lost
    assert len(delivered.interactions) == len(served.interactions) + lost
    facts = served.manifest[SOURCE]
    assert (facts["films_in"], facts["films_out"], facts["held"]) == (220, 200, 20)


def test_released_content_is_served_at_once_and_comes_in_with_the_next_import(
    settings: Settings, first: Catalogue
) -> None:
    films, _ = stuffed(first.films)
    held = publish(settings, catalogue(films), previous=first, actor="test").reviews
    done = admission.decide(settings, held[0].review_id, release=True, reason="It is right.", actor="kim")
    now = load_catalogue(Paths(settings.home))
    assert now.snapshot_id == done["now"] != first.snapshot_id
    told = films.loc[films[Film.ID] == held[0].film_id, Film.KEYWORDS].iloc[0]
    assert now.films[Film.KEYWORDS].iloc[now.film_row(held[0].film_id)] == told
    admission.decide(settings, held[1].review_id, release=False, reason="Stuffed.", actor="kim")
    later = publish(settings, catalogue(films), previous=now, actor="test")
    assert held[0].film_id not in later.withheld
    assert later.withheld[held[1].film_id] == HELD_NEW
    store = Store.open(settings)
    actions = [one.action for one in Ledger(store).entries()]
    assert {"film.hold", "film.release", "film.keep", "catalogue.admission"} <= set(actions)
    store.close()


def test_a_film_for_review_that_is_kept_out_leaves_the_catalogue(settings: Settings) -> None:
    films, attacked = stuffed(WORLD.films)
    admitted = publish(settings, catalogue(films), previous=None, actor="test")
    one = next(review for review in admitted.reviews if review.film_id in attacked)
    assert one.film_id in set(admitted.catalogue.films[Film.ID])
    admission.decide(settings, one.review_id, release=False, reason="Stuffed.", actor="kim")
    now = load_catalogue(Paths(settings.home))
    assert one.film_id not in set(now.films[Film.ID])
    assert (now.quarantine[Quarantine.KEY] == one.film_id).any()


def test_another_source_is_a_first_import(settings: Settings, first: Catalogue) -> None:
    other = WORLD.films.assign(film_id=[f"x{row}" for row in range(len(WORLD.films))])
    made = build_catalogue(other, WORLD.users, WORLD.interactions.head(0), manifest={})
    assert admission.admit(settings, made, previous=first, actor="test").withheld == {}


@pytest.mark.parametrize(
    ("keywords", "reason"),
    [
        (["x" * 10_000_000], "keywords: an entry of 20000 characters, at most 200"),
        ("|".join(f"w{at}" for at in range(1_500_000)), "keywords: 1000 entries, at most 500"),
    ],
)
def test_ten_megabytes_of_keywords_are_refused_by_name(
    settings: Settings, first: Catalogue, keywords: object, reason: str
) -> None:
    film_id = first.films[Film.ID].iloc[0]
    now = datetime(2026, 3, 2, tzinfo=UTC)
    began = time.process_time()
    update = update_films(first, [FilmUpdate(film={Film.ID: film_id, Film.KEYWORDS: keywords}, at=now)], now=now)
    admitted = publish(settings, update.catalogue, previous=first, actor="test")
    assert time.process_time() - began < 10
    assert admitted.withheld == {film_id: reason}
    assert admitted.catalogue.snapshot_id == first.snapshot_id
    store = Store.open(settings)
    refusal = next(one for one in Ledger(store).entries() if one.action == "film.refuse")
    assert refusal.details["refused"] == {film_id: reason}
    # What can't be judged has no score, and so no row in the queue.
    assert film_id not in {one.film_id for one in ReviewQueue(store).reviews(("held",))}
    store.close()


def test_control_characters_are_refused_or_gone(settings: Settings, first: Catalogue) -> None:
    films = first.films.copy()
    films[Film.KEYWORDS] = [["love\x00war"], *films[Film.KEYWORDS].iloc[1:]]
    admitted = publish(settings, catalogue(films), previous=first, actor="test")
    assert admitted.withheld == {films[Film.ID].iloc[0]: "keywords: holds control characters"}
    assert admitted.catalogue.snapshot_id == first.snapshot_id


def test_bad_decisions_are_named_and_change_nothing(settings: Settings, first: Catalogue) -> None:
    films, _ = stuffed(first.films)
    held = publish(settings, catalogue(films), previous=first, actor="test").reviews
    with pytest.raises(UnknownError, match="review == 'review_nobody'"):
        admission.decide(settings, "review_nobody", release=True, reason="why", actor="kim")
    with pytest.raises(InvalidValueError, match="reason"):
        admission.decide(settings, held[0].review_id, release=True, reason="", actor="kim")
    admission.decide(settings, held[0].review_id, release=False, reason="Stuffed.", actor="kim")
    with pytest.raises(StateError, match="kept already"):
        admission.decide(settings, held[0].review_id, release=True, reason="why", actor="kim")
    assert load_catalogue(Paths(settings.home)).snapshot_id == first.snapshot_id


def test_a_film_survives_json() -> None:
    film = WORLD.films.iloc[0].to_dict()
    back = admission.from_json(admission.to_json(film))
    unknown = {name for name, value in film.items() if isinstance(value, float) and pd.isna(value)}
    assert all(pd.isna(back[name]) for name in unknown)
    assert {name: back[name] for name in set(film) - unknown} == {name: film[name] for name in set(film) - unknown}


def test_commands_list_show_appeal_and_decide(settings: Settings, first: Catalogue) -> None:
    films, _ = stuffed(first.films)
    held = publish(settings, catalogue(films), previous=first, actor="test").reviews
    home = settings.home
    listed = call(home, "audit", "queue", "list").document["reviews"]
    assert {one.review_id for one in held} <= {row["review_id"] for row in listed}
    one = held[0].review_id
    assert call(home, "audit", "queue", "show", one).document["reasons"]["reasons"][0]["words"]
    assert call(home, "audit", "queue", "appeal", one, "--text", "It is right.").document["appeal"] == "It is right."
    assert call(home, "audit", "queue", "release", one, "--reason", "It is.").document["state"] == "released"
    assert call(home, "audit", "queue", "keep", one, "--reason", "No.").error["type"] == "StateError"
    assert call(home, "audit", "queue", "keep", "review_x", "--reason", "No.").error["type"] == "UnknownError"
    scanned = call(home, "audit", "queue", "scan", "--before", first.snapshot_id).document
    assert scanned["edits"]["edits"][0]["film_id"] == held[0].film_id
