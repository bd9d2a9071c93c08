"""Reports: what a run of the monitor found and did, as it is shown and as it is kept."""

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring.alerts.signals import RANKS
from monitoring.documents import moment_of, outcome_of, plain
from monitoring.findings import Finding, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that could not be done; everything else was.

    Args:
        where: The detector, rule, route or step.
        what: What went wrong.
        limit: What must be.
        hint: How to cure it.
        defect: Nobody foresaw it: the log has its traceback.
    """

    where: str
    what: str
    limit: str = ""
    hint: str = ""
    defect: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "where": self.where,
            "what": self.what,
            "limit": self.limit,
            "hint": self.hint,
            "defect": self.defect,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What one run found and did.

    Args:
        run_id: The run that first found it so; later runs that find the same do not make a new one.
        started_at: When it began.
        finished_at: When it ended; of a stored one when it was last found so.
        as_of: The last whole day of telemetry; None when there is none.
        outcomes: Of every detector that looked.
        faults: What could not be done.
        notes: What could not be judged, and why nothing was remedied.
        readings: What each measure of a rule was.
        alerts: What became of the alerts: ``firing`` with whether each is silenced, ``pending``, ``held`` and so on.
        remediations: Proposed, performed, or standing already.
        delivery: What was delivered; None when nothing was tried.
    """

    run_id: str
    started_at: dt.datetime
    finished_at: dt.datetime
    as_of: dt.date | None
    outcomes: tuple[Outcome, ...] = ()
    faults: tuple[Fault, ...] = ()
    notes: tuple[str, ...] = ()
    readings: Mapping[str, Any] = field(default_factory=dict)
    alerts: Mapping[str, Any] = field(default_factory=dict)
    remediations: tuple[Mapping[str, Any], ...] = ()
    delivery: Mapping[str, Any] | None = None

    @property
    def ok(self) -> bool:
        """Whether everything could be done; findings and alerts do not count against it."""
        return not self.faults

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding, the gravest and then the latest first."""
        found = [finding for outcome in self.outcomes for finding in outcome.findings]
        return tuple(sorted(found, key=lambda one: (-RANKS[one.severity], -one.onset.at.timestamp(), one.key)))

    def firing(self, at_least: str = "info") -> tuple[Mapping[str, Any], ...]:
        """Return the alerts that fire, are not silenced and are at least so severe."""
        every: Iterable[Mapping[str, Any]] = self.alerts.get("firing", ())
        return tuple(one for one in every if not one["silenced"] and RANKS[one["severity"]] >= RANKS[at_least])

    @property
    def digest(self) -> str:
        """SHA-256 of what was found, without times, evidence and figures that age: the same data give the same one."""
        firing = [[one["alert_id"], one["silenced"]] for one in self.alerts.get("firing", ())]
        stable = {
            "findings": [_stable(finding) for outcome in self.outcomes for finding in outcome.findings],
            "detector_notes": [[one.detector, *one.notes] for one in self.outcomes],
            "faults": [one.to_dict() for one in self.faults],
            "notes": list(self.notes),
            "firing": firing,
            "pending": self.alerts.get("pending", 0),
            "held": self.alerts.get("held", 0),
            "remediations": [[one["remediation_id"], one["state"]] for one in self.remediations],
        }
        return hashlib.sha256(json.dumps(plain(stable), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        document = {
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "as_of": self.as_of,
            "ok": self.ok,
            "outcomes": [one.to_dict() for one in self.outcomes],
            "faults": [one.to_dict() for one in self.faults],
            "notes": self.notes,
            "readings": self.readings,
            "alerts": self.alerts,
            "remediations": self.remediations,
            "delivery": self.delivery,
        }
        read: dict[str, Any] = plain(document)
        return read


def _stable(finding: Finding) -> dict[str, Any]:
    document = finding.to_dict()
    # Shares and examples may come from a sample.
    del document["evidence"]
    return document


def report_of(document: Mapping[str, Any]) -> RunReport:
    """Return a report from its plain data."""
    as_of = document["as_of"]
    started, finished = moment_of(document["started_at"]), moment_of(document["finished_at"])
    if started is None or finished is None:
        raise KeyError("started_at")
    return RunReport(
        run_id=document["run_id"],
        started_at=started,
        finished_at=finished,
        as_of=None if as_of is None else dt.date.fromisoformat(as_of),
        outcomes=tuple(outcome_of(one) for one in document["outcomes"]),
        faults=tuple(Fault(**one) for one in document["faults"]),
        notes=tuple(document["notes"]),
        readings=document["readings"],
        alerts=document["alerts"],
        remediations=tuple(document["remediations"]),
        delivery=document["delivery"],
    )
