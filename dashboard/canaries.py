"""The canaries, each a step further, held, or rolled back: what a scheduler does with every one that is running."""

from typing import TYPE_CHECKING, Final

from experiments.analysis import Analyst
from experiments.canary import Canary, CanaryStep, inputs_of
from experiments.plan import State
from experiments.registry import Registry
from experiments.sums import Sums
from telemetry.parts import PartLog
from telemetry.pseudonyms import KeyRing
from telemetry.warehouse import open_warehouse
from workspace.clock import Clock
from workspace.errors import NotEstimableError, StateError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

if TYPE_CHECKING:
    from collections.abc import Iterator

_DONE: Final = {"ramp": "ramped to", "hold": "held at", "roll_back": "rolled back from"}


def step_canaries(settings: Settings, store: Store, clock: Clock, *, actor: str) -> list[CanaryStep]:
    """Judge every canary by what is rolled up, and do what the judgement says.

    A canary whose events have not come in yet is left where it is.

    Args:
        settings: The workspace.
        store: The operational store.
        clock: What tells the time.
        actor: Who does it, for the ledger.
    """
    registry = Registry(store, clock=clock)
    waiting = [one.experiment_id for one in registry.all() if one.state is State.CANARY]
    return list(_steps(settings, store, clock, registry, waiting, actor)) if waiting else []


def _steps(
    settings: Settings, store: Store, clock: Clock, registry: Registry, waiting: list[str], actor: str
) -> "Iterator[CanaryStep]":
    paths = Paths(settings.home)
    warehouse = open_warehouse(settings, store)
    rotations = KeyRing.open(settings, clock).valid_from[1:]
    try:
        sums = Sums(warehouse, PartLog(store, paths, clock), paths, clock=clock, rotations=rotations)
        analyst, canary = Analyst(sums, registry), Canary(registry)
        for experiment_id in waiting:
            try:
                card = analyst.scorecard(experiment_id)
            except (NotEstimableError, StateError):
                continue
            yield canary.step(experiment_id, inputs_of(card), actor)
    finally:
        warehouse.close()


def told(step: CanaryStep) -> str:
    """Return what was done with a canary, in words."""
    share = step.next_share if step.action == "ramp" and step.next_share else step.share
    return f"{step.experiment_id} {_DONE[step.action]} {100 * share:g} %: {step.reason}"
