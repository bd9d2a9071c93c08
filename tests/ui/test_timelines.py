"""Courses over time: gaps stay gaps, labels stay text, limits and marks stand where they belong."""

from datetime import UTC, datetime, timedelta

import pytest

from dashboard.timelines import Line, Mark, course

NAN = float("nan")
DAYS = [datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 7)]


def line(values: list[float], *, name: str = "all", band: bool = True) -> Line:
    low = [value - 1 for value in values] if band else None
    high = [value + 1 for value in values] if band else None
    return Line(name=name, moments=DAYS[: len(values)], heights=values, low=low, high=high)


def test_course_breaks_line_and_band_where_a_period_is_withheld() -> None:
    chart = course([line([1.0, 2.0, NAN, 4.0, 5.0])], title="CTR", tick=".1%", mode="light").chart
    bands, (drawn,) = chart.data[:-1], chart.data[-1:]
    assert [len(band.x) for band in bands] == [4, 4], "a band before the gap and one after it, there and back"
    assert drawn.connectgaps is False
    assert list(bands[0].y) == [2.0, 3.0, 1.0, 0.0]


def test_course_escapes_names_and_says_the_same_in_words() -> None:
    figure = course([line([1.0, 3.0], name="<b>US</b>")], title="CTR", tick=".1%", mode="dark")
    assert figure.chart.data[-1].name == "&lt;b&gt;US&lt;/b&gt;"
    assert figure.alt == "CTR over time: <b>US</b> from 1 to 3."


def test_course_draws_limit_and_marks() -> None:
    mark = Mark(name="gateway DE", start=DAYS[1], end=DAYS[1] + timedelta(hours=6))
    figure = course([line([1.0, 2.0])], title="p95", tick=".2f", mode="light", limit=("1 s", 1.0), marks=[mark])
    shapes = figure.chart.layout.shapes
    assert {shape.type for shape in shapes} == {"line", "rect"}
    assert next(shape for shape in shapes if shape.type == "line").y0 == 1.0
    assert "gateway DE" in figure.alt


def test_course_draws_ten_lines_at_most_that_can_be_told_apart() -> None:
    lines = [line([1.0, 2.0], name=str(at), band=False) for at in range(14)]
    drawn = course(lines, title="CTR", tick=".1%", mode="light").chart.data
    assert len(drawn) == 10
    assert len({(one.line.color, one.line.dash) for one in drawn}) == 10


@pytest.mark.parametrize("values", [[], [NAN, NAN]])
def test_course_of_nothing_says_so(values: list[float]) -> None:
    assert "nothing to show" in course([line(values)], title="CTR", tick=".1%", mode="light").alt
