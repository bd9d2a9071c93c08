"""Values of the services: batch means by hand, and nothing where there are no samples."""

import datetime as dt

import numpy as np
import pytest
from scipy import stats

from monitoring.service_figures import DAY, HOUR, ServiceQuestion, newest_hour, service_figure, service_weeks
from telemetry.system.questions import Kind
from tests.monitoring.conftest import NOW, SERVICES, Watched
from workspace.columns import Sample

MIDNIGHT = NOW.replace(hour=0)
CPU = ServiceQuestion(kind=Kind.CPU, services=("gateway", "bff"), batch=DAY, batches=7, together="highest")


def daily_means(watched: Watched, service: str, region: str, last: dt.datetime, days: int) -> list[float]:
    """Means by day; a sample on a midnight belongs to the days on both sides, as Prometheus has it."""
    one = watched.samples
    one = one[(one[Sample.SERVICE] == service) & (one[Sample.REGION] == region)].set_index(Sample.TS)[Sample.CPU]
    return [one.loc[last - (back + 1) * DAY : last - back * DAY].mean() for back in range(days)]


def test_service_figure_is_the_mean_of_batches_of_the_highest(watched: Watched) -> None:
    found = service_figure(watched.ground, CPU, at=NOW)
    means = {
        (service, region): daily_means(watched, service, region, MIDNIGHT, 7)
        for service in ("gateway", "bff")
        for region in ("DE", "US")
    }
    service, region = max(means, key=lambda place: np.mean(means[place]))
    values = np.array(means[service, region])
    margin = stats.t.ppf(0.975, 6) * values.std(ddof=1) / np.sqrt(7)
    assert (found.value, found.low, found.high) == pytest.approx(
        (values.mean(), values.mean() - margin, values.mean() + margin)
    )
    assert found.note == f"the highest of 4: {service} in {region}"
    assert (found.batches, found.as_of) == (7, MIDNIGHT)


def test_service_figure_of_one_batch_has_no_interval(watched: Watched) -> None:
    asked = ServiceQuestion(kind=Kind.MEMORY, services=SERVICES, batch=HOUR, batches=1, together="highest")
    found = service_figure(watched.ground, asked, at=NOW)
    assert 0 < found.value < 1
    assert (found.low, found.high, found.batches) == (None, None, 1)


def test_service_figure_of_few_batches_says_so(watched: Watched) -> None:
    asked = ServiceQuestion(kind=Kind.CPU, services=("bff",), batch=DAY, batches=3, together="all")
    found = service_figure(watched.ground, asked, at=NOW)
    assert found.low is None
    assert found.note == "no interval: 3 of 4 batches"


def test_service_figure_without_samples_is_not_estimable(watched: Watched) -> None:
    found = service_figure(watched.ground, CPU, at=NOW - dt.timedelta(days=400))
    assert np.isnan(found.value)
    assert found.note == "not estimable: no samples of gateway, bff within 28 days"


def test_newest_hour_finds_old_samples(watched: Watched) -> None:
    recent = newest_hour(watched.ground, SERVICES, NOW)
    assert recent is not None
    assert NOW - 3 * HOUR <= recent <= NOW
    # Ten days later they are still the newest there are.
    assert newest_hour(watched.ground, SERVICES, NOW + dt.timedelta(days=10)) is not None


def test_service_weeks_goes_back_in_whole_weeks(watched: Watched) -> None:
    found = service_weeks(watched.ground, CPU, 6, at=NOW)
    assert [one.as_of for one in found] == [MIDNIGHT - 7 * back * DAY for back in reversed(range(6))]
    assert found[-1] == service_figure(watched.ground, CPU, at=NOW)
    # 30 days of samples are four weeks and a bit.
    assert np.isnan(found[0].value)
    assert np.isfinite(found[2].value)
