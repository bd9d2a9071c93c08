"""What *Audits* and *Audit* show: plans, reports as they are kept, a run, and the way from a row to its cause."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import streamlit as st

from audit.groups import UNKNOWN, film_groups
from audit.personas import ATTRIBUTES
from audit.plan import CROSS, FILM_AXES, MARKET, REGION, AuditPlan, list_plans, load_plan
from audit.report.document import findings_of
from audit.results import Findings
from dashboard.loaders.engine import engine, stamp
from dashboard.loaders.films import film_facts
from recommender.index import current_version, list_versions
from workspace.errors import RecommendrError, UnknownError
from workspace.paths import Paths
from workspace.settings import Settings, load_settings

if TYPE_CHECKING:
    from audit.causes import Cause

Form = Literal["json", "html", "pdf"]
Progress = Callable[[str, int, int], None]
_MOST_REPORTS: Final = 64
_TTL: Final = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is kept, read and checked against its hash.

    Args:
        report_id: Its id.
        digest: SHA-256 of its content.
        findings: What was found.
        document: All of it, as plain data.
    """

    report_id: str
    digest: str
    findings: Findings
    document: Mapping[str, Any]

    @property
    def content(self) -> Mapping[str, Any]:
        """The part of the document that is hashed."""
        content: Mapping[str, Any] = self.document["content"]
        return content

    @property
    def plan(self) -> AuditPlan:
        """What was declared."""
        return self.findings.plan


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One report of the list; without the report it says why there is none."""

    report_id: str
    report: Report | None
    problem: RecommendrError | None


def report_ids() -> list[str]:
    """Return the ids of all reports that are kept, the newest first."""
    folder = _folder()
    files = sorted(folder.glob("audit_*.json"), key=lambda file: (-file.stat().st_mtime_ns, file.name))
    return [file.stem for file in files]


def report(report_id: str) -> Report:
    """Return a report.

    Raises:
        UnknownError: When there is none of that id.
        IntegrityError: When it was changed since it was written.
    """
    settings, file = load_settings(), _folder() / f"{report_id}.json"
    if report_id not in report_ids():
        raise UnknownError(
            f"report {report_id!r}", "is not kept here", f"there are: {', '.join(report_ids()[:5]) or 'none yet'}"
        )
    found = file.stat()
    return _report(settings, report_id, (found.st_mtime_ns, found.st_size))


@st.cache_resource(max_entries=_MOST_REPORTS, show_spinner=False)
def _report(settings: Settings, report_id: str, stamp: tuple[int, int]) -> Report:  # noqa: ARG001 - what it was read at
    from dashboard import auditing

    document = auditing.load_report(settings, report_id)
    return Report(report_id=report_id, digest=str(document["hash"]), findings=findings_of(document), document=document)


def moments(of: Report) -> tuple[str | None, str | None]:
    """Return when this workspace's ledger says that a plan was declared and run; None where it knows nothing of it."""
    return _moments(load_settings(), of.report_id, of)


@st.cache_data(ttl=_TTL, max_entries=_MOST_REPORTS, show_spinner=False)
def _moments(settings: Settings, report_id: str, _of: Report) -> tuple[str | None, str | None]:  # noqa: ARG001 - of what
    from dashboard import auditing

    known = auditing.attested(settings, _of.document)
    return known["plan_declared_at"], known["run_recorded_at"]


def listed() -> list[Listed]:
    """Return every report, the newest first; one that can't be trusted says so and hides no other."""
    return [_listed(report_id) for report_id in report_ids()]


def _listed(report_id: str) -> Listed:
    try:
        return Listed(report_id=report_id, report=report(report_id), problem=None)
    except RecommendrError as problem:
        return Listed(report_id=report_id, report=None, problem=problem)


def plans() -> list[AuditPlan]:
    """Return every declared plan."""
    return list_plans(_paths())


def plan(plan_id: str) -> AuditPlan:
    """Return a declared plan."""
    return load_plan(_paths(), plan_id)


def versions() -> dict[str, str]:
    """Return the index versions that can be audited, by id, the newest first, the current one marked."""
    paths = _paths()
    current = current_version(paths)
    return {
        one.version: f"{one.version}, current" if one.version == current else one.version
        for one in reversed(list_versions(paths))
    }


def groups(axis: str) -> list[str]:
    """Return the groups of an axis that a reference can be chosen of; none for an intersection."""
    if CROSS in axis:
        return []
    return [name for name in _groups(stamp(), axis) if name != UNKNOWN]


@st.cache_data(max_entries=32, show_spinner=False)
def _groups(stamped: str, axis: str) -> list[str]:  # noqa: ARG001 - what the catalogue is
    if axis in FILM_AXES:
        return sorted(film_groups(engine().catalogue.films, (axis,)).of(axis)[1])
    if axis in (REGION, MARKET):
        return sorted(str(one) for one in engine().catalogue.users[axis].unique())
    return list(ATTRIBUTES.get(axis, ()))


def draft(fields: Mapping[str, Any]) -> AuditPlan:
    """Return the plan that fields make, undeclared; what they leave open is filled as the command line fills it.

    Args:
        fields: Of a plan; an empty family is left open too.

    Raises:
        InvalidValueError: When a field is outside its limits.
    """
    given = {name: value for name, value in fields.items() if name != "family" or value}
    return _draft(load_settings(), given, stamp())


@st.cache_data(max_entries=64, show_spinner=False)
def _draft(settings: Settings, given: dict[str, Any], stamped: str) -> AuditPlan:  # noqa: ARG001 - what is current
    from dashboard import auditing

    return auditing.draft(settings, **given)


def declare(plan: AuditPlan, actor: str) -> AuditPlan:
    """Declare a plan: from now on its hash is in the ledger."""
    from dashboard import auditing

    return auditing.declare(load_settings(), plan, actor=actor)


def exporter(of: Report, form: Form, actor: str) -> Callable[[], bytes]:
    """Return what makes a report's file when it is asked for, and says so in the ledger."""
    from dashboard import auditing

    # Bound now: it is called outside the run of the page.
    return partial(auditing.exported, load_settings(), of.report_id, form, actor=actor)


def title(film_id: str) -> str:
    """Return a film's title, or its id where the current catalogue does not know it."""
    return str(film_facts(film_id).get("title") or film_id)


def run(plan_id: str, progress: Progress, actor: str) -> str:
    """Run a declared plan and keep its report; return the report's id."""
    from dashboard import auditing

    return str(auditing.run(load_settings(), plan_id, progress=progress, actor=actor)["report_id"])


@st.cache_resource(max_entries=16, show_spinner="Going back to the films, the personas and their scores…")
def _cause(settings: Settings, report_id: str, key: str, actor: str, digest: str) -> "Cause":  # noqa: ARG001 - of what
    from dashboard import auditing

    return auditing.cause(settings, report_id, key, actor=actor)


def cause(of: Report, key: str, actor: str) -> "Cause":
    """Return what is behind a row: films, personas, score terms, and a pair of lists made again."""
    return _cause(load_settings(), of.report_id, key, actor, of.digest)


def _paths() -> Paths:
    return Paths(load_settings().home)


def _folder() -> Path:
    return _paths().audit / "reports"
