"""`recommendr audit plan`, `run`, `list`, `report`, `verify`, `cause`: bias audits, declared first, that repeat."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from dashboard.cli import audit_queue, options
from dashboard.cli.group import helped
from dashboard.cli.output import answer, progress_bars
from dashboard.cli.session import ACTOR, parse_day, workspace
from workspace.errors import InvalidValueError, StateError

EXIT_DIFFERS: Final = 1
EXIT_FOUND: Final = 3
JSON, PDF = "json", "pdf"
_JOINS: Final = ("×", "*")

Axes = Annotated[
    list[str] | None,
    typer.Option("--axis", metavar="A", help="User group, as gender, or two as name_origin*gender; may be repeated."),
]
PanelKind = Annotated[
    str | None, typer.Option("--panel", metavar="P", help="personas, matched or observed [personas].")
]
Version = Annotated[str | None, typer.Option("--index", metavar="V", help="Index version [the current one].")]
PlanId = Annotated[str | None, typer.Argument(metavar="[PLAN]", help="Plan id [the default plan, declared first].")]
ReportId = Annotated[str, typer.Argument(metavar="ID", help="Report id.")]


def plan(  # noqa: PLR0913, PLR0917 - one option a field of the plan
    index: Version = None,
    panel: PanelKind = None,
    axis: Axes = None,
    film_axis: Annotated[
        list[str] | None, typer.Option("--film-axis", metavar="A", help="Film group, as cast_origin; may be repeated.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", metavar="M", help="Measure, as reach; may be repeated.")
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option("--reference", metavar="A=G", help="Group others are held against, as gender=man; repeatable."),
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--test", metavar="A=M", help="Confirmatory test, as gender=reach [all]; may be repeated."),
    ] = None,
    title: Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What the audit is called.")] = None,
    notes: Annotated[str | None, typer.Option("--notes", metavar="TEXT", help="What readers should know.")] = None,
    snapshot: Annotated[str | None, typer.Option("--snapshot", metavar="S", help="Catalogue snapshot.")] = None,
    market_version: Annotated[
        str | None, typer.Option("--market-index", metavar="V", help="One market's version, held against the other.")
    ] = None,
    on: Annotated[str | None, typer.Option("--on", metavar="DATE", help="Recommend as on this day.")] = None,
    tastes: Annotated[int | None, typer.Option("--tastes", metavar="N", help="Base histories of personas.")] = None,
    personas: Annotated[int | None, typer.Option("--personas", metavar="N", help="Most personas; 0 is all.")] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", metavar="P", help="Family-wise error.")] = None,
    k: Annotated[int | None, typer.Option("-k", help="Length of a slate.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Seed of all chance.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Declare what an audit will look at; its hash is in the ledger before anything is looked at."""
    fields = {
        **_asked(index, panel, axis),
        "film_axes": _several(film_axis),
        "measures": _several(measure),
        "references": dict(_pair(one, "--reference") for one in reference) if reference else None,
        "family": tuple(_pair(one, "--test") for one in family) if family else None,
        "title": title,
        "notes": notes,
        "snapshot_id": snapshot,
        "market_version": market_version,
        "on": parse_day(on),
        "tastes": tastes,
        "personas": personas,
        "alpha": alpha,
        "k": k,
        "seed": seed,
    }
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering

        made = auditing.declare(settings, actor=ACTOR, **fields)
        answer(made.to_dict(), audit_rendering.plan, as_json=as_json)


def run(
    plan_id: PlanId = None,
    index: Version = None,
    panel: PanelKind = None,
    axis: Axes = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run a declared plan and keep its report; without PLAN, declare one first.

    With PLAN, --index, --panel and --axis must be what it declares: a run looks at nothing else. Exit code 0 when
    nothing was found (parity shown, or not enough evidence), 3 when a disparity or a leak was, 2 when it could not run.
    """
    asked = {name: value for name, value in _asked(index, panel, axis).items() if value is not None}
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering

        wanted: list[tuple[str, Any]] = []
        if plan_id is None:
            plan_id = auditing.declare(settings, actor=ACTOR, **asked).plan_id
        else:
            wanted = [(name, value) for name, value in asked.items() if name != "axes"]
            wanted += [("axis", one) for one in asked.get("axes", ())]
        with progress_bars() as progress:
            document = auditing.run(settings, plan_id, actor=ACTOR, progress=progress, asked=wanted)
        answer(document, audit_rendering.report, as_json=as_json)
    if document["content"]["summary"]["found"]:
        raise typer.Exit(EXIT_FOUND)


def list_audits(home: options.Home = None, as_json: options.Json = False) -> None:
    """List the declared plans and the reports, the newest first."""
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering

        document = {"plans": auditing.plans(settings), "reports": auditing.reports(settings)}
        answer(document, audit_rendering.listing, as_json=as_json)


def report(
    report_id: ReportId,
    form: Annotated[str, typer.Option("--format", metavar="F", help="html, pdf or json.")] = JSON,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it [stdout].")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Hand out a report as HTML, PDF or canonical JSON; the ledger notes it."""
    # Looked at first: nothing is handed out that can't be put down.
    _check_target(form, out, as_json=as_json)
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering
        from workspace.files import write_bytes

        made = auditing.exported(settings, report_id, form, actor=ACTOR)
        if out is None:
            sys.stdout.buffer.write(made)
            sys.stdout.flush()
            return
        write_bytes(out, made)
        written = {"report_id": report_id, "format": form, "path": str(out), "bytes": len(made)}
        answer(written, audit_rendering.written, as_json=as_json)


def verify(
    path: Annotated[Path, typer.Argument(metavar="REPORT.json", help="A report in JSON.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Run a report's plan again and compare: exit code 0 when identical, 1 when not, 2 when it can't be run."""
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering

        with progress_bars() as progress:
            found = auditing.verify_report(settings, path, actor=ACTOR, progress=progress)
        document = {**found.to_dict(), **auditing.attested(settings, auditing.read_report(path))}
        answer(document, audit_rendering.verification, as_json=as_json)
    if not found.identical:
        raise typer.Exit(EXIT_DIFFERS)


def cause(
    report_id: ReportId,
    key: Annotated[str, typer.Argument(metavar="ROW", help="Row of the report, as user/reach/gender/female//.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show what is behind a row: films, personas, the score terms that differ, and one pair of lists made again."""
    with workspace(home) as settings:
        from dashboard import auditing
        from dashboard.cli import audit_rendering

        with progress_bars() as progress:
            found = auditing.cause(settings, report_id, key, actor=ACTOR, progress=progress)
        answer(found.to_dict(), audit_rendering.cause, as_json=as_json)


app = helped("Audit for bias: declare a plan, run it, hand out the report, verify it; the queue of odd metadata.")
app.command()(plan)
app.command()(run)
app.command("list")(list_audits)
app.command()(report)
app.command()(verify)
app.command()(cause)
app.add_typer(audit_queue.app, name="queue")


def _asked(index: str | None, panel: str | None, axis: Sequence[str] | None) -> dict[str, Any]:
    return {"index_version": index, "panel": panel, "axes": _several(axis)}


def _several(values: Sequence[str] | None) -> tuple[str, ...] | None:
    """Take options that may be repeated; an intersection is joined by × or, easier to type, by *."""
    return tuple(_joined(value) for value in values) if values else None


def _joined(text: str) -> str:
    from audit.plan import CROSS

    for sign in _JOINS:
        if sign in text:
            return CROSS.join(part.strip() for part in text.split(sign))
    return text.strip()


def _pair(text: str, option: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name.strip() or not value.strip():
        raise InvalidValueError(f"{option} == {text!r}", "must be AXIS=VALUE", "write it as gender=man")
    return _joined(name), value.strip()


def _check_target(form: str, out: Path | None, *, as_json: bool) -> None:
    if form not in (JSON, "html", PDF):
        raise InvalidValueError(f"--format == {form!r}", "must be one of json, html, pdf")
    if out is None:
        if as_json and form != JSON:
            raise InvalidValueError(f"--json with --format {form}", "can't both be on stdout", "name a file with --out")
        if form == PDF and sys.stdout.isatty():
            raise InvalidValueError("a PDF on a terminal", "can't be read", "name a file with --out")
        return
    if out.is_dir():
        raise InvalidValueError(f"--out == {str(out)!r}", "must be a file", "add a name to the folder")
    if not out.absolute().parent.is_dir():
        raise StateError(f"the folder {str(out.absolute().parent)!r} does not exist", hint="make it, or choose another")
