"""Goals, measures, markets and costs as they read in a terminal; whatever comes from data is drawn as `Text`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dashboard.cli.output import Document
from workspace.printable import printable

_STYLES: Final = {"met": "green", "at risk": "yellow", "missed": "bold red", "unknown": "dim"}
_STEPS: Final = "▁▂▃▄▅▆▇█"
_INDENT: Final = "  "
_NINES: Final = 0.99


def tree(document: Document) -> RenderableType:
    """Draw the goals, each below the one it serves, and then why some are unknown."""
    table = _table("goal", "state", "figure", "95 % interval", "target", "course", "below", "owner")
    # The tree is read by its indents: no title is folded.
    table.columns[0].no_wrap = True
    notes = []
    for depth, one in _walk(document["goals"], 0):
        reading = one["reading"] or {}
        below = f"{one['below_not_met']} not met" if one["below_not_met"] else "-"
        table.add_row(
            _text(_INDENT * depth + one["title"]), Text(one["status"], style=_STYLES[one["status"]]),
            _text(_figure(reading.get("value"), one["unit"])), _text(_interval(reading)),
            _text(_target(one)), _text(_course(one["course"])), _text(below), _text(one["owner"]),
        )  # fmt: skip
        if reading.get("note") and one["status"] == "unknown":
            notes.append(_text(f"{one['title']}: {reading['note']}", style="dim"))
        notes += [_text(f"{one['title']}: found {key}", style="yellow") for key in one["findings"]]
    return Group(table, Padding(Group(*notes), (1, 0, 0, 0)) if notes else Text())


def entries(document: Document) -> RenderableType:
    """Draw what was entered."""
    if not document["entries"]:
        return Text("Nothing was entered yet: run `recommendr monitor goals enter`.", style="yellow")
    table = _table("goal", "period", "value", "note", right=("value",))
    for one in document["entries"]:
        table.add_row(*_texts(one["goal"], one["period"], f"{one['value']:,.2f}", one["note"]))
    return table


def measures(document: Document) -> RenderableType:
    """Draw the measures with their figures."""
    table = _table("measure", "figure", "95 % interval", "better", "meaning", "note")
    for one in document["measures"]:
        table.add_row(
            *_texts(one["name"], _figure(one["value"], one["unit"]), _interval(one), one["better"], one["meaning"],
                    one["note"])
        )  # fmt: skip
    return table


def markets(document: Document) -> RenderableType:
    """Draw the markets, how they differ, and what the study of weights says."""
    rows = document["markets"]
    if not rows:
        return Group(Text("No market has any telemetry yet.", style="yellow"), *_study(document["study"]))
    names = list(rows[0]["figures"])
    table = _table("market", "users", *names, "precision@5 against the others", right=("users",))
    for one in rows:
        figures = [_figure(figure["value"], figure["unit"]) for figure in one["figures"].values()]
        table.add_row(*_texts(one["market"], one["users"] or "-", *figures, _difference(one)))
    parts: list[RenderableType] = [_text(f"{rows[0]['start']} to {rows[0]['end']}", style="dim"), table, Text()]
    return Group(*parts, *_study(document["study"]))


def costs(document: Document) -> RenderableType:
    """Draw the costs by index version, and the prices behind them."""
    if not document["costs"]:
        return Text("Nothing was measured yet: run `recommendr monitor cost --measure`.", style="yellow")
    currency = document["prices"]["currency"]
    table = _table("index", "measured", "requests", "processor s / 1,000", "memory MiB", "index MiB",
                   f"{currency} / 1,000", "95 % interval")  # fmt: skip
    for one in document["costs"]:
        money = one["money_per_1000"]
        table.add_row(
            *_texts(one["index_version"], one["measured_at"][:16], one["requests"], f"{one['cpu_s_per_1000']:.2f}",
                    f"{one['memory_mib']:.0f}", f"{one['index_mib']:.1f}", _figure(money["value"], "money"),
                    _interval({**money, "unit": "money"}))
        )  # fmt: skip
    told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in document["prices"].items())
    return Group(table, _text(f"prices: {told}", style="dim"))


def _study(study: Mapping[str, Any] | None) -> Iterator[RenderableType]:
    if study is None:
        yield Text("Weights of their own were not studied yet: run it with --study.", style="yellow")
        return
    table = _table("market", "users", "general weights", "own weights", "difference", "p")
    for one in study["markets"]:
        p_value = "-" if one["p_value"] is None else f"{one['p_value']:.3f}"
        general, own = (_figure(one[name], "share") for name in ("general", "own"))
        table.add_row(*_texts(one["market"], one["users"] or "-", general, own, _difference(one), p_value))
    yield _text(f"precision@5 offline, index {study['index_version']}, {study['folds']} folds", style="dim")
    yield table
    yield _text(study["recommendation"], style="bold")


def _walk(goals: Sequence[Mapping[str, Any]], depth: int) -> Iterator[tuple[int, Mapping[str, Any]]]:
    for one in goals:
        yield depth, one
        yield from _walk(one["children"], depth + 1)


def _figure(value: float | None, unit: str | None) -> str:
    # Not estimable is a dash, never a 0.
    if value is None:
        return "-"
    if unit == "share":
        # Nines are told apart by their third digit.
        return f"{value:.3%}" if value > _NINES else f"{value:.2%}"
    if unit == "relative":
        return f"{value:+.1%}"
    return f"{value:.3g}" + {"s": " s", "days": " d"}.get(unit or "", "")


def _interval(reading: Mapping[str, Any]) -> str:
    if reading.get("low") is None or reading.get("high") is None:
        return "-"
    return f"{_figure(reading['low'], reading['unit'])} to {_figure(reading['high'], reading['unit'])}"


def _target(goal: Mapping[str, Any]) -> str:
    return "-" if goal["target"] is None else f"{goal['op']} {_figure(goal['target'], goal['unit'])}"


def _difference(row: Mapping[str, Any]) -> str:
    one = row["difference"]
    if one is None:
        return str(row.get("note") or "-")
    if one["low"] is None:
        return f"{one['value']:+.4f}"
    return f"{one['value']:+.4f} ({one['low']:+.4f} to {one['high']:+.4f})"


def _course(course: Sequence[Mapping[str, Any]]) -> str:
    values = [one["value"] for one in course]
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    low, span = min(known), (max(known) - min(known)) or 1.0
    # A week that is not estimable leaves a gap.
    return "".join(" " if value is None else _STEPS[int((value - low) / span * (len(_STEPS) - 1))] for value in values)


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _text(value: object, style: str = "") -> Text:
    return Text(printable(str(value)), style=style)


def _texts(*values: object) -> list[Text]:
    return [_text(value) for value in values]
