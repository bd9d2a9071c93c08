"""Corrections by hand and against statsmodels; what is not estimable does not count."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from experiments.multiplicity import adjust, matching_alpha
from workspace.errors import InvalidValueError

NAN = math.nan


@pytest.mark.parametrize(
    ("method", "p", "wanted"),
    [
        ("holm", [0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ("bh", [0.01, 0.04, 0.03], [0.03, 0.04, 0.04]),
        ("holm", [1e-300, 0.9], [2e-300, 0.9]),
        ("bh", [NAN, 0.02, NAN, 0.04], [NAN, 0.04, NAN, 0.04]),
        ("holm", [NAN], [NAN]),
        ("holm", [], []),
        ("bh", [0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_adjust_by_hand(method: str, p: list[float], wanted: list[float]) -> None:
    np.testing.assert_allclose(adjust(p, method), wanted, rtol=1e-12)  # type: ignore[arg-type]


@settings(max_examples=25, deadline=None)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12), gaps=st.sets(st.integers(0, 12)), holm=st.booleans())
def test_adjust_agrees_with_statsmodels_on_what_is_known(p: list[float], gaps: set[int], holm: bool) -> None:
    values = np.array(p)
    for gap in sorted(gaps):
        values = np.insert(values, min(gap, values.size), NAN)
    before = values.copy()
    found = adjust(values, "holm" if holm else "bh")
    np.testing.assert_array_equal(values, before)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values))
    wanted = multipletests(p, method="holm" if holm else "fdr_bh")[1]
    np.testing.assert_allclose(found[~np.isnan(found)], wanted, rtol=1e-12)
    assert (found[~np.isnan(found)] >= np.array(p)).all()


@pytest.mark.parametrize("p", [[1.2], [-0.1], [math.inf], [[0.1, 0.2]]])
def test_adjust_refuses_what_is_no_p_value(p: list[float]) -> None:
    with pytest.raises(InvalidValueError, match="must be a list of numbers from 0 to 1, or NaN"):
        adjust(p)


def test_adjust_refuses_an_unknown_method() -> None:
    with pytest.raises(InvalidValueError, match="must be one of holm, bh"):
        adjust([0.1], "bonferroni")  # type: ignore[arg-type]


def test_matching_alpha_turns_on_the_adjusted_p() -> None:
    assert matching_alpha(0.01, 0.03) == pytest.approx(0.05 / 3)
    for p, adjusted in ((0.016, 0.048), (0.018, 0.054), (0.4, 1.0), (1e-30, 3e-30)):
        assert (p < matching_alpha(p, adjusted)) == (adjusted < 0.05)
    assert matching_alpha(0.0, 0.0) == 0.05
    with pytest.raises(InvalidValueError, match="an adjustment never lowers p"):
        matching_alpha(0.2, 0.1)
