"""`init`, `import` and `dashboard`: from an empty folder to films on screen."""

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer, note, print_json, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import StateError

HOST: Final = "127.0.0.1"

importing = helped("Import films, users and ratings from files.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the command line."""
    app.command()(init)
    app.add_typer(importing, name="import")
    app.command()(dashboard)


def init(
    films: Annotated[int | None, typer.Option("--films", metavar="N", help="Films of the synthetic world.")] = None,
    users: Annotated[int | None, typer.Option("--users", metavar="N", help="Users of the synthetic world.")] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="S", help="Seed of the synthetic world.")] = None,
    weeks: Annotated[
        int, typer.Option("--weeks", metavar="W", min=0, max=260, help="Weeks of synthetic telemetry; 0 for none.")
    ] = 26,
    force: Annotated[bool, typer.Option("--force", help="Build again even when the workspace is ready.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Make a workspace ready: synthetic world, two provider feeds, catalogue, features, index and telemetry.

    A ready workspace is left as it is; one that was interrupted is finished.
    """
    from dashboard.cli import rendering

    with workspace(home, create=True) as settings:
        from dashboard.provisioning import provision_synthetic

        with progress_bars() as progress:
            provision = provision_synthetic(
                settings, films=films, users=users, seed=seed, force=force, progress=progress, actor=ACTOR
            )
            document = provision.to_dict() | {"events": 0}
            if weeks:
                from dashboard.history import provision_history

                document["events"] = provision_history(settings, weeks=weeks, progress=progress).events
        answer(document, rendering.facts, as_json=as_json)
        if not as_json:
            note("Next: recommendr dashboard")


@importing.command("movielens")
def import_movielens(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder with ratings.csv, movies.csv, links.csv, …")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Import a MovieLens-layout folder, and account for every row of every file."""
    from dashboard.cli import rendering

    with workspace(home, create=True) as settings:
        from dashboard.imports import import_movielens_folder

        with progress_bars() as bars:
            # The importer names each file; a person wants one bar over all of them.
            document = import_movielens_folder(
                settings, path, progress=lambda _file, done, total: bars("reading files", done, total), actor=ACTOR
            )
        answer({**document, "next": "recommendr index build"}, rendering.import_report, as_json=as_json)


def dashboard(
    port: Annotated[
        int | None, typer.Option("--port", metavar="N", min=1, max=65535, help="Port [RECOMMENDR_PORT, else 8501].")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Open the console at http://localhost:PORT, for this machine only, until Ctrl-C."""
    with workspace(home, create=True) as settings:
        chosen = settings.port if port is None else port
        check_port_free(chosen)
        address = f"http://localhost:{chosen}"
        if as_json:
            print_json({"url": address, "home": settings.home, "pid": os.getpid()})
        else:
            note(f"RecommendR Console on {address} (Ctrl-C stops it)")
        start_console(settings.home, chosen)


def check_port_free(port: int) -> None:
    """Make sure that nothing listens on a port of this machine.

    Raises:
        StateError: When the port is taken or not allowed.
    """
    with socket.socket() as probe:
        # As uvicorn does: a port that is only lingering from the last run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise StateError(
                f"port == {port}: {error.strerror}",
                "must be a free port of this machine",
                f"stop what uses it, or run `recommendr dashboard --port {free_port()}`",
            ) from error


def free_port() -> int:
    """Return a port of this machine that is free at the moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start_console(home: Path, port: int) -> NoReturn:
    """Become the Streamlit server: the process is replaced, so that signals reach it and nothing outlives it."""
    import dashboard as package

    script = Path(package.__file__).with_name("app.py")
    arguments = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        str(script),
        "--server.address",
        HOST,
        "--server.port",
        str(port),
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
        "--browser.gatherUsageStats",
        "false",
        "--client.showErrorDetails",
        "none",
        "--client.toolbarMode",
        "viewer",
        "--runner.postScriptGC",
        "false",
    ]
    sys.stdout.flush()
    sys.stderr.flush()
    # What Streamlit has to say is no answer of ours.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    os.execve(sys.executable, arguments, {**os.environ, "RECOMMENDR_HOME": str(home)})  # noqa: S606 - no shell is wanted
