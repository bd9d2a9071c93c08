"""What a scheduler runs: `recommendr ingest --due` takes everything that waits, and does the daily load when it is due.

The steps do not depend on one another: one that fails is reported with its cure, and the others go on.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from dashboard.arrivals import Arrivals
from dashboard.imports import Progress, import_lock, publish
from dashboard.provisioning import WORLD
from recommender.building import BuildOptions, build_index
from recommender.catalogue import Catalogue, list_catalogues, load_catalogue
from recommender.catalogue.snapshot import SnapshotEntry
from recommender.providers import file_providers, import_providers
from workspace.clock import Clock, SystemClock
from workspace.errors import RecommendrError, StateError
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

DUE_AFTER: Final = dt.timedelta(hours=20)
"""A scheduler that runs once a day must not find the load due every other day only."""

DELIVERIES_KEPT: Final = dt.timedelta(days=1)
"""Long enough to look again at what came, and no longer: the files name users."""

State = Literal["done", "nothing to do", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of the run.

    Args:
        name: What it does.
        state: How it ended.
        detail: What it did, or why it failed.
    """

    name: str
    state: State
    detail: str

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {"name": self.name, "state": self.state, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyReport:
    """What a run did."""

    steps: tuple[Step, ...]

    @property
    def ok(self) -> bool:
        """Whether no step failed."""
        return all(step.state != "failed" for step in self.steps)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"ok": self.ok, "steps": [step.to_dict() for step in self.steps]}


def run_due(settings: Settings, *, progress: Progress, clock: Clock | None = None, actor: str) -> DailyReport:
    """Take what waits in the spool and in Kafka, load the catalogue when due, roll up, and let go of what is too old.

    Args:
        settings: The workspace.
        progress: Told the stage, what is done and the total.
        clock: What tells the time.
        actor: Who does it, for the ledger.
    """
    run = _Run(settings, clock or SystemClock(), progress, actor)
    with run.opened():
        steps = [
            run.step("spool", run.take_spool),
            run.step("kafka", run.take_kafka),
            run.step("films and users", run.apply_arrivals),
            run.step("daily catalogue", run.load_catalogue),
            # The rollups of days that are gone go with the rollup after it.
            run.step("retention", run.retain),
            run.step("rollups", run.roll_up),
            run.step("canaries", run.step_canaries),
            run.step("verdicts", run.judge_running),
            run.step("monitor", run.watch),
            run.step("files", run.sweep),
        ]
    return DailyReport(steps=tuple(steps))


class _Run:
    def __init__(self, settings: Settings, clock: Clock, progress: Progress, actor: str) -> None:
        self.settings = settings
        self.clock = clock
        self.progress = progress
        self.actor = actor
        self.paths = Paths(settings.home).ensure()
        self.rolled_up = False

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the store and who stands on it."""
        from telemetry.ingest import Ingestor
        from telemetry.parts import PartLog

        self.store = Store.open(self.settings)
        try:
            self.arrivals = Arrivals(self.settings, self.store, clock=self.clock, actor=self.actor)
            self.ingestor = Ingestor(self.settings, self.store, self.clock)
            self.parts = PartLog(self.store, self.paths, self.clock)
            yield
        finally:
            self.store.close()

    def step(self, name: str, work: Callable[[], str]) -> Step:
        """Run one step; an error of ours is its outcome, a defect ends the run."""
        self.progress(name, 0, 0)
        try:
            detail = work()
        except RecommendrError as problem:
            return Step(name=name, state="failed", detail=str(problem))
        return Step(name=name, state="done" if detail else "nothing to do", detail=detail)

    def take_spool(self) -> str:
        """Ingest every file of the spool."""
        from telemetry.ingest.spool import take_spool

        report = take_spool(self.ingestor, self.paths, on_domain_event=self.arrivals.receive)
        return "" if report is None else _told(report.to_dict())

    def take_kafka(self) -> str:
        """Consume what the topic holds."""
        if self.settings.kafka_brokers is None:
            return ""
        from telemetry.stream import consume

        return _told(consume(self.settings, self.ingestor, on_domain_event=self.arrivals.receive).to_dict())

    def apply_arrivals(self) -> str:
        """Give films that changed and users who joined their vector."""
        if not self.arrivals.waiting():
            return ""
        arrived = self.arrivals.apply()
        refused = "".join(f"; refused {rows} ({reason})" for reason, rows in arrived.refused.items())
        return f"{arrived.films} films, {arrived.users} users, {arrived.repeated} repeated{refused}"

    def load_catalogue(self) -> str:
        """Import the provider feeds again when the last import is a day old or a feed is newer."""
        providers = file_providers(self.paths)
        current = next((entry for entry in list_catalogues(self.paths) if entry.current), None)
        if not providers or current is None or not self._due(current, [provider.folder for provider in providers]):
            return ""
        with import_lock(self.paths):
            previous = load_catalogue(self.paths)
            imported = self._imported(previous)
            admitted = publish(self.settings, imported, previous=previous, clock=self.clock, actor=self.actor)
            catalogue = admitted.catalogue
            manifest = build_index(
                self.settings,
                catalogue,
                options=BuildOptions(strategy="incremental"),
                progress=self.progress,
                clock=self.clock,
            )
        held = f", {len(admitted.withheld)} films held" if admitted.withheld else ""
        return f"catalogue {catalogue.snapshot_id}, {len(catalogue.films)} films{held}, index {manifest.version}"

    def _due(self, current: SnapshotEntry, folders: list[Path]) -> bool:
        confirmed = dt.datetime.fromisoformat(current.confirmed_at)
        if self.clock.now() - confirmed >= DUE_AFTER:
            return True
        newest = max((file.stat().st_mtime for folder in folders for file in folder.glob("[!.]*")), default=0.0)
        return newest > confirmed.timestamp()

    def _imported(self, previous: Catalogue) -> Catalogue:
        kept = {name: previous.manifest[name] for name in (WORLD,) if name in previous.manifest}
        return import_providers(
            file_providers(self.paths),
            previous.users,
            previous.interactions,
            clock=self.clock,
            previous=previous,
            manifest=kept,
        )

    def roll_up(self) -> str:
        """Bring the rollups up to the events."""
        from telemetry.rollups import pending, roll_up
        from telemetry.warehouse import open_warehouse

        warehouse = open_warehouse(self.settings, self.store)
        try:
            if not pending(self.parts, warehouse):
                return ""
            report = roll_up(self.parts, warehouse, self.clock, progress=self.progress)
            self.rolled_up = True
        finally:
            warehouse.close()
        return f"{len(report.dates)} days, {len(report.dropped)} dropped, {report.rows:,} rows"

    def step_canaries(self) -> str:
        """Let every canary go on, wait or go back."""
        from dashboard.trials import step_canaries, told

        steps = step_canaries(self.settings, self.store, self.clock, actor=self.actor)
        return "; ".join(told(step) for step in steps)

    def judge_running(self) -> str:
        """Judge the running experiments when there is news, so that their page opens at once."""
        if not self.rolled_up:
            return ""
        from dashboard.trials import judge_running

        return "; ".join(
            f"{name}: {verdict}" for name, verdict in judge_running(self.settings, self.store, self.clock).items()
        )

    def watch(self) -> str:
        """Let every detector look at what is new, ask the rules, and tell."""
        from monitoring.detectors import ALL
        from monitoring.ground import stand
        from monitoring.runs import Runner, latest
        from telemetry.warehouse import open_warehouse

        before = latest(self.store)
        warehouse = open_warehouse(self.settings, self.store)
        try:
            report = Runner(stand(self.settings, self.store, warehouse, self.clock), ALL, actor=self.actor).run()
        finally:
            warehouse.close()
        if not report.ok:
            first = report.faults[0]
            raise StateError(f"{first.where}: {first.what}", first.limit, first.hint)
        if before is not None and before.run_id == report.run_id:  # it found the same again
            return ""
        return f"{len(report.findings)} findings, {len(report.firing())} alerts fire"

    def retain(self) -> str:
        """Let go of what is older than it may be kept."""
        from audit.retention import Retention

        # The rollups of the days that went are dropped by the next step.
        applied = Retention(self.settings, self.store, self.clock).apply(actor=self.actor, rollups=False)
        return ", ".join(f"{name} {count:,}" for name, count in applied.removed.items())

    def sweep(self) -> str:
        """Remove the files nobody reads any more, and deliveries, which name users, a day after they were taken."""
        with self.parts.writing():
            removed = self.parts.sweep()
        limit = (self.clock.now() - DELIVERIES_KEPT).timestamp()
        for file in (self.paths.spool / "done").glob("*"):
            if file.stat().st_mtime < limit:
                file.unlink(missing_ok=True)
                removed.append(file)
        return f"{len(removed)} files removed" if removed else ""


def _told(report: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:,}" for name, value in report.items() if isinstance(value, int) and value)
