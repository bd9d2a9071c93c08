"""Signals: what the rules make of findings, objectives and measures at one moment."""

import datetime as dt
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from monitoring.alerts.rules import FindingRule, MeasureRule, ObjectiveRule, Rule, Rules
from monitoring.documents import plain, storable
from monitoring.findings import Finding, Outcome, Severity
from workspace.errors import RecommendrError

if TYPE_CHECKING:
    from monitoring.measures import Reading
    from monitoring.objectives import ObjectiveAlert, ObjectiveStatus

RANKS: Final[Mapping[str, int]] = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}
_HOLDS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": lambda value, threshold: value < threshold,
    "<=": lambda value, threshold: value <= threshold,
    ">": lambda value, threshold: value > threshold,
    ">=": lambda value, threshold: value >= threshold,
}
_WORDS: Final = {"<": "below", "<=": "at or below", ">": "above", ">=": "at or above"}
_CAUSES_TOLD: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Something a rule calls an alarm, as of now.

    Args:
        rule: The rule.
        identity: What stays the same when it is seen again.
        labels: What it is told apart by.
        severity: How much it matters.
        summary: In plain words.
        since: When it began, where that is known; None: now.
        ended: When it was over; None while it lasts.
        lasts: How long it must last before it fires.
    """

    rule: str
    identity: str
    labels: Mapping[str, str]
    severity: Severity
    summary: str
    value: float | None = None
    since: dt.datetime | None = None
    ended: dt.datetime | None = None
    lasts: dt.timedelta = dt.timedelta(0)
    runbook: str | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits of rule and identity."""
        return hashlib.sha256(f"{self.rule}\n{self.identity}".encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """Everything the rules said.

    Args:
        signals: The alarms; one of a fingerprint.
        held: Rules, with a detector or objective or "" for all, that could not be asked: their alerts stay as they are.
        readings: What each measure rule read.
        notes: What could not be asked, and why.
        failures: Errors by rule.
    """

    signals: tuple[Signal, ...] = ()
    held: frozenset[tuple[str, str]] = frozenset()
    readings: Mapping[str, "Reading"] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    failures: Mapping[str, Exception] = field(default_factory=dict)

    def holds(self, rule: str, labels: Mapping[str, str]) -> bool:
        """Tell whether an alert must stay as it is."""
        scopes = {"", labels.get("detector", ""), labels.get("objective", "")}
        return any((rule, scope) in self.held for scope in scopes)


def collect(
    rules: Rules,
    outcomes: Iterable[Outcome],
    failed: Iterable[str],
    *,
    now: dt.datetime,
    read: "Callable[[str], Reading]",
    statuses: "Callable[[], Sequence[ObjectiveStatus]]",
) -> Signals:
    """Ask every rule.

    Args:
        rules: The rules.
        outcomes: Of the detectors that looked.
        failed: Names of the detectors that could not, or were not asked.
        now: The moment.
        read: Reads a measure by its name.
        statuses: Evaluates the objectives; called once at most.
    """
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    asking = _Asking(findings, tuple(failed), now, read, statuses)
    for name in rules.broken:
        asking.held.add((name, ""))
    for rule in rules.rules:
        asking.ask(rule)
    return Signals(
        signals=tuple(asking.signals.values()),
        held=frozenset(asking.held),
        readings=asking.readings,
        notes=tuple(asking.notes),
        failures=asking.failures,
    )


class _Asking:
    def __init__(
        self,
        findings: Sequence[Finding],
        failed: tuple[str, ...],
        now: dt.datetime,
        read: "Callable[[str], Reading]",
        statuses: "Callable[[], Sequence[ObjectiveStatus]]",
    ) -> None:
        self.signals: dict[str, Signal] = {}
        self.held: set[tuple[str, str]] = set()
        self.readings: dict[str, Reading] = {}
        self.notes: list[str] = []
        self.failures: dict[str, Exception] = {}
        self._findings = findings
        self._failed = failed
        self._now = now
        self._read = read
        self._statuses = statuses
        self._read_already: dict[str, Reading] = {}
        self._evaluated: Sequence[ObjectiveStatus] | None = None

    def ask(self, rule: Rule) -> None:
        """Ask one rule; what fails is kept and ends no other."""
        try:
            if isinstance(rule, FindingRule):
                self._ask_findings(rule)
            elif isinstance(rule, ObjectiveRule):
                self._ask_objectives(rule)
            else:
                self._ask_measure(rule)
        except Exception as error:  # noqa: BLE001 - one rule must not end the others
            self.failures[rule.name] = error
            self.held.add((rule.name, ""))

    def _ask_findings(self, rule: FindingRule) -> None:
        self.held |= {(rule.name, name) for name in self._failed if fnmatchcase(name, rule.detector)}
        for finding in self._findings:
            meant = fnmatchcase(finding.detector, rule.detector) and fnmatchcase(finding.metric, rule.metric)
            if not meant or RANKS[finding.severity] < RANKS[rule.min_severity]:
                continue
            if finding.ended is not None and finding.ended < self._now - rule.recent:
                continue
            self._add(_of_finding(rule, finding))

    def _ask_objectives(self, rule: ObjectiveRule) -> None:
        if self._evaluated is None:
            self._evaluated = self._statuses()
        for status in self._evaluated:
            if not fnmatchcase(status.name, rule.objective):
                continue
            if status.standing == "unknown":
                self.held.add((rule.name, status.name))
                self._note(f"objective {status.name} can't be judged: {status.note}")
            for alert in status.alerts:
                if rule.level in ("any", alert.level):
                    self._add(_of_objective(rule, alert))

    def _ask_measure(self, rule: MeasureRule) -> None:
        if rule.measure not in self._read_already:
            self._read_already[rule.measure] = self._read(rule.measure)
        reading = self.readings[rule.name] = self._read_already[rule.measure]
        worst = {"<": reading.high, "<=": reading.high, ">": reading.low, ">=": reading.low}[rule.op]
        compared = _finite(reading.value if rule.bound == "value" else worst)
        if compared is None:
            self.held.add((rule.name, ""))
            reason = reading.note or "it is not estimable"
            self._note(f"measure {rule.measure} can't be judged: {reason}")
        elif _HOLDS[rule.op](compared, rule.threshold):
            self._add(_of_reading(rule, reading))

    def _note(self, text: str) -> None:
        """Say it once, however many rules ask the same."""
        if text not in self.notes:
            self.notes.append(text)

    def _add(self, signal: Signal) -> None:
        """Keep one signal of a fingerprint: what lasts rather than what is over, then the later one."""
        # Summaries and segments name films and studios, whose names come from outside.
        labels = {storable(name): storable(value) for name, value in signal.labels.items()}
        signal = replace(signal, labels=labels, summary=storable(signal.summary), identity=storable(signal.identity))
        known = self.signals.get(signal.fingerprint)
        if known is None or _order(signal) > _order(known):
            self.signals[signal.fingerprint] = signal


def _order(signal: Signal) -> tuple[bool, dt.datetime]:
    return signal.ended is None, signal.ended or signal.since or dt.datetime.min.replace(tzinfo=dt.UTC)


def _of_finding(rule: FindingRule, finding: Finding) -> Signal:
    severity = rule.severity or finding.severity
    own = {"rule": rule.name, "severity": severity.value, "detector": finding.detector}
    told = [f"{one.change.summary or one.change.name} ({one.reason})" for one in finding.causes[:_CAUSES_TOLD]]
    return Signal(
        rule=rule.name,
        identity=finding.key,
        labels={**rule.labels, **finding.segment, **own, "metric": finding.metric},
        severity=severity,
        summary=finding.summary,
        value=_finite(finding.effect.value),
        since=finding.onset.at,
        ended=finding.ended,
        lasts=rule.lasts,
        runbook=rule.runbook,
        evidence=plain(
            {
                "finding": finding.key,
                "onset": finding.onset.to_dict(),
                "ended": finding.ended,
                "effect": finding.effect.to_dict(),
                "unit": finding.unit,
                "p_value": finding.p_value,
                "likely_causes": told,
            }
        ),
    )


def _of_reading(rule: MeasureRule, reading: "Reading") -> Signal:
    value, severity = reading.value, rule.severity or Severity.WARNING
    between = "" if reading.low is None or reading.high is None else f" ({reading.low:.4g} to {reading.high:.4g})"
    shown = "not estimable" if value is None else f"{value:.4g}"
    limit = f"the rule alarms {_WORDS[rule.op]} {rule.threshold:g}"
    return Signal(
        rule=rule.name,
        identity=rule.measure,
        labels={**rule.labels, "rule": rule.name, "severity": severity.value, "measure": rule.measure},
        severity=severity,
        summary=f"{rule.measure} is {shown}{between}; {limit}.",
        value=value,
        lasts=rule.lasts,
        runbook=rule.runbook,
        evidence=plain(
            {
                "low": reading.low,
                "high": reading.high,
                "n": reading.n,
                "unit": reading.unit,
                "as_of": reading.as_of,
                "threshold": rule.threshold,
            }
        ),
    )


def _of_objective(rule: ObjectiveRule, alert: "ObjectiveAlert") -> Signal:
    severity = rule.severity or (Severity.CRITICAL if alert.level == "page" else Severity.WARNING)
    own = {"rule": rule.name, "severity": severity.value, "objective": alert.objective, "level": alert.level}
    return Signal(
        rule=rule.name,
        identity=alert.key,
        labels={**rule.labels, **alert.segment, **own},
        severity=severity,
        summary=alert.text,
        value=_finite(alert.value),
        lasts=rule.lasts,
        runbook=alert.runbook or rule.runbook,
        evidence={"passed": alert.rule},
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def error_text(error: Exception) -> str:
    """Return what went wrong, in one sentence."""
    return str(error) if isinstance(error, RecommendrError) else f"a defect: {type(error).__name__}: {error}"
