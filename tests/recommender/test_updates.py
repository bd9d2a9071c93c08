"""Film events: laid over the catalogue, refused by name, never wiping out what is known."""

from datetime import date, timedelta
from typing import Any

import pytest

from recommender.catalogue import Catalogue, build_catalogue
from recommender.providers import FileProvider, FilmUpdate, import_providers, update_films
from tests.recommender.catalogue_frames import NOW as IMPORTED_AT
from tests.recommender.catalogue_frames import film, films, interactions, users
from workspace.clock import FrozenClock
from workspace.columns import Film

NOW = IMPORTED_AT + timedelta(hours=4)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    stock = films(
        *(film(f"f{at}", f"Film {at}", **{Film.SYNOPSIS: "A story.", Film.RUNTIME_MIN: 90.0}) for at in range(5))
    )
    acts = interactions(("u1", "f1", "rated", 4.0, IMPORTED_AT - timedelta(days=1)))
    return build_catalogue(stock, users("u1"), acts, manifest={"source": "test"})


def known(catalogue: Catalogue) -> str:
    return str(catalogue.films[Film.ID].iloc[0])


def new_film(**fields: Any) -> dict[str, Any]:
    return {
        Film.ID: "new-1",
        Film.TITLE: "A New Film",
        Film.RELEASE_DATE: "2026-02-20",
        Film.GENRES: ["Drama"],
        **fields,
    }


def test_update_films_adds_a_new_film_and_leaves_all_others_alone(catalogue: Catalogue) -> None:
    updated = update_films(catalogue, [FilmUpdate(film=new_film(), at=NOW)], now=NOW)
    assert updated.outcomes == ("",)
    changed = updated.catalogue
    assert changed.snapshot_id != catalogue.snapshot_id
    row = changed.films.iloc[changed.film_row("new-1")]
    assert (row[Film.TITLE], row[Film.RELEASE_DATE].date(), row[Film.GENRES]) == (
        "A New Film", date(2026, 2, 20), ["Drama"],
    )  # fmt: skip
    assert set(changed.films[Film.ID]) == {*catalogue.films[Film.ID], "new-1"}


def test_update_films_changes_only_the_fields_it_states(catalogue: Catalogue) -> None:
    told = {Film.ID: known(catalogue), Film.SYNOPSIS: "A new story."}
    before = catalogue.films.iloc[0]
    updated = update_films(catalogue, [FilmUpdate(film=told, at=NOW)], now=NOW)
    after = updated.catalogue.films.iloc[updated.catalogue.film_row(known(catalogue))]
    assert after[Film.SYNOPSIS] == "A new story."
    for name in set(Film.ALL) - {Film.SYNOPSIS, Film.UPDATED_AT}:
        assert str(after[name]) == str(before[name]), name


def test_update_films_takes_the_newest_whatever_the_order(catalogue: Catalogue) -> None:
    same = known(catalogue)
    older = FilmUpdate(film={Film.ID: same, Film.TITLE: "Older"}, at=NOW - timedelta(hours=2))
    newer = FilmUpdate(film={Film.ID: same, Film.TITLE: "Newer"}, at=NOW - timedelta(hours=1))
    for order in ([older, newer], [newer, older]):
        changed = update_films(catalogue, order, now=NOW).catalogue
        assert changed.films[Film.TITLE].iloc[changed.film_row(same)] == "Newer"
    again = update_films(changed, [older], now=NOW)
    assert again.outcomes == ("older than what the catalogue knows",)
    assert again.catalogue is changed


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({Film.ID: ""}, "film_id missing"),
        ({Film.ID: "new-2", Film.RELEASE_DATE: "2026-01-01", Film.GENRES: ["Drama"]}, "title missing"),
        (new_film(**{Film.RELEASE_DATE: "2099-01-01"}), "release date more than 5 years ahead"),
    ],
)
def test_update_films_refuses_by_name(catalogue: Catalogue, told: dict[str, Any], reason: str) -> None:
    updated = update_films(catalogue, [FilmUpdate(film=told, at=NOW)], now=NOW)
    assert updated.outcomes == (reason,)
    assert updated.catalogue is catalogue


def test_update_films_never_wipes_out_a_field_it_can_not_read(catalogue: Catalogue) -> None:
    told = {Film.ID: known(catalogue), Film.RUNTIME_MIN: "long"}
    updated = update_films(catalogue, [FilmUpdate(film=told, at=NOW)], now=NOW)
    assert updated.outcomes == ("runtime_min: not a number or out of range, left empty",)
    assert updated.catalogue is catalogue


def test_update_films_refuses_the_future(catalogue: Catalogue) -> None:
    updated = update_films(catalogue, [FilmUpdate(film=new_film(), at=NOW + timedelta(days=3))], now=NOW)
    assert updated.outcomes == ("updated_at lies in the future",)


def test_import_providers_keeps_a_film_newer_than_every_feed(catalogue: Catalogue, tmp_path: Any) -> None:
    changed = update_films(catalogue, [FilmUpdate(film=new_film(), at=NOW)], now=NOW).catalogue
    feed = catalogue.films.assign(**{Film.PROVIDER: "aurora"})
    for delivered, stays in ((NOW - timedelta(hours=6), True), (NOW + timedelta(hours=6), False)):
        folder = tmp_path / f"aurora-{stays}"
        folder.mkdir()
        feed.to_parquet(folder / "films.parquet", index=False)
        (folder / "updated_at.txt").write_text(delivered.isoformat())
        imported = import_providers(
            [FileProvider("aurora", folder)],
            catalogue.users,
            catalogue.interactions,
            clock=FrozenClock(NOW + timedelta(hours=7)),
            previous=changed,
        )
        assert ("new-1" in set(imported.films[Film.ID])) is stays
