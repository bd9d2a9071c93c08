"""What an audit says, as it reads in a terminal: verdicts in words first, then the rows that stand out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from audit import names
from audit.report.html import MARKS, interval, missed, number, probability
from dashboard.cli.output import Document
from workspace.printable import printable

_STYLES: Final = {"disparity": "bold red", "flagged": "yellow", "parity shown": "green"}
_RANKS: Final = ("disparity", "flagged")
_CAUSES: Final[Mapping[str, Sequence[str]]] = {
    "films": ("film", "title", "shown to the group", "to the reference", "difference"),
    "blocks": ("block", "difference of score terms"),
    "features": ("block", "feature", "difference"),
    "personas": ("persona", "group", "name", "list"),
}
_COUNTED: Final = ("disparity", "flagged", "not enough evidence", "parity shown")
_MOST_ROWS: Final = 20
_MOST_PLACES: Final = 20


def plan(document: Document) -> RenderableType:
    """Draw a declared plan."""
    rows = [
        ("index version", document["index_version"]),
        ("snapshot", document["snapshot_id"]),
        ("answered for", document["on"]),
        ("panel", names.PANELS.get(document["panel"], document["panel"])),
        ("user groups", ", ".join(map(names.axis, document["axes"]))),
        ("film groups", ", ".join(map(names.axis, document["film_axes"]))),
        ("measures", ", ".join(names.measure(one, document["k"]) for one in document["measures"])),
        ("tests", f"{len(document['family']) or 'all pairs of axis and measure'}, family-wise {document['alpha']:g}"),
        ("seed", document["seed"]),
    ]
    run = f"recommendr audit run {document['plan_id']}"
    return Group(
        _line(f"{document['plan_id']}: {document['title']}", style="bold"),
        _facts(rows),
        _line(f"SHA-256 {document['plan_hash']}, in the ledger. Run it with `{run}`.", style="dim"),
    )


def report(document: Document) -> RenderableType:
    """Draw a report: its three sentences, the verdicts, and what stands out."""
    content = document["content"]
    parts: list[RenderableType] = [_line(f"{document['report_id']}: {content['plan']['title']}", style="bold")]
    parts += [_line(sentence) for sentence in content["summary"]["sentences"]]
    verdicts = content["summary"]["verdicts"]
    parts.append(_line("  ".join(f"{MARKS[name]} {n:,} {name}" for name, n in verdicts.items()), style="dim"))
    standing = [row for row in content["figures"] if row["verdict"] in _RANKS]
    if standing:
        parts += [Text(), _figures(sorted(standing, key=_rank)[:_MOST_ROWS])]
    if len(standing) > _MOST_ROWS:
        parts.append(_line(f"{len(standing) - _MOST_ROWS:,} more stand out; the report has them all.", style="dim"))
    parts += [_line(f"■ {swap['words']}", style="red") for swap in content["swaps"] if not swap["passed"]]
    parts += [_line(f"▲ {leak['words']}", style="yellow") for leak in content["leaks"] if leak["carries"]]
    made = f"recommendr audit report {document['report_id']} --format html --out report.html"
    return Group(*parts, _line(f"SHA-256 {document['hash']}. Read it with `{made}`.", style="dim"))


def listing(document: Document) -> RenderableType:
    """Draw plans and reports."""
    reports = _table("report", "ran", "panel", "index", "disparity", "flagged", "unclear", "parity", "title")
    for one in document["reports"]:
        if one["problem"]:
            continue
        shown = [f"{one['verdicts'].get(name, 0):,}" for name in _COUNTED]
        moment = (one["ran_at"] or "not in the ledger")[:16]
        reports.add_row(*_texts(one["report_id"], moment, one["panel"], one["index_version"], *shown, one["title"]))
    plans = _table("plan", "declared", "panel", "index", "title")
    for one in document["plans"]:
        moment = (one["declared_at"] or "not in the ledger")[:16]
        plans.add_row(*_texts(one["plan_id"], moment, one["panel"], one["index_version"], one["title"]))
    broken = [_line(one["problem"], style="red") for one in document["reports"] if one["problem"]]
    nothing = [] if document["plans"] else [_line("Nothing is declared yet: run `recommendr audit run`.")]
    return Group(reports, *broken, Text(), plans, *nothing)


def written(document: Document) -> RenderableType:
    """Draw where a report was written."""
    return _line(f"{document['report_id']} as {document['format']}: {document['path']} ({document['bytes']:,} bytes)")


def verification(document: Document) -> RenderableType:
    """Draw what verifying a report found."""
    parts: list[RenderableType] = [_line(document["words"], style="green" if document["identical"] else "bold red")]
    for one in document["differences"][:_MOST_PLACES]:
        row = f" ({one['row']})" if one["row"] else ""
        parts.append(_line(f"  {one['path']}{row}: the report says {one['recorded']!r}, the re-run {one['again']!r}"))
    if len(document["differences"]) > _MOST_PLACES:
        parts.append(_line(f"  and {len(document['differences']) - _MOST_PLACES:,} more places", style="dim"))
    parts += [
        _line(f"  made with {one['name']} {one['recorded']}, verified with {one['now']}", style="dim")
        for one in document["software"]
    ]
    for name, what in (("plan_declared_at", "plan was declared"), ("run_recorded_at", "run was recorded")):
        known = document[name]
        said = f"its {what} here at {known}" if known else f"this workspace's ledger does not say that its {what}"
        parts.append(_line(f"  {said}", style="dim"))
    return Group(*parts)


def cause(document: Document) -> RenderableType:
    """Draw what is behind a row: films, personas, the score terms that differ, and one pair asked again."""
    row = document["figure"]
    parts: list[RenderableType] = [_line(names.figure(row), style="bold"), _line(row["words"])]
    for name, columns in _CAUSES.items():
        if document[name]:
            table = _table(*columns)
            for one in document[name][:_MOST_ROWS]:
                table.add_row(*_texts(*map(_cell, one)))
            parts += [Text(), table]
    replay = document["replay"]
    if replay:
        alike = "identical" if replay["identical"] else "different"
        parts += [
            Text(),
            _line(f"Asked again, {replay['persona_id_a']} and {replay['persona_id_b']} get {alike} lists."),
        ]
    return Group(*parts)


def _cell(value: Any) -> str:  # noqa: ANN401 - an id, a share, a list of films
    if isinstance(value, float):
        return f"{value:.4g}"
    return ", ".join(map(_cell, value)) if isinstance(value, list | tuple) else str(value)


def _figures(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = _table("verdict", "what", "n", "ratio", "interval", "p, adjusted", "could have missed")
    for row in rows:
        sizes = f"{names.WITHHELD if row['n'] is None else format(row['n'], ',')}"
        style = _STYLES.get(row["verdict"], "")
        table.add_row(
            Text(f"{MARKS[row['verdict']]} {row['verdict']}", style=style),
            *_texts(names.figure(row), sizes, number(row["ratio"], 2), interval(row["ratio_interval"], 2)),
            *_texts(probability(row["p_adjusted"]), missed(row["detectable_ratio"])),
        )
    return table


def _rank(row: Mapping[str, Any]) -> int:
    return _RANKS.index(row["verdict"])


def _facts(rows: Iterable[tuple[str, Any]]) -> Table:
    table = Table.grid(padding=(0, 2))
    for name, value in rows:
        table.add_row(Text(f"  {printable(str(name))}", style="dim"), Text(printable(str(value))))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def _texts(*cells: Any) -> list[Text]:  # noqa: ANN401 - whatever a cell holds
    return [Text(printable(str(cell))) for cell in cells]


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style)
