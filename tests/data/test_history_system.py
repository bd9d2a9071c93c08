"""Samples and lines of a history: counters as Prometheus has them, the planted incidents, requests in one another."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds
import pytest

from data.synthetic.history import HistorySpec, write_history
from data.synthetic.history.system import BOUNDS_S, SERVICES
from data.synthetic.regions import REGION_CODES
from telemetry.system import questions
from workspace.columns import Event, LogLine, Sample

END = date(2026, 3, 2)
COUNTERS = [Sample.REQUESTS, Sample.ERRORS, Sample.LATENCY_SUM, *Sample.BUCKETS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("system") / "history"
    write_history(HistorySpec(users=2_000, weeks=4, seed=8, end=END), made)
    return made


@pytest.fixture(scope="module")
def samples(folder: Path) -> pd.DataFrame:
    read: pd.DataFrame = ds.dataset(folder / "system").to_table().to_pandas()
    return read


@pytest.fixture(scope="module")
def planted(folder: Path) -> dict[str, Any]:
    return {one["kind"]: one for one in json.loads((folder / "truth.json").read_text())["planted"]}


@pytest.fixture(scope="module")
def lines(folder: Path) -> pd.DataFrame:
    return pd.DataFrame([json.loads(line) for line in (folder / "logs/history.jsonl").read_text().splitlines()])


def grown(series: pd.DataFrame, counter: str) -> pd.Series:
    """Growth between samples; after a restart the reading itself."""
    known = series.set_index(Sample.TS)[counter].dropna()
    step = known.diff()
    return step.where(step >= 0, known)


def one(samples: pd.DataFrame, service: str, region: str) -> pd.DataFrame:
    return samples[(samples[Sample.SERVICE] == service) & (samples[Sample.REGION] == region)]


def test_services_and_bounds_are_those_of_the_questions() -> None:
    assert questions.SERVICES[: len(SERVICES)] == SERVICES
    assert questions.BOUNDS_S == BOUNDS_S


def test_samples_cover_every_service_and_region_finely_at_the_end(samples: pd.DataFrame) -> None:
    assert tuple(samples.columns) == Sample.ALL
    sizes = samples.groupby([Sample.SERVICE, Sample.REGION]).size()
    assert len(sizes) == len(SERVICES) * len(REGION_CODES)
    # Two weeks by the hour and two weeks by five minutes.
    assert set(sizes) == {14 * 24 + 14 * 288}
    moments = one(samples, "user", "FR")[Sample.TS].diff().dropna()
    assert set(moments) == {pd.Timedelta(hours=1), pd.Timedelta(minutes=5)}
    assert samples[Sample.TS].max() < pd.Timestamp(END, tz="UTC")


def test_buckets_are_cumulative_and_end_in_all_requests(samples: pd.DataFrame) -> None:
    up = samples.dropna(subset=[Sample.REQUESTS])
    assert (np.diff(up[list(Sample.BUCKETS)].to_numpy(), axis=1) >= 0).all()
    assert (up["le_inf"] == up[Sample.REQUESTS]).all()
    assert (up[Sample.ERRORS] <= up[Sample.REQUESTS]).all()
    for gauge in (Sample.CPU, Sample.MEMORY):
        assert up[gauge].between(0, 1).all()
    assert (samples[Sample.REQUESTS].isna() == (samples[Sample.UP] == 0)).all()


def test_mean_latency_lies_where_the_buckets_say(samples: pd.DataFrame) -> None:
    series = one(samples, "gateway", "US").dropna(subset=[Sample.REQUESTS])
    counts = np.diff(np.array([grown(series, name).sum() for name in Sample.BUCKETS]), prepend=0.0)
    low = (counts * np.array([0, *BOUNDS_S[:-1]])).sum()
    high = (counts * np.array([*BOUNDS_S[:-1], 60])).sum()
    assert low < grown(series, Sample.LATENCY_SUM).sum() < high


def test_counters_restart_with_their_process(samples: pd.DataFrame) -> None:
    for service in SERVICES:
        series = one(samples, service, "ES").set_index(Sample.TS)[COUNTERS]
        falls = series.diff() < 0
        assert 3 <= falls[Sample.REQUESTS].sum() <= 5
        assert (falls[Sample.REQUESTS] == falls["le_inf"]).all()


def test_load_and_sessions_follow_the_evening(samples: pd.DataFrame) -> None:
    series = one(samples, "gateway", "DE").set_index(Sample.TS).tail(14 * 288)
    sessions = series[Sample.ACTIVE_SESSIONS].groupby(series.index.hour).mean()
    assert sessions.idxmax() in (18, 19, 20)
    assert sessions.max() > 8 * sessions.min()
    rate = grown(series.reset_index(), Sample.REQUESTS)
    assert np.corrcoef(rate.iloc[1:], series[Sample.ACTIVE_SESSIONS].iloc[1:])[0, 1] > 0.9
    assert samples.loc[samples[Sample.SERVICE] != "gateway", Sample.ACTIVE_SESSIONS].isna().all()


def within_a_second(series: pd.DataFrame, inside: pd.Series) -> float:
    good, total = (grown(series, name)[inside].sum() for name in ("le_1", "le_inf"))
    return float(good / total)


def test_latency_incident_is_in_its_service_region_and_hours(samples: pd.DataFrame, planted: dict[str, Any]) -> None:
    truth = planted["latency"]
    shares = {}
    for region in ("DE", "FR"):
        series = one(samples, truth["service"], region)
        moment = grown(series, "le_inf").index.to_series()
        inside = (moment >= truth["from"]) & (moment < truth["to"])
        shares[region] = within_a_second(series, inside), within_a_second(series, ~inside)
    errors = grown(one(samples, truth["service"], "DE"), Sample.ERRORS)
    requests = grown(one(samples, truth["service"], "DE"), Sample.REQUESTS)
    inside = (errors.index >= truth["from"]) & (errors.index < truth["to"])
    assert truth["region"] == "DE"
    assert shares["DE"][0] < 0.6
    assert min(shares["DE"][1], *shares["FR"]) > 0.99
    assert errors[inside].sum() / requests[inside].sum() == pytest.approx(truth["timeouts"], abs=0.02)
    assert errors[~inside].sum() / requests[~inside].sum() < 0.01


def test_memory_leaks_until_the_process_is_killed(samples: pd.DataFrame, planted: dict[str, Any]) -> None:
    truth = planted["memory_leak"]
    series = one(samples, truth["service"], truth["region"]).set_index(Sample.TS)
    leak = series[(series.index >= truth["from"]) & (series.index < truth["to"])]
    days = (leak.index - leak.index[0]) / timedelta(days=1)
    slope, start = np.polyfit(days, leak[Sample.MEMORY], 1)
    length = (pd.Timestamp(truth["to"]) - pd.Timestamp(truth["from"])) / timedelta(days=1)
    assert slope * length == pytest.approx(truth["memory_to"] - truth["memory_from"], rel=0.05)
    assert start == pytest.approx(truth["memory_from"], abs=0.02)
    after = series[series.index >= truth["to"]]
    assert (after[Sample.UP] == 0).sum() == 3
    assert after[Sample.UP].iloc[0] == 0
    up = after[after[Sample.UP] == 1].iloc[0]
    assert up[Sample.REQUESTS] < leak[Sample.REQUESTS].iloc[-1]
    assert after[Sample.MEMORY].max() < 0.6
    other = one(samples, truth["service"], "FR")
    assert other[Sample.MEMORY].max() < 0.6
    assert (other[Sample.UP] == 1).all()


def test_provider_outage_shows_in_the_errors_of_one_service(samples: pd.DataFrame, planted: dict[str, Any]) -> None:
    truth = planted["provider_outage"]
    for service in ("content", "user"):
        series = one(samples, service, "NL")
        errors, requests = grown(series, Sample.ERRORS), grown(series, Sample.REQUESTS)
        inside = (errors.index >= truth["from"]) & (errors.index < truth["to"])
        expected = truth["error_share"] if service == truth["service"] else 0.001
        assert errors[inside].sum() / requests[inside].sum() == pytest.approx(expected, abs=0.01)


def test_resources_are_below_their_limit_without_an_incident(samples: pd.DataFrame) -> None:
    assert samples[Sample.CPU].max() < 0.8
    quiet = samples[~((samples[Sample.SERVICE] == "bff") & (samples[Sample.REGION] == "GB"))]
    assert quiet[Sample.MEMORY].max() < 0.8


def test_lines_are_of_the_events_own_requests(folder: Path, lines: pd.DataFrame) -> None:
    columns = [Event.TS, Event.TRANSACTION, Event.SLATE, Event.USER]
    rows = ds.dataset(folder / "events").to_table(columns=columns).to_pandas()
    assert set(lines.columns) <= set(LogLine.ALL)
    assert 1_000 < lines[LogLine.TRANSACTION].nunique() <= 2_000
    assert set(lines[LogLine.TRANSACTION]) <= set(rows[Event.TRANSACTION])
    assert pd.Timestamp(lines[LogLine.TS].min()) > pd.Timestamp(END, tz="UTC") - pd.Timedelta(days=3, minutes=1)
    slates = rows.dropna(subset=[Event.SLATE]).groupby(Event.TRANSACTION)[Event.SLATE].first()
    named = lines[lines[LogLine.SLATE].notna()]
    assert set(named[LogLine.SERVICE]) == {"recommender"}
    assert (named[LogLine.TRANSACTION].map(slates) == named[LogLine.SLATE]).all()
    text = (folder / "logs/history.jsonl").read_text()
    assert not any(user in text for user in rows[Event.USER].unique())


def test_hops_of_a_request_lie_in_one_another(lines: pd.DataFrame) -> None:
    ended = pd.to_datetime(lines[LogLine.TS], format="ISO8601")
    begun = ended - pd.to_timedelta(lines[LogLine.DURATION_MS], unit="ms")
    table = lines.assign(ended=ended, begun=begun)
    wide = table.set_index([LogLine.TRANSACTION, LogLine.SERVICE])[["ended", "begun"]].unstack()  # noqa: PD010
    slack = pd.Timedelta(microseconds=2)
    assert (lines.groupby(LogLine.TRANSACTION)[LogLine.SERVICE].apply(set) == set(SERVICES)).all()
    for inner, outer in (("bff", "gateway"), ("user", "bff"), ("content", "bff"), ("recommender", "bff")):
        assert (wide["begun", inner] >= wide["begun", outer] - slack).all()
        assert (wide["ended", inner] <= wide["ended", outer] + slack).all()
    for before, after in (("user", "content"), ("content", "recommender")):
        assert (wide["ended", before] <= wide["begun", after] + slack).all()


def test_requests_of_the_incident_are_slow_and_some_fail(lines: pd.DataFrame, planted: dict[str, Any]) -> None:
    truth = planted["latency"]
    mine = lines[lines[LogLine.SERVICE] == truth["service"]]
    within = (mine[LogLine.TS] >= truth["from"]) & (mine[LogLine.TS] < truth["to"])
    hit = within & (mine[LogLine.REGION] == truth["region"])
    assert mine.loc[hit, LogLine.DURATION_MS].median() > 5 * mine.loc[~hit, LogLine.DURATION_MS].median()
    failed = lines[lines[LogLine.LEVEL] == "ERROR"]
    assert 504 in set(failed[LogLine.STATUS])
    timeouts = failed[failed[LogLine.STATUS] == 504]
    assert set(timeouts[LogLine.REGION]) == {truth["region"]}
    assert set(timeouts[LogLine.SERVICE]) == {"gateway", "bff", "recommender"}
    assert (lines.loc[lines[LogLine.LEVEL] == "INFO", LogLine.STATUS] == 200).all()
