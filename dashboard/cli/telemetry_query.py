"""`recommendr telemetry rollup`, `query` and `doctor`: keep the rollups, ask them, check them."""

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dashboard.cli import options
from dashboard.cli.output import Document, answer, note, progress_bars
from dashboard.cli.session import ACTOR, workspace
from workspace.errors import InvalidValueError

if TYPE_CHECKING:
    from rich.console import RenderableType


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the group of telemetry."""
    app.command()(rollup)
    app.command()(query)
    app.command()(doctor)


def rollup(
    everything: Annotated[bool, typer.Option("--all", help="Every day, not only those that changed.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Bring the rollups up to date with the events."""
    with workspace(home) as settings:
        from telemetry.parts import EVENTS, PartLog
        from telemetry.rollups import pending, roll_up
        from telemetry.warehouse import open_warehouse
        from workspace.clock import SystemClock
        from workspace.paths import Paths
        from workspace.store import Store

        clock, store = SystemClock(), Store.open(settings)
        parts, warehouse = PartLog(store, Paths(settings.home), clock), open_warehouse(settings, store)
        try:
            dates = sorted({*pending(parts, warehouse), *(parts.dates(EVENTS) if everything else ())})
            with progress_bars() as progress:
                report = roll_up(parts, warehouse, clock, progress, dates)
        finally:
            warehouse.close()
            store.close()
        answer(report.to_dict(), _rollup_report, as_json=as_json)


def query(
    metric: Annotated[str, typer.Argument(metavar="METRIC", help="Metric, for example ctr.")],
    by: Annotated[str, typer.Option("--by", metavar="A,B", help="Dimensions of the breakdown.")] = "",
    first: Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day [the last 28].")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    grain: Annotated[
        Literal["day", "week", "hour"] | None, typer.Option("--grain", help="One row a period instead of one in all.")
    ] = None,
    where: Annotated[
        list[str] | None, typer.Option("--where", metavar="DIM=VALUE", help="Only these; may be repeated.")
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Sum up single users, however many.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Ask for a metric: its value, its 95 % interval by user, how many users; never about fewer than k of them."""
    with workspace(home) as settings:
        from telemetry.parts import PartLog
        from telemetry.privacy import Purpose
        from telemetry.pseudonyms import KeyRing
        from telemetry.queries import MetricQuestion, Telemetry
        from telemetry.warehouse import open_warehouse
        from workspace.clock import SystemClock
        from workspace.paths import Paths
        from workspace.store import Store

        clock, store = SystemClock(), Store.open(settings)
        warehouse = open_warehouse(settings, store)
        rotations = KeyRing.open(settings, clock).valid_from[1:]
        try:
            parts = PartLog(store, Paths(settings.home), clock)
            telemetry = Telemetry(warehouse, parts, store, settings, clock, rotations=rotations)
            start, end = _span(telemetry.span(), first, last)
            question = MetricQuestion(
                metric=metric,
                start=start,
                end=end,
                by=tuple(dim.strip() for dim in by.split(",") if dim.strip()),
                grain=grain,
                where=_filters(where or []),
                exact=True if exact else None,
            )
            found = telemetry.answer(question, purpose=Purpose.PRODUCT_ANALYTICS, actor=ACTOR)
        finally:
            warehouse.close()
            store.close()
        answer(found.to_dict(), _metric_answer, as_json=as_json)
        for date in found.pending_dates:
            note(f"{date} is out of date: run `recommendr telemetry rollup`")


def doctor(home: options.Home = None, as_json: options.Json = False) -> None:
    """Check parts, rollups, quarantine, retention, keys and disk; exit 1 when anything is wrong."""
    with workspace(home) as settings:
        from telemetry.doctor import diagnose
        from workspace.clock import SystemClock
        from workspace.store import Store

        store = Store.open(settings)
        try:
            findings = diagnose(settings, store, SystemClock())
        finally:
            store.close()
        ok = all(finding.ok for finding in findings)
        document = {"ok": ok, "findings": [finding.to_dict() for finding in findings]}
        answer(document, _findings, as_json=as_json)
    if not ok:
        raise typer.Exit(1)


def _span(default: tuple[dt.date, dt.date], first: str | None, last: str | None) -> tuple[dt.date, dt.date]:
    end = default[1] if last is None else _day(last, "--to")
    start = end - (default[1] - default[0]) if first is None else _day(first, "--from")
    return start, end


def _day(text: str, option: str) -> dt.date:
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2026-05-01"
        raise InvalidValueError(f"{option} == {text!r}", "must be a day of the calendar", hint) from error


def _filters(where: list[str]) -> dict[str, list[str]]:
    filters: dict[str, list[str]] = {}
    for one in where:
        dim, sign, value = one.partition("=")
        if not sign or not value:
            raise InvalidValueError(f"--where == {one!r}", "must be DIM=VALUE", "write it as region=US")
        filters.setdefault(dim.strip(), []).append(value.strip())
    return filters


def _rollup_report(document: Document) -> "RenderableType":
    from dashboard.cli import rendering

    days = {"days": len(document["dates"]), "dropped": len(document["dropped"]), "weeks": len(document["weeks"])}
    return rendering.facts({**days, "rows": document["rows"], "seconds": f"{document['seconds']:.1f}"})


def _metric_answer(document: Document) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from workspace.printable import printable

    question = document["question"]
    keys = [*question["by"], *(["period"] if question["grain"] else [])]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in (*keys, "users", document["metric"], "95 %"):
        table.add_column(name, justify="left" if name in keys else "right")
    for row in document["rows"]:
        low, high = row["ci95"]
        cells = [*(row[key] for key in keys), f"{row['n_users']:,}", _figure(row["value"])]
        table.add_row(*(Text(printable(str(cell))) for cell in (*cells, f"{_figure(low)} to {_figure(high)}")))
    span = f"{question['start']} to {question['end']}"
    lines: list[RenderableType] = [Text(span, style="dim"), table]
    if document["suppressed"]:
        lines.append(Text(f"{document['suppressed']} rows are withheld: too few users.", style="yellow"))
    lines += [Text(printable(text), style="dim") for text in document["notes"]]
    return Group(*lines)


def _findings(document: Document) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    from workspace.printable import printable

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("check", "", "finding", "cure"):
        table.add_column(name, overflow="fold")
    for one in document["findings"]:
        mark = Text("ok", style="green") if one["ok"] else Text("wrong", style="red")
        table.add_row(one["check"], mark, Text(printable(one["message"])), Text(printable(one["cure"])))
    return table


def _figure(value: Any) -> str:  # noqa: ANN401 - a number or None
    # Not estimable is a dash, never a 0.
    return "-" if value is None or value != value else f"{value:.4f}"  # noqa: PLR0124 - NaN is not itself
