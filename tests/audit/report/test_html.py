"""The page: drawn from the JSON alone, safe with hostile names, readable without colour."""

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from audit.report import build_document, html
from audit.report.html import MOST_ON_PAPER, count, interval, missed, number, probability, visible
from tests.audit.report.findings import FACTS, HOSTILE, figure, findings, plan
from workspace.errors import SchemaError


class Outline(HTMLParser):
    """Headings, tables and what would leave the page."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []
        self.captions: list[str] = []
        self.tables = 0
        self.unscoped = 0
        self.ids: list[str] = []
        self.anchors: list[str] = []
        self.outside: list[str] = []
        self._caption = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if re.fullmatch(r"h\d", tag):
            self.levels.append(int(tag[1]))
        self.tables += tag == "table"
        self.unscoped += tag == "th" and given.get("scope") not in ("col", "row")
        self._caption = self._caption or tag == "caption"
        if self._caption and tag == "caption":
            self.captions.append("")
        if given.get("id"):
            self.ids.append(str(given["id"]))
        href = given.get("href") or ""
        if href.startswith("#"):
            self.anchors.append(href[1:])
        elif href or given.get("src") or tag in ("script", "link", "iframe", "img", "object"):
            self.outside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._caption = False

    def handle_data(self, data: str) -> None:
        if self._caption:
            self.captions[-1] += data


@pytest.fixture(scope="module")
def page() -> str:
    return html(build_document(findings(), facts=FACTS, software={"numpy": "2"}))


def test_page_stands_alone_and_is_well_built(page: str) -> None:
    outline = Outline()
    outline.feed(page)
    assert outline.outside == []
    assert outline.unscoped == 0
    assert outline.tables == len(outline.captions) == len(set(outline.captions))
    assert outline.levels[0] == 1
    assert outline.levels.count(1) == 1
    assert all(later - earlier <= 1 for earlier, later in zip(outline.levels, outline.levels[1:], strict=False))
    assert len(outline.ids) == len(set(outline.ids))
    assert set(outline.anchors) <= set(outline.ids)
    assert '<html lang="en">' in page


def test_hostile_names_can_do_nothing(page: str) -> None:
    assert HOSTILE not in page
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202eevil\\x1b[2J" in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_a_hostile_title_is_escaped_everywhere() -> None:
    made = findings(plan=plan(title='"><img src=x onerror=alert(1)>', notes="<b>\u2066x"))
    page = html(build_document(made))
    assert "<img" not in page
    assert "<b>\\u" not in page


def test_verdicts_are_in_words_with_a_mark(page: str) -> None:
    for said in ("■ disparity", "● parity shown", "○ not enough evidence", "▲ flagged"):
        assert said in page
    assert "no verdict: withheld: fewer than 10 users" in page
    assert "1.6 to 2.5" in page  # the interval of the disparity
    assert "0.71 or 1.4" in page  # what it could have missed: 1/1.4 and 1.4
    assert "7 of unknown category not included" in page


def test_summary_comes_first(page: str) -> None:
    places = [page.index(f'id="{name}"') for name in ("summary", "swaps", "users", "films", "limits", "all", "plan")]
    assert places == sorted(places)


def test_references_are_not_compared_with_themselves() -> None:
    itself = figure(group="male", verdict=None, in_family=False, reason="the reference itself")
    whole = figure(
        measure="any_difference", group="hit_rate", reference="", n_reference=None, in_family=False, verdict=None,
        words="No difference between any groups is shown.", ratio=None, ratio_interval=None,
    )  # fmt: skip
    page = html(build_document(findings(figures=(figure(), itself, whole))))
    assert ">male<br>against male" not in page
    assert "all groups together" in page
    assert "No difference between any groups is shown." in page


def test_paper_holds_fewer_rows_and_says_so() -> None:
    many = tuple(figure(film_axis="cast_origin", film_group=f"g{n}", measure="reach") for n in range(MOST_ON_PAPER + 5))
    document = build_document(findings(figures=many, swaps=()))
    assert "5 more, those with the least to say, are left out on paper" in html(document, paper=True)
    assert "those with the least to say" not in html(document)


def test_an_audit_of_nothing_can_be_drawn() -> None:
    bare = dataclasses.replace(
        findings(), counts=(), figures=(), swaps=(), leaks=(), popularity=(), pooled=(), limits=(), subject={}, panel={}
    )
    page = html(build_document(bare))
    assert "Nothing could be judged" in page
    assert "not stated" in page


def test_a_document_without_its_parts_is_refused() -> None:
    document = build_document(findings())
    del document["content"]["summary"]["sentences"]
    with pytest.raises(SchemaError, match="can't be drawn"):
        html(document)


def test_figures_are_written_for_reading() -> None:
    assert [number(one) for one in (0.12345, 160.0, 1234.5, 0.0, 1e-9, None)] == [
        "0.123", "160", "1,234", "0", "1.0e-09", "–",
    ]  # fmt: skip
    assert number(160.0, 0) == "160"
    assert interval((0.8, 1.25)) == "0.8 to 1.25"
    assert [probability(one) for one in (0.0004, 0.0412, None)] == ["< 0.001", "0.041", "–"]
    assert [count(one) for one in (None, 1200)] == ["withheld", "1,200"]
    assert [missed(one) for one in (0.5, 2.0, None, 0.0)] == ["0.5 or 2", "0.5 or 2", "–", "–"]
    assert visible("a\u200db\u202ec\nd") == "a\u200db\\u202ec\nd"
