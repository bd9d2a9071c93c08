"""Runs: every detector looks, every rule is asked, what is to be told leaves; for a scheduler, and idempotent.

Nothing that fails ends anything else: a detector, a rule, the causes or a route that fails is a fault of the report.
The alerts that depend on it stay as they are, since not having looked is not having found nothing.
"""

import datetime as dt
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from sqlalchemy import Boolean, Date, DateTime, String, Text, delete, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from monitoring.alerts import outbox, states
from monitoring.alerts.delivery import Delivered, deliver
from monitoring.alerts.records import AT_ONCE, aware
from monitoring.alerts.rules import FindingRule, Known, MeasureRule, Rules, load_rules
from monitoring.alerts.signals import Signal, Signals, collect
from monitoring.findings import Finding, Outcome
from monitoring.ground import Detector, Ground
from monitoring.remediation import Remediation, Remediations
from monitoring.reports import Fault, RunReport, report_of
from workspace.errors import InvalidValueError, RecommendrError, StateError, UnknownError
from workspace.ids import new_id
from workspace.redaction import redacted_text
from workspace.store import Base, Store

if TYPE_CHECKING:
    from monitoring.measures import Reading
    from monitoring.objectives import ObjectiveStatus

ACTOR: Final = "monitor"
MOST_KEPT: Final = 2_000
"""Results of runs; one is some 20 kB."""
_log: Final = logging.getLogger(__name__)

Explain = Callable[[Sequence[Finding], Ground], Sequence[Finding]]


class RunRow(Base):
    """One result of a run as stored; runs that found the same again only move ``finished_at``."""

    __tablename__ = "monitor_runs"

    run_id: Mapped[str] = mapped_column(String, primary_key=True)
    started_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True), index=True)
    finished_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))
    as_of: Mapped[dt.date | None] = mapped_column(Date)
    ok: Mapped[bool] = mapped_column(Boolean)
    report: Mapped[str] = mapped_column(Text)


class Runner:
    """Runs the monitor once.

    Args:
        ground: The stores.
        detectors: All there are.
        only: Names of those that shall look; None for all. Findings and alerts of the others stay as they are.
        actor: Who runs it, for the ledger.
        send: Whether to deliver at the end; what is to be told waits in the outbox otherwise.
        explain: Fills in likely causes; None takes `monitoring.causes.explain`.
        read: Reads a measure; None takes `monitoring.measures.read`.
        statuses: Evaluates the objectives; None takes `monitoring.objectives.evaluate`.
        known: What rules may name; None looks it up.

    Raises:
        UnknownError: When one of ``only`` is no detector.
    """

    def __init__(
        self,
        ground: Ground,
        detectors: Sequence[Detector],
        *,
        only: Sequence[str] | None = None,
        actor: str = ACTOR,
        send: bool = True,
        explain: Explain | None = None,
        read: "Callable[[str], Reading] | None" = None,
        statuses: "Callable[[], Sequence[ObjectiveStatus]] | None" = None,
        known: Known | None = None,
    ) -> None:
        self._ground = ground
        self._detectors = tuple(detectors)
        self._only = _checked_names(only, [one.name for one in detectors])
        self._actor = actor
        self._send = send
        self._explain = explain
        self._read = read
        self._statuses = statuses
        self._known = known
        self._faults: list[Fault] = []
        self._failed: set[str] = set()

    def run(self) -> RunReport:
        """Look, ask the rules, remedy, tell.

        Returns:
            What was found and done.

        Raises:
            StateError: When the operational store can't be used: without it nothing can be remembered.
        """
        clock, started = self._ground.clock, self._ground.clock.now()
        self._faults, self._failed = [], set()
        outcomes = self._with_earlier(self._explained(self._looked()))
        rules = self._rules()
        report = RunReport(run_id=new_id("run"), started_at=started, finished_at=started, as_of=self._as_of())
        if rules is not None:
            signals, standing, notes = self._remedied(rules, self._asked(rules, outcomes))
            kept = self._keeping(rules)
            done = states.advance(self._ground.store, rules, signals, started, kept=kept)
            report = replace(
                report,
                notes=(*signals.notes, *notes),
                readings={name: reading.to_dict() for name, reading in signals.readings.items()},
                alerts=done.to_dict(),
                remediations=tuple(one.to_dict() for one in standing),
            )
        report = replace(report, outcomes=outcomes, faults=tuple(self._faults), finished_at=clock.now())
        report = self._kept(report)
        if self._send and rules is not None:
            sent = deliver_due(self._ground, rules)
            report = replace(report, delivery=sent.to_dict(), finished_at=clock.now())
        return report

    def _keeping(self, rules: Rules) -> dt.timedelta:
        """Return how long what is over is kept: longer than it may be told, or it would be told again."""
        recent = [rule.recent for rule in rules.rules if isinstance(rule, FindingRule)]
        return max([dt.timedelta(days=self._ground.settings.retention_days), *(2 * one for one in recent)])

    def _looked(self) -> tuple[Outcome, ...]:
        outcomes = []
        for detector in self._detectors:
            if self._only is not None and detector.name not in self._only:
                self._failed.add(detector.name)
                continue
            begun = time.perf_counter()
            try:
                outcome = detector.look(self._ground)
            except Exception as error:  # noqa: BLE001 - one detector must not end the others
                self._failed.add(detector.name)
                self._fault(f"detector {detector.name}", error)
                continue
            spent = round(time.perf_counter() - begun, 3)
            outcomes.append(replace(outcome, seconds=spent))
        return tuple(outcomes)

    def _with_earlier(self, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        """Add what detectors that were not asked had found last: the report is about all of them."""
        if self._only is None:
            return outcomes
        before = latest(self._ground.store)
        known = {one.detector: one for one in (before.outcomes if before else ()) if one.detector not in self._only}
        known |= {one.detector: one for one in outcomes}
        return tuple(known[one.name] for one in self._detectors if one.name in known)

    def _explained(self, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
        findings = [finding for outcome in outcomes for finding in outcome.findings]
        if not findings:
            return outcomes
        with self._guarded("causes"):
            explained = list((self._explain or _explain)(findings, self._ground))
            if len(explained) != len(findings):
                raise StateError(f"{len(explained)} of {len(findings)} findings came back", "must be all of them")
            # In the same order: each outcome takes back as many as it gave.
            rest = iter(explained)
            return tuple(replace(one, findings=tuple(next(rest) for _ in one.findings)) for one in outcomes)
        return outcomes

    def _rules(self) -> Rules | None:
        with self._guarded("rules"):
            known = self._known or known_names(self._ground, self._detectors)
            rules = load_rules(self._ground.paths, known)
            for problem in rules.problems:
                error = problem.error
                self._faults.append(
                    Fault(where=f"{problem.kind} {problem.name}", what=error.what, limit=error.limit, hint=error.hint)
                )
            return rules
        return None

    def _asked(self, rules: Rules, outcomes: Sequence[Outcome]) -> Signals:
        signals = collect(
            rules,
            [one for one in outcomes if one.detector not in self._failed],
            sorted(self._failed),
            now=self._ground.clock.now(),
            read=self._read or self._measure,
            statuses=self._statuses or self._objectives,
        )
        for name, error in signals.failures.items():
            self._fault(f"rule {name}", error)
        return signals

    def _remedied(self, rules: Rules, signals: Signals) -> tuple[Signals, tuple[Remediation, ...], tuple[str, ...]]:
        """Act on the measure rules that ask for it; their alerts then say what was proposed or done."""
        asking = {
            rule.name: rule for rule in rules.rules if isinstance(rule, MeasureRule) and rule.remediation != "off"
        }
        remediations = Remediations(self._ground.store, self._ground.paths, self._ground.ledger, self._ground.clock)
        told: list[Signal] = []
        standing: list[Remediation] = []
        notes: list[str] = []
        for signal in signals.signals:
            rule = asking.get(signal.rule)
            if rule is None or not states.fires(self._ground.store, signal, self._ground.clock.now()):
                told.append(signal)
                continue
            found: Remediation | None = None
            with self._guarded(f"remediation of {rule.name}"):
                perform = self._may_perform(rule, signals, signal)
                found, why = remediations.answer(
                    rule.name, signal.summary, self._actor, perform=perform, details=signal.evidence
                )
                notes += [f"rule {rule.name}: {why}"] if why else []
            if found is not None:
                standing.append(found)
            told.append(signal if found is None else _with_remediation(signal, found))
        return replace(signals, signals=tuple(told)), tuple(standing), tuple(notes)

    def _may_perform(self, rule: MeasureRule, signals: Signals, signal: Signal) -> bool:
        """Tell whether nobody need be asked: set so, the whole interval beyond, and nobody at work on it."""
        reading = signals.readings[rule.name]
        far = reading.high if rule.op in ("<", "<=") else reading.low
        sure = far is not None and (far < rule.threshold if rule.op in ("<", "<=") else far > rule.threshold)
        quiet = states.silenced(self._ground.store, signal.labels, self._ground.clock.now())
        return rule.remediation == "perform" and sure and not quiet

    def _kept(self, report: RunReport) -> RunReport:
        """Store a report; the same as the last one takes its place and its id."""
        with self._ground.store.session() as session:
            row = session.scalars(select(RunRow).order_by(RunRow.started_at.desc(), RunRow.run_id.desc())).first()
            if row is not None and json.loads(row.report).get("digest") == report.digest:
                report = replace(report, run_id=row.run_id, started_at=aware(row.started_at))
            else:
                row = RunRow(run_id=report.run_id, started_at=report.started_at)
                session.add(row)
            row.finished_at, row.as_of, row.ok = report.finished_at, report.as_of, report.ok
            row.report = json.dumps({**report.to_dict(), "digest": report.digest}, ensure_ascii=False)
            self._thin(session)
            oldest = report.finished_at - dt.timedelta(days=self._ground.settings.retention_days)
            session.execute(delete(RunRow).where(RunRow.finished_at < oldest), execution_options=AT_ONCE)
        return report

    def _thin(self, session: Session) -> None:
        """Let go of the oldest results: services that falter make many in a day."""
        newest = select(RunRow.started_at).order_by(RunRow.started_at.desc()).offset(MOST_KEPT).limit(1)
        last = session.scalar(newest)
        if last is not None:
            session.execute(delete(RunRow).where(RunRow.started_at <= last), execution_options=AT_ONCE)

    def _as_of(self) -> dt.date | None:
        try:
            return self._ground.days()[1]
        except StateError:
            return None
        except RecommendrError as error:
            self._fault("warehouse", error)
            return None

    def _measure(self, name: str) -> "Reading":
        from monitoring.measures import read

        return read(name, self._ground)

    def _objectives(self) -> "Sequence[ObjectiveStatus]":
        from monitoring.objectives import evaluate

        return evaluate(self._ground)

    @contextmanager
    def _guarded(self, where: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - one step must not end the others
            self._fault(where, error)

    def _fault(self, where: str, error: Exception) -> None:
        if isinstance(error, RecommendrError):
            _log.warning("monitor_fault", extra={"where": where, "reason": str(error)})
            self._faults.append(Fault(where=where, what=error.what, limit=error.limit, hint=error.hint))
            return
        _log.error("monitor_defect", extra={"where": where}, exc_info=error)
        said = redacted_text(f"this is a defect: {type(error).__name__}: {error}".rstrip(": "))
        self._faults.append(Fault(where=where, what=said, hint="see the log for its traceback", defect=True))


def deliver_due(ground: Ground, rules: Rules) -> Delivered:
    """Hand over what waits in the outbox, and let go of what was received long ago."""
    sent = deliver(ground.store, rules.routes, ground.clock, lock=ground.paths.monitoring / ".outbox.lock")
    outbox.let_go(ground.store, ground.clock.now() - dt.timedelta(days=ground.settings.retention_days))
    return sent


def known_names(ground: Ground, detectors: Sequence[Detector]) -> Known:
    """Return what rules may name."""
    from monitoring import objective_rules
    from monitoring.measures import MEASURES

    try:
        objectives: tuple[str, ...] | None = tuple(one.name for one in objective_rules.load(ground.paths).objective)
    except RecommendrError:
        objectives = None
    return Known(
        detectors={one.name: tuple(getattr(one, "metrics", None) or ("*",)) for one in detectors},
        measures=tuple(MEASURES),
        objectives=objectives,
    )


def latest(store: Store) -> RunReport | None:
    """Return what the last run found; None when none has run yet."""
    found = history(store, 1)
    return found[0] if found else None


def history(store: Store, limit: int = 100) -> tuple[RunReport, ...]:
    """Return what runs found, the latest first; one for each time that it was something else."""
    with store.reading() as session:
        query = select(RunRow).order_by(RunRow.started_at.desc(), RunRow.run_id.desc()).limit(limit)
        rows = list(session.scalars(query))
    return tuple(replace(report_of(json.loads(row.report)), finished_at=aware(row.finished_at)) for row in rows)


def _with_remediation(signal: Signal, found: Remediation) -> Signal:
    command = f"recommendr monitor remediate perform {found.remediation_id}"
    done = {
        "proposed": f"Proposed: `{command}` goes back to {found.after}.",
        "performed": f"Done: it went back from {found.before} to {found.after}.",
        "dismissed": f"Going back to {found.after} was turned down.",
        "reversed": f"Going back to {found.after} was undone.",
    }[found.state]
    evidence = {**signal.evidence, "remediation": found.remediation_id}
    return replace(signal, summary=f"{signal.summary} {done}", evidence=evidence)


def _checked_names(only: Sequence[str] | None, names: Sequence[str]) -> frozenset[str] | None:
    if only is None:
        return None
    if not only:
        raise InvalidValueError("no detector is named", "must be at least one", "leave it out for all")
    for name in only:
        if name not in names:
            hint = f"the detectors are {', '.join(names)}"
            raise UnknownError(f"detector == {name!r}", "must be a known detector", hint)
    return frozenset(only)


def _explain(findings: Sequence[Finding], ground: Ground) -> Sequence[Finding]:
    from monitoring.causes import explain

    return explain(findings, ground)
