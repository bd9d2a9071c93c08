"""`recommendr index …`: build, list, switch, verify and roll back feature versions."""

from typing import Annotated, Any, Literal

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer, progress_bars
from dashboard.cli.session import ACTOR, workspace

app = helped("Build, list, switch, verify and roll back feature versions.")


@app.command()
def build(
    strategy: Annotated[
        Literal["full", "incremental"],
        typer.Option("--strategy", help="Everything anew, or only new and changed films beside the current version."),
    ] = "full",
    without: options.WithoutBlocks = None,
    only_blocks: Annotated[
        str | None, typer.Option("--only-blocks", metavar="A,B", help="Only these feature blocks.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Build an index version from the current catalogue and make it current."""
    from dashboard.cli import rendering

    only = None if only_blocks is None else tuple(name.strip() for name in only_blocks.split(",") if name.strip())
    with workspace(home) as settings:
        from dashboard.versions import version_facts
        from recommender.building import BuildOptions, build_index
        from recommender.catalogue import load_catalogue
        from workspace.paths import Paths

        chosen = BuildOptions(strategy=strategy, without=tuple(without or ()), only=only)
        catalogue = load_catalogue(Paths(settings.home))
        with progress_bars() as progress:
            manifest = build_index(settings, catalogue, options=chosen, progress=progress)
        answer(version_facts(manifest), rendering.facts, as_json=as_json)


@app.command("list")
def list_versions(home: options.Home = None, as_json: options.Json = False) -> None:
    """List the index versions, newest first; the current one is marked."""
    from dashboard.cli import rendering

    with workspace(home) as settings:
        from dashboard.versions import all_versions

        answer(all_versions(settings), rendering.versions, as_json=as_json)


@app.command()
def switch(
    version: Annotated[str, typer.Argument(metavar="V", help="Version id, as `index list` gives it.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make another version the current one, after checking that its files are whole."""
    from dashboard.cli import rendering

    with workspace(home) as settings:
        from dashboard.versions import switch_index

        answer(switch_index(settings, version, actor=ACTOR), rendering.facts, as_json=as_json)


@app.command()
def rollback(home: options.Home = None, as_json: options.Json = False) -> None:
    """Go back to the version that was current before."""
    from dashboard.cli import rendering

    with workspace(home) as settings:
        from dashboard.versions import rollback_index

        answer(rollback_index(settings, actor=ACTOR), rendering.facts, as_json=as_json)


@app.command()
def verify(
    version: Annotated[str | None, typer.Argument(metavar="[V]", help="One version; without it, every one.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Compare every file of a version with its hash; exit 1 when one is damaged."""
    from dashboard.cli import rendering

    with workspace(home) as settings:
        from dashboard.versions import verify_index

        document: dict[str, Any] = verify_index(settings, version)
        answer(document, rendering.verification, as_json=as_json)
    if not document["ok"]:
        raise typer.Exit(1)
