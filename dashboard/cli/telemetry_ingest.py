"""`telemetry ingest`: events from a file, a folder, the standard input or Kafka into the workspace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError, StateError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dashboard.arrivals import Arrivals
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
        from dashboard.arrivals import Arrivals
        from telemetry.ingest import Ingestor
        from workspace.store import Store

        store = Store.open(settings)
        ingestor = Ingestor(settings, store)
        arrivals = Arrivals(settings, store, actor=ACTOR)
        try:
            if path is None:
                report = _from_kafka(settings, ingestor, arrivals)
            else:
                report = _from_path(path, format, ingestor, arrivals)
            document = report.to_dict() | {"arrivals": _applied(arrivals)}
        finally:
            ingestor.close()
            store.close()
        answer(document, account, as_json=as_json)


def _from_path(path: str, format: str | None, ingestor: "Ingestor", arrivals: "Arrivals") -> "IngestReport":  # noqa: A002
    with progress_bars() as progress:
        return ingestor.ingest_path(
            path if path == "-" else Path(path), format, progress, on_domain_event=arrivals.receive
        )


def _from_kafka(settings: "Settings", ingestor: "Ingestor", arrivals: "Arrivals") -> "IngestReport":
    from telemetry.stream import consume

    return consume(settings, ingestor, on_domain_event=arrivals.receive, idle_s=KAFKA_IDLE_S)


def _applied(arrivals: "Arrivals") -> dict[str, Any]:
    """Give films and users that came along their vector; where that can't be done now, they wait."""
    try:
        return arrivals.apply().to_dict() | {"waiting": 0, "problem": ""}
    except StateError as problem:
        return {"films": 0, "users": 0, "waiting": arrivals.waiting(), "problem": str(problem)}


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
    arrived = document["arrivals"]
    if arrived["films"] or arrived["users"]:
        told = f"{arrived['films']:,} films and {arrived['users']:,} users have their vector"
        parts.append(Text(f"{told}; index {printable(str(arrived['index_version']))}."))
    if arrived["waiting"]:
        parts.append(
            Text(f"{arrived['waiting']:,} films and users wait: {printable(arrived['problem'])}", style="yellow")
        )
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
