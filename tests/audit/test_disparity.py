"""Published tables and intervals, and what is no share."""

import math

import pytest
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from audit.disparity import impact_ratio, newcombe, wilson
from workspace.errors import InvalidValueError, NotEstimableError, RecommendrError, UnknownError


# Newcombe (1998), Statistics in Medicine 17:857, table I, method 3.
@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes: int, n: int, low: float, high: float) -> None:
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("successes", "n", "alpha"), [(0, 1, 0.05), (1, 1, 0.05), (3, 17, 0.2), (999, 1000, 0.001)])
def test_wilson_agrees_with_statsmodels(successes: int, n: int, alpha: float) -> None:
    assert wilson(successes, n, alpha=alpha) == pytest.approx(
        proportion_confint(successes, n, alpha=alpha, method="wilson"), abs=1e-12
    )


# Newcombe (1998), Statistics in Medicine 17:873, table II, method 10.
@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [
        ((56, 70, 48, 80), 0.0524, 0.3339),
        ((9, 10, 3, 10), 0.1705, 0.8090),
        ((6, 7, 2, 7), 0.0582, 0.8062),
        ((5, 56, 0, 29), -0.0381, 0.1926),
        ((0, 10, 0, 20), -0.1611, 0.2775),
        ((0, 10, 0, 10), -0.2775, 0.2775),
        ((10, 10, 0, 20), 0.6791, 1.0),
        ((10, 10, 0, 10), 0.6075, 1.0),
    ],
)
def test_newcombe_gives_the_published_intervals(counts: tuple[int, int, int, int], low: float, high: float) -> None:
    assert newcombe(*counts) == pytest.approx((low, high), abs=5e-5)


def test_newcombe_agrees_with_statsmodels() -> None:
    other = confint_proportions_2indep(17, 60, 31, 75, method="newcomb", compare="diff", alpha=0.1)
    assert newcombe(17, 60, 31, 75, alpha=0.1) == pytest.approx(other, abs=1e-12)


# 6 RCNY § 5-301: the example tables of the final rule. Ratios as printed there, of the rates before rounding.
def test_impact_ratio_gives_the_rules_table_of_sexes() -> None:
    found = impact_ratio({"Male": 667, "Female": 555}, {"Male": 1390, "Female": 1181})
    assert [round(found[one].rate or 0, 2) for one in ("Male", "Female")] == [0.48, 0.47]
    assert found["Male"].ratio == 1.0
    assert found["Female"].ratio == pytest.approx(0.979, abs=5e-4)
    assert found["Female"].reference == "Male"


def test_impact_ratio_gives_the_rules_table_of_race_and_ethnicity() -> None:
    table = {
        "Hispanic or Latino": (408, 204, 0.50, 0.97),
        "White": (797, 412, 0.52, 1.00),
        "Black or African American": (390, 170, 0.44, 0.84),
        "Native Hawaiian or Pacific Islander": (119, 52, 0.44, 0.85),
        "Asian": (616, 302, 0.49, 0.95),
        "Native American or Alaska Native": (41, 18, 0.44, 0.85),
        "Two or More Races": (213, 96, 0.45, 0.87),
    }
    found = impact_ratio(
        {group: row[1] for group, row in table.items()}, {group: row[0] for group, row in table.items()}
    )
    assert list(found) == list(table)
    for group, (_, _, rate, ratio) in table.items():
        assert round(found[group].rate or 0, 2) == rate
        assert round(found[group].ratio or 0, 2) == ratio
        assert found[group].reference == "White"


def test_impact_ratio_takes_a_named_reference_and_says_what_it_has_not() -> None:
    found = impact_ratio({"a": 5, "b": 2, "c": 0}, {"a": 10, "b": 10, "c": 0}, reference="b")
    assert found["a"].ratio == 2.5
    assert found["c"].rate is None
    assert found["c"].ratio is None
    assert found["c"].interval is None
    assert "no members" in found["c"].reason
    nobody = impact_ratio({"a": 5, "b": 0}, {"a": 10, "b": 10}, reference="b")["a"]
    assert nobody.ratio is None
    assert nobody.reason == "not estimable: nobody of the reference was selected"
    assert nobody.to_dict()["rate"] == 0.5


@pytest.mark.parametrize(
    ("selected", "applicants", "reference", "error"),
    [
        ({"a": 1}, {"a": 2, "b": 2}, None, UnknownError),
        ({"a": 1}, {"a": 2}, "z", UnknownError),
        ({"a": 3}, {"a": 2}, None, InvalidValueError),
        ({"a": 3}, {"a": 0}, None, InvalidValueError),
        ({"a": -1}, {"a": 2}, None, InvalidValueError),
        ({}, {}, None, NotEstimableError),
        ({"a": 0, "b": 1}, {"a": 0, "b": 1}, "a", NotEstimableError),
    ],
)
def test_impact_ratio_refuses_what_is_no_table(
    selected: dict[str, int], applicants: dict[str, int], reference: str | None, error: type[RecommendrError]
) -> None:
    with pytest.raises(error):
        impact_ratio(selected, applicants, reference=reference)


@pytest.mark.parametrize(
    ("successes", "n", "alpha", "error"),
    [
        (0, 0, 0.05, NotEstimableError),
        (3, 2, 0.05, InvalidValueError),
        (-1, 2, 0.05, InvalidValueError),
        (1, -2, 0.05, InvalidValueError),
        (math.nan, 2, 0.05, InvalidValueError),
        (1, math.inf, 0.05, InvalidValueError),
        (1.5, 2, 0.05, InvalidValueError),
        (1, 2, 0.0, InvalidValueError),
        (1, 2, 1.0, InvalidValueError),
        (1, 2, math.nan, InvalidValueError),
    ],
)
def test_wilson_and_newcombe_refuse_what_is_no_share(
    successes: int, n: int, alpha: float, error: type[RecommendrError]
) -> None:
    with pytest.raises(error):
        wilson(successes, n, alpha=alpha)
    with pytest.raises(error):
        newcombe(successes, n, 1, 2, alpha=alpha)
    with pytest.raises(error):
        newcombe(1, 2, successes, n, alpha=alpha)
