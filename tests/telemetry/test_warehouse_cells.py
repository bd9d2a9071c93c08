"""What the statements of cells are made of."""

from telemetry.metrics import METRICS
from telemetry.warehouse.cells import sums_of
from workspace.columns import Rollup


def test_sums_of_metrics_are_named_once() -> None:
    names = sums_of(METRICS)
    assert len(names) == len(set(names))
    assert {Rollup.CLICKS, Rollup.IMPRESSIONS, Rollup.USERS} <= set(names)
