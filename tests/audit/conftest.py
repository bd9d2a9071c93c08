"""The recommender's small world for tests of panels, built once a session; nobody may change it."""

import shutil
from pathlib import Path

import pytest

from audit.plan import AuditPlan
from recommender.view import View
from tests.recommender import world
from tests.recommender.conftest import Workspace, provision


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """180 films and 56 users in three regions, without the text block."""
    return provision(tmp_path_factory, "plain", without=("text",))


@pytest.fixture(scope="session")
def small_view(small_world: Workspace) -> View:
    return View.open(small_world.paths, small_world.version, small_world.catalogue)


def plan_of(workspace: Workspace, **chosen: object) -> AuditPlan:
    """Return a plan on the small world: few tastes, short histories."""
    usual: dict[str, object] = {
        "title": "Small",
        "index_version": workspace.version,
        "snapshot_id": workspace.catalogue.snapshot_id,
        "on": world.TODAY,
        "tastes": 6,
        "history_length": 8,
    }
    return AuditPlan(**{**usual, **chosen})  # type: ignore[arg-type]


@pytest.fixture
def fresh_small(small_world: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the world, to be changed."""
    shutil.copytree(small_world.home, tmp_path / "home")
    return Workspace(tmp_path / "home", small_world.catalogue, small_world.version, small_world.reranked)
