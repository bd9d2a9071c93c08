"""A reduced, seeded run of the simulation: what the statistics promise, held to a few Monte-Carlo errors.

Figures of one section are pooled, since each alone has few repetitions; `docs/benchmarks` has the whole run.
"""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from benchmarks import simulate_experiments as simulation
from benchmarks.marked_pages import insert
from benchmarks.simulate_experiments import Figure, as_markdown, share
from benchmarks.simulated_users import DAYS, new_users, returning_users, shape

REPEATS = {
    simulation.type_one: 40,
    simulation.coverage: 120,
    simulation.daily_looks: 32,
    simulation.planned_power: 40,
    simulation.cuped_variance: 100,
    simulation.sample_ratio: 25,
    simulation.families: 100,
}
ERRORS = 4.0


@cache
def figures(part: Callable[..., Iterator[Figure]]) -> list[Figure]:
    return list(part(REPEATS[part], np.random.default_rng(20)))


@pytest.mark.parametrize("part", [one for one in REPEATS if one is not simulation.daily_looks])
def test_every_section_is_inside_its_limits(part: Callable[..., Iterator[Figure]]) -> None:
    limited = [one for one in figures(part) if one.meets is not None and not one.excused]
    for section in {one.section for one in limited}:
        of = [one for one in limited if one.section == section]
        value = np.mean([one.value - (one.least or 0.0) for one in of])
        error = ERRORS * float(np.sqrt(sum(one.error**2 for one in of))) / len(of)
        width = np.mean([(one.most or 0.0) - (one.least or 0.0) for one in of])
        assert value <= width + error, section
        if of[0].least is not None:
            assert value >= -error, section


def test_the_warning_fires_where_arms_differ_and_the_metric_is_skewed() -> None:
    found = {one.name: one for one in figures(simulation.type_one)}
    assert found["focus_s_uncapped, 10/90"].excused
    assert not any(one.excused for name, one in found.items() if not name.endswith("10/90"))


def test_daily_looks_are_safe_by_the_sequential_methods_only() -> None:
    found = {(one.section, one.name): one for one in figures(simulation.daily_looks)}
    for (section, name), one in found.items():
        if section == "Any-look error over 28 daily looks":
            if "peeking" in name:
                assert one.value > 0.14, "28 looks at p < .05 raise false alarms fivefold"
            else:
                assert one.value <= 0.05 + ERRORS * np.sqrt(0.05 * 0.95 / REPEATS[simulation.daily_looks]), name
    for world in ("new users", "returning users"):
        lost = found["Power over 28 daily looks", f"{world}: points lost by obrien_fleming"]
        assert lost.value <= 0.05 + ERRORS * lost.error


def test_pooling_regions_of_unequal_split_misses_the_truth() -> None:
    found = {one.name: one.value for one in figures(simulation.coverage)}
    assert found["the same regions pooled"] < 0.1
    assert found["stratified mean"] > 0.85


def test_drawn_users_are_those_of_the_population() -> None:
    users = shape("ctr")
    drawn = users.draw(100_000, np.random.default_rng(1))
    assert float(drawn.means[0] / drawn.means[1]) == pytest.approx(users.ratio, rel=0.02)
    # By hand from the generator: clicks are 1.2 / 15 of what is shown.
    assert users.ratio == pytest.approx(0.08, rel=0.02)
    assert shape("ctr", 0.10).ratio == pytest.approx(0.088, rel=0.02)


@pytest.mark.parametrize("days", [new_users, returning_users])
def test_days_only_add(days: Callable[..., list[object]]) -> None:
    found = days(0.0, np.random.default_rng(2))
    assert len(found) == DAYS
    n = [one.n for one in found]  # type: ignore[attr-defined]
    assert n == sorted(n)
    assert n[-1] == 60 * DAYS
    totals = [float(one.means[1] * one.n) for one in found]  # type: ignore[attr-defined]
    assert all(later > earlier for earlier, later in pairwise(totals))


def test_figures_say_whether_they_meet_their_limits() -> None:
    hits = np.arange(1_000) < 52
    inside = share("a", "b", hits, least=0.045, most=0.055)
    assert (inside.value, inside.meets) == (0.052, True)
    assert inside.error == pytest.approx((0.052 * 0.948 / 1_000) ** 0.5)
    assert share("a", "b", hits, most=0.05).meets is False
    assert share("a", "b", hits).meets is None
    text = as_markdown([inside, share("a", "late", hits, most=0.05)], 1_000)
    assert "| b | 5.20 % | 0.70 % | 4.50 % to 5.50 % | yes |" in text
    assert "1 of 2 figures are inside their limits" in text
    assert "1 by less than two ±, 0 by more" in text
    assert not share("a", "b", hits, most=0.03).by_chance


def test_figures_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- simulated:begin -->\nold\n<!-- simulated:end -->\nafter\n", encoding="utf-8")
    insert(page, "new")
    assert page.read_text("utf-8") == "before\n<!-- simulated:begin -->\nnew\n<!-- simulated:end -->\nafter\n"
    page.write_text("no marks\n", encoding="utf-8")
    insert(page, "new")
    assert page.read_text("utf-8") == "no marks\n"
