"""Paths: one home, made on request."""

from pathlib import Path

import pytest

from workspace.errors import StateError
from workspace.paths import Paths


def test_paths_ensure_makes_every_folder_and_may_be_repeated(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "a" / "b").ensure().ensure()
    made = {path.name for path in paths.home.iterdir()}
    assert made == {
        "audit", "catalogue", "embeddings", "indexes", "logs", "monitoring", "providers", "spool", "system", "telemetry"
    }  # fmt: skip
    assert paths.database.parent == paths.home


def test_paths_ensure_names_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StateError, match=r"can't be created.*--home or RECOMMENDR_HOME"):
        Paths(tmp_path / "home").ensure()
