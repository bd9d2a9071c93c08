"""What alert tests stand on: made-up findings, detectors that say them, and receivers that listen on this machine."""

import datetime as dt
import json
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from monitoring.alerts.rules import Known, Rules, read_rules
from monitoring.alerts.signals import Signal
from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground, opened
from monitoring.measures import Reading
from workspace.clock import FrozenClock
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

NOW = dt.datetime(2026, 5, 4, 12, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
KNOWN = Known(
    detectors={"drift.telemetry": ("ctr", "focus_s"), "outliers.users": ("*",)},
    measures=("precision_at_5", "freshness_days"),
    objectives=("latency", "errors"),
)


def finding(
    metric: str = "ctr",
    *,
    detector: str = "drift.telemetry",
    market: str = "central_asia",
    began: dt.datetime = NOW - 5 * HOUR,
    **fields: Any,
) -> Finding:
    """A finding that lasts, unless told otherwise."""
    given: dict[str, Any] = {
        "detector": detector,
        "metric": metric,
        "segment": {"market": market},
        "onset": Onset(at=began, low=began - HOUR, high=began + HOUR),
        "effect": Interval(value=-0.38, low=-0.45, high=-0.3),
        "unit": "relative",
        "severity": Severity.WARNING,
        "summary": f"{metric} fell by 38 % in {market}.",
        **fields,
    }
    return Finding(**given)


@dataclass
class Detects:
    """A detector that says what it was told, or fails."""

    name: str = "drift.telemetry"
    findings: tuple[Finding, ...] = ()
    error: Exception | None = None
    looks: int = 0
    metrics: tuple[str, ...] = ("*",)

    def look(self, ground: Ground) -> Outcome:
        self.looks += 1
        if self.error is not None:
            raise self.error
        assert ground.clock.now().tzinfo is not None
        return Outcome(detector=self.name, findings=self.findings, notes=("nothing is missing",), looked_at=3)


def signal(rule: str = "drift", identity: str = "one", **fields: Any) -> Signal:
    """An alarm."""
    given: dict[str, Any] = {
        "rule": rule,
        "identity": identity,
        "labels": {"rule": rule, "region": "DE"},
        "severity": Severity.WARNING,
        "summary": "It fell.",
        **fields,
    }
    return Signal(**given)


def reading(value: float | None, low: float | None = None, high: float | None = None, note: str = "") -> Reading:
    return Reading(value=value, low=low, high=high, n=500, unit="share", as_of=NOW, note=note)


def rules_of(*rules: Mapping[str, Any], routes: tuple[Mapping[str, Any], ...] = (), **parts: Any) -> Rules:
    """Rules from plain tables."""
    return read_rules({"rules": list(rules), "routes": list(routes), **parts}, KNOWN)


@cache
def _migrated() -> bytes:
    """A store that is up to date: made once, since every test would migrate one of its own otherwise."""
    with TemporaryDirectory() as folder:
        Store.open(Settings(home=Path(folder))).close()
        return Paths(Path(folder)).database.read_bytes()


def prepared(home: Path) -> Paths:
    """A workspace with an empty store."""
    paths = Paths(home).ensure()
    if not paths.database.exists():
        paths.database.write_bytes(_migrated())
    return paths


@contextmanager
def stored(home: Path) -> Iterator[Store]:
    """The empty store of a workspace."""
    store = Store.open(Settings(home=prepared(home).home))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def grounded(home: Path, clock: FrozenClock | None = None) -> Iterator[Ground]:
    """The ground of an empty workspace."""
    prepared(home)
    with opened(Settings(home=home), clock or FrozenClock(NOW)) as ground:
        yield ground


@dataclass
class Receiver:
    """A webhook on this machine: remembers what it got; ``codes`` are its next answers, then 200."""

    url: str = ""
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    hang: threading.Event = field(default_factory=threading.Event)
    dribbles: bool = False
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def documents(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.got]


@contextmanager
def receiving(*, hangs: bool = False, dribbles: bool = False) -> Iterator[Receiver]:
    """Listen on a port of this machine while the block runs; a receiver that hangs is let go at its end."""
    receiver = Receiver(dribbles=dribbles)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.came.set()
            if receiver.dribbles:
                self._dribble()
                return
            if hangs and receiver.hang.wait(30):
                return
            receiver.got.append((dict(self.headers.items()), body))
            self.send_response(receiver.codes.pop(0) if receiver.codes else 200)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def _dribble(self) -> None:
            """A byte now and then keeps every time-out of a socket from ever ending."""
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            while not receiver.hang.wait(0.05):
                try:
                    self.wfile.write(b"x")
                    self.wfile.flush()
                except OSError:
                    return

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = False
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield receiver
    finally:
        receiver.hang.set()
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mailbox:
    """A mail server on this machine, as far as RFC 5321 is needed."""

    port: int = 0
    mails: list[str] = field(default_factory=list)
    refuses: bool = False
    words: list[str] = field(default_factory=list)


@contextmanager
def mail_server() -> Iterator[Mailbox]:
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline().strip():
                word = line[:4].upper()
                box.words.append(line.decode())
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    lines = []
                    while (text := self.rfile.readline()) != b".\r\n":
                        lines.append(text.decode())
                    box.mails.append("".join(lines))
                    self.wfile.write(b"250 taken\r\n")
                elif word == b"RCPT" and box.refuses:
                    self.wfile.write(b"550 nobody of that name\r\n")
                elif word == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                else:
                    self.wfile.write(b"250 fine\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    box.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield box
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
