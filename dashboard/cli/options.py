"""The options that several commands share, once."""

from pathlib import Path
from typing import Annotated

import typer


def _home(context: typer.Context, value: Path | None) -> Path | None:
    """Take ``--home`` from the command, else from before the command."""
    inherited: Path | None = context.find_root().params.get("home")
    return inherited if value is None else value


Home = Annotated[
    Path | None,
    typer.Option("--home", metavar="DIR", callback=_home, help="Workspace folder [RECOMMENDR_HOME, else ./var]."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, nothing else.")]
UserId = Annotated[str, typer.Argument(metavar="USER", help="User id.")]
FilmId = Annotated[str, typer.Argument(metavar="FILM", help="Film id.")]
SlateSize = Annotated[int, typer.Option("-k", help="How many films.")]
Region = Annotated[str | None, typer.Option("--region", metavar="R", help="Region instead of the user's own.")]
On = Annotated[str | None, typer.Option("--on", metavar="DATE", help="Recommend as on this day, e.g. 2016-05-01.")]
Version = Annotated[str | None, typer.Option("--index", metavar="V", help="Index version instead of the current.")]
ExcludedGenres = Annotated[
    list[str] | None, typer.Option("--exclude-genre", metavar="G", help="Leave out a genre; may be repeated.")
]
MaximumAge = Annotated[int | None, typer.Option("--max-age", metavar="N", help="Highest age rating, in years.")]
Languages = Annotated[
    list[str] | None, typer.Option("--language", metavar="L", help="Only films in a language; may be repeated.")
]
YearFrom = Annotated[int | None, typer.Option("--year-from", metavar="Y", help="Released in this year or later.")]
YearTo = Annotated[int | None, typer.Option("--year-to", metavar="Y", help="Released in this year or before.")]
WithoutBlocks = Annotated[
    list[str] | None, typer.Option("--without", metavar="BLOCK", help="Leave out a feature block; may be repeated.")
]
Seed = Annotated[int, typer.Option("--seed", metavar="S", help="Seed of all chance.")]
