"""Figures and words of an audit: dots against the parity band, verdicts in words; hostile words stay words."""

import math
from dataclasses import replace

import pytest

from audit.results import Figure, Verdict
from dashboard import audit_charts, audit_words
from dashboard.audit_charts import Dot
from dashboard.audit_group_panels import detectable, gravest_first
from dashboard.audit_invariance_panels import leak_verdict, swap_verdict
from tests.ui import audit_world as world

PARITY = (0.8, 1.25)


def dot(label: str, value: float, interval: tuple[float, float] | None = None, verdict: str = "disparity") -> Dot:
    tone = {"disparity": "bad", "parity shown": "good", "flagged": "warn"}.get(verdict, "info")
    return Dot(label=label, group="", value=value, interval=interval, verdict=verdict, tone=tone)  # type: ignore[arg-type]


def test_ratios_lie_at_their_logarithm_so_that_half_and_double_are_as_far_from_one() -> None:
    figure = audit_charts.ratios([dot("a", 0.5, (0.4, 0.6)), dot("b", 2.0, (1.5, 3.0))], parity=PARITY, mode="light")
    (marks,) = [trace for trace in figure.chart.data if trace.mode == "markers"]
    assert list(marks.x) == [-1.0, 1.0]
    band = [shape for shape in figure.chart.layout.shapes if shape.type == "rect"]
    assert [(band[0].x0, band[0].x1)] == [(math.log2(0.8), math.log2(1.25))]
    assert list(figure.chart.layout.xaxis.ticktext) == ["0.25", "0.5", "0.8", "1", "1.25", "2", "4"]


def test_a_ratio_of_zero_and_one_without_an_end_stay_on_the_page() -> None:
    shown = [dot("none", 0.0, (0.0, 0.5)), dot("huge", 1e9, (2.0, math.inf))]
    figure = audit_charts.ratios(shown, parity=PARITY, mode="dark")
    low, high = figure.chart.layout.xaxis.range
    (marks,) = [trace for trace in figure.chart.data if trace.mode == "markers"]
    assert list(marks.x) == [low, high]


def test_every_verdict_has_a_shape_of_its_own_and_is_named_in_the_legend() -> None:
    shown = [dot(name, 0.9, verdict=name) for name in ("disparity", "flagged", "not enough evidence", "parity shown")]
    figure = audit_charts.ratios(shown, parity=PARITY, mode="light")
    marks = [trace for trace in figure.chart.data if trace.mode == "markers"]
    assert [trace.name for trace in marks] == [one.verdict for one in shown]
    assert len({trace.marker.symbol for trace in marks}) == 4


def test_rows_stand_under_their_heading_and_are_said_in_words() -> None:
    shown = [replace(dot("x", 0.5, (0.4, 0.6)), group="A"), replace(dot("y", 1.0), group="A"), dot("z", 1.0)]
    figure = audit_charts.ratios(shown[:2], parity=PARITY, mode="light")
    assert list(figure.chart.layout.yaxis.ticktext) == ["<b>A</b>", "x", "y"]
    assert figure.alt == (
        "Ratios to the reference with their intervals, parity from 0.8 to 1.25: "
        "A: x 0.50 (0.40 to 0.60), disparity; A: y 1.00, disparity."
    )
    many = audit_charts.ratios([dot(str(at), 1.0) for at in range(15)], parity=PARITY, mode="light")
    assert many.alt.endswith("; and 3 more.")
    assert audit_charts.shares([], mode="light").alt.endswith("nothing to show.")


def test_what_a_row_could_have_seen_is_a_stroke() -> None:
    figure = audit_charts.ratios([replace(dot("a", 0.5), seen=0.25)], parity=PARITY, mode="light")
    (stroke,) = [trace for trace in figure.chart.data if trace.name == "least it would see"]
    assert list(stroke.x) == [-2.0]
    assert stroke.marker.symbol == "line-ns"


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_hostile_labels_are_shown_literally(mode: str) -> None:
    for figure in (
        audit_charts.ratios([dot(world.NASTY, 0.5, verdict=world.NASTY)], parity=PARITY, mode=mode),  # type: ignore[arg-type]
        audit_charts.shares([dot(world.NASTY, 0.7)], mode=mode),  # type: ignore[arg-type]
    ):
        assert "<img" not in str(figure.chart.to_json()).replace("\\u003c", "<")


def test_an_area_is_drawn_beside_chance() -> None:
    figure = audit_charts.shares([dot("people", 0.74, (0.7, 0.78), "carries it")], mode="light")
    low, high = figure.chart.layout.xaxis.range
    assert low < 0.5
    assert high > 0.78
    assert (
        figure.alt
        == "How well the group can be told from each block, chance is 0.5: people 0.74 (0.70 to 0.78), carries it."
    )


def test_an_outcome_says_disparities_and_swaps_before_all_else() -> None:
    assert audit_words.outcome(world.findings()) == ("1 disparity; origin of the name changed lists", "bad")
    clean = world.findings(clean=True)
    assert audit_words.outcome(clean) == ("no disparity found, 1 without enough evidence", "info")
    parity = replace(clean, figures=(world.PARITY,))
    assert audit_words.outcome(parity) == ("parity shown", "good")
    assert audit_words.outcome(replace(parity, figures=())) == ("nothing could be judged", "info")
    assert audit_words.outcome(replace(clean, figures=(world.FLAGGED,)))[1] == "warn"
    assert audit_words.outcome(replace(clean, figures=(world.DISPARITY,))) == ("1 disparity found", "bad")


def test_figures_come_gravest_first_and_those_without_a_verdict_last() -> None:
    mild = replace(world.DISPARITY, group="mild", ratio=0.7)
    figures = [world.ZERO, world.PARITY, mild, world.UNCLEAR, world.FLAGGED, world.DISPARITY]
    ordered = gravest_first(figures)
    assert [one.verdict for one in ordered] == [Verdict.DISPARITY, Verdict.DISPARITY, Verdict.FLAGGED, Verdict.UNCLEAR,
                                                Verdict.PARITY, None]  # fmt: skip
    assert ordered[0] is world.DISPARITY


def test_figures_are_told_in_their_own_unit() -> None:
    assert audit_words.bounded(0.31, (0.27, 0.35), "reach") == "31.0 % (27.0 to 35.0 %)"
    assert audit_words.bounded(0.0712, (0.066, 0.076), "precision_at_k") == "0.0712 (0.0660 to 0.0760)"
    assert audit_words.change(-0.01, (-0.02, 0.0), "exposure") == "−1.0 % (−2.0 to 0.0 %)"
    assert audit_words.change(0.01, None, "exposure") == "+1.0 %"
    assert audit_words.unit(812.5, "arp") == "812.5"
    assert (audit_words.number(None), audit_words.number(1200)) == ("withheld", "1,200")
    assert (audit_words.p_value(1.0), audit_words.p_value(0.5)) == ("1", "0.5")
    assert audit_words.ends(None, "reach") == audit_words.change(None, None, "reach") == "–"
    assert detectable(replace(world.PARITY, detectable_ratio=None)) == "–"
    assert detectable(world.PARITY) == "above 1.12"


def test_exposure_of_a_film_group_is_no_share_of_a_slate() -> None:
    films = replace(world.FILMS, measure="exposure", value=1.36)
    assert audit_words.unit(films.value, audit_words.scale(films)) == "1.3600"
    assert audit_words.scale(world.FLAGGED) == "exposure"
    assert audit_words.ratio(0.85, (-0.78, 1.26)) == "0.85 (−0.78 to 1.26)"


def test_swaps_and_leaks_have_a_verdict_in_words() -> None:
    leaking, gender = world.findings().swaps
    assert swap_verdict(leaking) == ("lists differ", "bad")
    assert swap_verdict(gender) == ("invariant", "good")
    assert swap_verdict(replace(gender, differing=4, by_rule=4)) == ("differs by rule alone", "info")
    assert swap_verdict(replace(gender, differing=4, declared=True)) == ("use is declared", "info")
    whole, people, chance = world.findings().leaks
    assert [leak_verdict(one)[0] for one in (whole, people, chance)] == ["carries it", "carries it", "no sign of it"]
    assert leak_verdict(whole, {"name_origin"}) == ("carries it, declared", "info")
    assert leak_verdict(replace(whole, auc=None))[0] == "not estimable"
    assert swap_verdict(replace(leaking, differing=0)) == ("scores differ", "bad")
    assert swap_verdict(replace(gender, pairs=0)) == ("not tested", "info")


def test_a_figure_is_named_by_all_that_tells_it_from_the_others() -> None:
    plain = Figure(measure="hit_rate", side="user", axis="gender × region", group="woman × SE", reference="man × SE")
    assert audit_words.place(plain) == "Hit rate: woman × SE against man × SE"
    assert audit_words.axis(plain.axis) == "Gender × region"
