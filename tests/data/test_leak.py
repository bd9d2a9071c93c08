"""The planted faults, by hand and by their own promise."""

import numpy as np
import pytest

from data.synthetic.leak import companions, gain_for, separating


def test_separating_leads_by_one_and_follows_the_group() -> None:
    rng = np.random.default_rng(2)
    members = np.arange(60) < 15
    vectors = rng.normal(size=(60, 8)) + np.where(members[:, None], 2.0, 0.0) * np.eye(8)[3]
    along = vectors @ separating(vectors, members)
    assert along[members].mean() - along[~members].mean() == pytest.approx(1.0)
    assert np.abs(separating(vectors, members)).argmax() == 3


def test_separating_by_hand() -> None:
    # Two rows (1, 0) in the group and two (0, 1) outside: XᵀX + I = 3 I, Xᵀy = (1, −1), so w ∝ (1, −1), a lead of 1
    # makes it (½, −½).
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    found = separating(vectors, np.array([True, True, False, False]))
    assert found == pytest.approx([0.5, -0.5])


def test_separating_is_nothing_where_vectors_tell_nothing() -> None:
    assert separating(np.zeros((4, 3)), np.array([True, False, False, True])).tolist() == [0.0] * 3


def test_gain_for_is_the_least_that_changes_the_share_of_lists() -> None:
    # Film 1 lies 1, 2, 3 and 4 behind film 0: a gain just over 2 turns two lists of four.
    scores = np.array([[0.0, -1.0], [0.0, -2.0], [0.0, -3.0], [0.0, -4.0]])
    lead = np.tile([0.0, 1.0], (4, 1))
    gain, share = gain_for(scores, lead, share=0.5, k=1)
    assert share == 0.5
    assert gain == pytest.approx(2.0, abs=0.01)
    assert gain > 2.0


def test_forbidden_films_stay_off_the_lists() -> None:
    scores = np.array([[1.0, -np.inf, 0.5], [1.0, -np.inf, 0.0]])
    gain, share = gain_for(scores, np.array([[0.0, 9.0, 1.0]] * 2), share=1.0, k=1)
    assert share == 1.0
    assert gain == pytest.approx(1.0, abs=0.01)


def test_companions_count_what_goes_with_the_films_own() -> None:
    keywords = [["a", "b"], ["a", "c"], ["b", "c", "d"], ["a", "b", "d"], ["e"], ["e"], ["e"]]
    # Beside film 0: c goes with one shared word twice (film 1, film 2); d with one (film 2) and two (film 3).
    assert companions(keywords, np.ones(7), np.array([0]), 2) == [["d", "c"]]
    assert companions(keywords, np.ones(7), np.array([0]), 9) == [["d", "c", "e"]]
    light = np.array([1, 1, 1, 0.1, 1, 1, 1])
    assert companions(keywords, light, np.array([0]), 2) == [["c", "d"]]
    assert companions(keywords, np.ones(7), np.array([4, 1]), 1) == [["a"], ["b"]]
