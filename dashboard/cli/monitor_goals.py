"""`recommendr monitor goals …`, `measures`, `markets` and `cost`: what is to be reached, where, and at what price."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer, note, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import StateError

if TYPE_CHECKING:
    from monitoring.cost import Prices
    from monitoring.ground import Ground
    from monitoring.market_study import MarketStudy
    from workspace.paths import Paths

goals = helped("Show the goals as they stand, and enter what no machine here measures.")


def register_goals(app: typer.Typer) -> None:
    """Add the commands of this module to the group of the monitor."""
    app.add_typer(goals, name="goals")
    app.command()(measures)
    app.command()(markets)
    app.command()(cost)


@goals.command()
def show(
    fail: Annotated[bool, typer.Option("--fail", help="Exit 1 when a goal is missed.")] = False,
    weeks: Annotated[int, typer.Option("--weeks", metavar="N", min=0, max=104, help="Weeks of the course.")] = 8,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show every goal: target, figure with interval, course, state, owner, risks and what detectors found."""
    with _opened(home) as ground:
        from dashboard.cli import monitor_goals_rendering
        from monitoring.goals import tree
        from monitoring.runs import latest

        last = latest(ground.store)
        found = tree(ground, weeks=weeks, findings=last.findings if last else ())
        document = {"at": ground.clock.now(), "goals": [one.to_dict() for one in found]}
        answer(document, monitor_goals_rendering.tree, as_json=as_json)
    if fail and any(one.status == "missed" for top in found for one in top.walk()):
        raise typer.Exit(1)


@goals.command()
def enter(
    goal: Annotated[str, typer.Argument(metavar="GOAL", help="revenue_ads or revenue_premium.")],
    value: Annotated[float, typer.Argument(metavar="VALUE", help="Money of the period, at least 0.")],
    period: Annotated[
        str, typer.Option("--period", metavar="P", help="2026, 2026-Q2, 2026-05 or 2026-05-01..2026-05-31.")
    ],
    remark: Annotated[str, typer.Option("--note", metavar="TEXT", help="What should be known about it.")] = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Enter the figure of a period; a second entry of the same period corrects the first."""
    from monitoring.goal_entries import Entry, parse_period

    start, end = parse_period(period)
    entry = Entry(goal=goal, start=start, end=end, value=value, note=remark)
    with _opened(home) as ground:
        from dashboard.cli import rendering
        from monitoring.goal_entries import enter as store

        stored = store(ground, [entry], actor=ACTOR)
        answer({**entry.to_dict(), "stored": bool(stored)}, rendering.facts, as_json=as_json)


@goals.command("import")
def import_csv(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with goal, period, value and perhaps note.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Enter the figures of a CSV file, all or none."""
    from monitoring.goal_entries import read_csv

    entries = read_csv(file)
    with _opened(home) as ground:
        from dashboard.cli import rendering
        from monitoring.goal_entries import enter as store

        stored = store(ground, entries, actor=ACTOR, source=file.name)
        document = {"file": file.name, "rows": len(entries), "stored": stored, "known": len(entries) - stored}
        answer(document, rendering.facts, as_json=as_json)


@goals.command()
def entries(home: options.Home = None, as_json: options.Json = False) -> None:
    """List what was entered, the newest entry of each period."""
    with _opened(home) as ground:
        from dashboard.cli import monitor_goals_rendering
        from monitoring.goal_entries import newest

        rows = [one.to_dict() for one in newest(ground.store)]
        answer({"entries": rows}, monitor_goals_rendering.entries, as_json=as_json)


def measures(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Only these.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show the measures that goals and alert rules may name, and what each is now."""
    from monitoring.measures import MEASURES, measure, read

    wanted = [measure(name) for name in names or MEASURES]
    with _opened(home) as ground:
        from dashboard.cli import monitor_goals_rendering

        rows = [{**one.to_dict(), **read(one.name, ground).to_dict()} for one in wanted]
        answer({"measures": rows}, monitor_goals_rendering.measures, as_json=as_json)


def markets(
    study: Annotated[
        bool,
        typer.Option("--study", help="Measure anew whether markets gain from weights of their own; takes a while."),
    ] = False,
    folds: Annotated[int, typer.Option("--folds", metavar="N", min=2, max=20, help="Folds of users.")] = 5,
    seed: options.Seed = 0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Compare the markets, and say whether one of them should have weights or an index of its own."""
    with _opened(home) as ground:
        from dashboard.cli import monitor_goals_rendering
        from monitoring import market_study
        from monitoring.cost import load_prices
        from monitoring.markets import compare

        if study:
            with progress_bars() as progress:
                market_study.study(ground, folds=folds, seed=seed, progress=progress)
        found = _studied(ground)
        try:
            rows = [one.to_dict() for one in compare(ground)]
        except StateError as missing:
            # The study needs no telemetry.
            rows = []
            note(str(missing))
        document = {"markets": rows, "study": found.to_dict(load_prices(ground.paths)) if found else None}
        answer(document, monitor_goals_rendering.markets, as_json=as_json)


def cost(
    measure: Annotated[bool, typer.Option("--measure", help="Measure anew, in this process.")] = False,
    requests: Annotated[int, typer.Option("--requests", metavar="N", help="Slates asked for, at least 50.")] = 200,
    version: options.Version = None,
    seed: options.Seed = 0,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show what 1,000 recommendations cost by index version: processor seconds, memory and money."""
    with workspace(home) as settings:
        from dashboard.cli import monitor_goals_rendering
        from monitoring import cost as costs
        from workspace.paths import Paths

        paths = Paths(settings.home)
        prices = costs.load_prices(paths)
        if measure:
            from recommender.engine import Recommender

            costs.measure(Recommender.open(settings), requests=requests, version=version, seed=seed)
        document = _costs(paths, prices, version)
        answer(document, monitor_goals_rendering.costs, as_json=as_json)


def _costs(paths: "Paths", prices: "Prices", version: str | None) -> dict[str, Any]:
    from monitoring import cost as costs

    rows = [one.to_dict(prices) for one in costs.costs(paths) if version in {None, one.index_version}]
    return {"costs": rows, "prices": prices.model_dump()}


def _studied(ground: "Ground") -> "MarketStudy | None":
    from monitoring import market_study
    from recommender.index import current_version

    found = market_study.studied(ground.paths)
    if found is not None and found.index_version != current_version(ground.paths):
        note(f"studied for index {found.index_version}, which is not current: run it again with --study")
    return found


@contextmanager
def _opened(home: Path | None) -> Iterator["Ground"]:
    with workspace(home) as settings:
        from monitoring.ground import opened

        with opened(settings) as ground:
            yield ground
