"""The command line: `recommendr`.

Heavy libraries are imported inside the commands that need them, so that ``recommendr --help`` answers at once.
"""

from pathlib import Path
from typing import Annotated

import typer

from dashboard.cli import (
    audit,
    daily,
    evaluation,
    experiment_analyse,
    experiment_compare,
    experiment_registry,
    index,
    ledger,
    monitor,
    monitor_benchmark,
    monitor_goals,
    privacy,
    recommendation,
    synthetic,
    system,
    telemetry_ingest,
    telemetry_query,
    workspaces,
)
from dashboard.cli.group import ErrorGroup, helped

app = typer.Typer(
    name="recommendr",
    cls=ErrorGroup,
    help="Recommend films, and show the exact reason for every place.",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    home: Annotated[  # noqa: ARG001 - read by the commands, through their own --home
        Path | None,
        typer.Option("--home", metavar="DIR", help="Workspace folder [RECOMMENDR_HOME, else ./var]."),
    ] = None,
    debug: Annotated[  # noqa: ARG001 - taken from the arguments by ErrorGroup, named here for the help
        bool, typer.Option("--debug", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Recommend films, and show the exact reason for every place."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


workspaces.register(app)
recommendation.register(app)
evaluation.register(app)
app.add_typer(index.app, name="index")
experiment = helped("Register experiments, judge them, size them, and compare anybody's.")
experiment_registry.register(experiment)
experiment_analyse.register(experiment)
experiment_compare.register(experiment)
app.add_typer(experiment, name="experiment")
watching = helped("Look for what got worse, tell of it, remedy it; see the goals.")
monitor.register(watching)
monitor_goals.register_goals(watching)
monitor_benchmark.register(watching)
app.add_typer(watching, name="monitor")
telemetry = helped("Take events in, roll them up, ask them, check them.")
telemetry_ingest.register(telemetry)
telemetry_query.register(telemetry)
app.add_typer(telemetry, name="telemetry")
system.register(app)
app.add_typer(synthetic.app, name="synth")
daily.register(app)
app.add_typer(audit.app, name="audit")
privacy.register(app)
ledger.register(app)
