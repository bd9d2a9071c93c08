"""`recommendr evaluate`: how good the recommendations are, beside baselines, as a gate for pipelines."""

from typing import Annotated, Literal

import typer

from dashboard.cli import options
from dashboard.cli.output import answer, note, progress_bars
from dashboard.cli.session import workspace
from workspace.checks import check_scalar


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
        str | None,
        typer.Option(
            "--compare", metavar="V", help="Pair it, user by user, with another index version; exit 1 when worse."
        ),
    ] = None,
    seed: options.Seed = 0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Measure precision, hit rate, NDCG and coverage on held-out interactions.

    Exit 1 under --min-precision, or when worse than --compare.
    """
    from dashboard.cli import rendering

    if min_precision is not None:
        check_scalar(min_precision, "min_precision", ge=0, le=1, hint="a share, for example 0.1")
    with workspace(home) as settings:
        from dashboard.quality import evaluate_recommender

        with progress_bars() as progress:
            document = evaluate_recommender(
                settings,
                protocol=protocol,
                k=k,
                baseline_names=tuple(baseline or ()),
                without=tuple(without or ()),
                compare_with=compare,
                seed=seed,
                progress=progress,
            )
        answer(document, rendering.evaluation, as_json=as_json)
    precision = document["precision_at_k"]
    # What could not be estimated has not passed.
    if min_precision is not None and (precision is None or precision < min_precision):
        note(f"precision@{k} == {precision}, must be >= {min_precision}.")
        raise typer.Exit(1)
    comparison = document["comparison"]
    if comparison is not None and comparison["verdict"] == "worse":
        low, high = comparison["ci95"]
        note(f"precision@{k} is worse than {compare}'s by {-comparison['difference']:.4f} ({low:+.4f} to {high:+.4f}).")
        raise typer.Exit(1)
