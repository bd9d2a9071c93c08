"""What the experiment pages draw and say: numbers as text, and figures whose words say what they show."""

import math

import numpy as np
import pytest

from dashboard import experiment_words as told
from dashboard.curves import curve
from dashboard.forest import Row, forest
from dashboard.histograms import p_values


@pytest.mark.parametrize(
    ("value", "text"), [(0.0612, "+6.12 %"), (-0.0831, "−8.31 %"), (None, "–"), (math.nan, "–"), (-math.inf, "−∞")]
)
def test_change_has_a_sign_and_never_a_false_zero(value: float | None, text: str) -> None:
    assert told.change(value) == text


def test_an_interval_without_ends_says_so() -> None:
    assert told.interval((-math.inf, math.inf)) == "not bounded"
    assert told.interval((-0.01, 0.02)) == "[−1.00, +2.00] %"
    assert told.interval(None) == "–"


@pytest.mark.parametrize(
    ("p", "text"), [(1e-23, "1.0e-23"), (5e-324, "4.9e-324"), (0.0312, "0.0312"), (1.0, "1.0000"), (None, "–")]
)
def test_a_p_value_is_never_printed_as_zero(p: float | None, text: str) -> None:
    assert told.p_value(p) == text


@pytest.mark.parametrize(("number", "text"), [(0.0, "0"), (9.0, "under 10"), (10.0, "10"), (None, "–")])
def test_a_sum_about_few_users_is_withheld(number: float | None, text: str) -> None:
    assert told.total(number, 10) == text


def test_a_sentence_bears_true_minus_signs_and_keeps_its_hyphens() -> None:
    assert told.sentence("CTR -8.3 % (-24 to +8), 95 % by 2026-08-06, one-sided") == (
        "CTR −8.3 % (−24 to +8), 95 % by 2026-08-06, one-sided"
    )


def row(label: str, change: float, low: float, high: float, judged: str = "unclear", **more: object) -> Row:
    return Row(label=label, group="Primary", change=change, low=low, high=high, judged=judged, **more)  # type: ignore[arg-type]


def test_the_forest_says_every_metric_and_what_it_comes_to() -> None:
    figure = forest([row("CTR", 0.06, 0.02, 0.10, "good"), row("Focus", 0.01, -0.02, 0.04)], mode="light")
    assert "CTR +6.00% [+2.00%, +10.00%], better" in figure.alt
    assert "Focus +1.00% [-2.00%, +4.00%], inconclusive" in figure.alt


def test_the_forest_tells_better_from_inconclusive_without_colour() -> None:
    figure = forest([row("a", 0.06, 0.02, 0.10, "good"), row("b", 0.01, -0.02, 0.04)], mode="dark")
    symbols = [trace.marker.symbol for trace in figure.chart.data if trace.mode == "markers"]
    assert symbols == ["triangle-up", "circle-open"]


def test_the_forest_shows_labels_literally_and_the_whole_line_within_its_frame() -> None:
    figure = forest([row("<b>x</b>", 0.1, -math.inf, math.inf, margin=-0.05)], mode="light")
    assert "&lt;b&gt;x&lt;/b&gt;" in figure.chart.layout.yaxis.ticktext
    low, high = figure.chart.layout.xaxis.range
    assert all(low <= end <= high for end in figure.chart.data[0].x)
    assert low < -0.05


def test_a_level_histogram_counts_every_split_once() -> None:
    values = np.append((np.arange(1_000) + 0.5) / 1_000, np.nan)
    figure = p_values(values, bins=20, mode="light")
    assert list(figure.chart.data[0].y) == [50] * 20
    assert "50 below 0.05 where 50 would be level" in figure.alt


def test_a_curve_marks_the_point_that_is_asked_for() -> None:
    figure = curve([1, 7], [0.4, 0.1], titles=("Days", "Least change"), ticks=(",d", ".0%"), mode="light", at=(5, 0.2))
    assert (figure.chart.data[1].x, figure.chart.data[1].y) == ((5,), (0.2,))
    assert "from 0.4 at 1 to 0.1 at 7" in figure.alt
