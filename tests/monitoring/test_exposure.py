"""Films and slates in made-up matrices: gaps, groups, pushed films, bad input, and the level of the test on users."""

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from monitoring.exposure import ExposureDrift, SlateDrift, days, slates
from monitoring.exposure.clicks import lost_clicks, pushed
from monitoring.exposure.days import FilmDays, matrices, placed
from monitoring.exposure.episodes import episodes
from monitoring.exposure.gaps import change_of_share, unusual_days, vanished
from monitoring.exposure.shares import risen_films, shifted_groups
from monitoring.exposure.slates import difference, repeated, sampled_slates
from monitoring.ground import opened
from telemetry.parts import PartLog
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.tables import EVENTS, FILM_DAY
from tests.experiments.plans import new_store
from tests.monitoring.conftest import Watched
from tests.monitoring.exposed import roll_up_films
from tests.telemetry.planted import history, lay
from workspace.clock import FrozenClock
from workspace.columns import Event, Rollup
from workspace.paths import Paths
from workspace.settings import Settings

FIRST = dt.date(2026, 1, 5)
DAYS = tuple(FIRST + dt.timedelta(days=number) for number in range(120))
FILMS = 80
RATE = 0.1


def table(rates: NDArray[np.float64], seed: int, clicks: NDArray[np.float64] | None = None) -> FilmDays:
    """Impressions by Poisson with the given means, and clicks of a tenth of them or of the given shares."""
    rng = np.random.default_rng(seed)
    shown = rng.poisson(rates)
    chance = np.full(rates.shape, RATE) if clicks is None else clicks
    return FilmDays(
        films=np.array([f"f{number}" for number in range(len(rates))], dtype=object),
        days=DAYS,
        impressions=shown.astype(float),
        clicks=rng.binomial(shown, chance).astype(float),
        users=shown.astype(float),
    )


def level(value: float = 40.0) -> NDArray[np.float64]:
    """The same mean for every film and day, but for a Saturday."""
    weekend = np.array([1.4 if day.weekday() == 5 else 1.0 for day in DAYS])
    return np.full((FILMS, len(DAYS)), value) * weekend


def studios() -> pd.DataFrame:
    return pd.DataFrame(
        {"studio": [f"s{number // 8}" for number in range(FILMS)], "provider": ["p", "q"] * (FILMS // 2)},
        index=pd.Index([f"f{number}" for number in range(FILMS)]),
    )


def test_matrices_lay_rows_out_and_leave_zeros_where_a_film_was_not_shown() -> None:
    frame = pd.DataFrame(
        {
            Rollup.DATE: [FIRST, FIRST + dt.timedelta(days=2)],
            Event.FILM: ["b", "a"],
            Rollup.IMPRESSIONS: [3, 5],
            Rollup.CLICKS: [1, 0],
            Rollup.USERS: [2, 4],
        }
    )
    found = matrices(frame, FIRST, FIRST + dt.timedelta(days=2))
    assert found.films.tolist() == ["a", "b"]
    assert found.impressions.tolist() == [[0, 0, 5], [3, 0, 0]]
    assert found.total.tolist() == [3, 0, 5]


def test_a_film_is_expected_from_its_first_impression_to_a_week_after_its_last() -> None:
    rates = np.zeros((2, len(DAYS)))
    rates[0, 10:50] = 1e6
    rates[1, 20:117] = 1e6
    alive = table(rates, 0).alive()
    assert np.flatnonzero(alive[0]).tolist() == list(range(10, 50))
    assert np.flatnonzero(alive[1]).tolist() == list(range(20, 120))


def test_placed_names_the_attribute_that_covers_a_set() -> None:
    known, size = studios(), np.ones(FILMS)
    names = known.index.tolist()
    assert placed((known["provider"] == "q").to_numpy(), size, names, known) == {"provider": "q"}
    assert placed((known["studio"] == "s3").to_numpy(), size, names, known) == {"studio": "s3"}
    assert placed(np.arange(FILMS) % 3 == 0, size, names, known) == {}
    assert placed(np.ones(FILMS, dtype=bool), size, names, None) == {}


def test_an_episode_has_a_beginning_and_an_end() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(1.0, 0.05, 100)
    values[40:60] += 0.5
    (one,) = episodes(values, np.ones(100), least_rel=0.2, least_abs=0.1, penalty=20.0)
    assert (one.first, one.stop) == (40, 60)
    assert one.before == pytest.approx(1.0, abs=0.03)
    assert one.level == pytest.approx(1.5, abs=0.05)


def test_a_change_below_the_least_effect_is_no_episode() -> None:
    rng = np.random.default_rng(2)
    values = rng.normal(1.0, 0.01, 100)
    values[50:] += 0.15
    assert episodes(values, np.ones(100), least_rel=0.2, least_abs=0.1, penalty=20.0) == []


def test_a_constant_series_has_no_episode() -> None:
    assert episodes(np.ones(60), np.ones(60), least_rel=0.2, least_abs=0.1, penalty=20.0) == []


def test_a_studio_that_takes_more_is_found_and_the_others_are_not() -> None:
    rates = level()
    rates[16:24, 70:] *= 2
    (one,) = shifted_groups(table(rates, 3), studios())
    assert (one.attribute, one.value, one.episode.first) == ("studio", "s2", 70)
    # Eight of eighty films at twice the rate: 16 of 88 places instead of 8 of 80.
    assert one.episode.before == pytest.approx(0.1, abs=0.003)
    assert one.episode.level == pytest.approx(16 / 88, abs=0.005)


def test_one_film_that_rises_is_not_its_studio() -> None:
    rates = level()
    rates[17, 70:] *= 9
    assert shifted_groups(table(rates, 4), studios()) == []


def test_films_that_rise_together_are_found_without_a_catalogue() -> None:
    rates = level()
    rates[5:12, 70:] *= 3
    (one,) = risen_films(table(rates, 5))
    assert one.rows.tolist() == list(range(5, 12))
    assert one.episode.first == 70


def test_films_that_vanish_together_are_found_and_come_back() -> None:
    rates = level(5.0)
    rates[1::2, 50:53] = 0.0
    made = table(rates, 6)
    usual = rates.mean(axis=1, keepdims=True) * np.ones(rates.shape)
    found = vanished(made.impressions, usual, longest=14)
    assert found is not None
    assert (found.first, found.stop) == (50, 53)
    assert np.flatnonzero(found.gone).tolist() == list(range(1, FILMS, 2))


@pytest.mark.parametrize("falls", [True, False])
def test_change_of_share_finds_the_minute(falls: bool) -> None:
    rng = np.random.default_rng(12)
    total = rng.poisson(20.0, 60).astype(float)
    there = np.arange(60) < 23 if falls else np.arange(60) >= 23
    part = rng.binomial(total.astype(int), np.where(there, 0.4, 0.0)).astype(float)
    minute, low, high = change_of_share(part, total, 0.4, falls=falls)
    assert low <= minute <= high
    assert abs(minute - 23) <= 1


def test_change_of_share_that_never_falls_is_at_the_end() -> None:
    total = np.full(60, 20.0)
    assert change_of_share(total * 0.4, total, 0.4, falls=True)[0] == 60


def test_chance_makes_no_gap() -> None:
    rates = level(2.0)
    usual = rates.mean(axis=1, keepdims=True) * np.ones(rates.shape)
    assert all(vanished(table(rates, seed).impressions, usual, longest=14) is None for seed in range(5))


def test_a_day_with_half_the_films_a_third_down_is_unusual_and_no_other() -> None:
    rates = level(10.0)
    rates[1::2, 60] *= 0.6
    rates[::2, 60] *= 1.4
    assert unusual_days(table(rates, 7)) == [60]


def test_a_film_that_is_clicked_nine_times_of_ten_is_found() -> None:
    clicks = np.full((FILMS, len(DAYS)), RATE)
    clicks[33, 80:83] = 0.9
    (one,) = pushed(table(level(), 8, clicks))
    assert (one.row, one.first, one.stop) == (33, 80, 83)
    assert one.within == pytest.approx(0.9, abs=0.05)
    assert one.before == pytest.approx(RATE, abs=0.02)


def test_a_day_on_which_everybody_clicks_more_pushes_no_film_and_loses_none() -> None:
    clicks = np.full((FILMS, len(DAYS)), RATE)
    clicks[:, 80:85] = 0.2
    made = table(level(), 9, clicks)
    assert pushed(made) == []
    assert lost_clicks(made) is None


def test_films_that_lose_half_their_clicks_are_told_from_the_others() -> None:
    clicks = np.full((FILMS, len(DAYS)), RATE)
    clicks[:20, 60:68] = 0.045
    one = lost_clicks(table(level(), 10, clicks))
    assert one is not None
    assert (one.episode.first, one.episode.stop) == (60, 68)
    assert one.factor == pytest.approx(0.45, abs=0.1)
    assert (one.chance[:20] > 0.5).mean() > 0.9
    assert (one.chance[20:] > 0.5).mean() < 0.1


def test_films_that_gain_clicks_do_not_make_the_others_lose_some() -> None:
    clicks = np.full((FILMS, len(DAYS)), RATE)
    clicks[:20, 60:68] = 0.2
    assert lost_clicks(table(level(), 11, clicks)) is None


def test_too_few_days_are_not_estimable(tmp_path: Path) -> None:
    with opened(Settings(home=tmp_path / "home"), FrozenClock(dt.datetime(2026, 1, 5, tzinfo=dt.UTC))) as empty:
        assert ExposureDrift().look(empty).notes == ("not estimable: no telemetry is rolled up yet",)
        assert "no telemetry" in SlateDrift(studios().assign(lead="x")).look(empty).notes[0]


def test_a_film_pushed_by_few_accounts_is_withheld(tmp_path: Path) -> None:
    """Three accounts are shown one film forty times a day for three days and click it every time."""
    events = history(users=30, days=30, seed=8, start=FIRST)
    shown = events[events[Event.TYPE] == "impression"].head(3 * 40 * 3).copy()
    number = np.arange(len(shown))
    shown[Event.FILM] = "fx"
    shown[Event.USER] = 1 + number % 3
    shown[Event.TS] = pd.Timestamp(FIRST) + pd.to_timedelta(20 + number % 9 // 3, unit="D") + pd.Timedelta(hours=9)
    clicked = shown.assign(**{Event.TYPE: "click"})
    extra = pd.concat([shown, clicked])
    extra[Event.ID] = [f"x{place}" for place in range(len(extra))]
    home, clock = Paths(tmp_path / "home").ensure(), FrozenClock(dt.datetime(2026, 2, 5, tzinfo=dt.UTC))
    with new_store(home) as store:
        parts = PartLog(store, home, clock)
        warehouse = EmbeddedWarehouse(parts, 256)
        lay(parts, pd.concat([events, extra], ignore_index=True))
        roll_up_films(parts, warehouse)
        warehouse.close()
    with opened(Settings(home=home.home), clock) as ground:
        found = ExposureDrift().look(ground)
    assert found.findings == ()
    assert any("fewer than 10 accounts" in note for note in found.notes)


def test_of_too_many_events_every_few_days_are_read(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    leads = pd.Series({f"f{number}": f"lead {number % 7}" for number in range(50)})
    whole = sampled_slates(watched.ground, leads, *watched.ground.days())
    monkeypatch.setattr(slates, "MOST_EVENTS", watched.ground.warehouse.rows(EVENTS, watched.ground.days()) // 4 + 1)
    some = sampled_slates(watched.ground, leads, *watched.ground.days())
    assert whole[Rollup.DATE].nunique() == 57
    # Every fourth day, counted back from the last: a little less than four times of what may be read is there.
    assert some[Rollup.DATE].nunique() == 15
    assert some[Rollup.DATE].max() == whole[Rollup.DATE].max()


def test_repeated_leads_of_raw_events_are_counted_by_slate(watched: Watched) -> None:
    leads = pd.Series({f"f{number}": f"lead {number % 7}" for number in range(50)})
    found = sampled_slates(watched.ground, leads, *watched.ground.days())
    shown = watched.events[watched.events[Event.TYPE] == "impression"]
    leading = shown.assign(lead=shown[Event.FILM].map(leads)).groupby(Event.SLATE)["lead"]
    wanted = leading.size() > leading.nunique()
    assert len(found) == len(wanted)
    assert found["repeated"].sum() == wanted.sum()


def test_a_large_catalogue_is_read_for_fewer_days(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(days, "MOST_ROWS", watched.ground.warehouse.rows(FILM_DAY, watched.ground.days()) * 40 // 57)
    assert len(days.film_days(watched.ground).days) in {39, 40}


def test_nothing_is_found_among_ninety_users(watched: Watched) -> None:
    found = ExposureDrift().look(watched.ground)
    assert found.findings == ()
    assert found.looked_at == 50
    assert "no catalogue is imported" in found.notes[0]


def test_repeated_finds_two_films_of_one_lead_and_no_two_unknown() -> None:
    slate = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    lead = np.array(["a", "b", "a", "", None, "c", "d", ""], dtype=object)
    found, known = repeated(slate, lead)
    assert found.tolist() == [True, False, False]
    assert known.tolist() == pytest.approx([1.0, 0.0, 2 / 3])


def test_difference_is_the_quotient_of_the_shares() -> None:
    found = difference([[10, 20, 30], [100, 100, 100]], [[20, 40, 60], [100, 100, 100]])
    assert found.change.value == pytest.approx(1.0)
    assert found.units == 3


def test_difference_of_one_user_or_of_nothing_is_not_estimable() -> None:
    assert np.isnan(difference([[1], [2]], [[1], [2]]).p_value)
    assert np.isnan(difference([[0, 0], [5, 5]], [[0, 0], [5, 5]]).p_value)


def test_difference_rejects_five_in_a_hundred_when_nothing_changed() -> None:
    rng = np.random.default_rng(20_260_105)
    users, runs = 300, 800
    rejected = 0
    for _ in range(runs):
        # Users differ in how many slates they see and in how often a lead is repeated in theirs.
        own, activity = rng.beta(2, 12, users), rng.gamma(2.0, 2.0, users)
        sums = []
        for span in (6.0, 2.0):
            slates = rng.poisson(activity * span)
            sums.append(np.stack([rng.binomial(slates, own), slates]))
        rejected += difference(sums[0], sums[1]).p_value < 0.05
    # 800 runs: 5 % ± 1.5 % at two standard errors; 20,000 runs gave 5.13 %.
    assert 0.035 <= rejected / runs <= 0.065
