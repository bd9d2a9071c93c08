"""Answers about services, logs and traces as they read in a terminal.

Names and messages come from data: they are drawn as `Text`, never as Rich markup.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dashboard.cli.output import Document
from workspace.printable import printable

_BLOCKS: Final = "▁▂▃▄▅▆▇█"
_SPARK_WIDTH: Final = 40
_BAR_WIDTH: Final = 24
_LEVEL_STYLES: Final = {"ERROR": "red", "CRITICAL": "red", "WARNING": "yellow"}


def series(document: Document) -> RenderableType:
    """Draw each series with its last, least and greatest value and its course."""
    head = Text(f"{document['question']} in {document['unit']}, from {document['source']}\n", style="dim")
    head.append(f"{document['start']:%Y-%m-%d %H:%M} to {document['end']:%Y-%m-%d %H:%M} UTC, ", style="dim")
    head.append(f"every {document['step_s']} s", style="dim")
    found: dict[tuple[str, str], list[float]] = {}
    for row in document["rows"]:
        found.setdefault((row["service"], row["region"]), []).append(row["value"])
    if not found:
        return Group(head, Text("No samples in this time.", style="yellow"))
    table = _table("service", "region", "last", "least", "greatest", "", right=("last", "least", "greatest"))
    for (service, region), values in found.items():
        known = [value for value in values if not math.isnan(value)]
        figures = (_figure(values[-1]), _figure(min(known)), _figure(max(known)))
        table.add_row(_text(service), _text(region), *map(_text, figures), Text(_spark(values), style="cyan"))
    return Group(head, Padding(table, (1, 0, 0, 0)))


def log_lines(document: Document) -> RenderableType:
    """Draw the lines, and before them the trace where one was asked for."""
    parts: list[RenderableType] = []
    if document["trace"] is not None:
        parts.append(trace(document["trace"]))
    table = _table("time", "level", "service", "transaction", "message")
    for line in document["lines"]:
        level = _text(line["level"], style=_LEVEL_STYLES.get(line["level"] or "", ""))
        moment = line["ts"].replace("T", " ")[:23]
        table.add_row(
            _text(moment), level, _text(line["service"]), _text(line["transaction_id"]), _text(line["message"])
        )
    parts.append(table if document["lines"] else Text("No line matches.", style="yellow"))
    if document["matched"] > len(document["lines"]):
        parts.append(Text(f"{document['matched'] - len(document['lines'])} older lines match as well.", style="dim"))
    if document["malformed"]:
        parts.append(Text(f"{document['malformed']} malformed lines were passed over.", style="yellow"))
    return Group(*parts)


def trace(document: Mapping[str, Any]) -> RenderableType:
    """Draw a request's hops in order, each with its time and its share."""
    head = Text(f"{printable(document['transaction_id'])}\n", style="bold")
    outcome = "failed" if document["failed"] else "ok"
    head.append(outcome, style="red" if document["failed"] else "green")
    facts = [document["started_at"], f"{document['duration_ms']:.1f} ms", document["region"], document["slate_id"]]
    head.append(f"  {'  '.join(printable(str(fact)) for fact in facts if fact)}", style="dim")
    table = _table("service", "status", "ms", "own ms", "share", "", right=("ms", "own ms", "share"))
    for hop in document["hops"]:
        share = hop["share"]
        bar = Text("█" * max(1, round(_BAR_WIDTH * share)) if share else "", style="cyan")
        times = (_milliseconds(hop["duration_ms"]), _milliseconds(hop["self_ms"]))
        percent = "-" if share is None else f"{share:.0%}"
        table.add_row(_text("  " * hop["depth"] + hop["service"]), _text(hop["status"] or "-"), *times, percent, bar)
        for message in hop["messages"]:
            table.add_row(_text("  " * hop["depth"] + "  " + message["text"], style="dim"))
    return Padding(Group(head, table), (0, 0, 1, 0))


def _spark(values: Sequence[float]) -> str:
    """Draw values as blocks from their least to their greatest; what is not known is a gap."""
    if len(values) > _SPARK_WIDTH:
        size = len(values) / _SPARK_WIDTH
        groups = [values[int(place * size) : int((place + 1) * size)] for place in range(_SPARK_WIDTH)]
        values = [max((one for one in group if not math.isnan(one)), default=math.nan) for group in groups]
    known = [value for value in values if not math.isnan(value)]
    least, spread = min(known), max(known) - min(known)
    return "".join(
        " " if math.isnan(value) else _BLOCKS[round((value - least) / spread * (len(_BLOCKS) - 1)) if spread else 0]
        for value in values
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _figure(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4g}"


def _text(value: object, style: str = "") -> Text:
    return Text("" if value is None else printable(str(value)), style=style)


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table
