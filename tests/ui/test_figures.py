"""Charts: labels that stay text, totals that meet, words for whoever can't see them."""

import pandas as pd
import pytest

from dashboard import figures


def test_history_bars_escape_plotly_markup() -> None:
    figure = figures.history_bars([("<b>Up</b> &amp; away", 0.5), ("Down", -0.25)], mode="light")
    assert figure.chart.layout.yaxis.ticktext[0] == "&lt;b&gt;Up&lt;/b&gt; &amp;amp; away"
    assert list(figure.chart.data[0].x) == [0.5, -0.25]
    assert "2 parts" in figure.alt
    assert "+0.5000" in figure.alt


def test_bars_of_gain_and_loss_differ_in_colour() -> None:
    colours = figures.history_bars([("a", 1.0), ("b", -1.0)], mode="dark").chart.data[0].marker.color
    assert colours[0] != colours[1]


def test_waterfall_leads_from_one_total_to_the_other() -> None:
    figure = figures.contribution_waterfall(
        [("Genres", -0.3), ("Era", 0.1)], start=("Rank 5", 1.0), end=("This film", 0.8), mode="light"
    )
    bars = figure.chart.data[0]
    assert list(bars.measure) == ["absolute", "relative", "relative", "total"]
    assert sum(bars.x) == pytest.approx(0.8)
    assert "the largest loss is Genres with -0.3000" in figure.alt


def test_map_marks_one_film_and_keeps_titles_literal() -> None:
    points = pd.DataFrame({"film_id": ["1", "2"], "title": ["<i>A</i>", "B"], "x": [0.0, 1.0], "y": [1.0, 0.0],
                           "genre": ["Drama", ""]})  # fmt: skip
    figure = figures.film_map(points, "2", mode="dark")
    marked = figure.chart.data[-1]
    assert (list(marked.x), list(marked.y)) == ([1.0], [0.0])
    assert "&lt;i&gt;A&lt;/i&gt;" in [title for trace in figure.chart.data[:-1] for title in trace.customdata]
    assert "distances are not scores" in figure.alt
