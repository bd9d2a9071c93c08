"""What every detector stands on: the stores of one workspace, opened once for a run."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from experiments.registry import Registry
from monitoring.findings import Outcome
from telemetry.parts import PartLog
from telemetry.pseudonyms import KeyRing
from telemetry.system import SystemMetrics, open_system_metrics
from telemetry.warehouse import Warehouse, open_warehouse
from telemetry.warehouse.tables import USER_DAY
from workspace.clock import Clock, SystemClock
from workspace.errors import StateError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

if TYPE_CHECKING:
    from recommender.catalogue import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """The opened stores of a workspace.

    Args:
        settings: The workspace.
        paths: Its folders.
        store: The operational store.
        ledger: Who did what.
        clock: Tells the time; detectors ask it and never the machine.
        warehouse: User telemetry, as canonical SQL.
        parts: Which days of it there are.
        system: System telemetry, in questions.
        registry: Experiments.
        rotations: Days on which the pseudonym key changed: users before and after can't be told to be the same.
    """

    settings: Settings
    paths: Paths
    store: Store
    ledger: Ledger
    clock: Clock
    warehouse: Warehouse
    parts: PartLog
    system: SystemMetrics
    registry: Registry
    rotations: tuple[dt.date, ...] = ()

    def days(self) -> tuple[dt.date, dt.date]:
        """Return the first and the last day that are rolled up.

        Raises:
            StateError: When there is none.
        """
        known = self.warehouse.digests(USER_DAY)
        if not known:
            raise StateError("no telemetry is rolled up yet", hint="run `recommendr telemetry rollup`")
        return min(known), max(known)

    def catalogue(self) -> "Catalogue | None":
        """Return the current catalogue; None when nothing is imported."""
        from recommender.catalogue import load_catalogue

        try:
            return load_catalogue(self.paths)
        except StateError:
            return None


class Detector(Protocol):
    """Looks at the ground and says what it found; adding one to `monitoring.detectors` is all it takes to be run."""

    @property
    def name(self) -> str:
        """What it is called, for example ``drift.telemetry``."""
        ...

    def look(self, ground: Ground) -> Outcome:
        """Look at everything there is, as of the clock of the ground.

        Too little data is a note of the outcome, not an error; errors of ours end this detector and no other.
        """
        ...


def stand(settings: Settings, store: Store, warehouse: Warehouse, clock: Clock) -> Ground:
    """Return the ground over stores that are open already; who opened them closes them.

    Args:
        settings: The workspace.
        store: Its operational store.
        warehouse: Its user telemetry.
        clock: Tells the time.
    """
    paths = Paths(settings.home).ensure()
    return Ground(
        settings=settings,
        paths=paths,
        store=store,
        ledger=Ledger(store, clock),
        clock=clock,
        warehouse=warehouse,
        parts=PartLog(store, paths, clock),
        system=open_system_metrics(settings),
        registry=Registry(store, clock=clock),
        rotations=tuple(KeyRing.open(settings, clock).valid_from[1:]),
    )


@contextmanager
def opened(settings: Settings, clock: Clock | None = None) -> Iterator[Ground]:
    """Open the ground of a workspace, and close what was opened.

    Args:
        settings: The workspace.
        clock: Tells the time.

    Raises:
        UnreachableError: When a warehouse is set that does not answer.
    """
    store = Store.open(settings)
    try:
        warehouse = open_warehouse(settings, store)
        try:
            yield stand(settings, store, warehouse, clock or SystemClock())
        finally:
            warehouse.close()
    finally:
        store.close()
