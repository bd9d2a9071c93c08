"""The same answers from a real Prometheus and from the embedded series, within 1 %."""

import datetime as dt
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import requests

from telemetry.system import SystemMetrics
from telemetry.system.embedded import EmbeddedSystemMetrics
from telemetry.system.local_prometheus import backfilled, command, create_blocks
from telemetry.system.prometheus import PrometheusSystemMetrics
from telemetry.system.series import SeriesStore
from tests.telemetry.sampled import START, samples
from workspace.columns import Sample
from workspace.errors import StateError
from workspace.paths import Paths

DAYS = 9
END = START + dt.timedelta(days=DAYS)
QUESTIONS: list[tuple[str, tuple[float, ...]]] = [
    ("latency_quantile", (0.5,)),
    ("latency_quantile", (0.95,)),
    ("request_rate", ()),
    ("error_rate", ()),
    ("within_latency", ()),
    ("within_latency", (0.25,)),
    ("cpu", ()),
    ("memory", ()),
    ("availability", ()),
    ("active_sessions", ()),
]

pytestmark = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="Debian's prometheus and promtool are not installed",
)


def platform() -> pd.DataFrame:
    """Nine days with restarts: one series at odd moments that was away for a day, one service that never failed."""
    made = samples(DAYS * 288, seed=3)
    ts, service, region = (made[name] for name in (Sample.TS, Sample.SERVICE, Sample.REGION))
    odd = (service == "user") & (region == "DE")
    made.loc[odd, Sample.TS] = ts + pd.Timedelta(seconds=17)
    made.loc[service == "gateway", Sample.ERRORS] = 0.0
    return made[~(odd & (ts >= START + dt.timedelta(days=3)) & (ts < START + dt.timedelta(days=4, hours=3, minutes=7)))]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedSystemMetrics, PrometheusSystemMetrics]]:
    """Both over the same samples."""
    paths = Paths(tmp_path_factory.mktemp("both")).ensure()
    SeriesStore(paths).append(platform())
    data = backfilled(paths, days=30)
    # Asked again, nothing is made again.
    assert backfilled(paths, days=30) == data
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    with Path(paths.home, "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command(data, address=address), stdout=log, stderr=log)
        try:
            ready(f"http://{address}/-/ready", process)
            yield EmbeddedSystemMetrics(paths), PrometheusSystemMetrics(f"http://{address}", 60)
        finally:
            process.terminate()
            process.wait(30)


def ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, "prometheus ended"
        try:
            if requests.get(url, timeout=1).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.05)
    pytest.fail("prometheus did not get ready")


STEPS = [dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=17), dt.timedelta(minutes=5)]


@pytest.mark.parametrize("step", STEPS, ids=str)
@pytest.mark.parametrize(("question", "arguments"), QUESTIONS, ids=str)
def test_both_give_the_same_answer(
    both: tuple[SystemMetrics, SystemMetrics], question: str, arguments: tuple[float, ...], step: dt.timedelta
) -> None:
    start = START if step >= dt.timedelta(hours=1) else START + dt.timedelta(days=2)
    end = END if step >= dt.timedelta(hours=1) else START + dt.timedelta(days=5)
    for by, services in product([("service", "region"), ("service",), ()], [None, ["user"]]):
        scope: Any = {"start": start, "end": end, "step": step, "by": by, "services": services}
        embedded, prometheus = (getattr(one, question)(*arguments, **scope) for one in both)
        pd.testing.assert_frame_equal(embedded.drop(columns="value"), prometheus.drop(columns="value"))
        assert len(embedded)
        mine, theirs = embedded["value"].to_numpy(), prometheus["value"].to_numpy()
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
        same = np.isclose(mine, theirs, rtol=0.01, atol=1e-12, equal_nan=True)
        if question == "latency_quantile":
            # Where the rank falls on a bucket's bound to the last bit, the bucket is a matter of rounding.
            assert same.mean() > 0.999
        else:
            assert same.all()


def test_a_service_that_never_failed_has_a_share_of_errors_of_nothing(
    both: tuple[SystemMetrics, SystemMetrics],
) -> None:
    for one in both:
        answer = one.error_rate(start=START, end=END, step=dt.timedelta(days=1), services=["gateway"])
        assert answer["value"].eq(0).all()
        assert len(answer) == 2 * DAYS


def test_good_by_total_holds_where_the_interpolated_quantile_misleads(
    both: tuple[SystemMetrics, SystemMetrics],
) -> None:
    """From the counters themselves: the share within 1 s is exact, wherever inside the buckets the requests lie."""
    plain = samples(DAYS * 288, seed=3, services=("gateway", "user"), resets=3)
    mine = plain[(plain[Sample.SERVICE] == "gateway") & (plain[Sample.REGION] == "US")]
    steps = mine[["le_1", "le_inf"]].diff()
    # The first reading after a restart is its own growth.
    steps = steps.where(mine[["le_1", "le_inf"]].diff() >= 0, mine[["le_1", "le_inf"]])
    day = mine[Sample.TS].between(START, START + dt.timedelta(days=1))
    inside = steps[day].iloc[1:].sum()
    scope: Any = {
        "start": START,
        "end": START + dt.timedelta(days=1),
        "step": dt.timedelta(days=1),
        "services": ["gateway"],
        "regions": ["US"],
    }
    for one in both:
        assert one.within_latency(**scope)["value"].item() == pytest.approx(inside["le_1"] / inside["le_inf"])


def test_both_know_the_same_services_and_time(both: tuple[SystemMetrics, SystemMetrics]) -> None:
    embedded, prometheus = (one.known(START, END) for one in both)
    assert (embedded.services, embedded.regions) == (prometheus.services, prometheus.regions)
    for name in ("first", "last"):
        difference = getattr(embedded, name) - getattr(prometheus, name)
        assert abs(difference) <= dt.timedelta(minutes=5)


def test_run_prometheus_serves_the_history_until_it_is_ended(home: Paths) -> None:
    SeriesStore(home).append(samples(300, services=("bff",), regions=("US",)))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    entry = [sys.executable, "-m", "telemetry.system", "--home", str(home.home), "--address", address]
    process = subprocess.Popen(entry, stderr=subprocess.DEVNULL)
    try:
        ready(f"http://{address}/-/ready", process)
        answer = PrometheusSystemMetrics(f"http://{address}", 30).cpu(
            start=START, end=START + dt.timedelta(days=1), step=dt.timedelta(hours=1)
        )
        assert len(answer) == 24
    finally:
        process.terminate()
        process.wait(30)


def test_run_prometheus_without_samples_is_one_sentence(home: Paths) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "telemetry.system", "--home", str(home.home)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "holds no samples" in done.stderr
    assert "Traceback" not in done.stderr


def test_backfill_without_samples_is_named(home: Paths) -> None:
    with pytest.raises(StateError, match="holds no samples"):
        backfilled(home)


def test_backfill_without_the_tool_is_named(home: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    SeriesStore(home).append(samples(3))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StateError, match="promtool is not installed"):
        create_blocks(SeriesStore(home), home.system)
    with pytest.raises(StateError, match="prometheus is not installed"):
        command(home.system)
