"""What the monitor says, as it reads in a terminal; names and summaries come from data and are drawn as `Text`."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dashboard.cli.output import Document
from workspace.printable import printable

_STYLES: Final = {"critical": "bold red", "warning": "yellow", "info": "dim"}
_CAUSES_SHOWN: Final = 2


def report(document: Document) -> RenderableType:
    """Draw a run: what each detector found, what fires, what could not be done."""
    table = _table("detector", "findings", "looked at", "seconds", right=("findings", "looked at", "seconds"))
    for one in document["outcomes"]:
        figures = (len(one["findings"]), one["looked_at"], f"{one['seconds']:.1f}")
        table.add_row(*_texts(one["detector"], *figures))
    as_of = f"telemetry up to {document['as_of']}" if document["as_of"] else "no telemetry is rolled up yet"
    parts: list[RenderableType] = [Text(printable(f"{document['run_id']}: {as_of}"), style="dim"), table, Text()]
    firing = document["alerts"].get("firing", ())
    parts += [_alert_line(one) for one in firing] or [Text("Nothing fires.", style="green")]
    for one in document["remediations"]:
        act = f"{one['remediation_id']} {one['state']}: from {one['before']} to {one['after']}"
        parts.append(Text(printable(act), style="bold"))
    parts += [Text(printable(f"- {text}"), style="dim") for text in document["notes"]]
    parts += [_fault(one) for one in document["faults"]]
    if document["delivery"] is not None:
        parts.append(delivery(document["delivery"]))
    return Group(*parts)


def delivery(document: Document) -> RenderableType:
    """Draw what was handed over."""
    said = f"{len(document['delivered'])} messages delivered, {document['waiting']} waiting"
    if document["unrouted"]:
        said += f", {document['unrouted']} of them to a route that the rules do not have"
    lines: list[RenderableType] = [Text(said)]
    lines += [Text(printable(f"{name}: {why}"), style="red") for name, why in document["failed"].items()]
    return Group(*lines)


def runs(document: Document) -> RenderableType:
    """Draw the runs."""
    numbers = ("findings", "firing", "faults")
    table = _table("run", "first so", "last so", "telemetry to", *numbers, right=numbers)
    for one in document["runs"]:
        moments = (f"{one['started_at']:%Y-%m-%d %H:%M}", f"{one['finished_at']:%Y-%m-%d %H:%M}")
        table.add_row(*_texts(one["run_id"], *moments, one["as_of"] or "-", *(one[name] for name in numbers)))
    return table


def findings(document: Document) -> RenderableType:
    """Draw findings with their likeliest causes, and what could not be looked at."""
    parts: list[RenderableType] = []
    for one in document["findings"]:
        parts.append(Text(printable(one["summary"]), style=_STYLES[one["severity"]]))
        onset = one["onset"]
        over = f", over {one['ended'][:16]}" if one["ended"] else ""
        began = f"began {onset['at'][:16]} ({onset['low'][:16]} to {onset['high'][:16]}){over}"
        parts.append(Text(printable(f"  {one['key']}: {began}"), style="dim"))
        for cause in one["causes"][:_CAUSES_SHOWN]:
            change = cause["change"]
            text = f"  likely ({cause['weight']:.0%}): {change['kind']} {change['name']}, {cause['reason']}"
            parts.append(Text(printable(text)))
    parts = parts or [Text("Nothing was found.", style="green")]
    parts += [Text(printable(f"- {one['detector']}: {one['note']}"), style="dim") for one in document["notes"]]
    return Group(*parts)


def alerts(document: Document) -> RenderableType:
    """Draw alerts."""
    if not document["alerts"]:
        return Text("There is none.", style="green")
    return Group(*(_alert_line({**one, "silenced": one["silence"] is not None}) for one in document["alerts"]))


def outbox(document: Document) -> RenderableType:
    """Draw the messages."""
    table = _table("message", "route", "state", "tries", "what", "last error", right=("tries",))
    for one in document["messages"]:
        cells = (one["delivery_id"], one["route"], one["state"], one["attempts"], one["title"], one["last_error"] or "")
        table.add_row(*_texts(*cells))
    return Group(Text(f"{document['waiting']} waiting"), table)


def silence(document: Document) -> RenderableType:
    """Draw one silence."""
    return silences({"silences": [document]})


def silences(document: Document) -> RenderableType:
    """Draw silences."""
    table = _table("silence", "which", "until", "by", "reason")
    for one in document["silences"]:
        which = " ".join(f"{name}={pattern}" for name, pattern in one["matchers"].items())
        table.add_row(*_texts(one["silence_id"], which, one["ends_at"][:16], one["created_by"], one["reason"]))
    return table


def rules(document: Document) -> RenderableType:
    """Draw the rules, the routes, and what is wrong with others."""
    table = _table("rule", "kind", "about", "for", "routes")
    for one in document["rules"]:
        routes = "all" if one["routes"] is None else ", ".join(one["routes"]) or "none"
        table.add_row(*_texts(one["name"], one["kind"], _about(one), one["for"], routes))
    named = ", ".join(f"{one['name']} ({one['kind']})" for one in document["routes"])
    parts: list[RenderableType] = [Text(printable(document["source"]), style="dim"), Padding(table, (0, 0, 1, 0))]
    parts.append(Text(printable(f"routes: {named or 'none: alerts are told to nobody'}")))
    parts += [_fault({"where": one["kind"], **one}) for one in document["problems"]]
    parts += [Text(printable(f"{name} is not set"), style="red") for name in document["unset_variables"]]
    return Group(*parts)


def remediation(document: Document) -> RenderableType:
    """Draw one remediation."""
    return remediations({"remediations": [document]})


def remediations(document: Document) -> RenderableType:
    """Draw remediations."""
    table = _table("remediation", "state", "from", "to", "rule", "by", "reason")
    for one in document["remediations"]:
        names = ("remediation_id", "state", "before", "after", "rule", "actor", "reason")
        table.add_row(*_texts(*(one[name] for name in names)))
    return table


def _about(rule: Mapping[str, Any]) -> str:
    if rule["kind"] == "measure":
        ending = "" if rule["remediation"] == "off" else f", {rule['remediation']} going back"
        return f"{rule['measure']} {rule['op']} {rule['threshold']:g}{ending}"
    if rule["kind"] == "objective":
        return f"{rule['objective']}, {rule['level']}"
    return f"{rule['detector']} {rule['metric']}, {rule['min_severity']} and above"


def _alert_line(alert: Mapping[str, Any]) -> RenderableType:
    head = f"{alert['severity']} {alert['state']}{' (silenced)' if alert['silenced'] else ''}"
    since = f"since {alert['pending_at'][:16]}"
    text = Text(printable(f"{head}: "), style="dim" if alert["silenced"] else _STYLES[alert["severity"]])
    text.append(printable(alert["summary"]), style="default")
    text.append(printable(f" [{alert['rule']}, {since}]"), style="dim")
    return text


def _fault(fault: Mapping[str, Any]) -> RenderableType:
    said = ", ".join(part for part in (fault["what"], fault["limit"]) if part)
    hint = f" Hint: {fault['hint']}." if fault["hint"] else ""
    return Text(printable(f"{fault['where']}: {said}.{hint}"), style="red")


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _texts(*values: object) -> list[Text]:
    return [Text(printable(str(value))) for value in values]
