"""Plans the tests of the registry, of flags and of canaries begin with."""

import datetime as dt
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from experiments.plan import ExperimentPlan, read_plan
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

TODAY = dt.date(2026, 3, 2)
NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
SALT = "a1b2c3d4e5f60718293a4b5c6d7e8f90"


def plan(experiment_id: str = "exp_1", **fields: Any) -> ExperimentPlan:
    """Return a plan of two halves on a tenth of the users, with one guardrail."""
    return read_plan(
        {
            "experiment_id": experiment_id,
            "hypothesis": "Genres first raise clicks.",
            "owner": "pm",
            "flag": f"{experiment_id}.flag",
            "variants": variants(control=1, treatment=1),
            "start": TODAY.isoformat(),
            "metrics": [
                {"metric": "ctr", "kind": "primary"},
                {"metric": "thumbs_down_rate", "kind": "guardrail", "margin_rel": 0.1},
            ],
            **fields,
        }
    )


def variants(**weights: float) -> list[dict[str, Any]]:
    """Return variants by their weights, the first one control."""
    return [{"name": name, "weight": weight} for name, weight in weights.items()]


@contextmanager
def new_store(home: Paths) -> Iterator[Store]:
    """Open an empty store, migrated once for all tests: that is most of what a small one takes."""
    home.database.write_bytes(_migrated())
    store = Store.open(Settings(home=home.home))
    try:
        yield store
    finally:
        store.close()


@cache
def _migrated() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        Store.open(Settings(home=Path(folder))).close()
        return Paths(Path(folder)).database.read_bytes()
