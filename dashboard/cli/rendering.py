"""Results as they read in a terminal: each function takes a command's document and returns something Rich prints.

Titles, names and ids come from data: they are drawn as `Text`, never as Rich markup.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dashboard.cli.output import Document
from workspace.printable import printable

_BAR_WIDTH: Final = 24
_TERMS_SHOWN: Final = 12
_CONTRIBUTIONS_SHOWN: Final = 3
_LEAST_SHOWN: Final = 5e-7


def slate(document: Document) -> RenderableType:
    """Draw the recommended films with what speaks most for each, and the funnel."""
    facts = [("user", document["user_id"]), ("index", document["index_version"]), ("slate", document["slate_id"])]
    facts += [(name, document[name]) for name in ("region", "on") if document.get(name)]
    films = _table("#", "film", "title", "score", "most from", right=("#", "score"))
    for item in document["items"]:
        most = sorted(item["contributions"].items(), key=lambda term: -abs(term[1]))[:_CONTRIBUTIONS_SHOWN]
        reasons = ", ".join(f"{block} {value:+.3f}" for block, value in most)
        films.add_row(*_texts(item["rank"], item["film_id"], item["title"], _figure(item["score"]), reasons))
    parts: list[RenderableType] = [_facts(facts), films]
    if not document["items"]:
        parts[-1] = Text("No film is left after the rules.", style="yellow")
    parts.append(_funnel(document["funnel"]))
    if document.get("relax"):
        parts.append(Text(f"To see more, relax: {', '.join(document['relax'])}", style="yellow"))
    return Group(*parts)


def explanation(document: Document) -> RenderableType:
    """Draw the score by block, by named feature and by history film, each view with its sum."""
    head = [("user", document.get("user_id")), ("film", _film(document)), ("index", document.get("index_version"))]
    blocks = [("", block, value) for block, value in document["blocks"].items()]
    features = [(term["block"], term["feature"], term["value"]) for term in document["features"]]
    history = [(term["film_id"] or "-", term["title"], term["value"]) for term in document["history"]]
    return Group(
        _facts([*head, ("score", _figure(document["score"]))]),
        _terms("By block", ("", "block"), blocks, every=True),
        _terms("By feature", ("block", "feature"), features),
        _terms("By history film", ("film", "title"), history),
    )


def why_not(document: Document) -> RenderableType:
    """Draw the verdict, and the gap to the last film of the slate block by block."""
    head = [("user", document.get("user_id")), ("film", _film(document)), ("verdict", document["verdict"])]
    head += [(name, document[name]) for name in ("rule", "rank", "candidates") if document.get(name) is not None]
    parts: list[RenderableType] = [_facts(head)]
    if document.get("sentence"):
        parts.append(_text(document["sentence"], style="bold"))
    if document["gap"]:
        gaps = [("", block, value) for block, value in document["gap"].items()]
        parts.append(_terms("Gap to the last film of the slate", ("", "block"), gaps, every=True))
    return Group(*parts)


def replay(document: Document) -> RenderableType:
    """Draw whether the slate came out the same, and the films as they came out now."""
    same = document["identical"]
    verdict = Text("identical, bit for bit", style="green") if same else Text("not identical", style="red")
    films = _table("#", "film", "title", "score", right=("#", "score"))
    for item in document["items"]:
        # The whole float: what is claimed is equality to the last bit.
        films.add_row(*_texts(item["rank"], item["film_id"], item["title"], repr(item["score"])))
    differences = [_text(f"- {difference}", style="red") for difference in document["differences"]]
    head = [("slate", document["slate_id"]), ("index", document.get("index_version"))]
    return Group(_facts(head), verdict, films, *differences)


def versions(document: Document) -> RenderableType:
    """Draw the index versions, the current one marked, and those that can't be read."""
    if not document["versions"] and not document["broken"]:
        return Text("No index version yet: run `recommendr index build`.", style="yellow")
    table = _table("", "version", "built", "strategy", "snapshot", "films", "MB", "blocks", right=("films", "MB"))
    for version in document["versions"]:
        mark = "*" if version["version"] == document["current"] else ""
        # Seconds are enough for a person; the JSON form has all of it.
        facts_of_one = (version["built_at"][:19], version["strategy"], version["snapshot_id"], version["films"])
        megabytes = f"{version['bytes'] / 1e6:.1f}"
        table.add_row(*_texts(mark, version["version"], *facts_of_one, megabytes, ", ".join(version["blocks"])))
    broken = [_text(f"{name}: {reason}", style="red") for name, reason in document["broken"].items()]
    return Group(table, *broken)


def facts(document: Document) -> RenderableType:
    """Draw a flat document as names and values."""
    pairs = [(name.replace("_", " "), value) for name, value in document.items() if value is not None]
    return _facts([(name, ", ".join(map(str, value)) if isinstance(value, list) else value) for name, value in pairs])


def verification(document: Document) -> RenderableType:
    """Draw the verdict over the files of one or more versions."""
    table = _table("", "version", "verdict")
    for version in document["versions"]:
        mark = "*" if version["version"] == document.get("current") else ""
        problems = _text("\n".join(version["problems"]), style="red")
        table.add_row(*_texts(mark, version["version"]), Text("whole", style="green") if version["ok"] else problems)
    return table


def import_report(document: Document) -> RenderableType:
    """Draw what became of every row of every file, and why."""
    facts_of_all = [(name, document[name]) for name in ("snapshot_id", "films", "users", "interactions", "quarantined")]
    counts = ("read", "loaded", "merged", "set aside", "quarantined", "repaired")
    files = _table("file", "encoding", *counts, right=counts)
    for file in document["files"]:
        sums = [sum(file[kind].values()) for kind in ("set_aside", "refused", "repaired")]
        files.add_row(*_texts(file["name"], file["encoding"], file["read"], file["loaded"], file["merged"], *sums))
    reasons = _table("file", "what", "rows", "reason", right=("rows",))
    for file in document["files"]:
        for kind, what in (("refused", "quarantined"), ("set_aside", "set aside"), ("repaired", "repaired")):
            for reason, rows in sorted(file[kind].items(), key=lambda pair: -pair[1]):
                reasons.add_row(*_texts(file["name"], what, rows, reason))
    balance = Text("Every row is accounted for.", style="green")
    if not document["balanced"]:
        balance = Text("Not every row is accounted for.", style="red")
    shown = Padding(reasons if reasons.row_count else "", (1, 0))
    parts: list[RenderableType] = [_facts(facts_of_all), files, shown, balance]
    if document.get("next"):
        parts.append(_text(f"Next: {document['next']}", style="bold"))
    return Group(*parts)


def evaluation(document: Document) -> RenderableType:
    """Draw the figures of the recommender and of each baseline, one row each."""
    k = document["k"]
    table = _table(
        "",
        f"precision@{k}",
        "95 %",
        "hit rate",
        f"NDCG@{k}",
        "coverage",
        right=(f"precision@{k}", "hit rate", f"NDCG@{k}", "coverage"),
    )
    rows: Iterable[tuple[str, Mapping[str, Any]]] = [("recommendr", document), *document["baselines"].items()]
    for name, figures in rows:
        interval = figures.get("ci95")
        between = f"{_figure(interval[0])} to {_figure(interval[1])}" if interval else ""
        rest = (_figure(figures.get(column)) for column in ("hit_rate", "ndcg_at_k", "coverage"))
        table.add_row(*_texts(name, _figure(figures["precision_at_k"]), between, *rest))
    parts: list[RenderableType] = [_facts([("protocol", document["protocol"]), ("users", document["users"])]), table]
    if document.get("comparison"):
        parts.append(facts(document["comparison"]))
    return Group(*parts)


def _film(document: Document) -> str:
    title = document.get("title")
    return f"{document.get('film_id', '')} {title or ''}".strip()


def _text(value: object, style: str = "") -> Text:
    return Text("" if value is None else printable(str(value)), style=style)


def _texts(*values: object) -> list[Text]:
    return [_text(value) for value in values]


def _figure(value: float | None) -> str:
    # Not estimable is a dash, never a 0.
    return "-" if value is None or value != value else f"{value:.4f}"  # noqa: PLR0124 - NaN is not itself


def _table(*columns: str, right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table


def _facts(pairs: Iterable[tuple[str, object]]) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    for name, value in pairs:
        grid.add_row(Text(name, style="dim"), _text(value))
    return Padding(grid, (0, 0, 1, 0))


def _funnel(steps: Sequence[Mapping[str, Any]]) -> RenderableType:
    table = _table("rule", "films left", right=("films left",))
    for step in steps:
        table.add_row(*_texts(step["rule"], step["remaining"]))
    return Padding(table, (1, 0, 0, 0))


def _terms(
    title: str, names: tuple[str, str], terms: Sequence[tuple[str, str, float]], *, every: bool = False
) -> RenderableType:
    """Draw signed terms, largest first, the small rest as one row, and their sum."""
    ordered = sorted(terms, key=lambda term: -abs(term[2]))
    # What was added of nothing says nothing: a block that is zero for this film is left out.
    ordered = [term for term in ordered if abs(term[2]) > _LEAST_SHOWN]
    shown, rest = (ordered, []) if every else (ordered[:_TERMS_SHOWN], ordered[_TERMS_SHOWN:])
    largest = max((abs(value) for _, _, value in shown), default=1.0)
    table = _table(*names, "value", "", right=("value",))
    for first, second, value in shown:
        bar = Text("█" * max(1, round(_BAR_WIDTH * abs(value) / largest)), style="green" if value > 0 else "red")
        table.add_row(*_texts(first, second, f"{value:+.5f}"), bar)
    if rest:
        table.add_row(*_texts("", f"{len(rest)} more", f"{sum(value for _, _, value in rest):+.5f}"), "", style="dim")
    table.add_row(*_texts("", "sum", f"{sum(value for _, _, value in terms):+.5f}"), "", style="bold")
    return Padding(Group(Text(title, style="bold"), table), (0, 0, 1, 0))
