"""The letters that stand for event types in the recomputation from events."""

from telemetry.events import EVENT_TYPES
from telemetry.metrics import METRICS
from telemetry.warehouse.cells import sums_of
from workspace.columns import Rollup


def test_event_types_differ_in_their_first_letter() -> None:
    assert len({name[0] for name in EVENT_TYPES}) == len(EVENT_TYPES) == 6


def test_sums_of_metrics_are_named_once() -> None:
    names = sums_of(METRICS)
    assert len(names) == len(set(names))
    assert {Rollup.CLICKS, Rollup.IMPRESSIONS, Rollup.USERS} <= set(names)
