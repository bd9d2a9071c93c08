"""`recommendr experiment analyse`, `evidence`, `recompute` and `resplit`: the verdict, and its proof."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, note
from dashboard.cli.session import workspace
from workspace.errors import InvalidValueError
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from experiments.analysis import Analyst
    from workspace.store import Store

ExperimentId = Annotated[str, typer.Argument(metavar="ID", help="Experiment id.")]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Last day whose events count.")]
_STYLES = {"Ship": "bold green", "Roll back": "bold red", "Keep running": "bold", "Can't tell": "bold yellow"}
_LEVELS = {"ok": "green", "note": "dim", "warn": "yellow", "error": "bold red"}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the group of experiments."""
    app.command()(analyse)
    app.command()(evidence)
    app.command()(recompute)
    app.command()(resplit)


def analyse(
    experiment_id: ExperimentId,
    as_of: AsOf = None,
    raw: Annotated[bool, typer.Option("--raw", help="Metrics without CUPED; the verdict stays by the rule.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Judge an experiment by the rule frozen at launch: scorecard, health and verdict as of a day."""
    with opened(home) as (analyst, _):
        found = analyst.analysis(experiment_id, _day(as_of), cuped=False if raw else None)
        answer(found.to_dict(), _analysis, as_json=as_json)


def evidence(
    experiment_id: ExperimentId,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the two files go.")] = Path("evidence"),
    as_of: AsOf = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Write what a verdict rests on into one JSON file and one HTML page; either is enough to judge again."""
    with opened(home) as (analyst, store):
        from experiments.evidence import pack
        from workspace.files import write_bytes, write_text
        from workspace.ledger import Ledger

        made = pack(analyst, experiment_id, _day(as_of), ledger_head=Ledger(store).head().hash)
        name = f"{experiment_id}-{made.document['as_of']}"
        written = {kind: out / f"{name}.{kind}" for kind in ("json", "html")}
        write_bytes(written["json"], made.json_bytes())
        write_text(written["html"], made.html())
        document = {
            "experiment": experiment_id,
            "as_of": made.document["as_of"],
            "files": [str(path) for path in written.values()],
            "sha256": made.document["sha256"],
            "ledger_head": made.document["ledger_head"],
            "verdict": made.document["verdict"],
        }
        answer(document, _packed, as_json=as_json)


def recompute(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="Evidence pack, .json or .html.")],
    as_json: options.Json = False,
) -> None:
    """Judge again from an evidence pack alone; neither workspace nor warehouse is looked at."""
    from experiments.evidence import recompute as judge_again

    answer(judge_again(pack).to_dict(), _recomputed, as_json=as_json)


def resplit(
    experiment_id: ExperimentId,
    as_of: AsOf = None,
    repeats: Annotated[int, typer.Option("--repeats", metavar="N", help="Random splits.", min=1)] = 1_000,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Split the experiment's own users at random again and again, and count the false alarms of each metric."""
    with opened(home) as (analyst, _):
        day = analyst.as_of(experiment_id, _day(as_of))
        found = analyst.resplit(experiment_id, day, repeats=repeats)
        metrics = [
            {"name": name, "reason": one} if isinstance(one, str) else {"name": name, **one.to_dict()}
            for name, one in found.items()
        ]
        document = {"experiment": experiment_id, "as_of": day.isoformat(), "repeats": repeats, "metrics": metrics}
        answer(document, _resplit, as_json=as_json)


@contextmanager
def opened(home: Path | None) -> "Iterator[tuple[Analyst, Store]]":
    """Open what analyses the experiments of a workspace.

    Yields:
        The analyst and the operational store.
    """
    with workspace(home) as settings:
        from experiments.analysis import Analyst
        from experiments.registry import Registry
        from experiments.sums import Sums
        from telemetry.parts import PartLog
        from telemetry.pseudonyms import KeyRing
        from telemetry.warehouse import open_warehouse
        from workspace.clock import SystemClock
        from workspace.paths import Paths
        from workspace.store import Store

        clock, store, paths = SystemClock(), Store.open(settings), Paths(settings.home)
        warehouse = open_warehouse(settings, store)
        try:
            rotations = KeyRing.open(settings, clock).valid_from[1:]
            sums = Sums(warehouse, PartLog(store, paths, clock), paths, clock=clock, rotations=rotations)
            yield Analyst(sums, Registry(store), k=settings.k_anonymity), store
        finally:
            warehouse.close()
            store.close()


def _day(text: str | None) -> dt.date | None:
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2026-05-01"
        raise InvalidValueError(f"--as-of == {text!r}", "must be a day of the calendar", hint) from error


def _analysis(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    found = document["health"]["findings"]
    told = [Text(printable(f"{one['check']}: {one['message']}"), style=_LEVELS[one["level"]]) for one in found
            if one["level"] != "ok"]  # fmt: skip
    if not told:
        told = [Text("Every check of health is in order.", style="green")]
    left_out = {name: count for name, count in document["left_out"].items() if count}
    if left_out:
        counted = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in left_out.items())
        told.append(Text(printable(f"Left out: {counted}."), style="yellow"))
    for day in document["pending_dates"][:1]:
        note(f"{day} is out of date: run `recommendr telemetry rollup`")
    return Group(*_verdict(document), _metrics(document), *told)


def _verdict(document: Document) -> "list[RenderableType]":
    from rich.text import Text

    told = document["verdict"]
    return [
        Text(printable(f"{document['experiment']} as of {document['as_of']}"), style="dim"),
        Text(printable(told["decision"]), style=_STYLES[told["decision"]]),
        Text(printable(told["reason"])),
        Text(printable(f"What would change this: {told['what_would_change']}"), style="dim"),
    ]


def _metrics(document: Document) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "as", "variant", "users", "control", "variant", "Δ %", "95 %", "p", "p adj.", "says"):
        table.add_column(name, justify="right" if name in {"users", "Δ %", "p", "p adj."} else "left", overflow="fold")
    for one in document["metrics"]:
        says = one["status"].replace("_", " ") + (f": {one['reason']}" if one["reason"] else "")
        cells = [
            one["title"], one["kind"], one["variant"], "-" if one["n"] is None else f"{one['n']:,}",
            _figure(one["mean_control"]), _figure(one["mean_variant"]), _percent(one["rel"]),
            _interval(one["rel_ci95"]), _p(one["p"]), _p(one["p_adjusted"]), says,
        ]  # fmt: skip
        table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _packed(document: Document) -> "RenderableType":
    from rich.console import Group

    from dashboard.cli import rendering

    facts = {"files": "\n".join(document["files"]), "sha256": document["sha256"], "ledger": document["ledger_head"]}
    return Group(*_verdict(document), rendering.facts(facts))


def _recomputed(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.text import Text

    same = f"The sums of the pack give the verdict it tells. SHA-256 {document['sha256']}"
    return Group(*_verdict(document), _metrics(document), Text(same, style="green"))


def _resplit(document: Document) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("metric", "false alarms", "95 %", ""):
        table.add_column(name)
    for one in document["metrics"]:
        if one["reason"] is not None:
            table.add_row(one["name"], "-", "-", Text(printable(one["reason"])))
            continue
        low, high = one["rate_ci"]
        fits = Text("as promised", style="green") if one["ok"] else Text("off its level", style="yellow")
        table.add_row(one["name"], f"{100 * one['rate']:.1f} %", f"{100 * low:.1f} to {100 * high:.1f} %", fits)
    return table


def _interval(ends: Any) -> str:  # noqa: ANN401 - two numbers, each or both may be None
    return "-" if ends is None else f"{_percent(ends[0])} to {_percent(ends[1])}"


def _figure(value: float | None) -> str:
    # Not estimable is a dash, never a 0.
    return "-" if value is None else f"{value:.5g}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:+.2f}"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"
