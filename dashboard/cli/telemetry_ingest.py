"""`telemetry ingest`: events from a file, a folder, the standard input or Kafka into the workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, printable, progress_bars
from dashboard.cli.session import workspace
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from telemetry.ingest import Ingestor, IngestReport
    from workspace.settings import Settings

KAFKA_IDLE_S = 5.0
_DAYS_SHOWN = 31


def register(app: typer.Typer) -> None:
    """Add the command of this module to the telemetry group."""
    app.command("ingest")(ingest)


def ingest(
    path: Annotated[
        str | None, typer.Argument(metavar="PATH|-", help="File, folder, or - for the standard input.")
    ] = None,
    format: Annotated[  # noqa: A002 - as the option
        str | None, typer.Option("--format", metavar="F", help="jsonl, csv or parquet; else by the name.")
    ] = None,
    kafka: Annotated[bool, typer.Option("--kafka", help="Read from Kafka instead, until nothing more comes.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take events in: checked, without raw user ids, each once, late ones on their own day."""
    if (path is None) != kafka:
        raise InvalidValueError("the source of the events", "must be one PATH, -, or --kafka", "name exactly one")
    with workspace(home) as settings:
        from telemetry.ingest import Ingestor
        from workspace.store import Store

        store = Store.open(settings)
        ingestor = Ingestor(settings, store)
        try:
            report = _from_kafka(settings, ingestor) if path is None else _from_path(path, format, ingestor)
        finally:
            ingestor.close()
            store.close()
        answer(report.to_dict(), account, as_json=as_json)


def _from_path(path: str, format: str | None, ingestor: "Ingestor") -> "IngestReport":  # noqa: A002
    with progress_bars() as progress:
        return ingestor.ingest_path(path if path == "-" else Path(path), format, progress)


def _from_kafka(settings: "Settings", ingestor: "Ingestor") -> "IngestReport":
    from telemetry.stream import consume

    return consume(settings, ingestor, on_domain_event=_refuse, idle_s=KAFKA_IDLE_S)


def _refuse(message: dict[str, Any]) -> None:
    """Stop before a film or user event: passing its offset here would lose it."""
    raise InvalidValueError(
        f"the topic holds a {printable(str(message.get('type')))} event",
        "which `telemetry ingest` does not take",
        "run `recommendr ingest --due`, which takes film and user events too",
    )


def account(document: Document) -> "RenderableType":
    """Draw what became of the rows, why some were refused, and on which days the others are."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    if document["already"]:
        return Text(f"{printable(document['source'])} was taken in before: nothing to do.", style="green")
    counts = Table(box=None, pad_edge=False)
    for name in ("read", "accepted", "duplicates", "quarantined", "late", "events/s"):
        counts.add_column(name, justify="right")
    numbers = [document[name] for name in ("read", "accepted", "duplicates", "quarantined", "late")]
    counts.add_row(*(f"{number:,}" for number in (*numbers, round(document["events_per_s"]))))
    parts: list[RenderableType] = [Text(printable(document["source"])), counts]
    if document["resumed"]:
        parts.append(Text("An earlier run was cut off; this one went on where it stopped.", style="yellow"))
    if document["reasons"]:
        parts.append(_two_columns("quarantined because", document["reasons"]))
    if document["dates"]:
        days = dict(list(document["dates"].items())[-_DAYS_SHOWN:])
        parts.append(_two_columns("day" if len(days) == len(document["dates"]) else f"last {_DAYS_SHOWN} days", days))
    return Group(*parts)


def _two_columns(title: str, rows: dict[str, int]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    table.add_column(title)
    table.add_column("rows", justify="right")
    for name, number in rows.items():
        table.add_row(Text(printable(name)), f"{number:,}")
    return table
