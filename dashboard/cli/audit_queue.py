"""`recommendr audit queue …`: films kept for review, appeals and decisions, and a look at the whole catalogue."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dashboard.cli import options
from dashboard.cli.group import helped
from dashboard.cli.output import answer
from dashboard.cli.session import ACTOR, workspace
from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from audit.manipulation.queue import ReviewQueue

app = helped("Look at films whose metadata look made for the recommender; release them or keep them out.")

ReviewId = Annotated[str, typer.Argument(metavar="REVIEW", help="Id of the row in the queue.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it goes into the ledger.")]


@app.command("list")
def list_reviews(
    everything: Annotated[bool, typer.Option("--all", help="Also what was decided.")] = False,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """List what waits for a decision: appeals first, then the highest score."""
    from audit.manipulation.queue import KEPT, OPEN, RELEASED

    with _queue(home) as queue:
        rows = queue.reviews((*OPEN, RELEASED, KEPT) if everything else OPEN)
        document = {"reviews": [_brief(one.to_dict()) for one in rows]}
        answer(document, _table, as_json=as_json)


@app.command()
def show(review: ReviewId, home: options.Home = None, as_json: options.Json = False) -> None:
    """Show one row in full: reasons, content before and now, appeal, decision."""
    with _queue(home) as queue:
        answer(queue.get(review).to_dict(), _facts, as_json=as_json)


@app.command()
def release(review: ReviewId, reason: Reason, home: options.Home = None, as_json: options.Json = False) -> None:
    """Let a film in, at once: a new catalogue snapshot and an index increment."""
    _decide(home, review, reason, released=True, as_json=as_json)


@app.command()
def keep(review: ReviewId, reason: Reason, home: options.Home = None, as_json: options.Json = False) -> None:
    """Keep a film out, or its last admitted content in."""
    _decide(home, review, reason, released=False, as_json=as_json)


@app.command()
def appeal(
    review: ReviewId,
    text: Annotated[str, typer.Option("--text", metavar="TEXT", help="What the studio says for its film.")],
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Enter an appeal; a film that was kept out is open again."""
    with _queue(home) as queue:
        answer(_brief(queue.appeal(review, text, ACTOR).to_dict()), _facts, as_json=as_json)


@app.command()
def scan(
    rate: Annotated[float, typer.Option("--rate", metavar="R", help="Share of clean films that stand out.")] = 0.01,
    enqueue: Annotated[bool, typer.Option("--enqueue", help="Put what stands out into the queue.")] = False,
    before: Annotated[
        str | None, typer.Option("--before", metavar="SNAPSHOT", help="Also say what edits since then moved.")
    ] = None,
    home: options.Home = None,
    as_json: options.Json = False,
) -> None:
    """Judge the whole current catalogue against itself."""
    with workspace(home) as settings:
        from dashboard import admission

        document = admission.scan(settings, rate=rate, enqueue=enqueue, actor=ACTOR).to_dict()
        if before is not None:
            from audit.manipulation.edits import diff
            from recommender.catalogue import load_catalogue
            from workspace.paths import Paths

            paths = Paths(settings.home)
            document["edits"] = diff(load_catalogue(paths, before).films, load_catalogue(paths).films).to_dict()
        answer(document, _scanned, as_json=as_json)


def _decide(home: Path | None, review: str, reason: str, *, released: bool, as_json: bool) -> None:
    with workspace(home) as settings:
        from dashboard import admission

        done = admission.decide(settings, review, release=released, reason=reason, actor=ACTOR)
        answer({**_brief(done), "snapshot_id": done["now"], "index_version": done["index_version"]}, _facts,
               as_json=as_json)  # fmt: skip


@contextmanager
def _queue(home: Path | None) -> "Iterator[ReviewQueue]":
    with workspace(home) as settings:
        from audit.manipulation.queue import ReviewQueue
        from workspace.store import Store

        store = Store.open(settings)
        try:
            yield ReviewQueue(store)
        finally:
            store.close()


def _brief(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in ("film", "before", "now")}


def _facts(document: Mapping[str, Any]) -> "RenderableType":
    from dashboard.cli import rendering

    plain = {name: value for name, value in document.items() if name not in ("reasons", "film", "before")}
    reasons = document.get("reasons", {}).get("reasons", [])
    return rendering.facts({**plain, "reasons": "; ".join(one["words"] for one in reasons)})


def _table(document: Mapping[str, Any]) -> "RenderableType":
    from rich.table import Table

    table = Table("review", "film", "studio", "state", "score", "strongest reason", title="Review queue")
    for row in document["reviews"]:
        reasons = row["reasons"].get("reasons", [])
        cells = (row["review_id"], row["title"] or row["film_id"], row["studio"], row["state"], f"{row['score']:.2f}",
                 reasons[0]["words"] if reasons else "")  # fmt: skip
        table.add_row(*(printable(cell) for cell in cells))
    return table


def _scanned(document: Mapping[str, Any]) -> "RenderableType":
    from rich.console import Group
    from rich.table import Table

    odd = Table("film", "score", "lift", "strongest reason", title=f"{document['judged']} films judged")
    for one in document["odd"]:
        words = one["reasons"][0]["words"] if one["reasons"] else ""
        odd.add_row(printable(one["film_id"]), f"{one['score']:.2f}", f"{one['lift']:+.5f}", printable(words))
    studios = Table("studio", "films edited", "keywords added", "exposure moved", "net gain", title="Edits by studio")
    for one in document.get("edits", {}).get("studios", []):
        studios.add_row(printable(one["studio"]), str(one["edits"]), str(one["keywords_added"]), f"{one['moved']:.5f}",
                        f"{one['lift']:+.5f}")  # fmt: skip
    return Group(odd, studios) if "edits" in document else odd
