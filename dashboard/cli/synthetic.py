"""`recommendr synth …`: make synthetic data of any size."""

import datetime as dt
from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer, progress_bars
from dashboard.cli.session import ACTOR, workspace

app = helped("Make synthetic data of any size, with known truths in it.")


@app.command()
def telemetry(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to make; must not exist yet.")],
    users: Annotated[int | None, typer.Option("--users", metavar="N", help="Users [500, or those of --scale].")] = None,
    weeks: Annotated[int, typer.Option("--weeks", metavar="W", help="Weeks before the end.")] = 26,
    seed: options.Seed = 20_251_027,
    end: Annotated[
        str | None, typer.Option("--end", metavar="DATE", help="The history ends as this day begins [today].")
    ] = None,
    scale: Annotated[
        str | None, typer.Option("--scale", metavar="NAME", help="A named size instead of --users: 1m is a million.")
    ] = None,
    workers: Annotated[int | None, typer.Option("--workers", metavar="N", help="Processes [by the size].")] = None,
    physical: Annotated[
        bool, typer.Option("--physical", help="Events in the form they are stored in, instead of as they arrive.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Write a history of telemetry: events, samples of the services, log lines, and the truths planted in them."""
    from dashboard.cli import rendering
    from data.synthetic.history import HistorySpec, users_of_scale, write_history
    from workspace.errors import InvalidValueError

    if users is not None and scale is not None:
        raise InvalidValueError(f"--users {users} --scale {scale}", "must be one of the two", "leave one out")
    usual = HistorySpec()
    size = usual.users if users is None else users
    spec = HistorySpec(
        users=size if scale is None else users_of_scale(scale),
        weeks=weeks,
        seed=seed,
        end=_day(end) or usual.end,
    )
    with progress_bars() as progress:
        report = write_history(spec, out, physical=physical, workers=workers, progress=progress)
    answer(report.to_dict(), rendering.facts, as_json=as_json)


@app.command()
def bias(home: options.Home = None, as_json: options.Json = False) -> None:
    """Plant a version that leaks names and a studio that stuffs keywords beside what is served, for audits to find."""
    from dashboard.cli import rendering

    with workspace(home) as settings, progress_bars() as progress:
        from dashboard.planted_bias import plant_bias

        document = plant_bias(settings, progress=progress, actor=ACTOR)
    answer(document, rendering.facts, as_json=as_json)


def _day(text: str | None) -> dt.date | None:
    from workspace.errors import InvalidValueError

    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(f"--end == {text!r}", "must be a day", "write it as 2026-05-01") from error
