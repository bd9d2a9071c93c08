"""What takes long to make is made once for all test processes; each gets a copy of its own."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workspace.files import file_lock


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], Any]) -> tuple[Path, Any]:
    """Return a folder of this process alone with what was made, and what the making returned.

    Args:
        factory: Where temporary folders are.
        name: Tells it apart from others.
        make: Fills a folder and returns plain data; called by the first process that asks, while the others wait.
    """
    base = factory.getbasetemp()
    # Processes of pytest-xdist have folders of their own inside the one of the run.
    around = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    common, said = around / "made" / name, around / "made" / f"{name}.json"
    with file_lock(around / "made" / f"{name}.lock"):
        if not said.exists():
            shutil.rmtree(common, ignore_errors=True)
            common.mkdir(parents=True)
            said.write_text(json.dumps(make(common)))
    own = factory.mktemp(name)
    shutil.copytree(common, own, dirs_exist_ok=True)
    return own, json.loads(said.read_text())
