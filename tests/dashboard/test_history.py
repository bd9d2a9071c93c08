"""The synthetic history: finished after a kill, and never laid over telemetry that somebody brought."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dashboard.history import provision_history
from telemetry.ingest import Ingestor
from telemetry.parts import EVENTS, PartLog
from tests.dashboard.test_cli_telemetry import event
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store


def silent(*_: Any) -> None:
    """Hear nothing."""


def stored(settings: Settings) -> int:
    store = Store.open(settings)
    try:
        return sum(part.rows for part in PartLog(store, Paths(settings.home)).parts(EVENTS))
    finally:
        store.close()


@pytest.fixture
def ready(ready_home: Path, tmp_path: Path) -> Settings:
    home = tmp_path / "home"
    shutil.copytree(ready_home, home)
    return Settings(home=home)


def test_provision_history_finishes_what_a_killed_run_began(ready: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("dashboard.history.roll_up", die)
        provision_history(ready, weeks=1, progress=silent)
    cut_off = stored(ready)
    assert cut_off > 0
    finished = provision_history(ready, weeks=1, progress=silent)
    assert finished.status == "created"
    assert finished.events == stored(ready) == cut_off, "the events of the cut off run count once"
    assert (Paths(ready.home).telemetry / "truth.json").exists()
    assert provision_history(ready, weeks=1, progress=silent).status == "ready"


def test_provision_history_leaves_telemetry_alone_that_somebody_brought(ready: Settings) -> None:
    store = Store.open(ready)
    ingestor = Ingestor(ready, store)
    told = event(ts=(datetime.now(UTC) - timedelta(minutes=5)).isoformat())
    ingestor.ingest_rows([json.dumps(told).encode()], "own", "own", {})
    ingestor.close()
    store.close()
    assert provision_history(ready, weeks=1, progress=silent).status == "ready"
    assert stored(ready) == 1
