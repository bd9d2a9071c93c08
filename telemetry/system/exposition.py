"""What this process says of itself: to a Prometheus that scrapes it, and to the embedded series.

exposition = Exposition(service="console")
Middleware(Measured, exposition=exposition)     # counts and times every request of the app
Route("/metrics", …exposition.render()…)        # what Prometheus scrapes
OwnSampler(SeriesStore(paths), exposition)      # the same, once a minute, for the embedded series
"""

import logging
import os
import threading
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pandas as pd
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from telemetry.system import names
from telemetry.system.questions import BOUNDS_S
from telemetry.system.series import SeriesStore
from workspace.clock import Clock, SystemClock
from workspace.columns import Sample
from workspace.errors import RecommendrError

METRICS_PATH: Final = "/metrics"
OWN_REGION: Final = "local"
SAMPLE_EVERY_S: Final = 60.0
_FAILED: Final = 500
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_STATM: Final = Path("/proc/self/statm")
_MEMORY_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")
_log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]


class Exposition:
    """Counts and times the requests of one process. Safe to share between threads.

    Args:
        service: What this process is.
        region: Where it is.
        sessions: Says how many sessions are active; None says 0.

    Example:
        >>> own = Exposition()
        >>> own.observe(200, 0.25)
        >>> b'recommendr_requests_total{code="200",region="local",service="console"} 1.0' in own.render()[0]
        True
    """

    def __init__(
        self, service: str = "console", region: str = OWN_REGION, sessions: Callable[[], int] | None = None
    ) -> None:
        self.service: Final = service
        self.region: Final = region
        self.registry: Final = CollectorRegistry()
        self._sessions = sessions or int
        self._labels = {names.SERVICE: service, names.REGION: region}
        labels = (names.SERVICE, names.REGION)
        self._requests = Counter(names.REQUESTS, "Requests by code.", (*labels, names.CODE), registry=self.registry)
        self._duration = Histogram(
            names.DURATION, "Seconds a request took.", labels, buckets=BOUNDS_S, registry=self.registry
        ).labels(**self._labels)
        self._gauges = {
            name: Gauge(name, meaning, labels, registry=self.registry).labels(**self._labels)
            for name, meaning in (
                (names.CPU, "Share of the processors in use by this process."),
                (names.MEMORY, "Share of the memory in use by this process."),
                (names.UP, "1 while the service is up."),
                (names.ACTIVE_SESSIONS, "Active sessions."),
            )
        }
        self._codes: dict[int, Counter] = {}
        self._rendered, self._sampled = _Usage(), _Usage()

    def observe(self, code: int, seconds: float) -> None:
        """Count one request.

        Args:
            code: HTTP status.
            seconds: How long it took.
        """
        counter = self._codes.get(code)
        if counter is None:
            counter = self._codes[code] = self._requests.labels(**self._labels, **{names.CODE: str(code)})
        counter.inc()
        self._duration.observe(seconds)

    def render(self) -> tuple[bytes, str]:
        """Return the metrics as text, and its content type."""
        self._gauges[names.CPU].set(self._rendered.cpu_ratio())
        self._gauges[names.MEMORY].set(memory_ratio())
        self._gauges[names.UP].set(1)
        self._gauges[names.ACTIVE_SESSIONS].set(self._sessions())
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def sample(self, clock: Clock | None = None) -> pd.DataFrame:
        """Return one row of `Sample.ALL`: the counters as they stand, the gauges since the last sample."""
        read = [one for metric in self.registry.collect() for one in metric.samples]
        requests = {int(one.labels[names.CODE]): one.value for one in read if one.name == names.REQUESTS_TOTAL}
        counts = [one.value for one in read if one.name == names.BUCKET]
        row: dict[str, Any] = {
            Sample.TS: (clock or SystemClock()).now(),
            Sample.SERVICE: self.service,
            Sample.REGION: self.region,
            Sample.REQUESTS: sum(requests.values()),
            Sample.ERRORS: sum(count for code, count in requests.items() if code >= _FAILED),
            Sample.LATENCY_SUM: next(one.value for one in read if one.name == names.SUM),
            **dict(zip(Sample.BUCKETS, counts, strict=True)),
            Sample.CPU: self._sampled.cpu_ratio(),
            Sample.MEMORY: memory_ratio(),
            Sample.UP: 1.0,
            Sample.ACTIVE_SESSIONS: float(self._sessions()),
        }
        return pd.DataFrame([row])


class Measured:
    """ASGI middleware that counts and times the requests of HTTP; scrapes of itself are left out.

    Args:
        app: What answers.
        exposition: Where they are counted.
    """

    def __init__(self, app: AsgiApp, exposition: Exposition) -> None:
        self._app = app
        self._exposition = exposition

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand on, and take the time until the answer is complete."""
        if scope["type"] != "http" or scope.get("path") == METRICS_PATH:
            await self._app(scope, receive, send)
            return
        # Whoever breaks off before the answer begins was not served.
        code, start = _FAILED, time.perf_counter()

        async def noted(message: Message) -> None:
            nonlocal code
            if message["type"] == "http.response.start":
                code = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except BaseException:
            code = _FAILED
            raise
        finally:
            self._exposition.observe(code, time.perf_counter() - start)


class OwnSampler:
    """Adds a sample of this process to the embedded series every minute, on a thread of its own.

    Args:
        store: Where the samples go.
        exposition: What is sampled.
        every_s: Seconds between two samples.
    """

    def __init__(self, store: SeriesStore, exposition: Exposition, *, every_s: float = SAMPLE_EVERY_S) -> None:
        self._store = store
        self._exposition = exposition
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="own-sampler", daemon=True)

    def start(self) -> None:
        """Begin; once only."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after one last sample."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            ended = self._stopped.wait(self._every_s)
            try:
                self._store.append(self._exposition.sample())
            except (RecommendrError, OSError, ValueError):
                # A full disk or a damaged file must not end the measuring for good.
                _log.warning("the own metrics could not be stored", exc_info=True)
            if ended:
                return


class _Usage:
    """Share of the processors this process used since the last look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = (time.monotonic(), time.process_time())

    def cpu_ratio(self) -> float:
        with self._lock:
            (wall, used), self._last = self._last, (time.monotonic(), time.process_time())
            elapsed = self._last[0] - wall
            busy = self._last[1] - used
        return min(1.0, busy / elapsed / (os.cpu_count() or 1)) if elapsed > 0 else 0.0


def memory_ratio() -> float:
    """Return the share of the memory this process may use that it does use."""
    limit = os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES
    # No control group, or one without a limit ("max"): then all there is.
    with suppress(OSError, ValueError):
        limit = min(limit, int(_MEMORY_LIMIT.read_text(encoding="ascii")))
    resident = int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    return min(1.0, resident / limit)
