"""`recommendr experiment assign`, `flag`, `holdout` and `canary`: who is served what, and how far a canary goes."""

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer
from dashboard.cli.session import ACTOR
from workspace.columns import Trial, User
from workspace.errors import InvalidValueError, SchemaError, StateError

if TYPE_CHECKING:
    import pandas as pd
    from rich.console import RenderableType

    from experiments.records import Record
    from experiments.registry import Registry
    from experiments.scorecard import Scorecard
    from workspace.settings import Settings
    from workspace.store import Store

_SHOWN: Final = 20
_NOBODY: Final = "outside"


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the group of experiments."""
    app.command()(assign)
    app.command()(flag)
    app.command()(holdout)
    app.command()(canary)


def assign(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet with ids, or text: one id a line.")],
    experiment: Annotated[str | None, typer.Option("--experiment", metavar="ID", help="As this one assigns.")] = None,
    salt: Annotated[str | None, typer.Option("--salt", metavar="S", help="Or by this salt and --weights.")] = None,
    weights: Annotated[str | None, typer.Option("--weights", metavar="A=1,B=1", help="Weights in order.")] = None,
    user_col: Annotated[str, typer.Option("--user-col", metavar="C", help="Column of the ids.")] = User.ID,
    region_col: Annotated[
        str | None, typer.Option("--region-col", metavar="C", help="Column of home regions: then also who takes part.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write ids and variants as CSV.")] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Rebuild assignments: the variant of each id from salt and weights, and with regions also who takes part."""
    import pandas as pd

    from dashboard.cli.experiment_registry import opened

    if (experiment is None) == (salt is None):
        hint = "an experiment has its salt, its weights and its slots"
        raise InvalidValueError("--experiment and --salt", "one of them must be given, and only one", hint)
    units = _units(file, user_col, region_col)
    if experiment is None:
        variants = _split(str(salt), weights, units[user_col])
    else:
        with opened(home) as (_, _, registry):
            variants = _of_experiment(registry.get(experiment), units, user_col, region_col)
    # As objects: nobody's variant is None, and not the NaN that pandas would make of it.
    units = units.assign(**{Trial.VARIANT: pd.Series(variants, index=units.index, dtype=object)})
    if out is not None:
        _write(units, out)
    counts = units[Trial.VARIANT].fillna(_NOBODY).value_counts().to_dict()
    rows = (
        []
        if out is not None
        else [
            {User.ID: user, Trial.VARIANT: variant}
            for user, variant in zip(units[user_col].tolist(), units[Trial.VARIANT].tolist(), strict=True)
        ]
    )
    document = {"experiment": experiment, "users": len(units), "counts": counts, "rows": rows}
    answer({**document, "out": None if out is None else str(out)}, _assigned, as_json=as_json)


def flag(
    name: Annotated[str | None, typer.Argument(metavar="[FLAG]", help="One flag; without it, every one.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="U", help="What this user is served.")] = None,
    region: Annotated[str | None, typer.Option("--region", metavar="R", help="Home region of the user.")] = None,
    force: Annotated[str | None, typer.Option("--force", metavar="V", help="Serve this variant to everyone.")] = None,
    free: Annotated[bool, typer.Option("--free", help="Force nothing any more.")] = False,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why it is forced or freed.")] = "",
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show flags, look one up for a user, or serve one variant to everyone."""
    from dashboard.cli.experiment_registry import opened

    with opened(home) as (_, store, _):
        from experiments.flags import Flags

        flags = Flags(store)
        if name is None:
            answer({"flags": [one.to_dict() for one in flags.all()]}, _flags, as_json=as_json)
        elif user is not None:
            if region is None:
                raise InvalidValueError("--user without --region", "needs both", "allocation is by home region")
            answer(flags.lookup(name, user, region).to_dict(), _facts, as_json=as_json)
        else:
            if (force is not None or free) and not reason.strip():
                raise InvalidValueError("--reason is empty", "must say why", "the ledger keeps it")
            if force is not None:
                flags.force(name, force, ACTOR, reason)
            elif free:
                flags.free(name, ACTOR, reason)
            answer(flags.state(name).to_dict(), _facts, as_json=as_json)


def holdout(
    share: Annotated[float | None, typer.Argument(metavar="[SHARE]", help="New share; without it, shown.")] = None,
    renew: Annotated[bool, typer.Option("--renew", help="Draw another group of users.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Show or set the share of all users that is in no experiment."""
    from dashboard.cli.experiment_registry import opened

    with opened(home) as (_, _, registry):
        found = registry.holdout() if share is None else registry.hold_out(share, ACTOR, renew=renew)
        answer({"share": found.share, "period": found.period, "salt": found.salt}, _facts, as_json=as_json)


def canary(
    experiment_id: Annotated[str, typer.Argument(metavar="ID", help="Experiment id.")],
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Last day to know.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Judge a canary by its guardrails and its health, and ramp it, hold it or roll it back."""
    from dashboard.cli.experiment_registry import opened

    with opened(home) as (settings, store, registry):
        from experiments.canary import Canary, inputs_of
        from experiments.plan import State

        record = registry.get(experiment_id)
        if record.state is not State.CANARY:
            raise StateError(
                f"{experiment_id} is {record.state.value}",
                "and must be a canary",
                f"`recommendr experiment launch {experiment_id} --canary` begins one",
            )
        card = _scorecard(settings, store, registry, experiment_id, as_of)
        step = Canary(registry).step(experiment_id, inputs_of(card), ACTOR, execute=not dry_run)
        answer(step.to_dict(), _step, as_json=as_json)


def _scorecard(
    settings: "Settings", store: "Store", registry: "Registry", experiment_id: str, as_of: str | None
) -> "Scorecard":
    from experiments.analysis import Analyst
    from experiments.sums import Sums
    from telemetry.parts import PartLog
    from telemetry.pseudonyms import KeyRing
    from telemetry.warehouse import open_warehouse
    from workspace.clock import SystemClock
    from workspace.paths import Paths

    clock, paths = SystemClock(), Paths(settings.home)
    day = None if as_of is None else _day(as_of)
    warehouse = open_warehouse(settings, store)
    try:
        rotations = KeyRing.open(settings, clock).valid_from[1:]
        sums = Sums(warehouse, PartLog(store, paths, clock), paths, clock=clock, rotations=rotations)
        return Analyst(sums, registry, k=settings.k_anonymity).scorecard(experiment_id, as_of=day)
    finally:
        warehouse.close()


def _split(salt: str, weights: str | None, ids: "pd.Series") -> Any:  # noqa: ANN401 - an array of names
    from experiments.assignment import split

    if weights is None:
        raise InvalidValueError("--salt without --weights", "needs both", "write --weights control=1,treatment=1")
    found: dict[str, float] = {}
    for one in weights.split(","):
        name, sign, value = one.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError as error:
            hint = "write --weights control=1,treatment=1"
            raise InvalidValueError(f"--weights == {weights!r}", "must be NAME=NUMBER, …", hint) from error
        if not sign or not name.strip():
            raise InvalidValueError(f"--weights == {weights!r}", "must be NAME=NUMBER, …", "name each variant")
    return split(salt, found, ids)


def _of_experiment(record: "Record", units: "pd.DataFrame", user_col: str, region_col: str | None) -> Any:  # noqa: ANN401
    from experiments.assignment import assign as assigned
    from experiments.assignment import split

    plan = record.plan
    if record.adopted:
        raise StateError(f"{plan.experiment_id} was adopted", "and its users were assigned elsewhere", "ask there")
    if region_col is None:
        return split(plan.salt, {one.name: one.weight for one in plan.variants}, units[user_col])
    if record.placement is None:
        raise StateError(f"{plan.experiment_id} is a draft", "and owns no slots yet", "launch it first")
    return assigned(plan, units[user_col], units[region_col], placement=record.placement)


def _units(file: Path, user_col: str, region_col: str | None) -> "pd.DataFrame":
    import pandas as pd

    suffix = file.suffix.lower()
    try:
        if suffix in {".parquet", ".pq"}:
            found = pd.read_parquet(file)
        elif suffix == ".csv":
            found = pd.read_csv(file, dtype=str, keep_default_na=False)
        else:
            found = pd.DataFrame({user_col: [line for line in file.read_text("utf-8").splitlines() if line]})
    except (ValueError, pd.errors.ParserError) as error:
        raise SchemaError(f"{file} can't be read: {error}", "must be CSV, Parquet or one id a line") from error
    for column in (user_col, region_col):
        if column is not None and column not in found.columns:
            names = ", ".join(map(str, found.columns))
            raise SchemaError(f"{file.name} has no column {column!r}", f"its columns are {names}", "name one of them")
    return found


def _write(units: "pd.DataFrame", out: Path) -> None:
    from workspace.files import write_text

    write_text(out, units.to_csv(index=False))


def _day(text: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidValueError(f"--as-of == {text!r}", "must be a day", "write it as 2026-05-01") from error


def _facts(document: Document) -> "RenderableType":
    from dashboard.cli import rendering
    from workspace.printable import printable

    return rendering.facts({name: "-" if value is None else printable(str(value)) for name, value in document.items()})


def _assigned(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from workspace.printable import printable

    counts = ", ".join(f"{name} {count:,}" for name, count in sorted(document["counts"].items()))
    head = _facts({"users": f"{document['users']:,}", "of which": counts, "written to": document["out"]})
    shown = [Text(printable(f"{row[User.ID]}  {row[Trial.VARIANT] or _NOBODY}")) for row in document["rows"][:_SHOWN]]
    left = len(document["rows"]) - len(shown)
    return Group(
        head, *shown, *([Text(f"… and {left:,} more: --out FILE writes them", style="dim")] if left > 0 else [])
    )


def _flags(document: Document) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from workspace.printable import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    names = ("flag", "experiment_id", "forced", "index_version", "reason")
    for name in names:
        table.add_column(name.removesuffix("_id"))
    for one in document["flags"]:
        table.add_row(*(Text(printable(str(one[name] or "-"))) for name in names))
    return table


def _step(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    from workspace.printable import printable

    done = "done" if document["executed"] else "nothing was changed"
    going = f", to {document['next_share']:.0%}" if document["next_share"] else ""
    head = Text(f"{document['action'].replace('_', ' ')} at {document['share']:.0%}{going} ({done})", style="bold")
    checks = [Text(printable(f"{one['level']:<6} {one['message']}")) for one in document["checks"]]
    return Group(head, Text(printable(document["reason"])), *checks)
