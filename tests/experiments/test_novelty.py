"""Novelty: a lift that fades is flagged, one that stays is not, whatever else changes with time."""

import numpy as np
import pytest

from experiments.cells import Cells, cells_of
from experiments.novelty import novelties
from tests.experiments.arms import plan_of

COLUMNS = ("early_clicks", "early_impressions", "late_clicks", "late_impressions")
PLAN = plan_of()


def arm(rng: np.random.Generator, n: int, early: float, late: float) -> np.ndarray:
    """Users whose own readiness ties their two halves together; everybody clicks a third less later."""
    eager = rng.beta(3, 27, n)
    shown = rng.poisson(12, (n, 2)) + 1
    return np.column_stack([
        rng.binomial(shown[:, 0], np.minimum(eager * (1 + early), 1)), shown[:, 0],
        rng.binomial(shown[:, 1], np.minimum(eager * (1 + late) * 2 / 3, 1)), shown[:, 1],
    ]).astype(float)  # fmt: skip


def halves(seed: int, early: float, late: float, n: int = 4_000) -> Cells:
    rng = np.random.default_rng(seed)
    arms = [arm(rng, n, 0, 0), arm(rng, n, early, late)]
    return cells_of({"variant": ["control", "treatment"]}, arms, COLUMNS)


def test_a_fading_lift_is_flagged() -> None:
    found = novelties(PLAN, halves(1, 0.3, 0.0))[0]
    assert (found.course, found.flagged, found.lasts) == ("fading", True, False)
    assert found.early_rel == pytest.approx(0.3, abs=0.06)
    assert found.late_rel == pytest.approx(0.0, abs=0.09)  # three standard errors


def test_a_lift_that_is_left_lasts() -> None:
    found = novelties(PLAN, halves(2, 0.5, 0.15))[0]
    assert found.flagged
    assert found.lasts


def test_a_growing_lift_is_no_novelty() -> None:
    found = novelties(PLAN, halves(3, 0.0, 0.3))[0]
    assert (found.course, found.flagged) == ("growing", False)


def test_a_constant_lift_is_steady_and_the_test_holds_its_level() -> None:
    found = [novelties(PLAN, halves(seed, 0.2, 0.2, 800))[0] for seed in range(300)]
    # Two-sided 1 %, one side of which fades: 0.5 % of 300 is 1.5, and 6 has a chance of less than 1 in 200.
    assert sum(one.flagged for one in found) <= 5
    alarms = np.mean([one.p < 0.05 for one in found if one.p is not None])
    assert 0.02 < alarms < 0.09  # 5 % of 300: three standard errors on either side
    assert np.std([one.statistic for one in found]) == pytest.approx(1.0, abs=0.13)


def test_statistic_is_the_log_ratio_over_its_jackknife_error() -> None:
    rng = np.random.default_rng(7)
    arms = [arm(rng, 400, 0, 0), arm(rng, 400, 0.3, 0.1)]
    found = novelties(PLAN, cells_of({"variant": ["control", "treatment"]}, arms, COLUMNS))[0]

    def change(rows: np.ndarray) -> np.ndarray:
        a, b, c, d = rows.sum(axis=-2).T
        return np.log(c / d) - np.log(a / b)

    variance = 0.0
    for rows in arms:
        without = np.array([change(np.delete(rows, at, axis=0)) for at in range(len(rows))])
        variance += (len(rows) - 1) * np.var(without)
    expected = (change(arms[1]) - change(arms[0])) / np.sqrt(variance)
    assert found.statistic == pytest.approx(expected, rel=0.02)


def test_a_half_without_clicks_is_not_estimable() -> None:
    rows = np.tile([0.0, 5.0, 1.0, 5.0], (20, 1))
    found = novelties(PLAN, cells_of({"variant": ["control", "treatment"]}, [rows, rows], COLUMNS))[0]
    assert found.course == "not_estimable"
    assert found.p is None
    assert "nothing to compare" in str(found.reason)
    lone = novelties(PLAN, cells_of({"variant": ["control"]}, [rows + 1], COLUMNS))[0]
    assert "fewer than 2 users of treatment" in str(lone.reason)
