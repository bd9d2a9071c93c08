"""Each document drawn for a terminal: the figures are there, and text from data stays text."""

import io
from collections.abc import Callable

import pytest
from rich.console import Console, RenderableType

from dashboard.cli import rendering
from dashboard.cli.output import Document

HOSTILE = "[bold red]Al\x1b[2Jien[/]"


def drawn(renderable: RenderableType) -> str:
    stream = io.StringIO()
    Console(file=stream, width=120, markup=False, emoji=False, highlight=False).print(renderable)
    return stream.getvalue()


def slate_document(*, items: int) -> Document:
    contributions = {"text": 0.25, "genre": -0.125, "people": 0.0625, "era": 0.03125}
    return {
        "slate_id": "slate_1",
        "user_id": "u1",
        "index_version": "v1",
        "region": "DE",
        "on": "2016-05-01",
        "items": [
            {"film_id": f"f{n}", "title": HOSTILE, "rank": n, "score": 0.21875, "contributions": contributions}
            for n in range(1, items + 1)
        ],
        "funnel": [{"rule": "catalogue", "remaining": 300}, {"rule": "seen", "remaining": items}],
        "relax": ["excluded_genres"] if items < 5 else [],
    }


def test_slate_shows_films_reasons_and_funnel_with_titles_as_text() -> None:
    text = drawn(rendering.slate(slate_document(items=5)))
    assert "[bold red]Al\\x1b[2Jien[/]" in text
    assert "0.2188" in text
    # The three largest by size, whatever their sign.
    assert "text +0.250, genre -0.125, people +0.062" in text
    assert "catalogue" in text
    assert "300" in text
    assert "relax" not in text


def test_slate_that_is_short_says_what_to_relax() -> None:
    assert "relax: excluded_genres" in drawn(rendering.slate(slate_document(items=2)))


def test_slate_without_films_says_so() -> None:
    assert "No film is left" in drawn(rendering.slate(slate_document(items=0)))


def test_explanation_shows_three_views_each_with_the_same_sum() -> None:
    features = [{"block": "genre", "feature": f"genre {n}", "value": 0.01} for n in range(30)]
    text = drawn(
        rendering.explanation(
            {
                "score": 0.3,
                "blocks": {"genre": 0.2, "quality": 0.1, "collection": 0.0},
                "features": features,
                "history": [
                    {"film_id": "f1", "title": HOSTILE, "value": 0.4},
                    {"film_id": None, "title": "priors", "value": -0.1},
                ],
                "user_id": "u1",
                "film_id": "f2",
                "title": "Brazil",
                "index_version": "v1",
            }
        )
    )
    assert text.count("+0.30000") == 3
    assert "18 more" in text
    assert "+0.18000" in text
    assert "collection" not in text
    assert "priors" in text
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"verdict": "unknown", "rule": None, "rank": None, "gap": {}, "sentence": "No film with the id."}, "No film"),
        ({"verdict": "rule", "rule": "seen", "rank": None, "gap": {}}, "seen"),
        ({"verdict": "outranked", "rule": None, "rank": 812, "gap": {"text": -0.5, "era": 0.25}}, "-0.25000"),
    ],
)
def test_why_not_shows_the_verdict(document: Document, expected: str) -> None:
    text = drawn(rendering.why_not(document))
    assert document["verdict"] in text
    assert expected in text


def test_replay_shows_whether_it_is_identical_to_the_last_bit() -> None:
    document = {
        "identical": False,
        "slate_id": "s",
        "differences": ["rank 1: other film"],
        "items": [{"rank": 1, "film_id": "f", "title": "Brazil", "score": 0.1 + 0.2}],
    }
    text = drawn(rendering.replay(document))
    assert "not identical" in text
    assert "0.30000000000000004" in text
    assert "rank 1: other film" in text


def test_evaluation_shows_dash_for_what_is_not_estimable() -> None:
    figures = {
        "precision_at_k": 0.1134,
        "ci95": [0.1, 0.12],
        "hit_rate": float("nan"),
        "ndcg_at_k": 0.5,
        "coverage": None,
    }
    text = drawn(
        rendering.evaluation(
            {"protocol": "temporal", "k": 5, "users": 658, **figures, "baselines": {"ease": {"precision_at_k": 0.113}}}
        )
    )
    assert "0.1134" in text
    assert "0.1000 to 0.1200" in text
    assert "ease" in text
    assert "nan" not in text.lower()


def test_import_report_accounts_for_every_row_and_reason() -> None:
    document = {
        "snapshot_id": "c1",
        "films": 2,
        "users": 1,
        "interactions": 3,
        "quarantined": 1,
        "balanced": True,
        "next": "recommendr index build",
        "files": [
            {
                "name": "movies.csv",
                "encoding": "utf-8",
                "read": 4,
                "loaded": 2,
                "merged": 1,
                "refused": {"no title": 1},
                "set_aside": {"of others": 1},
                "repaired": {"no date": 2},
            }
        ],
    }
    text = drawn(rendering.import_report(document))
    for part in ("movies.csv", "no title", "of others", "no date", "Every row is", "Next: recommendr index build"):
        assert part in text
    assert "Not every row" in drawn(rendering.import_report({**document, "balanced": False}))


VERSION = {
    "version": "v1",
    "built_at": "2026-01-02T03:04:05.678+00:00",
    "strategy": "full",
    "snapshot_id": "c1",
    "films": 3,
    "bytes": 2_500_000,
    "blocks": ["text", "genre"],
}


@pytest.mark.parametrize(
    ("render", "document", "expected"),
    [
        (rendering.versions, {"versions": [], "broken": {}, "current": None}, "recommendr index build"),
        (rendering.versions, {"versions": [VERSION], "broken": {}, "current": "v1"}, "*  v1"),
        (rendering.versions, {"versions": [], "broken": {"v2": "torn"}, "current": None}, "v2: torn"),
        (rendering.verification, {"versions": [{"version": "v1", "ok": False, "problems": ["bad.bin"]}]}, "bad.bin"),
        (rendering.verification, {"versions": [{"version": "v1", "ok": True, "problems": []}]}, "whole"),
        (rendering.facts, {"index_version": "v1"}, "index version"),
    ],
)
def test_versions_and_facts_are_drawn(
    render: Callable[[Document], RenderableType], document: Document, expected: str
) -> None:
    assert expected in drawn(render(document))
