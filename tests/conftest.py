"""Fixtures every package's tests may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from workspace.paths import Paths

ROOT = Path(__file__).parent.parent
REAL_DATA_VARIABLE = "RECOMMENDR_REAL_DATA"

# Two shared cores make wall-clock deadlines a matter of luck.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


def pytest_configure() -> None:
    """Keep the operator's own settings out of the tests."""
    for name in list(os.environ):
        if name.startswith("RECOMMENDR_") and name != REAL_DATA_VARIABLE:
            del os.environ[name]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real films and ratings."""
    chosen = os.environ.get(REAL_DATA_VARIABLE)
    folder = Path(chosen) if chosen else ROOT.parent / "shared" / "data" / "movielens-tmdb"
    if not (folder / "ratings.csv").is_file():
        pytest.skip(f"the MovieLens and TMDB folder is not at {folder}; set {REAL_DATA_VARIABLE}")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Paths:
    """An empty workspace."""
    return Paths(tmp_path / "home").ensure()
