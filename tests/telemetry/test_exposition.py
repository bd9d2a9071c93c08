"""What this process says of itself, read back by an independent parser and by the embedded series."""

import asyncio
import datetime as dt
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from telemetry.system.embedded import EmbeddedSystemMetrics
from telemetry.system.exposition import Exposition, Measured, Message, OwnSampler, Receive, Send, memory_ratio
from telemetry.system.series import SeriesStore
from workspace.clock import FrozenClock
from workspace.columns import Sample
from workspace.paths import Paths

NOW = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)


def in_a_thread(work: Coroutine[Any, Any, Any]) -> Any:
    """Run it on a loop of its own: a browser of other tests may hold one in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def read(exposition: Exposition) -> dict[tuple[str, str], float]:
    """The figures by name and by code or bound."""
    text, content_type = exposition.render()
    assert content_type.startswith("text/plain")
    return {
        (one.name, one.labels.get("code", one.labels.get("le", ""))): one.value
        for family in text_string_to_metric_families(text.decode())
        for one in family.samples
    }


def until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_exposition_counts_by_code_and_bucket() -> None:
    own = Exposition(sessions=lambda: 3)
    for code, seconds in ((200, 0.2), (200, 1.0), (404, 1.001), (503, 9.0)):
        own.observe(code, seconds)
    found = read(own)
    assert [found["recommendr_requests_total", code] for code in ("200", "404", "503")] == [2, 1, 1]
    # One second exactly is within the limit.
    assert found["recommendr_request_duration_seconds_bucket", "1.0"] == 2
    assert found["recommendr_request_duration_seconds_bucket", "2.5"] == 3
    assert found["recommendr_request_duration_seconds_bucket", "+Inf"] == 4
    assert found["recommendr_request_duration_seconds_count", ""] == 4
    assert found["recommendr_request_duration_seconds_sum", ""] == pytest.approx(11.201)
    assert found["recommendr_active_sessions", ""] == 3
    assert found["recommendr_up", ""] == 1
    assert 0 <= found["recommendr_cpu_ratio", ""] <= 1
    assert 0 < found["recommendr_memory_ratio", ""] < 1


def test_sample_is_the_same_as_a_row() -> None:
    own = Exposition(sessions=lambda: 2)
    for code, seconds in ((200, 0.2), (500, 2.0)):
        own.observe(code, seconds)
    row = own.sample(FrozenClock(NOW)).iloc[0]
    assert tuple(row.index) == Sample.ALL
    assert (row[Sample.TS], row[Sample.SERVICE], row[Sample.REGION]) == (NOW, "console", "local")
    assert (row[Sample.REQUESTS], row[Sample.ERRORS], row[Sample.LATENCY_SUM]) == (2, 1, pytest.approx(2.2))
    assert row[list(Sample.BUCKETS)].tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2]
    assert (row[Sample.UP], row[Sample.ACTIVE_SESSIONS]) == (1, 2)


def test_sample_before_the_first_request_is_all_zero() -> None:
    row = Exposition().sample().iloc[0]
    assert row[[Sample.REQUESTS, Sample.ERRORS, Sample.LATENCY_SUM, *Sample.BUCKETS]].eq(0).all()


def test_cpu_ratio_is_that_since_the_last_sample() -> None:
    own = Exposition()
    own.sample()
    end = time.process_time() + 0.2
    before = time.monotonic()
    while time.process_time() < end:
        pass
    busy = own.sample()[Sample.CPU].item()
    elapsed = time.monotonic() - before

    assert busy == pytest.approx(0.2 / elapsed / (os.cpu_count() or 1), rel=0.25)


def test_memory_ratio_grows_with_what_is_held() -> None:
    before = memory_ratio()
    held = bytearray(200 << 20)
    assert memory_ratio() > before
    assert held


def call(app: Any, scope: Message) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    in_a_thread(app(scope, receive, send))
    return sent


async def answering(scope: Message, _receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/broken":
        raise RuntimeError("broken")
    await send({"type": "http.response.start", "status": 404 if scope["path"] == "/none" else 200, "headers": []})
    await send({"type": "http.response.body", "body": b"x"})


def test_measured_counts_requests_and_hands_on() -> None:
    own = Exposition()
    app = Measured(answering, exposition=own)
    assert [one["type"] for one in call(app, {"type": "http", "path": "/"})] == [
        "http.response.start",
        "http.response.body",
    ]
    call(app, {"type": "http", "path": "/none"})
    with pytest.raises(RuntimeError, match="broken"):
        call(app, {"type": "http", "path": "/broken"})
    # Neither sockets nor scrapes of itself are requests.
    call(app, {"type": "websocket", "path": "/"})
    call(app, {"type": "http", "path": "/metrics"})
    found = read(own)
    assert [found["recommendr_requests_total", code] for code in ("200", "404", "500")] == [1, 1, 1]
    assert found["recommendr_request_duration_seconds_count", ""] == 3


def test_measured_is_cheap() -> None:
    own = Exposition()
    app = Measured(answering, exposition=own)

    async def many(chosen: Any) -> float:
        async def receive() -> Message:
            return {}

        async def send(message: Message) -> None:
            pass

        start = time.perf_counter()
        for _ in range(2_000):
            await chosen({"type": "http", "path": "/"}, receive, send)
        return time.perf_counter() - start

    plain, measured = (min(in_a_thread(many(chosen)) for _ in range(3)) for chosen in (answering, app))
    assert (measured - plain) / 2_000 < 200e-6


def test_own_sampler_stores_samples_until_it_is_stopped(home: Paths) -> None:
    own, store = Exposition(), SeriesStore(home)
    sampler = OwnSampler(store, own, every_s=0.01)
    sampler.start()
    until(lambda: sum(table.num_rows for table in store.tables()) >= 2)
    sampler.stop(20)
    kept = sum(table.num_rows for table in store.tables())
    # However many samples: at most two weeks' files.
    assert len(list((store.folder / "samples").iterdir())) <= 2
    now = dt.datetime.now(dt.UTC)
    known = EmbeddedSystemMetrics(home).known(now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
    assert (known.services, known.regions) == (("console",), ("local",))
    assert sum(table.num_rows for table in store.tables()) == kept


def test_own_sampler_survives_a_failing_store(
    home: Paths, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = SeriesStore(home)
    tried: list[int] = []

    def full(_frame: object) -> int:
        tried.append(1)
        raise OSError("no space")

    monkeypatch.setattr(store, "append", full)
    sampler = OwnSampler(store, Exposition(), every_s=0.01)
    sampler.start()
    until(lambda: len(tried) >= 3)
    sampler.stop(20)
    assert "could not be stored" in caplog.text
