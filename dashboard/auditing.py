"""Audits from plan to report: declared, run, kept, handed out and verified; every step is a ledger row."""

import dataclasses
import datetime as dt
import platform
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import select

from audit.plan import CROSS, DECLARED_AXES, MARKET, PREMIUM, REGION, AuditPlan, list_plans, load_plan, save_plan
from audit.report import Verification, build_document, findings_of, html, pdf, read_document, report_bytes, verify
from audit.report.document import checked, is_sealed, plan_of
from dashboard.versions import ledger_of
from recommender.catalogue import Catalogue
from recommender.catalogue.snapshot import POINTER, list_catalogues, load_catalogue
from recommender.index import Manifest, current_version, list_versions
from workspace.columns import Interaction
from workspace.errors import IntegrityError, InvalidValueError, RecommendrError, StateError, UnknownError
from workspace.files import read_pointer, write_bytes
from workspace.ledger import LedgerRow
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

if TYPE_CHECKING:
    from audit.causes import Cause

Progress = Callable[[str, int, int], None]
Form = Literal["json", "html", "pdf"]

LOCAL_ACTOR: Final = "local"
PLANNED: Final = "audit.plan"
RAN: Final = "audit.run"
EXPORTED: Final = "audit.export"
OBSERVED: Final = "audit.observe"
LEAST_ANONYMITY: Final = 10
"""Of observed audits: a workspace may ask for more users behind a figure, never for fewer."""
TASTES: Final = 200
PERSONAS: Final = 16_000
"""Of a default panel: enough tastes to see a ratio of 1.25 in most rows, in a run of seconds."""
FORMS: Final[tuple[Form, ...]] = ("json", "html", "pdf")
FACTS: Final = ("evidence", "pooling", "segments")
_PROGRAMS: Final = ("recommendr", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels", "numkong", "usearch")
_ID: Final = "audit_"


def draft(settings: Settings, **fields: Any) -> AuditPlan:  # noqa: ANN401 - of many types
    """Return the plan that fields make, undeclared; what is left out is filled from the workspace.

    Args:
        settings: The workspace.
        fields: Of `AuditPlan`; None counts as left out. The version is the current one, its snapshot the one that is
            current (or the one an older version was built on), the date the day after the last act in the snapshot.
            Of personas there are `TASTES` tastes and at most `PERSONAS` accounts, and no confirmatory test is about an
            axis that the recommender declares to use.

    Raises:
        StateError: When no index version is current.
        UnknownError: When there is no such version or snapshot.
        InvalidValueError: When a field is outside its limits.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    paths = Paths(settings.home)
    manifest = _manifest(paths, given.get("index_version"))
    given["index_version"] = manifest.version
    given.setdefault("snapshot_id", _snapshot_of(paths, manifest))
    catalogue = load_catalogue(paths, given["snapshot_id"])
    given.setdefault("on", _day_after(catalogue.interactions[Interaction.TS].max()))
    given.setdefault("title", f"Audit of {manifest.version}")
    given.setdefault("k_anonymity", max(LEAST_ANONYMITY, settings.k_anonymity))
    if given["k_anonymity"] < LEAST_ANONYMITY:
        raise InvalidValueError(f"k_anonymity == {given['k_anonymity']}", f"must be >= {LEAST_ANONYMITY}")
    if given.get("market_version"):
        _manifest(paths, given["market_version"])
    if given.get("panel") != "observed":
        given = {"tastes": TASTES, "personas": PERSONAS, **given}
    try:
        plan = AuditPlan(**given)
        _check_references(plan, catalogue)
        return dataclasses.replace(plan, family=_undeclared(plan)) if "family" not in given else plan
    except TypeError as error:
        raise InvalidValueError(f"the plan can't be made: {error}", "must have the fields of a plan") from error


def _check_references(plan: AuditPlan, catalogue: Catalogue) -> None:
    """Refuse a reference nobody can belong to; intersections and film groups are known to the run alone."""
    from audit.panel import PREMIUM_NAMES
    from audit.personas import ATTRIBUTES

    users = catalogue.users
    known = {**ATTRIBUTES, PREMIUM: PREMIUM_NAMES, **{axis: sorted(set(users[axis])) for axis in (REGION, MARKET)}}
    for axis, group in plan.references.items():
        if axis in known and group not in known[axis]:
            raise UnknownError(f"reference of {axis} == {group!r}", f"must be one of {', '.join(known[axis])}")


def _undeclared(plan: AuditPlan) -> tuple[tuple[str, str], ...]:
    """Return the tests of every axis along which the recommender has no declared reason to differ; () for all."""
    # What is lawful differs by region, and the mean film by market: their rows are listed, with no verdict that a
    # clean recommender could not pass. Of observed users nothing else is known.
    if plan.panel == "observed":
        return ()
    return tuple((axis, measure) for axis, measure in plan.tests if not {*axis.split(CROSS)} & {*DECLARED_AXES})


def declare(
    settings: Settings,
    plan: AuditPlan | None = None,
    *,
    actor: str,
    **fields: Any,  # noqa: ANN401 - of many types
) -> AuditPlan:
    """Declare a plan: from now on its hash is in the ledger. The same plan again changes nothing.

    Args:
        settings: The workspace.
        plan: The plan; None makes it by `draft` from ``fields``.
        actor: Who declares it.
        fields: As of `draft`.
    """
    made = plan or draft(settings, **fields)
    paths = Paths(settings.home)
    with ledger_of(settings) as ledger:
        if made.plan_id not in _recorded(settings, PLANNED):
            details = {name: getattr(made, name) for name in ("plan_hash", "index_version", "snapshot_id", "panel")}
            ledger.append(actor, PLANNED, made.plan_id, details)
        save_plan(paths, made)
    return made


def run(
    settings: Settings,
    plan_id: str,
    *,
    actor: str,
    progress: Progress | None = None,
    asked: Iterable[tuple[str, Any]] = (),
) -> dict[str, Any]:
    """Run a declared plan, keep its report, and write both into the ledger.

    Args:
        settings: The workspace.
        plan_id: Of a plan that was declared.
        actor: Who runs it.
        progress: Told the stage, what is done of it and all there is.
        asked: What the caller wants looked at, as (field, value); refused when the plan does not hold it.

    Returns:
        The document.

    Raises:
        UnknownError: When there is no such plan, or its version or snapshot is gone.
        IntegrityError: When the plan was changed, or is in no ledger.
        InvalidValueError: When something not in the plan is asked for.
    """
    from audit.runs import refuse_unplanned

    paths = Paths(settings.home)
    plan = load_plan(paths, plan_id)
    if plan.plan_id not in _recorded(settings, PLANNED):
        raise IntegrityError(f"the plan {plan.plan_id} is in no ledger", "must be declared first", "declare it anew")
    for name, value in asked:
        refuse_unplanned(plan, **{name: value})
    document = _document(settings, plan, actor, progress)
    report_id = str(document["report_id"])
    write_bytes(_file(paths, report_id), report_bytes(document))
    summary = document["content"]["summary"]
    details = {"plan_id": plan.plan_id, "plan_hash": plan.plan_hash, "hash": document["hash"]}
    with ledger_of(settings) as ledger:
        ledger.append(actor, RAN, report_id, {**details, "found": summary["found"], "verdicts": summary["verdicts"]})
    return document


def reports(settings: Settings) -> list[dict[str, Any]]:
    """Return what a list says of every report, newest first; a damaged one says so and hides no other.

    Returns:
        ``report_id ran_at actor plan_id title panel index_version found verdicts problem``.
    """
    paths, ran = Paths(settings.home), _recorded(settings, RAN)
    rows = [_listed(settings, file.stem, ran) for file in (paths.audit / "reports").glob(f"{_ID}*.json")]
    return sorted(rows, key=lambda row: (row["ran_at"] or "", row["report_id"]), reverse=True)


def plans(settings: Settings) -> list[dict[str, Any]]:
    """Return every declared plan with the moment it was declared, newest first."""
    declared = _recorded(settings, PLANNED)
    rows = [
        {**plan.to_dict(), "declared_at": declared[plan.plan_id]["at"] if plan.plan_id in declared else None}
        for plan in list_plans(Paths(settings.home))
    ]
    return sorted(rows, key=lambda row: (row["declared_at"] or "", row["plan_id"]), reverse=True)


def load_report(settings: Settings, report_id: str) -> dict[str, Any]:
    """Return a report as it is kept.

    Raises:
        UnknownError: When there is none of that id.
        SchemaError: When the file can't be read.
        IntegrityError: When it was changed since.
    """
    file = _file(Paths(settings.home), report_id)
    if not report_id.startswith(_ID) or not report_id.removeprefix(_ID).isalnum() or not file.is_file():
        raise _unknown(settings, report_id)
    document = read_document(file.read_bytes(), f"the report {report_id}")
    checked(document)
    if document["report_id"] != report_id:
        raise IntegrityError(f"the file of {report_id} holds {document['report_id']}", hint="run the audit again")
    return document


def exported(settings: Settings, report_id: str, form: str, *, actor: str) -> bytes:
    """Return a report's file, and write into the ledger that it was handed out.

    Args:
        settings: The workspace.
        report_id: Which.
        form: Of `FORMS`.
        actor: Who takes it.

    Raises:
        InvalidValueError: For an unknown form.
        UnknownError: When there is no such report.
        IntegrityError: When it was changed.
    """
    if form not in FORMS:
        raise InvalidValueError(f"format == {form!r}", f"must be one of {', '.join(FORMS)}")
    document = load_report(settings, report_id)
    made = report_bytes(document) if form == "json" else pdf(document) if form == "pdf" else html(document).encode()
    with ledger_of(settings) as ledger:
        ledger.append(actor, EXPORTED, report_id, {"format": form, "hash": document["hash"], "bytes": len(made)})
    return made


def cause(
    settings: Settings, report_id: str, key: str, *, actor: str = LOCAL_ACTOR, progress: Progress | None = None
) -> "Cause":
    """Return what is behind one row of a report.

    Args:
        settings: The workspace.
        report_id: Which report.
        key: The row, as `audit.results.Figure.key` names it.
        actor: Who asks; of observed users the ledger says so.
        progress: Told how far it is.

    Raises:
        UnknownError: When there is no such report or row, or the version is gone.
    """
    from audit.causes import trace

    document = load_report(settings, report_id)
    findings = findings_of(document)
    if key not in {one.key for one in findings.figures}:
        raise UnknownError(f"figure == {key!r}", f"must be a row of {report_id}", _nearest(key, findings.figures))
    if progress:
        progress("opening", 0, 1)
    subject = _subject(settings, findings.plan, actor)
    return trace(findings, key, subject)


def read_report(path: Path) -> dict[str, Any]:
    """Read a report from anywhere.

    Raises:
        UnknownError: When there is no such file.
        SchemaError: When it is no report.
    """
    if not path.is_file():
        raise UnknownError(
            f"there is no file {str(path)!r}", hint="`recommendr audit report ID --format json` writes one"
        )
    return read_document(path.read_bytes(), path.name)


def verify_report(
    settings: Settings, path: Path, *, actor: str = LOCAL_ACTOR, progress: Progress | None = None
) -> Verification:
    """Run a report's plan again and say whether the same comes out, or where not.

    Args:
        settings: A workspace that holds the index version and the snapshot of the report.
        path: The report's JSON.
        actor: Who verifies; of observed users the ledger says so.
        progress: As of `run`.

    Raises:
        SchemaError: When the file is no report.
        UnknownError: When its version or snapshot is not here.
        IntegrityError: When they are here with other content than the report was made from.
    """
    document = read_report(path)
    theirs = document["content"].get("subject")

    def again(plan: AuditPlan) -> dict[str, Any]:
        # A changed report may bear any checksum: then the comparison says where, instead of a refusal.
        if is_sealed(document) and isinstance(theirs, dict):
            _same_version(Paths(settings.home), plan, theirs)
        return _document(settings, plan, actor, progress)

    return verify(document, again, plan=_declared_plan(settings, document))


def attested(settings: Settings, document: Mapping[str, Any]) -> dict[str, str | None]:
    """Return when this workspace's ledger says that a report's plan was declared and its run recorded.

    Returns:
        ``plan_declared_at run_recorded_at``; None where the ledger knows nothing of that plan or hash.
    """
    plan = document["content"].get("plan")
    claimed = str(plan.get("plan_id")) if isinstance(plan, dict) else ""
    declared, ran = _recorded(settings, PLANNED), _recorded(settings, RAN)
    run_row = ran.get(str(document["report_id"]))
    return {
        "plan_declared_at": declared[claimed]["at"] if claimed in declared else None,
        "run_recorded_at": run_row["at"] if run_row else None,
    }


def _document(settings: Settings, plan: AuditPlan, actor: str, progress: Progress | None) -> dict[str, Any]:
    from audit.runs import run_audit
    from audit.subject import Subject

    subject = _subject(settings, plan, actor)
    market = None
    if plan.market_version:
        market = Subject.open(settings, plan.market_version, plan.snapshot_id, plan.on)
    findings = run_audit(plan, subject, market_subject=market, progress=progress)
    if plan.panel == "observed":
        _refuse_overlap(settings, subject, findings)
    manifest = subject.view.index.manifest
    facts = {name: manifest.extra[name] for name in FACTS if name in manifest.extra}
    return build_document(findings, facts=facts, software=_software())


def _refuse_overlap(settings: Settings, subject: Any, findings: Any) -> None:  # noqa: ANN401 - both load slowly
    from audit.personas import build_panel
    from audit.runs.repeating import refuse_overlap

    # One that can't be read was handed out all the same, but nobody can say of what it told.
    kept = [one["report_id"] for one in reports(settings) if one.get("panel") == "observed"]
    if kept:
        earlier = [findings_of(load_report(settings, report_id)) for report_id in kept]
        refuse_overlap(build_panel(findings.plan, subject.view), findings, earlier)


def _subject(settings: Settings, plan: AuditPlan, actor: str) -> Any:  # noqa: ANN401 - audit.subject loads slowly
    from audit.subject import Subject

    subject = Subject.open(settings, plan.index_version, plan.snapshot_id, plan.on)
    if plan.panel == "observed":
        # Whoever looks at users' histories, if only to count them, is in the ledger before the first is read.
        details = {"purpose": "audit", "plan_hash": plan.plan_hash, "k_anonymity": plan.k_anonymity}
        with ledger_of(settings) as ledger:
            ledger.append(actor, OBSERVED, plan.plan_id, details)
    return subject


def _same_version(paths: Paths, plan: AuditPlan, theirs: Mapping[str, Any]) -> None:
    manifest = _manifest(paths, plan.index_version)
    if theirs.get("manifest_checksum") != manifest.checksum:
        raise IntegrityError(
            f"index version {plan.index_version} is here with another manifest than the report was made from",
            f"must have the checksum {str(theirs.get('manifest_checksum'))[:16]}…",
            "take the folder of the version that was audited",
        )


def _declared_plan(settings: Settings, document: Mapping[str, Any]) -> AuditPlan | None:
    """The plan that was declared under the id a report claims, when the one inside it can't be trusted."""
    try:
        plan_of(document)
    except RecommendrError:
        plan = document["content"].get("plan")
        claimed = plan.get("plan_id") if isinstance(plan, dict) else None
        try:
            return load_plan(Paths(settings.home), str(claimed))
        except RecommendrError:
            return None
    return None


def _manifest(paths: Paths, name: str | None) -> Manifest:
    wanted = name or current_version(paths)
    if wanted is None:
        raise StateError("no index version is current", hint="run `recommendr index build`")
    there = {one.version: one for one in list_versions(paths)}
    if wanted not in there:
        known = ", ".join(there) or "none"
        raise UnknownError(f"index version == {wanted!r}", "must be one that was built", f"there are: {known}")
    return there[wanted]


def _snapshot_of(paths: Paths, manifest: Manifest) -> str:
    current = read_pointer(paths.catalogue / POINTER)
    own = manifest.extra.get("snapshot_id")
    there = {entry.snapshot_id for entry in list_catalogues(paths)}
    # What is served is served with today's facts; what was served once is looked at with the facts of its time.
    if manifest.version != current_version(paths) and own in there:
        return str(own)
    if current is None:
        raise StateError(f"there is no catalogue in {paths.home}", hint="run `recommendr init`")
    return current


def _day_after(moment: Any) -> dt.date:  # noqa: ANN401 - a pandas timestamp, or NaT
    if moment is None or moment != moment:  # noqa: PLR0124 - only NaT is not itself
        raise StateError("the catalogue holds no act of any user", hint="name the day with --on")
    day: dt.date = moment.date()
    return day + dt.timedelta(days=1)


def _listed(settings: Settings, report_id: str, ran: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    row = ran.get(report_id)
    known: dict[str, Any] = {
        "report_id": report_id,
        "ran_at": row["at"] if row else None,
        "actor": row["actor"] if row else None,
    }
    nothing = dict.fromkeys(("plan_id", "title", "panel", "index_version", "found", "verdicts"))
    try:
        content = load_report(settings, report_id)["content"]
        plan, summary = content["plan"], content["summary"]
        told = {name: plan[name] for name in ("plan_id", "title", "panel", "index_version")}
        return {**known, **told, "found": summary["found"], "verdicts": summary["verdicts"], "problem": None}
    except (RecommendrError, KeyError, TypeError) as error:
        return {**known, **nothing, "problem": str(error)}


def _recorded(settings: Settings, action: str) -> dict[str, dict[str, str]]:
    """Return the first ledger row of every subject of an action: ``{subject: {at, actor}}``."""
    store = Store.open(settings)
    query = select(LedgerRow.subject, LedgerRow.at, LedgerRow.actor).where(LedgerRow.action == action)
    try:
        with store.reading() as session:
            rows = session.execute(query.order_by(LedgerRow.seq.desc())).all()
    finally:
        store.close()
    return {row.subject: {"at": row.at, "actor": row.actor} for row in rows}


def _file(paths: Paths, report_id: str) -> Path:
    return paths.audit / "reports" / f"{report_id}.json"


def _unknown(settings: Settings, report_id: str) -> UnknownError:
    folder = Paths(settings.home).audit / "reports"
    known = ", ".join(sorted(file.stem for file in folder.glob(f"{_ID}*.json"))[:5])
    return UnknownError(
        f"report == {report_id!r}", "must be one that was made here", f"there are: {known or 'none yet'}"
    )


def _nearest(key: str, figures: Iterable[Any]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, [one.key for one in figures], n=1, cutoff=0)
    return f"did you mean {near[0]!r}" if near else "the report has no row"


def _software() -> dict[str, str]:
    out = {"python": platform.python_version()}
    for name in _PROGRAMS:
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            continue
    return out
