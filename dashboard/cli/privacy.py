"""`erase`, `export`, `retention apply` and `purposes`: what is kept of people, for how long, and how it goes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import Document, answer, note, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

retention_app = helped("Delete what is older than it may be kept.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(erase)
    app.command()(export)
    app.command()(purposes)
    app.add_typer(retention_app, name="retention")


def erase(
    user: options.UserId,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; must not name the user.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask; there is no way back.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Erase a user: rows, telemetry, slates, older snapshots and versions; prove it, and print the certificate.

    Exit code 1 when traces are left, which are named; the same command goes on.
    """
    if not yes and not as_json:
        typer.confirm("Erase everything that is kept of this user? There is no way back", abort=True, err=True)
    elif not yes:
        raise InvalidValueError("--json without --yes", "asks nothing, so it needs --yes", "add --yes")
    with workspace(home) as settings:
        from dashboard.erasing import erase_user

        with progress_bars() as progress:
            erased = erase_user(settings, user, reason=reason, progress=progress, actor=ACTOR)
        answer(erased.to_dict(), _erased, as_json=as_json)
    if erased.status == "not proven":
        raise typer.Exit(1)


def export(
    user: options.UserId,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it; readable by you alone.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Write everything that is kept of a user into one JSON file (GDPR, Article 15)."""
    with workspace(home) as settings:
        from dashboard.erasing import export_of
        from telemetry.private_files import write_private

        if not out.parent.is_dir():
            raise InvalidValueError(f"--out == {str(out)!r}", "must be in a folder that exists")
        document = export_of(settings, user, actor=ACTOR)
        write_private(out, json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n")
        counts = {name: len(rows) for name, rows in document.items() if isinstance(rows, list)}
        told = {"request_id": document["request_id"], "file": str(out), "counts": counts}
        answer(told, _exported, as_json=as_json)


def purposes(home: options.Home = None, as_json: options.Json = False) -> None:  # noqa: ARG001 - as every command
    """Print the register of purposes: what is kept, why, on which basis, how long, who may see it."""
    from audit.purposes import register as purposes_of

    answer({"purposes": [purpose.to_dict() for purpose in purposes_of()]}, _purposes, as_json=as_json)


@retention_app.command()
def apply(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what is too old.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Delete telemetry, refused rows, slates and lines of logs past the limit (RECOMMENDR_RETENTION_DAYS)."""
    with workspace(home) as settings:
        from audit.retention import Retention
        from workspace.store import Store

        store = Store.open(settings)
        try:
            applied = Retention(settings, store).apply(actor=ACTOR, dry_run=dry_run)
        finally:
            store.close()
        answer(applied.to_dict(), _applied, as_json=as_json)
        if dry_run:
            note("Nothing was changed.")


def _erased(document: Document) -> "RenderableType":
    from rich.console import Group

    proof, certificate = document["proof"], document["certificate"]
    lines = [f"{document['status']}, request {document['request_id']}"]
    if proof is not None:
        mebibytes = proof["bytes"] / (1 << 20)
        lines.append(
            f"searched {proof['files']:,} files, {mebibytes:,.1f} MiB; {proof['decoded']:,} decoded, "
            f"{proof['columns']} columns of the database; {len(proof['hits'])} places left"
        )
        lines += [f"  left: {hit['where']}: {hit['form']} ({hit['count']})" for hit in proof["hits"]]
        lines += [f"  not read: {name}" for name in proof["unreadable"]]
        if proof["ledger_records"]:
            lines.append(f"  ledger records that name the user: {', '.join(map(str, proof['ledger_records']))}")
    if certificate is not None:
        for step, counts in certificate["content"]["erased"].items():
            lines.append(f"  {step}: {', '.join(f'{name} {count:,}' for name, count in counts.items()) or 'nothing'}")
        lines.append(f"certificate {certificate['sha256']}")
    return Group(*(printable(line) for line in lines))


def _exported(document: Document) -> "RenderableType":
    counts = ", ".join(f"{name} {count:,}" for name, count in document["counts"].items())
    return printable(f"{document['file']}: {counts}")


def _purposes(document: Document) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("Purpose", "What", "Why", "Basis", "Kept", "Who"):
        table.add_column(name)
    for one in document["purposes"]:
        table.add_row(one["title"], one["what"], one["why"], one["basis"], one["retention"], ", ".join(one["who"]))
    return table


def _applied(document: Document) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("Store", "Oldest", "Limit", "Too old", "Removed"):
        table.add_column(name)
    for one in document["stores"]:
        removed = document["removed"].get(one["store"], 0)
        table.add_row(
            one["store"], one["oldest"] or "empty", one["limit"], f"{one['overdue']:,} {one['unit']}", str(removed)
        )
    return table
