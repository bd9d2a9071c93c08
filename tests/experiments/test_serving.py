"""Serving by flag: control and treatment are answered by different index versions, side by side."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from experiments.flags import Flags
from experiments.registry import Registry
from experiments.serving import serve
from recommender.engine import Recommender
from tests.experiments.plans import SALT, plan
from tests.recommender import world
from tests.recommender.conftest import Workspace, provision
from workspace.clock import FrozenClock
from workspace.errors import UnknownError

FLAG = "exp_1.flag"
USERS = [f"u{number}" for number in range(2, 30)]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The small world with two index versions; the one that re-ranks is not the current one."""
    return provision(tmp_path_factory, "served", without=("text",))


@pytest.fixture
def recommender(built: Workspace, tmp_path: Path) -> Iterator[Recommender]:
    home = tmp_path / "home"
    shutil.copytree(built.home, home)
    opened = Workspace(home, built.catalogue, built.version, built.reranked).open()
    yield opened
    opened.store.close()


def launched(recommender: Recommender, built: Workspace, **fields: Any) -> tuple[Registry, Flags]:
    clock = FrozenClock(world.NOW)
    known = [manifest.version for manifest in recommender.versions()]
    registry = Registry(recommender.store, clock=clock, known_versions=lambda: known)
    chosen = {
        "variants": [
            {"name": "control", "weight": 1, "index_version": built.version},
            {"name": "treatment", "weight": 1, "index_version": built.reranked},
        ],
        "start": world.TODAY.isoformat(),
        "default_allocation": 0.8,
        "salt": SALT,
        **fields,
    }
    registry.create(plan(**chosen), "pm")
    registry.launch("exp_1", "pm")
    return registry, Flags(recommender.store, clock)


def test_each_variant_is_served_by_its_own_index_version(recommender: Recommender, built: Workspace) -> None:
    _, flags = launched(recommender, built)
    served = {user: serve(recommender, flags, FLAG, user, log=False) for user in USERS}
    version = {"control": built.version, "treatment": built.reranked, None: built.version}
    assert {one.served.variant for one in served.values()} == set(version)
    for one in served.values():
        assert one.slate.index_version == version[one.served.variant] == one.served.index_version
    assert len({one.slate.index_version for one in served.values()}) == 2
    for user, one in served.items():
        alone = recommender.recommend(user, version=one.served.index_version, log=False)
        assert [item.film_id for item in one.slate.items] == [item.film_id for item in alone.items]


def test_the_logged_slate_says_which_version_made_it(recommender: Recommender, built: Workspace) -> None:
    _, flags = launched(recommender, built)
    treated = next(user for user in USERS if flags.lookup(FLAG, user, home(recommender, user)).variant == "treatment")
    shown = serve(recommender, flags, FLAG, treated, k=3)
    assert recommender.slate(shown.slate.slate_id).index_version == built.reranked
    assert recommender.replay(shown.slate.slate_id).identical
    document = shown.to_dict()
    assert document["index_version"] == built.reranked
    assert document["served"]["experiment_id"] == "exp_1"
    assert len(document["items"]) == 3


def home(recommender: Recommender, user: str) -> str:
    return recommender.desk(recommender.view()).region(user, None)


def test_a_journey_moves_nobody_in_or_out(recommender: Recommender, built: Workspace) -> None:
    _, flags = launched(recommender, built, allocation={"SE": 0.0})
    swede = next(user for user in USERS if home(recommender, user) == "SE")
    away = serve(recommender, flags, FLAG, swede, region="US", log=False)
    assert away.slate.region == "US"
    assert away.served.variant is None


def test_after_a_roll_back_everyone_gets_the_version_of_control(recommender: Recommender, built: Workspace) -> None:
    registry, flags = launched(recommender, built)
    registry.stop("exp_1", "robot", "harm", roll_back=True)
    served = [serve(recommender, flags, FLAG, user, log=False) for user in USERS[:12]]
    assert {one.slate.index_version for one in served} == {built.version}
    assert {one.served.variant for one in served} == {"control"}


def test_without_a_version_the_current_one_serves(recommender: Recommender, built: Workspace) -> None:
    variants = [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1, "index_version": built.reranked}]
    _, flags = launched(recommender, built, variants=variants)
    served = [serve(recommender, flags, FLAG, user, log=False) for user in USERS]
    assert {one.slate.index_version for one in served if one.served.variant == "control"} == {recommender.version}


def test_an_unknown_version_is_refused_before_anybody_meets_it(recommender: Recommender, built: Workspace) -> None:
    variants = [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1, "index_version": "nonsense"}]
    with pytest.raises(UnknownError, match="'nonsense' of variant treatment") as refused:
        launched(recommender, built, variants=variants)
    assert built.reranked in str(refused.value)


def test_unknown_users_and_flags_are_named(recommender: Recommender, built: Workspace) -> None:
    _, flags = launched(recommender, built)
    with pytest.raises(UnknownError, match="nobody"):
        serve(recommender, flags, FLAG, "nobody")
    with pytest.raises(UnknownError, match=r"flag == 'other'"):
        serve(recommender, flags, "other", "u2")
