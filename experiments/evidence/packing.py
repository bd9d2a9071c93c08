"""Packing evidence: everything a verdict rests on, and a hash of each part of it."""

import datetime as dt
import hashlib
import math
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import rfc8785

from experiments.analysis import Analyst
from experiments.counted import cells_to_dict
from experiments.plan import ExperimentPlan
from experiments.verdict import looks_due
from workspace.errors import NotEstimableError

FORMAT: Final = "recommendr-evidence/1"
HASH: Final = "sha256"
SECTIONS: Final = "sections"
_PACKAGES: Final = ("recommendr", "numpy", "pandas", "scipy", "statsmodels", "duckdb")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePack:
    """What a verdict rests on.

    Args:
        document: Plain data: ``plan``, ``sums`` of every look and of the day itself, ``scorecard``, ``verdict``,
            ``software``, ``ledger_head``, a SHA-256 of each in ``sections`` and one over all of it in ``sha256``.
    """

    document: Mapping[str, Any]

    def json_bytes(self) -> bytes:
        """Return the document as canonical JSON (RFC 8785)."""
        return rfc8785.dumps(dict(self.document))

    def html(self) -> str:
        """Return one page that can be read anywhere, with the document inside."""
        from experiments.evidence.page import page

        return page(self.document, self.json_bytes().decode())


def pack(analyst: Analyst, experiment_id: str, as_of: dt.date | None = None, *, ledger_head: str = "") -> EvidencePack:
    """Pack the evidence of a verdict.

    The same sums always give the same bytes: no time of packing and no name of a machine is in them.

    Args:
        analyst: Knows plan and sums.
        experiment_id: Which experiment.
        as_of: Day of the verdict; None as in `Analyst.as_of`.
        ledger_head: Last hash of the ledger, so that it can be told later what had been recorded by then.

    Raises:
        UnknownError: When there is no such experiment.
        NotEstimableError: When nobody was exposed by then.
    """
    plan, day = analyst.plan(experiment_id), analyst.as_of(experiment_id, as_of)
    stopped = analyst.ended(experiment_id)
    analysis = analyst.analysis(experiment_id, day)
    days = sorted({day, *(date for _, date in looks_due(plan, day))})
    content = {
        "format": FORMAT,
        "experiment": experiment_id,
        "as_of": day.isoformat(),
        "stopped": None if stopped is None else stopped.isoformat(),
        "plan": plan.to_dict(),
        "plan_digest": plan.digest,
        "sums": {one.isoformat(): _sums(analyst, plan, one) for one in days},
        "scorecard": analysis.scorecard.to_dict(),
        "verdict": analysis.verdict.to_dict(),
        "software": software(),
        "ledger_head": ledger_head,
    }
    return EvidencePack(document=sealed(content))


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with the hash of each of its parts and one over all of it."""
    document = {name: plain(value) for name, value in content.items()}
    document[SECTIONS] = sections(document)
    return document | {HASH: digest(document)}


def sections(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each part of a document, and of the sums of each day."""
    named = {name: value for name, value in document.items() if name not in (SECTIONS, HASH, "sums")}
    sums = document.get("sums")
    days = {f"sums {day}": value for day, value in sums.items()} if isinstance(sums, Mapping) else {"sums": sums}
    return {name: digest(value) for name, value in sorted((named | days).items())}


def digest(value: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(rfc8785.dumps(value)).hexdigest()


def software() -> dict[str, str]:
    """Return what computed the figures."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a result holds
    """Return a value in the types canonical JSON knows; what could not be estimated is null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value


def _sums(analyst: Analyst, plan: ExperimentPlan, day: dt.date) -> dict[str, Any] | None:
    try:
        counted = analyst.counted(plan, day)
    except NotEstimableError:
        # Nobody was exposed by that look: a null, from which the empty scorecard is made again.
        return None
    halves = analyst.halves(plan, day)
    return {
        "counted": counted.to_dict(),
        "halves": None if halves is None else cells_to_dict(halves),
        "late": analyst.late(plan, day),
    }
