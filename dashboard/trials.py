"""What a scheduler does with the experiments that are live: canaries take a step, the others are judged ahead.

Judging ahead keeps the sums, so that whoever opens the page waits for none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

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
    waiting = _in_state(registry, State.CANARY)
    if not waiting:
        return []
    steps = []
    with _opened(settings, store, clock, registry) as analyst:
        for experiment_id in waiting:
            try:
                card = analyst.scorecard(experiment_id)
            except (NotEstimableError, StateError):
                continue
            steps.append(Canary(registry).step(experiment_id, inputs_of(card), actor))
    return steps


def judge_running(settings: Settings, store: Store, clock: Clock) -> dict[str, str]:
    """Judge every running experiment by what is rolled up; nothing is changed.

    Args:
        settings: The workspace.
        store: The operational store.
        clock: What tells the time.

    Returns:
        The decision of each, or why there is none.
    """
    registry = Registry(store, clock=clock)
    running = _in_state(registry, State.RUNNING)
    if not running:
        return {}
    found = {}
    with _opened(settings, store, clock, registry) as analyst:
        for experiment_id in running:
            try:
                found[experiment_id] = analyst.verdict(experiment_id).decision.value
            except (NotEstimableError, StateError) as problem:
                found[experiment_id] = problem.what
    return found


def told(step: CanaryStep) -> str:
    """Return what was done with a canary, in words."""
    share = step.next_share if step.action == "ramp" and step.next_share else step.share
    return f"{step.experiment_id} {_DONE[step.action]} {100 * share:g} %: {step.reason}"


def _in_state(registry: Registry, state: State) -> list[str]:
    return [one.experiment_id for one in registry.all() if one.state is state]


@contextmanager
def _opened(settings: Settings, store: Store, clock: Clock, registry: Registry) -> Iterator[Analyst]:
    paths = Paths(settings.home)
    warehouse = open_warehouse(settings, store)
    rotations = KeyRing.open(settings, clock).valid_from[1:]
    try:
        sums = Sums(warehouse, PartLog(store, paths, clock), paths, clock=clock, rotations=rotations)
        yield Analyst(sums, registry, k=settings.k_anonymity)
    finally:
        warehouse.close()
