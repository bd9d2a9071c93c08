"""Every planted truth is found again in the written rows, by plain pandas over users."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest
from scipy.stats import chisquare

from data.synthetic.history import HistorySpec, write_history
from data.synthetic.regions import REGIONS
from workspace.columns import Event, Sample

END = date(2026, 3, 2)
USERS, WEEKS = 14_000, 12
COLUMNS = [Event.TS, Event.USER, Event.REGION, Event.TYPE, Event.SLATE, Event.FILM, Event.VALUE, Event.EXPERIMENT,
           Event.VARIANT, Event.INDEX_VERSION, Event.SESSION]  # fmt: skip
MARKET = {region.code: region.market for region in REGIONS}


class History:
    """The rows of a history and its manifest."""

    def __init__(self, folder: Path) -> None:
        table = ds.dataset(
            folder / "events", format=ds.ParquetFileFormat(dictionary_columns=COLUMNS[2:6] + COLUMNS[7:])
        )
        self.rows: pd.DataFrame = table.to_table(columns=COLUMNS).unify_dictionaries().to_pandas()
        self.rows["day"] = self.rows[Event.TS].to_numpy("datetime64[D]")
        self.truth: dict[str, Any] = json.loads((folder / "truth.json").read_text())
        self.planted = {one["kind"]: one for one in self.truth["planted"]}
        self.experiments = {one["experiment_id"]: one for one in self.truth["experiments"]}

    def between(self, first: str, last: str) -> pd.DataFrame:
        """Rows of whole days, the last included."""
        return self.rows[self.rows["day"].between(pd.Timestamp(first), pd.Timestamp(last))]

    def users(self, experiment: str) -> pd.DataFrame:
        """Counts by user of one experiment: columns variant, region, impression, click, thumbs_down."""
        rows = self.rows[self.rows[Event.EXPERIMENT] == experiment]
        counts = pd.crosstab(rows[Event.USER], rows[Event.TYPE])
        who = rows.groupby(Event.USER, observed=True)[[Event.VARIANT, Event.REGION]].first()
        return who.join(counts)

    def people(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Rows without those of robots: whoever was shown over 300 films on a day."""
        shown = rows[rows[Event.TYPE] == "impression"].groupby([Event.USER, "day"], observed=True).size()
        return rows[~rows[Event.USER].isin(shown[shown > 300].index.get_level_values(0))]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    folder = tmp_path_factory.mktemp("truths") / "history"
    spec = HistorySpec(users=USERS, weeks=WEEKS, seed=21, end=END, recent_step_min=60)
    write_history(spec, folder, physical=True, workers=1)
    return History(folder)


def ratio(users: pd.DataFrame, part: str) -> tuple[float, float]:
    """Ratio of sums over impressions, and its standard error by the delta method on users."""
    shown, done = users["impression"].to_numpy(float), users[part].to_numpy(float)
    value = done.sum() / shown.sum()
    return value, float(np.sqrt(len(users)) * np.std(done - value * shown, ddof=1) / shown.sum())


def lift(users: pd.DataFrame, part: str) -> tuple[float, float]:
    """Relative difference of treatment to control, and its standard error."""
    arms = [users[users[Event.VARIANT] == arm] for arm in ("control", "treatment")]
    (control, control_se), (treated, treated_se) = (ratio(arm, part) for arm in arms)
    relative = treated / control
    return relative - 1, relative * float(np.hypot(control_se / control, treated_se / treated))


def ctr(rows: pd.DataFrame) -> float:
    return (rows[Event.TYPE] == "click").sum() / (rows[Event.TYPE] == "impression").sum()


def test_a_user_has_about_twenty_events_a_week_of_all_types(history: History) -> None:
    assert len(history.rows) / USERS / WEEKS == pytest.approx(20, rel=0.05)
    assert history.rows[Event.TYPE].value_counts().index[0] == "impression"
    assert history.rows[Event.TYPE].nunique() == 6


def test_users_differ_far_more_than_chance(history: History) -> None:
    users = history.users("exp_aa")
    value, error = ratio(users, "click")
    by_event = np.sqrt(value * (1 - value) / users["impression"].sum())
    assert error > 1.8 * by_event
    assert users["impression"].std() > 0.7 * users["impression"].mean()


def test_seasons_and_markets_are_there(history: History) -> None:
    people = history.people(history.rows)
    weekday = people["day"].dt.day_of_week
    by_weekday = people.groupby(weekday).size() / people.groupby(weekday)["day"].nunique()
    assert by_weekday.idxmax() == 5
    assert by_weekday.max() > 1.25 * by_weekday.min()
    for region, evening in (("US", 20 + 5), ("DE", 20 - 1), ("KG", 20 - 6)):
        hours = people.loc[people[Event.REGION] == region, Event.TS].dt.hour.value_counts()
        assert abs((hours.idxmax() - evening + 12) % 24 - 12) <= 1
        assert hours.max() > 5 * hours.min()
    market = people[Event.REGION].astype(str).map(MARKET)
    before = people["day"] < pd.Timestamp(history.planted["taste_drift"]["from_day"])
    level = {name: ctr(people[before & (market == name)]) for name in set(MARKET.values())}
    assert level["central_asia"] > 1.1 * level["north_america"] > 1.15 * level["western_europe"]
    users = people.groupby(market)[Event.USER].nunique()
    each = people.groupby(market).size() / users
    assert each["north_america"] > 1.2 * each["central_asia"]


def test_experiments_split_users_evenly_and_for_good(history: History) -> None:
    inside = history.rows[history.rows[Event.EXPERIMENT].notna()]
    assert inside.groupby([Event.EXPERIMENT, Event.USER], observed=True)[Event.VARIANT].nunique().max() == 1
    assert inside.groupby("day")[Event.EXPERIMENT].nunique().max() == 1
    arms = {}
    for name in ("exp_ctr_lift", "exp_aa", "exp_thumbs_harm"):
        users = history.users(name)
        arms[name] = users[Event.VARIANT]
        assert chisquare(users[Event.VARIANT].value_counts()).pvalue > 0.001
        window = history.between(history.experiments[name]["first_day"], history.experiments[name]["last_day"])
        assert len(users) / window[Event.USER].nunique() == pytest.approx(0.9, abs=0.01)
    both = pd.crosstab(*(arms[name].rename(name) for name in ("exp_ctr_lift", "exp_aa")))
    assert chisquare(both.to_numpy().ravel()).pvalue > 0.001


def test_ctr_lift_is_found_at_its_size(history: History) -> None:
    found, error = lift(history.users("exp_ctr_lift"), "click")
    assert found == pytest.approx(history.experiments["exp_ctr_lift"]["relative_effect"], abs=2 * error)
    assert found > 1.96 * error
    assert error < 0.03


def test_thumbs_harm_is_found_and_only_there(history: History) -> None:
    users = history.users("exp_thumbs_harm")
    found, error = lift(users, "thumbs_down")
    assert found == pytest.approx(history.experiments["exp_thumbs_harm"]["relative_effect"], abs=2.5 * error)
    assert found > 4 * error
    clicks, error = lift(users, "click")
    assert abs(clicks) < 2.5 * error


def test_nothing_is_found_in_the_aa_test(history: History) -> None:
    users = history.users("exp_aa")
    for part in ("click", "thumbs_down"):
        found, error = lift(users, part)
        assert abs(found) < 1.96 * error


def test_sample_ratio_mismatch_is_in_one_region_only(history: History) -> None:
    users, truth = history.users("exp_srm"), history.experiments["exp_srm"]
    lost = users[Event.REGION] == truth["region"]
    assert chisquare(users[Event.VARIANT].value_counts()).pvalue < 1e-6
    assert chisquare(users.loc[~lost, Event.VARIANT].value_counts()).pvalue > 0.001
    there = users.loc[lost, Event.VARIANT].value_counts()
    assert 1 - there["treatment"] / there["control"] == pytest.approx(truth["lost_share_of_treatment"], abs=0.04)


def test_novelty_fades(history: History) -> None:
    truth = history.experiments["exp_novelty"]
    rows = history.rows[history.rows[Event.EXPERIMENT] == "exp_novelty"]
    age = (rows["day"] - pd.Timestamp(truth["first_day"])).dt.days
    length = (date.fromisoformat(truth["last_day"]) - date.fromisoformat(truth["first_day"])).days + 1
    lifts = []
    for part in (age < 0.25 * length, age >= truth["gone_after_share_of_window"] * length):
        by_arm = {arm: ctr(rows[part & (rows[Event.VARIANT] == arm)]) for arm in ("control", "treatment")}
        lifts.append(by_arm["treatment"] / by_arm["control"] - 1)
    # From 0.30 on the first day, a third of the fall is over after a quarter of the window: 0.25 on average.
    assert lifts[0] == pytest.approx(0.25, abs=0.09)
    assert abs(lifts[1]) < 0.09
    assert lifts[0] > lifts[1] + 0.1


def test_taste_drifts_in_one_market_from_its_day_on(history: History) -> None:
    truth = history.planted["taste_drift"]
    day, days = pd.Timestamp(truth["from_day"]), pd.Timedelta(days=14)
    rows = history.people(history.rows[history.rows["day"].between(day - days, day + days - pd.Timedelta(days=1))])
    market, after = rows[Event.REGION].astype(str).map(MARKET), rows["day"] >= day
    change = {
        name: ctr(rows[(market == name) & after]) / ctr(rows[(market == name) & ~after])
        for name in set(MARKET.values())
    }
    others = (change["north_america"] + change["western_europe"]) / 2
    assert change["central_asia"] / others == pytest.approx(truth["relative_ctr"], abs=0.06)
    assert change["north_america"] == pytest.approx(change["western_europe"], abs=0.06)


def test_catalogue_incident_hits_its_films_and_days(history: History) -> None:
    truth = history.planted["catalogue_quality"]
    first, last = date.fromisoformat(truth["first_day"]), date.fromisoformat(truth["last_day"])
    rows = history.people(history.between(str(first - timedelta(days=7)), str(last)))
    inside, hit = rows["day"] >= pd.Timestamp(first), rows[Event.FILM].isin(truth["film_ids"])
    assert set(rows.loc[inside, Event.INDEX_VERSION]) == {truth["index_version"]}
    change = ctr(rows[inside & hit]) / ctr(rows[~inside & hit]) / (ctr(rows[inside & ~hit]) / ctr(rows[~inside & ~hit]))
    assert change == pytest.approx(truth["click_factor"], abs=0.06)


def test_one_index_version_leaks_names(history: History) -> None:
    truth = history.planted["name_leak"]
    first = date.fromisoformat(truth["first_day"])
    rows = history.between(str(first - timedelta(days=3)), truth["last_day"])
    rows = rows[rows[Event.TYPE] == "impression"]
    lead = (rows[Event.FILM].astype(str).str[1:].astype(int) - 1) // 4
    same = lead.groupby(rows[Event.SLATE].astype(str)).nunique() < 5
    leaking = rows.groupby(rows[Event.SLATE].astype(str))[Event.INDEX_VERSION].first().isin(truth["index_versions"])
    assert same[leaking].mean() > 0.8
    assert same[~leaking].mean() < 0.2


def test_stuffed_keywords_bring_a_studio_forward(history: History) -> None:
    truth = history.planted["keyword_stuffing"]
    shown = history.rows[history.rows[Event.TYPE] == "impression"]
    mine, after = shown[Event.FILM].isin(truth["film_ids"]), shown["day"] >= pd.Timestamp(truth["from_day"])
    gained = mine[after].mean() - mine[~after].mean()
    assert gained == pytest.approx(truth["share_of_positions"], abs=0.01)
    assert mine[after].mean() > 2 * mine[~after].mean()


def test_a_provider_fails_and_its_films_are_gone(history: History) -> None:
    truth = history.planted["provider_outage"]
    shown = history.rows[history.rows[Event.TYPE] == "impression"]
    theirs = shown[Event.FILM].astype(str).str[1:].astype(int) % 2 == 0
    moment = shown[Event.TS].dt.tz_localize("UTC")
    # A visit that began before goes on as it was for some minutes.
    inside = (moment > pd.Timestamp(truth["from"]) + pd.Timedelta(minutes=30)) & (moment < pd.Timestamp(truth["to"]))
    assert inside.sum() > 1_000
    assert theirs[inside].mean() < 0.002
    assert theirs[~inside].mean() > 0.4


def test_robots_are_few_fast_and_blind(history: History) -> None:
    truth = history.planted["bots"]
    rows = history.between(truth["first_day"], truth["last_day"])
    shown = rows[rows[Event.TYPE] == "impression"].groupby([Event.USER, "day"]).size().groupby(Event.USER).max()
    bots = shown[shown > 300].index
    assert len(bots) == truth["users"]
    assert shown.drop(bots).max() < 300
    theirs = rows[rows[Event.USER].isin(bots)]
    assert (theirs.loc[theirs[Event.TYPE] == "focus", Event.VALUE] == 0).all()
    assert ctr(theirs) > 3 * ctr(rows[~rows[Event.USER].isin(bots)])
    assert theirs[Event.EXPERIMENT].isna().all()


def test_a_click_farm_lifts_one_film_for_some_days(history: History) -> None:
    truth = history.planted["click_farm"]
    film = history.rows[history.rows[Event.FILM] == truth["film_id"]]
    inside = film["day"].between(pd.Timestamp(truth["first_day"]), pd.Timestamp(truth["last_day"]))
    clicks = film[Event.TYPE] == "click"
    assert (clicks & inside).sum() > 20 * (clicks & ~inside).sum() / (7 * WEEKS)
    assert ctr(film[inside]) > 3 * ctr(film[~inside])
    by_user = film[inside & clicks].groupby(Event.USER).size()
    assert (by_user > 3).sum() == pytest.approx(truth["accounts"], rel=0.15)


def test_answers_fall_and_flatter(history: History) -> None:
    truth = history.truth["surveys"]
    people = history.people(history.rows)
    week = (people["day"] - people["day"].min()).dt.days // 7
    answers = (people[Event.TYPE] == "survey").groupby(week).sum() / people[Event.SESSION].groupby(week).nunique()
    left = (1 + (WEEKS * 7 - 4) / (WEEKS * 7) * (truth["answers_last_day_of_first"] - 1)) / (
        1 + 4 / (WEEKS * 7) * (truth["answers_last_day_of_first"] - 1)
    )
    assert answers.iloc[-1] / answers.iloc[0] == pytest.approx(left, abs=0.06)
    assert np.polyfit(answers.index, answers, 1)[0] < 0
    scores = people[people[Event.TYPE] == "survey"].groupby(Event.USER)[Event.VALUE].mean()
    assert people.loc[people[Event.TYPE] == "survey", Event.VALUE].mean() == pytest.approx(
        truth["mean_sentiment_of_answers"], abs=0.08
    )
    counts = pd.crosstab(people[Event.USER], people[Event.TYPE])
    busy = counts[counts["impression"] >= 150].join(scores.rename("score"), how="inner")
    correlation = np.corrcoef(np.log(busy["click"] + 1) - np.log(busy["impression"]), busy["score"])[0, 1]
    # True: 0.5 × 0.6 = 0.3 between sentiment and log clicks; noise of few answers takes some of it away.
    assert 0.12 < correlation < 0.3


def test_unplanted_history_is_eventless_and_otherwise_alike(tmp_path: Path) -> None:
    spec = HistorySpec(users=200, weeks=4, seed=21, end=END, recent_step_min=60, planted=False)
    write_history(spec, tmp_path / "quiet", physical=True, workers=1)
    truth = json.loads((tmp_path / "quiet" / "truth.json").read_text())
    assert truth["planted"] == []
    assert truth["experiments"] == []
    assert not any(one["broken"] or one["leaks_names"] for one in truth["index_versions"])
    assert len(truth["index_versions"]) > 2
    events = ds.dataset(tmp_path / "quiet" / "events", format="parquet").to_table().to_pandas()
    assert events[Event.EXPERIMENT].isna().all()
    answers = events[events[Event.TYPE] == "survey"].groupby(events[Event.TS].dt.date).size()
    assert answers[-7:].sum() > 0.7 * answers[:7].sum()
    samples = ds.dataset(tmp_path / "quiet" / "system", format="parquet").to_table().to_pandas()
    assert (samples[Sample.UP] == 1).all()
    assert samples[Sample.MEMORY].max() < 0.6
