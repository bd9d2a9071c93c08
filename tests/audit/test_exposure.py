"""Exposure, popularity, concentration and calibration against hand-worked and published figures."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import exposure
from workspace.errors import InvalidValueError, NotEstimableError


def test_position_weights_are_those_of_dcg() -> None:
    assert exposure.position_weights(3).tolist() == pytest.approx([1.0, 1 / math.log2(3), 0.5])


# Singh & Joachims (2018), figure 1: six applicants, relevances .80 .79 .78 (men) and .77 .76 .75 (women), ranked by
# relevance, v(j) = 1/log2(1 + j). The paper: a .03 difference in mean relevance, exposures 0.71 and 0.39 a head.
def test_exposure_of_the_job_seekers_is_as_published() -> None:
    ranking, women = [[0, 1, 2, 3, 4, 5]], np.array([0, 0, 0, 1, 1, 1])
    shown = exposure.discounted_exposure(ranking, k=6, n_films=6)
    assert [shown[:3].mean(), shown[3:].mean()] == pytest.approx([0.71, 0.39], abs=5e-3)
    relevance = np.array([0.80, 0.79, 0.78, 0.77, 0.76, 0.75])
    by_group = exposure.exposure_per_relevance(shown, relevance, women, 2)
    # By hand: (1 + .63093 + .5)/3 = .71031 over .79; (.43068 + .38685 + .35621)/3 = .39125 over .76.
    assert by_group.tolist() == pytest.approx([0.89913, 0.51480], abs=2e-5)
    assert by_group[0] / by_group[1] == pytest.approx(1.7466, abs=2e-4)


def test_discounted_exposure_leaves_empty_places_and_places_after_k() -> None:
    found = exposure.discounted_exposure([[2, 0, 1], [2, -1, -1]], k=2, n_films=4)
    assert found.tolist() == pytest.approx([1 / math.log2(3), 0, 2, 0])


def test_group_exposure_by_hand() -> None:
    codes = np.array([0, 1, -1])
    found = exposure.group_exposure([[0, 1], [2, 0], [-1, -1], [1, -1]], codes, 2, 2)
    second = 1 / math.log2(3)
    expected = [[1 / (1 + second), second / (1 + second)], [second / (1 + second), 0], [math.nan] * 2, [0, 1]]
    np.testing.assert_allclose(found, expected)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.permutations(range(7)), min_size=1, max_size=5), st.integers(1, 7))
def test_group_exposure_sums_to_one_where_all_films_have_a_group(slates: list[list[int]], k: int) -> None:
    found = exposure.group_exposure(slates, np.array([0, 1, 2, 0, 1, 2, 0]), 3, k)
    np.testing.assert_allclose(found.sum(axis=1), 1.0)


def test_history_share_by_hand() -> None:
    found = exposure.history_share([0, 0, 1, 2], [0, 0, 0, 2], np.array([0, 1, -1]), 2, 3)
    np.testing.assert_allclose(found, [[2 / 3, 1 / 3], [math.nan] * 2, [0, 0]])


# Sorted 1 2 3 4: Σ (2i − n − 1) x = −3 − 2 + 3 + 12 = 10, over 4 · 10 = .25; without self-pairs .25 · 4/3.
def test_gini_in_both_conventions() -> None:
    assert exposure.gini([3, 1, 4, 2]) == pytest.approx(0.25)
    assert exposure.gini([3, 1, 4, 2], unbiased=True) == pytest.approx(1 / 3)
    assert exposure.gini([5, 5, 5]) == pytest.approx(0.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.0, 1e6), min_size=2, max_size=20).filter(lambda values: sum(values) > 1e-3))
def test_gini_is_half_the_relative_mean_difference(values: list[float]) -> None:
    pairs = np.abs(np.subtract.outer(values, values))
    n = len(values)
    assert exposure.gini(values) == pytest.approx(pairs.sum() / n**2 / (2 * np.mean(values)), abs=1e-9)
    assert exposure.gini(values, unbiased=True) == pytest.approx(
        pairs.sum() / (n * (n - 1)) / (2 * np.mean(values)), abs=1e-9
    )


# Steck (2018): q̃ = .99 q + .01 p. p = (.7, .3), q = (1, 0): q̃ = (.997, .003);
# .7 ln(.7/.997) + .3 ln(.3/.003) = −.247569 + 1.381551.
def test_calibration_by_hand() -> None:
    assert exposure.calibration_kl([0.7, 0.3], [1.0, 0.0]) == pytest.approx(1.133982, abs=1e-6)
    assert exposure.calibration_kl([0.7, 0.3], [0.7, 0.3]) == pytest.approx(0.0, abs=1e-12)
    assert exposure.calibration_kl([1.0, 0.0], [0.5, 0.5]) == pytest.approx(-math.log(0.505))
    rows = exposure.calibration_per_user([[0.7, 0.3], [math.nan] * 2], [[1, 0], [0.5, 0.5]])
    assert rows[0] == pytest.approx(1.133982, abs=1e-6)
    assert math.isnan(rows[1])


def test_popularity_measures_by_hand() -> None:
    slates, popularity, tail = [[0, 1], [1, -1], [-1, -1]], [4.0, 2.0, 9.0], np.array([False, True, True])
    np.testing.assert_allclose(exposure.arp_per_user(slates, popularity), [3, 2, math.nan])
    assert exposure.arp(slates, popularity) == 2.5
    np.testing.assert_allclose(exposure.aplt_per_user(slates, tail), [0.5, 1, math.nan])
    assert exposure.aplt(slates, tail) == 0.75
    assert exposure.coverage(slates, 3) == pytest.approx(2 / 3)
    assert exposure.tail_coverage(slates, tail) == 0.5


def test_pairwise_counts_wins_and_half_of_ties() -> None:
    scores = [0.9, 0.5, 0.5, 0.1, math.nan]
    found, pairs = exposure.pairwise(scores, np.array([True, True, False, False, True]), [0, 1, 0, 0, 1], 3)
    # Film 0 beats both others; film 1 ties one and beats one; film 4 may not be shown; group 2 has none.
    np.testing.assert_allclose(found, [1.0, 0.75, math.nan])
    assert pairs.tolist() == [2, 2, 0]


def test_a_group_without_relevance_has_no_ratio() -> None:
    found = exposure.exposure_per_relevance([1, 2], [0, 4], [0, 1], 3)
    np.testing.assert_allclose(found, [math.nan, 0.5, math.nan])


@pytest.mark.parametrize(
    "call",
    [
        lambda: exposure.position_weights(0),
        lambda: exposure.discounted_exposure([[0, 1]], k=3, n_films=2),
        lambda: exposure.discounted_exposure([[0, 2]], k=1, n_films=2),
        lambda: exposure.discounted_exposure([[0, -2]], k=1, n_films=2),
        lambda: exposure.discounted_exposure([[0.5, 1.0]], k=1, n_films=2),
        lambda: exposure.discounted_exposure([0, 1], k=1, n_films=2),
        lambda: exposure.group_exposure([[0]], [3], 2, 1),
        lambda: exposure.history_share([0], [5], [0], 1, 2),
        lambda: exposure.history_share([0, 0], [0], [0], 1, 2),
        lambda: exposure.gini([1, -1]),
        lambda: exposure.gini([1, math.nan]),
        lambda: exposure.calibration_kl([0.5, 0.4], [0.5, 0.5]),
        lambda: exposure.calibration_kl([0.5, 0.5], [1.5, -0.5]),
        lambda: exposure.calibration_kl([0.5, 0.5], [0.5, 0.5], alpha=0),
        lambda: exposure.calibration_kl([1.0], [0.5, 0.5]),
        lambda: exposure.arp([[0]], [math.nan]),
        lambda: exposure.aplt([[0]], [1]),
        lambda: exposure.exposure_per_relevance([1], [1, 2], [0, 0], 1),
        lambda: exposure.pairwise([1.0], np.array([True, False]), [0, 0], 1),
    ],
)
def test_bad_input_is_refused(call: object) -> None:
    with pytest.raises(InvalidValueError):
        call()  # type: ignore[operator]


@pytest.mark.parametrize(
    "call",
    [
        lambda: exposure.gini([]),
        lambda: exposure.gini([0, 0]),
        lambda: exposure.gini([3], unbiased=True),
        lambda: exposure.arp([[-1]], [1.0]),
        lambda: exposure.coverage(np.empty((0, 5), dtype=int), 0),
        lambda: exposure.tail_coverage([[0]], np.array([False])),
    ],
)
def test_what_has_no_value_is_not_estimable(call: object) -> None:
    with pytest.raises(NotEstimableError):
        call()  # type: ignore[operator]
