"""`recommendr experiment create`, `list`, `show`, `edit`, `launch`, `ramp`, `stop` and `decide`: the registry."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from experiments.registry import Record, Registry
    from workspace.settings import Settings
    from workspace.store import Store

ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Experiment id.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in a sentence.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module, and those of assignment and flags, to the group of experiments."""
    from dashboard.cli import experiment_flags

    app.command()(create)
    app.command("list")(list_experiments)
    app.command()(show)
    app.command()(edit)
    app.command()(launch)
    app.command()(ramp)
    app.command()(stop)
    app.command()(decide)
    experiment_flags.register(app)


def create(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Plan, as JSON or TOML.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Add a draft from a file."""
    from experiments.plan import read_plan

    plan = read_plan(read_document(file))
    with opened(home) as (_, _, registry):
        answer(registry.create(plan, ACTOR).to_dict(), record_facts, as_json=as_json)


def list_experiments(home: options.Home = None, as_json: options.Json = False) -> None:
    """List the experiments, newest first: where each stands and what its ramp stands at."""
    with opened(home) as (_, _, registry):
        answer({"experiments": [_row(one) for one in registry.all()]}, _table, as_json=as_json)


def show(experiment_id: ExperimentId, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show an experiment: its plan, what became of it, and every change from the ledger."""
    with opened(home) as (_, _, registry):
        record = registry.get(experiment_id)
        history = [entry.to_dict() for entry in registry.history(experiment_id)]
        answer({**record.to_dict(), "history": history}, record_facts, as_json=as_json)


def edit(
    experiment_id: ExperimentId,
    changes: Annotated[
        list[str], typer.Option("--set", metavar="FIELD=VALUE", help="New value, e.g. rule.alpha=0.01; repeatable.")
    ],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Change the plan of a draft; from its launch on the plan is frozen."""
    wanted = dict(_change(one) for one in changes)
    with opened(home) as (_, _, registry):
        answer(registry.edit(experiment_id, wanted, ACTOR).to_dict(), record_facts, as_json=as_json)


def launch(
    experiment_id: ExperimentId,
    canary: Annotated[bool, typer.Option("--canary", help="Begin with 1 % of the users, half and half.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Freeze the plan and begin to assign users; or let a canary become the experiment in full."""
    with opened(home) as (_, _, registry):
        answer(registry.launch(experiment_id, ACTOR, canary=canary).to_dict(), record_facts, as_json=as_json)


def ramp(
    experiment_id: ExperimentId,
    share: Annotated[float, typer.Argument(metavar="SHARE", help="Share of the users of a region, e.g. 0.05.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Let more users take part; nobody leaves and nobody changes sides."""
    with opened(home) as (_, _, registry):
        answer(registry.ramp(experiment_id, share, ACTOR).to_dict(), record_facts, as_json=as_json)


def stop(
    experiment_id: ExperimentId,
    reason: Reason,
    roll_back: Annotated[bool, typer.Option("--roll-back", help="Also force the flag to control.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Assign nobody any more; the flag serves the control's version at once."""
    with opened(home) as (_, _, registry):
        record = registry.stop(experiment_id, ACTOR, reason, roll_back=roll_back)
        answer(record.to_dict(), record_facts, as_json=as_json)


def decide(
    experiment_id: ExperimentId,
    decision: Annotated[str, typer.Argument(metavar="DECISION", help="Ship, Roll back or Can't tell.")],
    reason: Reason,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Last day it knew of.")] = None,
    variant: Annotated[str | None, typer.Option("--variant", metavar="V", help="What is shipped.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Record what was decided about a stopped experiment; its flag then serves that to everyone."""
    day = None if as_of is None else _day(as_of, "--as-of")
    with opened(home) as (_, _, registry):
        record = registry.decide(experiment_id, decision, reason, ACTOR, day, variant=variant)
        answer(record.to_dict(), record_facts, as_json=as_json)


@contextmanager
def opened(home: Path | None) -> Iterator[tuple["Settings", "Store", "Registry"]]:
    """Open the workspace with its registry."""
    with workspace(home) as settings:
        from experiments.registry import Registry
        from workspace.paths import Paths
        from workspace.store import Store

        def versions() -> list[str]:
            from recommender.index import list_versions

            return [manifest.version for manifest in list_versions(Paths(settings.home))]

        store = Store.open(settings)
        try:
            yield settings, store, Registry(store, known_versions=versions)
        finally:
            store.close()


def read_document(file: Path) -> Any:  # noqa: ANN401 - whatever the file holds
    """Return what a JSON or TOML file holds.

    Raises:
        InvalidValueError: When it is neither.
    """
    import json
    import tomllib

    content = file.read_bytes()
    try:
        text = content.decode()
        return tomllib.loads(text) if file.suffix.lower() == ".toml" else json.loads(text)
    except (ValueError, RecursionError) as error:  # both parsers' errors and a wrong encoding are ValueErrors
        kind = "TOML" if file.suffix.lower() == ".toml" else "JSON"
        raise InvalidValueError(f"{file} can't be read: {error}", f"must be {kind}", "correct the file") from error


def record_facts(document: Document) -> "RenderableType":
    """Draw an experiment."""
    from rich.console import Group
    from rich.text import Text

    from dashboard.cli import rendering
    from workspace.printable import printable

    plan = document["plan"]
    weights = ", ".join(f"{one['name']} {one['weight']:g}" for one in plan["variants"])
    versions = ", ".join(f"{one['name']} {one['index_version'] or 'the current one'}" for one in plan["variants"])
    facts = {
        "experiment": document["experiment"],
        "state": document["state"] + (" (rolled back)" if document["rolled_back"] else ""),
        "ramp": _ramp(document),
        "hypothesis": plan["hypothesis"],
        "owner": plan["owner"],
        "flag": plan["flag"],
        "layer": plan["layer"],
        "weights": weights,
        "index versions": versions,
        "span": f"{plan['start']} to {document['planned_end']}",
        "metrics": ", ".join(f"{one['metric']} ({one['kind']})" for one in plan["metrics"]),
        "plan": document["digest"],
        "salt": plan["salt"] or "drawn at launch",
        "stopped": document["stop_reason"] or "-",
        "decision": document["decision"] or "-",
    }
    lines: list[RenderableType] = [rendering.facts({name: printable(str(value)) for name, value in facts.items()})]
    for entry in document.get("history", ()):
        told = f"{entry['at'][:19]}  {entry['action']}  by {entry['actor']}"
        lines.append(Text(printable(told), style="dim"))
    return Group(*lines)


def _ramp(document: Document) -> str:
    return f"{document['ramp'][-1]['share']:.2%} of the users" if document["ramp"] else "-"


def _row(record: "Record") -> dict[str, Any]:
    keys = ("experiment", "state", "ramp", "launched_at", "stopped_at", "planned_end", "decision", "rolled_back")
    document = record.to_dict()
    plan = record.plan
    row = {"flag": plan.flag, "layer": plan.layer, "start": plan.start.isoformat(), "variants": list(plan.names)}
    return {**{key: document[key] for key in keys}, **row}


def _table(document: Document) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from workspace.printable import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("experiment", "state", "ramp", "flag", "layer", "from", "to", "decision"):
        table.add_column(name)
    for one in document["experiments"]:
        cells = (one["flag"], one["layer"], one["start"], one["planned_end"], one["decision"] or "-")
        row = (one["experiment"], one["state"], _ramp(one), *cells)
        table.add_row(*(Text(printable(str(cell))) for cell in row))
    return table


def _change(text: str) -> tuple[str, Any]:
    import json

    field, sign, value = text.partition("=")
    if not sign or not field.strip():
        raise InvalidValueError(f"--set == {text!r}", "must be FIELD=VALUE", "write it as rule.alpha=0.01")
    try:
        return field.strip(), json.loads(value)
    except ValueError:
        # Plain words need no quotes.
        return field.strip(), value


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(f"{option} == {text!r}", "must be a day", "write it as 2026-05-01") from error
