"""`recommendr ingest --due`: what a scheduler runs."""

from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(ingest)


def ingest(
    due: Annotated[bool, typer.Option("--due", help="Do everything that is due; run it from cron.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take what waits in the spool and in Kafka, load the catalogue once a day, roll up, let go of what is too old.

    Exit code 1 when a step failed; the others are done all the same.
    """
    if not due:
        raise InvalidValueError(
            "`ingest` without --due", "does nothing", "`recommendr telemetry ingest PATH` takes a file in"
        )
    with workspace(home) as settings:
        from dashboard.daily import run_due

        with progress_bars() as progress:
            report = run_due(settings, progress=progress, actor=ACTOR)
        answer(report.to_dict(), _steps, as_json=as_json)
    if not report.ok:
        raise typer.Exit(1)


def _steps(document: Document) -> "RenderableType":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("Step", "State", "What"):
        table.add_column(name)
    for step in document["steps"]:
        table.add_row(step["name"], step["state"], printable(step["detail"]))
    return table
