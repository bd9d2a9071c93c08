"""Film and user events: a vector at once, each event once, nothing lost."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.arrivals import Arrivals
from recommender.engine import Recommender
from tests.ui import small_world
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

NOW = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("arrivals") / "home"
    small_world.build(home)
    return home


@pytest.fixture
def workspace(built: Path, tmp_path: Path) -> Iterator[tuple[Settings, Store, Arrivals]]:
    home = tmp_path / "home"
    shutil.copytree(built, home)
    settings = Settings(home=home)
    store = Store.open(settings)
    yield settings, store, Arrivals(settings, store, actor="test")
    store.close()


def film_event(event_id: str = "e1", film_id: str = "f900", **fields: Any) -> dict[str, Any]:
    film = {"film_id": film_id, "title": "Late Arrival", "release_date": "2020-01-01", "genres": ["Horror"],
            "languages": ["sv"], "runtime_min": 95, "minimum_age": 7, **fields}  # fmt: skip
    return {"type": "film.updated", "event_id": event_id, "ts": NOW.isoformat(), "film": film}


def user_event(event_id: str = "e2", user_id: str = "u900", **fields: Any) -> dict[str, Any]:
    user = {"user_id": user_id, "region": "SE", "premium": True, "consent": True, **fields}
    return {"type": "user.joined", "event_id": event_id, "ts": NOW.isoformat(), "user": user}


def test_apply_gives_a_new_film_a_vector_at_once(workspace: tuple[Settings, Store, Arrivals]) -> None:
    settings, _, arrivals = workspace
    before = Recommender.open(settings)
    served = before.version
    assert "f900" not in set(before.catalogue.films["film_id"])
    before.store.close()
    arrivals.receive(film_event())
    arrived = arrivals.apply()
    assert (arrived.films, arrived.users, arrived.repeated, dict(arrived.refused)) == (1, 0, 0, {})
    engine = Recommender.open(settings)
    assert engine.version == arrived.index_version != served
    explained = engine.explain("u1", "f900").to_dict()
    assert sum(explained["blocks"].values()) == pytest.approx(explained["score"], abs=1e-6)
    assert engine.neighbours("f900", k=3)
    engine.store.close()


def test_apply_lets_a_user_who_joined_be_recommended_to_at_once(workspace: tuple[Settings, Store, Arrivals]) -> None:
    settings, _, arrivals = workspace
    arrivals.receive(user_event(maximum_age=7, excluded_genres=["Horror"]))
    assert arrivals.apply().users == 1
    engine = Recommender.open(settings)
    slate = engine.recommend("u900")
    assert len(slate.items) == 5
    films = engine.catalogue.films.set_index("film_id").loc[[item.film_id for item in slate.items]]
    assert films["minimum_age"].max() <= 7
    assert not films["genres"].map(lambda genres: "Horror" in genres).any()
    engine.store.close()


def test_apply_counts_each_event_once(workspace: tuple[Settings, Store, Arrivals]) -> None:
    settings, _, arrivals = workspace
    for _ in range(2):
        arrivals.receive(film_event())
        arrivals.receive(user_event())
    first = arrivals.apply()
    assert (first.films, first.users, first.repeated) == (1, 1, 0)
    snapshot = Recommender.open(settings).catalogue.snapshot_id
    arrivals.receive(film_event(title="A replay must not be applied"))
    again = arrivals.apply()
    assert (again.films, again.users, again.repeated) == (0, 0, 1)
    assert Recommender.open(settings).catalogue.snapshot_id == snapshot
    assert arrivals.waiting() == 0


def test_apply_finishes_what_a_killed_run_began(
    workspace: tuple[Settings, Store, Arrivals], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, _, arrivals = workspace

    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    arrivals.receive(film_event())
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("dashboard.arrivals.build_index", die)
        arrivals.apply()
    assert arrivals.waiting() == 1
    arrived = arrivals.apply()
    assert arrived.films == 1
    engine = Recommender.open(settings)
    assert engine.explain("u1", "f900").to_dict()["score"] is not None
    engine.store.close()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"type": "film.deleted", "event_id": "x", "ts": NOW.isoformat()}, "type"),
        ({"type": "film.updated", "event_id": "x", "ts": "2026-01-01T00:00:00", "film": {}}, "ts"),
        ({"type": "film.updated", "event_id": "x", "ts": "yesterday", "film": {}}, "ts"),
        ({"type": "film.updated", "event_id": "", "ts": NOW.isoformat(), "film": {}}, "event_id"),
        ({"type": "user.joined", "event_id": "x", "ts": NOW.isoformat()}, "user"),
        (film_event(film_id=""), "film_id missing"),
        (film_event(release_date="2199-01-01"), "release date"),
        (user_event(region="XX"), "region must be one of NO, SE"),
        (user_event(maximum_age=99), "maximum_age must be"),
        (user_event(user_id=""), "user_id missing"),
        (user_event(user_id="u1"), "imported already"),
        (user_event(consent="yes"), "must be true or false"),
    ],
)
def test_apply_refuses_by_name_and_keeps_the_message(
    workspace: tuple[Settings, Store, Arrivals], message: dict[str, Any], reason: str
) -> None:
    settings, _, arrivals = workspace
    arrivals.receive(message)
    arrivals.receive(user_event(event_id="good", user_id="u901"))
    arrived = arrivals.apply()
    assert (arrived.films, arrived.users) == (0, 1), "one bad message stops no other"
    assert sum(arrived.refused.values()) == 1
    assert reason in next(iter(arrived.refused))
    (kept,) = (Paths(settings.home).spool / "refused").glob("*.json")
    assert json.loads(json.loads(kept.read_text())["message"]) == message


def test_apply_refuses_an_older_update(workspace: tuple[Settings, Store, Arrivals]) -> None:
    _, _, arrivals = workspace
    old = film_event(film_id="f7", title="From last year") | {"ts": (NOW - timedelta(days=365)).isoformat()}
    arrivals.receive(old)
    assert dict(arrivals.apply().refused) == {"older than what the catalogue knows": 1}


def test_apply_writes_the_release_into_the_ledger(workspace: tuple[Settings, Store, Arrivals]) -> None:
    _, store, arrivals = workspace
    arrivals.receive(film_event())
    arrivals.apply()
    actions = [entry.action for entry in Ledger(store).entries(limit=10)]
    assert "catalogue.import" in actions
    assert any("index" in action for action in actions)
