"""Changes put into sums made by hand: found, placed, dated, and nothing else."""

import numpy as np
import pytest

from monitoring.drift.expectation import windows
from monitoring.drift.placement import Part, heterogeneity
from monitoring.drift.questions import Questions, Release, releases
from tests.monitoring.drifting import MARKETS, Rate, cells, field, found, nothing


def fall(day: int, factor: float = 0.75, /, **where: str) -> Rate:
    def rate(region: str, device: str, at: int) -> float:
        place = {"region": region, "market": MARKETS[region], "device": device}
        return factor if at >= day and where.items() <= place.items() else 1.0

    return rate


@pytest.mark.parametrize(
    ("where", "segment"),
    [
        ({}, {}),
        ({"market": "western_europe"}, {"market": "western_europe"}),
        ({"region": "CA"}, {"market": "north_america", "region": "CA"}),
        ({"device": "ios"}, {"device": "ios"}),
    ],
)
def test_a_change_is_placed_in_the_smallest_segment(where: dict[str, str], segment: dict[str, str]) -> None:
    (one,) = found(cells(fall(50, 0.75, **where)))
    assert one.segment == segment
    assert one.episode is not None
    assert abs(one.episode.begin.day - 50) <= 1
    assert one.change == pytest.approx(-0.25, abs=0.03)


def test_nothing_is_found_where_only_the_week_changes() -> None:
    assert [found(cells(nothing, seed=seed)) for seed in range(2)] == [[]] * 2


def test_two_changes_are_two_and_each_is_measured_beside_the_other() -> None:
    def rate(region: str, device: str, day: int) -> float:
        incident = 0.7 if 40 <= day < 46 else 1.0
        return incident * fall(56, 0.8, market="western_europe")(region, device, day)

    shifts = sorted(found(cells(rate)), key=lambda one: one.episode.begin.day if one.episode else 0)
    assert [one.segment for one in shifts] == [{}, {"market": "western_europe"}]
    assert [one.change for one in shifts] == pytest.approx([-0.3, -0.2], abs=0.03)
    incident = shifts[0].episode
    assert incident is not None
    assert (incident.begin.day, incident.stop) == (40, 46)


def test_a_steady_decline_is_one_line_from_the_beginning() -> None:
    (one,) = found(cells(lambda _region, _device, day: 1 - 0.5 * day / 83))
    assert (one.segment, one.episode) == ({}, None)
    assert one.change == pytest.approx(-0.5, abs=0.03)


def test_a_change_below_the_least_effect_is_no_alarm() -> None:
    assert found(cells(fall(50, 0.97), shown=400.0)) == []


def test_index_versions_are_asked_about() -> None:
    made = cells(fall(76, 0.8), version_days=8)
    asked = Questions.of(made)
    assert asked.release(len(asked) - 1) == Release(name="v2", first=76, stop=84)
    assert asked.release(0) is None
    (one,) = found(made)
    assert one.episode is not None
    assert one.episode.begin.day == 76


def test_kinds_of_segments_have_equal_parts_of_the_family() -> None:
    asked = Questions.of(cells(version_days=8))
    assert asked.weight.mean() == pytest.approx(1)
    everyone, release = asked.weight[asked.place == 0][:-1].sum(), asked.weight[-1]
    assert everyone == pytest.approx(release)


def test_versions_of_the_first_week_have_nothing_before_them() -> None:
    assert releases(("a", "a", "b", "b", *["c"] * 9)) == ()


def test_windows_hold_a_week_and_the_four_before_it() -> None:
    now, before = windows(36)
    assert now.shape == (36, 2)
    assert np.flatnonzero(now[:, 1]).tolist() == list(range(29, 36))
    assert np.flatnonzero(before[:, 1]).tolist() == list(range(1, 29))
    assert windows(34)[0].shape == (34, 0)


def test_what_was_found_is_expected_of_those_who_share_users() -> None:
    made = cells(fall(50, 0.5, market="western_europe"))
    one = field(made)
    factor = np.where(np.arange(84) >= 50, 0.5, 1.0)
    told = one.explain({"market": "western_europe"}, factor)
    named = {tuple(segment.values()): row for segment, row in zip(one.segments, told, strict=True)}
    assert named["western_europe",] == pytest.approx(factor)
    assert named["western_europe", "DE"] == pytest.approx(factor)
    assert named["north_america",] == pytest.approx(np.ones(84))
    # Half of all clicks were those of the market: everyone's figure is expected to lose a quarter.
    assert named[()][60] == pytest.approx(0.75, abs=0.02)
    assert named["web",][60] == pytest.approx(0.75, abs=0.02)


def test_heterogeneity_is_cochrans_q() -> None:
    parts = [Part(segment={}, log_change=change, se=0.1, p=0.0) for change in (0.0, 0.2)]
    # Weights 100 each, mean 0.1: Q = 100·0.01 + 100·0.01 = 2, whose chi-square with one degree leaves 0.1573.
    assert heterogeneity(parts) == pytest.approx(0.1573, abs=1e-4)
