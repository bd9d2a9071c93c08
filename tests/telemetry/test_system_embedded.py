"""The embedded series answer as Prometheus's rules, written down apart, say they must."""

import datetime as dt
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

from telemetry.system import open_system_metrics
from telemetry.system.embedded import EmbeddedSystemMetrics
from telemetry.system.series import EVER_US, SAMPLES, SeriesStore
from tests.telemetry.sampled import START, extrapolated_rate, histogram_quantile, points_of, samples
from workspace.columns import Sample
from workspace.errors import IntegrityError, InvalidValueError
from workspace.paths import Paths
from workspace.settings import Settings

END = START + dt.timedelta(days=8)
HOUR = dt.timedelta(hours=1)
N = 8 * 288 + 1


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Eight days over a week's end, one series with a gap and odd moments."""
    made = samples(N)
    ts = made[Sample.TS]
    odd = (made[Sample.SERVICE] == "user") & (made[Sample.REGION] == "DE")
    made.loc[odd, Sample.TS] = ts + pd.Timedelta(seconds=17)
    return made[~(odd & (ts >= START + dt.timedelta(days=2)) & (ts < START + dt.timedelta(days=3, hours=3)))]


@pytest.fixture(scope="module")
def metrics(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedSystemMetrics]:
    paths = Paths(tmp_path_factory.mktemp("series")).ensure()
    SeriesStore(paths).append(frame)
    opened = EmbeddedSystemMetrics(paths)
    yield opened
    opened.close()


def values(answer: pd.DataFrame, service: str, region: str) -> dict[float, float]:
    mine = answer[(answer["service"] == service) & (answer["region"] == region)]
    return {at.timestamp(): value for at, value in zip(mine["ts"], mine["value"], strict=True)}


STEPS = [
    dt.timedelta(days=1),
    6 * HOUR,
    HOUR,
    dt.timedelta(minutes=25),
    dt.timedelta(minutes=10),
    dt.timedelta(minutes=5),
]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize(("service", "region"), [("gateway", "US"), ("user", "DE")])
def test_rate_is_that_of_prometheus_from_hours_and_from_samples(
    metrics: EmbeddedSystemMetrics, frame: pd.DataFrame, step: dt.timedelta, service: str, region: str
) -> None:
    found = values(metrics.request_rate(start=START, end=END, step=step), service, region)
    points = points_of(frame, service, region, Sample.REQUESTS)
    chosen = list(found.items())[:: max(1, len(found) // 100)]
    width = max(step.total_seconds(), 600)
    for at, value in chosen:
        near = [point for point in points if at - width - 1 <= point[0] <= at + 1]
        assert value == pytest.approx(extrapolated_rate(near, at - width, at), rel=1e-9, nan_ok=True)
    assert len(found) == len(metrics.request_rate(start=START, end=END, step=step)["ts"].unique())


def test_rate_of_narrow_steps_slides_over_ten_minutes(frame: pd.DataFrame, metrics: EmbeddedSystemMetrics) -> None:
    start = START + dt.timedelta(hours=2)
    answer = metrics.request_rate(start=start, end=start + HOUR, step=dt.timedelta(minutes=1), services=["gateway"])
    points = points_of(frame, "gateway", "US", Sample.REQUESTS)
    found = values(answer, "gateway", "US")
    # The first nine reach back to before the start, and are answered all the same.
    assert len(found) == 60
    assert not any(math.isnan(value) for value in found.values())
    for at, value in found.items():
        assert value == pytest.approx(extrapolated_rate(points, at - 600, at))


def test_quantile_is_that_of_the_summed_buckets(frame: pd.DataFrame, metrics: EmbeddedSystemMetrics) -> None:
    answer = metrics.latency_quantile(0.95, start=START, end=END, step=dt.timedelta(days=1), by=("service",))
    found = values(answer, "user", "all")
    for at, value in found.items():
        counts = []
        for bucket in Sample.BUCKETS:
            rates = [
                extrapolated_rate(points_of(frame, "user", region, bucket), at - 86400, at) for region in ("US", "DE")
            ]
            known = [rate for rate in rates if not math.isnan(rate)]
            counts.append(sum(known))
        assert value == pytest.approx(histogram_quantile(0.95, counts))


def test_shares_are_growth_by_growth(frame: pd.DataFrame, metrics: EmbeddedSystemMetrics) -> None:
    scope: Any = {"start": START, "end": END, "step": dt.timedelta(days=1), "services": ["gateway"], "regions": ["US"]}
    errors = values(metrics.error_rate(**scope), "gateway", "US")
    good = values(metrics.within_latency(**scope), "gateway", "US")
    for at in errors:
        rates = {
            column: extrapolated_rate(points_of(frame, "gateway", "US", column), at - 86400, at)
            for column in (Sample.ERRORS, Sample.REQUESTS, "le_1", "le_inf")
        }
        assert errors[at] == pytest.approx(rates[Sample.ERRORS] / rates[Sample.REQUESTS])
        assert good[at] == pytest.approx(rates["le_1"] / rates["le_inf"])
    with pytest.raises(InvalidValueError, match="must be one of"):
        metrics.within_latency(0.8, **scope)


@pytest.mark.parametrize("step", [dt.timedelta(days=1), dt.timedelta(minutes=10)], ids=str)
@pytest.mark.parametrize(
    ("question", "column"),
    [
        ("cpu", Sample.CPU),
        ("memory", Sample.MEMORY),
        ("availability", Sample.UP),
        ("active_sessions", Sample.ACTIVE_SESSIONS),
    ],
)
def test_gauges_are_means_of_the_closed_window(
    frame: pd.DataFrame, metrics: EmbeddedSystemMetrics, question: str, column: str, step: dt.timedelta
) -> None:
    found = values(getattr(metrics, question)(start=START, end=END, step=step), "gateway", "DE")
    points = points_of(frame, "gateway", "DE", column)
    for at, value in list(found.items())[:50]:
        inside = [one for moment, one in points if at - step.total_seconds() <= moment <= at]
        assert value == pytest.approx(np.mean(inside))


def test_taken_together_rates_and_sessions_add_up_and_ratios_are_means(metrics: EmbeddedSystemMetrics) -> None:
    scope: Any = {"start": START, "end": START + dt.timedelta(days=1), "step": 6 * HOUR}
    for question, how in (
        ("request_rate", "sum"),
        ("active_sessions", "sum"),
        ("cpu", "mean"),
        ("availability", "mean"),
    ):
        apart = getattr(metrics, question)(**scope)
        for by in (("region",), ("service",), ()):
            together = getattr(metrics, question)(**scope, by=by)
            expected = apart.groupby(["ts", *by])["value"].agg(how).sort_index()
            found = together.set_index(["ts", *by])["value"].sort_index()
            np.testing.assert_allclose(found.to_numpy(), expected.to_numpy())
            for name in {"service", "region"} - set(by):
                assert set(together[name]) == {"all"}


def test_time_without_samples_is_not_estimable(metrics: EmbeddedSystemMetrics) -> None:
    for step in (HOUR, dt.timedelta(minutes=30)):
        for question in ("request_rate", "error_rate", "within_latency", "cpu", "active_sessions"):
            answer = getattr(metrics, question)(start=START, end=END, step=step, services=["user"])
            found = values(answer, "user", "DE")
            gap = [value for at, value in found.items() if 48 * 3600 + 3600 < at - START.timestamp() <= 75 * 3600]
            assert len(gap) > 20
            assert all(math.isnan(value) for value in gap)
            assert not any(math.isnan(value) for value in values(answer, "user", "US").values())


def test_questions_take_only_what_they_name(metrics: EmbeddedSystemMetrics) -> None:
    scope: Any = {"start": START, "end": START + dt.timedelta(days=1), "step": HOUR}
    one = metrics.cpu(**scope, services=["user"], regions=["US", "nowhere"])
    assert set(zip(one["service"], one["region"], strict=True)) == {("user", "US")}
    assert metrics.cpu(**scope, services=["nobody'; DROP"]).empty
    before: Any = {"start": START - dt.timedelta(days=30), "end": START - dt.timedelta(days=29), "step": HOUR}
    assert metrics.cpu(**before).empty


def test_known_names_services_regions_and_time(metrics: EmbeddedSystemMetrics) -> None:
    known = metrics.known(START, END)
    assert (known.services, known.regions) == (("gateway", "user"), ("DE", "US"))
    assert known.first == START
    assert known.last == END
    assert metrics.known(END + dt.timedelta(days=2), END + dt.timedelta(days=3)).last is None


def test_samples_with_gauges_only_have_no_rates(home: Paths) -> None:
    frame = samples(20, services=("bff",), regions=("US",))
    frame[list(Sample.ALL[3:15])] = np.nan
    SeriesStore(home).append(frame)
    metrics = open_system_metrics(Settings(home=home.home))
    scope: Any = {"start": START, "end": START + HOUR, "step": dt.timedelta(minutes=10)}
    assert len(metrics.cpu(**scope)) == 6
    assert metrics.request_rate(**scope).empty


def test_an_empty_workspace_knows_nothing(home: Paths) -> None:
    metrics = EmbeddedSystemMetrics(home)
    assert metrics.cpu(start=START, end=END, step=HOUR).empty
    assert metrics.known(START, END).services == ()


def test_a_damaged_file_is_named(home: Paths) -> None:
    store = SeriesStore(home)
    store.append(samples(20))
    for path in store.files(SAMPLES, 0, EVER_US):
        path.write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(IntegrityError, match="can't be read"):
        EmbeddedSystemMetrics(home).cpu(start=START, end=END, step=dt.timedelta(minutes=10))


def test_a_file_replaced_between_listing_and_reading_is_found_again(
    home: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = SeriesStore(home)
    store.append(samples(20))
    listed = store.files(SAMPLES, 0, EVER_US)
    store.append(samples(40))
    metrics = EmbeddedSystemMetrics(home)
    answers = [listed]
    real = metrics._store.files

    def stale_once(*arguments: Any) -> Any:
        return answers.pop() if answers else real(*arguments)

    monkeypatch.setattr(metrics._store, "files", stale_once)
    answer = metrics.cpu(start=START, end=START + 3 * HOUR, step=dt.timedelta(minutes=10))
    assert not answer["value"].isna().all()
    assert len(answer) == 18 * 4
