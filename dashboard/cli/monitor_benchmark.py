"""`recommendr monitor benchmark`: index versions on the committed benchmark, against those before."""

from typing import TYPE_CHECKING, Annotated

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, note
from dashboard.cli.session import workspace
from workspace.errors import InvalidValueError, StateError

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the command of this module to the group of the monitor."""
    app.command()(benchmark)


def benchmark(
    version: options.Version = None,
    score: Annotated[
        bool, typer.Option("--score", help="Score the version now; a minute or two the first time.")
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="With --score: every version that has no score yet.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show precision@5 of index versions on the committed benchmark; users with nothing relevant count as 0.

    Exit code 1 when the newest score is worse than the one before it, user by user.
    """
    if every and not score:
        raise InvalidValueError("--all without --score", "must be together", "leave out --all: every score is shown")
    with workspace(home) as settings:
        from dashboard import benchmarking
        from monitoring.benchmark import BenchmarkDrift, history
        from monitoring.findings import Severity
        from monitoring.ground import opened

        with opened(settings) as ground:
            wanted = benchmarking.unscored(ground) if every else [version]
            for one in wanted if score else ():
                found = benchmarking.score(ground, one)
                note(f"{found.index_version}: {found.precision.value:.4f}")
            outcome = BenchmarkDrift().look(ground)
            scores = [one for one in history(ground) if version in {None, one.index_version}]
            if version is not None and not scores:
                raise StateError(f"index version {version!r} has no score", hint="score it with --score")
            document = {"scores": [one.to_dict() for one in scores], **outcome.to_dict()}
        answer(document, _scores, as_json=as_json)
    if any(finding.severity is Severity.CRITICAL for finding in outcome.findings):
        raise typer.Exit(1)


def _scores(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("index version", "scored at", "precision@5", "95 % interval", "users", "nothing relevant"):
        table.add_column(name, justify="left" if name in {"index version", "scored at"} else "right")
    for one in document["scores"]:
        precision = one["precision"]
        bounds = "–" if precision["low"] is None else f"{precision['low']:.4f} to {precision['high']:.4f}"
        table.add_row(
            one["index_version"], one["scored_at"][:16], f"{precision['value']:.4f}", bounds, f"{one['users']:,}",
            f"{one['without_positive']:,}",
        )  # fmt: skip
    said = [finding["summary"] for finding in document["findings"]] or list(document["notes"])
    return Group(table, *said)
