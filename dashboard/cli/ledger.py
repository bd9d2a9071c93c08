"""`ledger verify` and `ledger list`: whether every record still holds, and what they say."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import Document, answer
from dashboard.cli.session import workspace
from workspace.errors import SchemaError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from workspace.ledger import LedgerHead

ledger_app = helped("Check the ledger, and read it.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.add_typer(ledger_app, name="ledger")


@ledger_app.command()
def verify(
    noted: Annotated[
        Path | None,
        typer.Option("--noted", metavar="FILE", help="A verdict or head noted earlier (JSON): nothing was cut off."),
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Compute the whole chain again; exit code 1 when a record does not hold, with its number and the reason.

    The answer holds the head to be noted outside the store. Without one noted earlier, records missing at the end can't
    be told.
    """
    from dashboard.ledgers import verified

    head = None if noted is None else _head(noted)
    with workspace(home) as settings:
        verdict = verified(settings, head)
        answer({**verdict.to_dict(), "noted": None if head is None else head.length}, _verdict, as_json=as_json)
    if not verdict.ok:
        raise typer.Exit(1)


@ledger_app.command("list")
def list_(
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many at most.")] = 50,
    action: Annotated[
        str | None, typer.Option("--action", metavar="A", help="Only acts that begin with this, e.g. erasure.")
    ] = None,
    actor: Annotated[str | None, typer.Option("--actor", metavar="WHO", help="Only acts of this actor.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Print records, newest first."""
    from dashboard.ledgers import records

    with workspace(home) as settings:
        found = records(settings, limit=limit, action=action or "", actor=actor or "")
        answer({"records": [entry.to_dict() for entry in found]}, _records, as_json=as_json)


def _head(path: Path) -> "LedgerHead":
    from workspace.ledger import LedgerHead

    try:
        values = json.loads(path.read_bytes())
        length, digest = values["length"], values.get("hash") or values["head"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SchemaError(
            f"--noted {path} can't be read: {error}", "must be JSON with length and head", "save `ledger verify --json`"
        ) from error
    if not isinstance(length, int) or length < 0 or not isinstance(digest, str):
        raise SchemaError(f"--noted {path}", "must be JSON with a whole length and a head in hexadecimal digits")
    return LedgerHead(length=length, hash=digest)


def _verdict(document: Document) -> "RenderableType":
    if document["ok"]:
        against = f", none missing since record {document['noted']:,}" if document["noted"] else ""
        return f"{document['length']:,} records hold{against}; head {document['head']}"
    return printable(f"record {document['broken_at']:,} does not hold: {document['reason']}")


def _records(document: Document) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("No.", "At", "Who", "What", "To what", "Details"):
        table.add_column(name)
    for one in document["records"]:
        details = json.dumps(one["details"], ensure_ascii=False)
        table.add_row(
            str(one["seq"]), one["at"][:19], *(printable(one[name]) for name in ("actor", "action", "subject")),
            printable(details),
        )  # fmt: skip
    return table
