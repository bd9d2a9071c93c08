"""`recommend`, `explain`, `why-not` and `replay`: one user's films, and why."""

from typing import Annotated

import typer

from dashboard.cli import options
from dashboard.cli.output import answer, note
from dashboard.cli.session import open_recommender, parse_day
from workspace.errors import InvalidValueError, StateError


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(recommend)
    app.command()(explain)
    app.command("why-not")(why_not)
    app.command()(replay)


def recommend(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    user: options.UserId,
    k: options.SlateSize = 5,
    exclude_genre: options.ExcludedGenres = None,
    max_age: options.MaximumAge = None,
    language: options.Languages = None,
    year_from: options.YearFrom = None,
    year_to: options.YearTo = None,
    region: options.Region = None,
    on: options.On = None,
    index: options.Version = None,
    flag: Annotated[
        str | None, typer.Option("--flag", metavar="FLAG", help="Serve the index version of the user's variant.")
    ] = None,
    seed: options.Seed = 0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Recommend films to a user, and log the slate so that it can be replayed."""
    from dashboard.cli import rendering
    from recommender.rules import Filters
    from workspace import logs

    filters = Filters(
        exclude_genres=tuple(exclude_genre or ()),
        maximum_age=max_age,
        languages=tuple(language or ()),
        year_from=year_from,
        year_to=year_to,
    )
    if flag is not None and index is not None:
        what = f"--flag {flag} and --index {index} are both given"
        raise InvalidValueError(what, "must be one", "the flag chooses the version itself")
    day = parse_day(on)
    with open_recommender(home) as recommender:
        served = None
        with logs.hop("cli"):
            if flag is None:
                slate = recommender.recommend(
                    user, k=k, filters=filters, region=region, on=day, version=index, seed=seed
                )
            else:
                from experiments.flags import Flags
                from experiments.serving import serve

                flags = Flags(recommender.store, recommender.clock)
                made = serve(recommender, flags, flag, user, k=k, filters=filters, region=region, on=day, seed=seed)
                slate, served = made.slate, made.served
        if slate.funnel[0].remaining == 0:
            what = f"index {slate.index_version} and catalogue {slate.snapshot_id} have no film in common"
            raise StateError(what, hint="run `recommendr index build`")
        document = slate.to_dict() | ({} if served is None else {"served": served.to_dict()})
        answer(document, rendering.slate, as_json=as_json)
        if served is not None:
            note(f"{served.flag}: {served.variant or 'no variant'}, {served.reason}")


def explain(
    user: options.UserId,
    film: options.FilmId,
    region: options.Region = None,
    on: options.On = None,
    index: options.Version = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Take a film's score apart: by block, by named feature, by history film; each adds up to the score."""
    from dashboard.cli import rendering

    day = parse_day(on)
    with open_recommender(home) as recommender:
        explanation = recommender.explain(user, film, region=region, on=day, version=index)
        answer(explanation.to_dict(), rendering.explanation, as_json=as_json)


def why_not(
    user: options.UserId,
    film: options.FilmId,
    k: options.SlateSize = 5,
    region: options.Region = None,
    on: options.On = None,
    index: options.Version = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Say why a film is not among a user's recommendations, and what it lacks."""
    from dashboard.cli import rendering

    day = parse_day(on)
    with open_recommender(home) as recommender:
        verdict = recommender.why_not(user, film, k=k, region=region, on=day, version=index)
        answer(verdict.to_dict(), rendering.why_not, as_json=as_json)


def replay(
    slate: Annotated[str, typer.Argument(metavar="SLATE", help="Slate id, as `recommend` gave it.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a logged slate again from what was logged, and compare the two bit for bit."""
    from dashboard.cli import rendering

    with open_recommender(home) as recommender:
        outcome = recommender.replay(slate)
        answer(outcome.to_dict(), rendering.replay, as_json=as_json)
