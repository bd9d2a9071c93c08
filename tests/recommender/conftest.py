"""Workspaces with the small world in them, built once a session and copied for tests that change them."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from recommender.building import BuildOptions, build_index
from recommender.catalogue import Catalogue, save_catalogue
from recommender.configuration import DEFAULT_WEIGHTS, Configuration
from recommender.engine import Recommender
from recommender.index import Manifest
from tests.made_once import made_once
from tests.recommender import world
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings

WEIGHTS = {**DEFAULT_WEIGHTS, "quality": 0.5}
RERANKED = {**WEIGHTS, "closest_film": 0.4, "diversity": 0.5}


def settings_of(home: Path, **chosen: Any) -> Settings:
    return Settings(home=home, encoder_dtype="float32", shadow_rate=0.0, **chosen)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace with the world in it and two versions: the current one, and one that re-ranks."""

    home: Path
    catalogue: Catalogue
    version: str
    reranked: str

    @property
    def settings(self) -> Settings:
        return settings_of(self.home)

    @property
    def paths(self) -> Paths:
        return Paths(self.home)

    def open(self, clock: FrozenClock | None = None) -> Recommender:
        return Recommender.open(self.settings, clock=clock or FrozenClock(world.NOW))

    def build(self, catalogue: Catalogue, **options: Any) -> Manifest:
        """Import a catalogue and build on it, with fixed weights unless told otherwise."""
        save_catalogue(catalogue, self.paths)
        wanted = BuildOptions(**{"configuration": Configuration(weights=WEIGHTS), **options})
        return build_index(self.settings, catalogue, options=wanted, clock=FrozenClock(world.NOW))


def provision(factory: pytest.TempPathFactory, name: str, *, without: tuple[str, ...]) -> Workspace:
    """Return a workspace with the world in it, built by one test process and copied by the others."""
    known, clock = world.catalogue(), FrozenClock(world.NOW)

    def make(folder: Path) -> list[str]:
        settings = settings_of(folder / "home")
        save_catalogue(known, Paths(settings.home).ensure())
        return [
            build_index(
                settings,
                known,
                options=BuildOptions(without=without, configuration=Configuration(weights=weights)),
                clock=clock,
            ).version
            for weights in (RERANKED, WEIGHTS)
        ]

    folder, (reranked, version) = made_once(factory, name, make)
    return Workspace(folder / "home", known, version, reranked)


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The world with every block, texts encoded by the real model; nobody may change it, only log slates."""
    return provision(tmp_path_factory, "told", without=())


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The world without the text block: quick to build on; nobody may change it."""
    return provision(tmp_path_factory, "plain", without=("text",))


@pytest.fixture(scope="session")
def engine(told: Workspace) -> Recommender:
    """An engine for questions that leave no trace: every recommendation with ``log=False``."""
    return told.open()


@pytest.fixture
def fresh(plain: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the world without texts, to be changed."""
    home = tmp_path / "home"
    shutil.copytree(plain.home, home)
    return Workspace(home, plain.catalogue, plain.version, plain.reranked)


@pytest.fixture
def fresh_told(told: Workspace, tmp_path: Path) -> Workspace:
    """A copy of the world with texts, to be changed."""
    home = tmp_path / "home"
    shutil.copytree(told.home, home)
    return Workspace(home, told.catalogue, told.version, told.reranked)
