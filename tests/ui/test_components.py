"""Text from data, and bars that add up."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import components, words
from dashboard.return_link import is_own_address
from workspace.errors import InvalidValueError


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    bodies: list[str] = []
    monkeypatch.setattr(components.st, "html", bodies.append)
    return bodies


@given(st.text())
def test_text_never_becomes_markup(value: str) -> None:
    inner = components.text(value).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not re.search(r"[<>\"']", inner)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\x00-\x1f\x7f]", inner)


def test_text_keeps_what_is_harmless() -> None:
    assert components.text("Amélie & 北京 **7**") == "<bdi>Amélie &amp; 北京 **7**</bdi>"


def test_excerpt_ends_between_words() -> None:
    short = components.excerpt("word " * 60)
    assert short.endswith("word…")
    assert len(short) <= 151


def test_link_quotes_every_value() -> None:
    assert components.link("film", film="a&b=<c>", view=None) == "film?film=a%26b%3D%3Cc%3E"


def test_waterfall_begins_each_bar_where_the_last_ended(drawn: list[str]) -> None:
    components.waterfall([("up", 3.0), ("down", -1.0), ("more", 2.0)], 4.0, caption="c")
    spans = [(float(left), float(width)) for left, width in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", drawn[0])]
    assert spans == [(0.0, 75.0), (50.0, 25.0), (50.0, 50.0), (0.0, 100.0)]


def test_waterfall_keeps_room_below_zero(drawn: list[str]) -> None:
    components.waterfall([("down", -1.0), ("up", 2.0)], 1.0, caption="c")
    spans = [(float(left), float(width)) for left, width in re.findall(r"left:([\d.]+)%;width:([\d.]+)%", drawn[0])]
    assert spans == [(0.0, 50.0), (0.0, 100.0), (50.0, 50.0)]
    assert "--zero:50.00%" in drawn[0]


def test_error_shows_what_limit_hint_and_command(drawn: list[str]) -> None:
    components.error(InvalidValueError("k == 0", "must be >= 1", "run `recommendr recommend 1 -k 5`"))
    assert "K == 0: must be &gt;= 1" in drawn[0]
    assert '<code class="rr-command"><bdi>recommendr recommend 1 -k 5</bdi></code>' in drawn[0]
    assert 'role="alert"' in drawn[0]


def test_table_escapes_cells_but_not_its_own_markup(drawn: list[str]) -> None:
    components.table(("A", "B"), [("<i>", components.anchor("<b>", "film", film="1"))], caption="<u>")
    assert "&lt;i&gt;" in drawn[0]
    assert '<a href="film?film=1" target="_self"><bdi>&lt;b&gt;</bdi></a>' in drawn[0]
    assert "<u>" not in drawn[0]


@pytest.mark.parametrize("target", ["//evil.example", "/\\evil.example", "https://evil.example", "", "film", "/a\r\nb"])
def test_return_link_refuses_other_hosts(target: str) -> None:
    assert not is_own_address(target)


def test_return_link_keeps_a_page_with_its_state() -> None:
    assert is_own_address("/film?film=1&view=Map")


def test_words_fall_back_to_the_name() -> None:
    assert words.block("new_block") == "New block"
    assert words.feature("people", "director: Agnès Varda") == "Director: Agnès Varda"
    assert words.count(1, "film") == "1 film"


def tile(**fields: object) -> components.Tile:
    given = {"label": "CTR", "value": "9 %", "interval": "[8, 10]", "change": "better", "tone": "good",
             "course": (1.0, None, 2.0, 3.0)}  # fmt: skip
    return components.Tile(**{**given, **fields})  # type: ignore[arg-type]


def test_tiles_draw_a_gap_where_a_day_has_no_figure(drawn: list[str]) -> None:
    components.tiles([tile(label="<b>CTR</b>")])
    (body,) = drawn
    assert "&lt;b&gt;CTR&lt;/b&gt;" in body
    assert body.count("polyline%20points") == 2
    assert "%3Cb%3E" not in body


@pytest.mark.parametrize("course", [(), (1.0,), (None, None, 1.0)])
def test_tiles_draw_no_line_through_less_than_two_points(drawn: list[str], course: tuple[float | None, ...]) -> None:
    components.tiles([tile(course=course)])
    assert "rr-spark" not in drawn[0]


def test_spans_stay_within_the_whole_and_keep_names_literal(drawn: list[str]) -> None:
    span = components.Span(label="<i>bff</i>", depth=1, start_pct=-5.0, length_pct=250.0, told="1", own="1", remark="",
                           failed=True)  # fmt: skip
    components.spans([span], caption="Hops")
    assert "&lt;i&gt;bff&lt;/i&gt;" in drawn[0]
    assert "left:0.00%;width:100.00%" in drawn[0]


def test_code_sets_only_what_stands_between_back_quotes() -> None:
    assert components.code("run `recommendr x` <b>") == "<bdi>run <code>recommendr x</code> &lt;b&gt;</bdi>"
