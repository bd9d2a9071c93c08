"""`recommendr evaluate`: how good the recommendations are, beside baselines, as a gate for pipelines."""

from typing import Annotated, Literal

import typer

from dashboard.cli import options
from dashboard.cli.output import answer, progress_bars
from dashboard.cli.session import workspace


def register(app: typer.Typer) -> None:
    """Add the command of this module to the command line."""
    app.command()(evaluate)


def evaluate(
    protocol: Annotated[
        Literal["temporal", "random", "kfold"], typer.Option("--protocol", help="How train and test are split.")
    ] = "temporal",
    k: options.SlateSize = 5,
    baseline: Annotated[
        list[str] | None,
        typer.Option("--baseline", metavar="NAME", help="popularity, item-knn or ease beside it; may be repeated."),
    ] = None,
    without: options.WithoutBlocks = None,
    min_precision: Annotated[
        float | None, typer.Option("--min-precision", metavar="X", help="Exit 1 when precision@k is below X.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option("--compare", metavar="V", help="Pair it, user by user, with another index version.")
    ] = None,
    seed: options.Seed = 0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Measure precision, hit rate, NDCG and coverage on held-out interactions; exit 1 under --min-precision."""
