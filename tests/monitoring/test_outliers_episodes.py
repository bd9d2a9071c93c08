import datetime as dt

import pytest

from monitoring.outliers.episodes import crowd_of, end_of, episodes, onset_of, share_of

D = dt.date


def test_episodes_bridge_short_gaps_and_cut_at_long_ones() -> None:
    days = [D(2026, 1, 5), D(2026, 1, 1), D(2026, 1, 2), D(2026, 1, 9), D(2026, 1, 2)]
    assert episodes(days) == [(D(2026, 1, 1), D(2026, 1, 5)), (D(2026, 1, 9), D(2026, 1, 9))]
    assert episodes([]) == []


def test_onset_and_end_are_whole_days_in_utc() -> None:
    onset = onset_of(D(2026, 1, 5))
    assert onset.at == dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
    assert (onset.high - onset.low) == dt.timedelta(days=2)
    assert end_of(D(2026, 1, 6), D(2026, 1, 9)) == dt.datetime(2026, 1, 7, tzinfo=dt.UTC)
    # Still going on when the newest day has it.
    assert end_of(D(2026, 1, 9), D(2026, 1, 9)) is None


@pytest.mark.parametrize(("part", "value", "low", "high"), [(263, 0.3, 0.25, 0.35), (14, 0.01, 0.005, 0.015)])
def test_a_share_of_few_keeps_one_digit(part: float, value: float, low: float, high: float) -> None:
    found = share_of(part, 1000, exact=False)
    assert (found.value, found.low, found.high) == (value, low, high)
    assert found.low <= part / 1000 <= found.high
    assert share_of(part, 1000, exact=True).value == part / 1000


def test_few_accounts_are_never_counted() -> None:
    assert crowd_of(9, 10) == "fewer than 10 accounts"
    assert crowd_of(10, 10) == "10 accounts"
