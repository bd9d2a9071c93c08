"""Questions put to a Prometheus that is slow, gone, talks nonsense or repeats itself; and what is asked of it."""

import datetime as dt
import json
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from telemetry.system import open_system_metrics
from telemetry.system.connection import shown_url
from telemetry.system.prometheus import CHUNK_POINTS, PrometheusSystemMetrics, query_of
from telemetry.system.questions import Kind, asked
from workspace.errors import InvalidValueError, UnreachableError
from workspace.settings import Settings

START = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
ORIGIN = int(START.timestamp())
Answer = Callable[["Server", dict[str, str]], tuple[int, bytes]]


class Server:
    """A loopback server that answers every request as it is told."""

    def __init__(self) -> None:
        self.answer: Answer = lambda _server, _asked: (200, b"")
        self.asked: list[dict[str, str]] = []
        self.stopped = threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(BrokenPipeError, ConnectionResetError):  # who asked may have given up
                    self.reply()

            def reply(self) -> None:
                asked = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                outer.asked.append(asked)
                code, body = outer.answer(outer, asked)
                if code == 0:  # says how much comes, and breaks off
                    self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 1000\r\n\r\n" + body)
                    return
                if code == 1:  # drips
                    self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
                    while not outer.stopped.wait(0.02):
                        self.wfile.write(body)
                    return
                self.send_response(code)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,))
        self.thread.start()

    def close(self) -> None:
        self.stopped.set()
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


def metrics(server: Server, timeout_s: float = 5) -> PrometheusSystemMetrics:
    return PrometheusSystemMetrics(f"http://me:hunter2@127.0.0.1:{server.port}", timeout_s)


def result(*series: dict[str, Any]) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": list(series)}}).encode()


def one(values: list[Any], service: str = "bff") -> dict[str, Any]:
    return {"metric": {"service": service, "region": "US"}, "values": values}


def scope(**changes: Any) -> Any:
    return {"start": START, "end": START + 3 * HOUR, "step": HOUR} | changes


NONSENSE = [
    (200, b"<html><body>Welcome to nginx!</body></html>", "no result of a query"),
    (200, b"", "no result of a query"),
    (200, b'{"status": "success", "data": {"result": [{"metr', "no result of a query"),
    (200, b"null", "no result of a query"),
    (200, b'{"data": {"result": {"a": 1}}}', "no result of a query"),
    (200, b'{"data": {"result": [1, 2]}}', "no result of a query"),
    (200, b"[" * 100_000, "no result of a query"),
    (200, result({"metric": {}}), "without readable values"),
    (200, result(one([[ORIGIN, "much"]])), "without readable values"),
    (200, result(one([[ORIGIN]])), "without readable values"),
    (200, result(one([[ORIGIN, {"a": 1}]])), "without readable values"),
    (400, b'{"status":"error","errorType":"bad_data","error":"exceeded maximum resolution"}', "HTTP 400: exceeded"),
    (422, b"<html>", r"HTTP 422\."),
    (500, b"boom", r"HTTP 500\."),
    (503, b"not yet", r"HTTP 503\."),
    (0, b'{"status"', "broke off|no result"),
]


@pytest.mark.parametrize(("code", "body", "said"), NONSENSE)
def test_prometheus_that_answers_nonsense_is_named_without_its_password(
    server: Server, code: int, body: bytes, said: str
) -> None:
    server.answer = lambda _server, _asked: (code, body)
    with pytest.raises(UnreachableError, match=said) as raised:
        metrics(server).cpu(**scope())
    text = str(raised.value)
    assert f"Prometheus at http://127.0.0.1:{server.port} " in text
    assert "Hint: check" in text
    assert "hunter2" not in text + repr(raised.value.__cause__)
    assert "nginx" not in text


def test_prometheus_that_never_answers_is_given_up_in_time(server: Server) -> None:
    server.answer = lambda outer, _asked: (200 if outer.stopped.wait(30) else 500, b"")
    before = time.monotonic()
    with pytest.raises(UnreachableError, match=r"did not answer within 0\.3 s.*TIMEOUT_S"):
        metrics(server, 0.3).cpu(**scope())
    assert time.monotonic() - before < 3
    assert len(server.asked) == 1


def test_prometheus_that_drips_is_given_up_in_time(server: Server) -> None:
    server.answer = lambda _server, _asked: (1, b" ")
    before = time.monotonic()
    with pytest.raises(UnreachableError, match=r"did not answer within 0\.5 s"):
        metrics(server, 0.5).cpu(**scope())
    assert time.monotonic() - before < 3


def test_prometheus_that_is_gone_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UnreachableError, match=f"{url} can't be reached"):
            PrometheusSystemMetrics(url, 2).cpu(**scope())


def test_prometheus_that_restarts_is_asked_once_more(server: Server) -> None:
    server.answer = lambda outer, _asked: (503, b"") if len(outer.asked) == 1 else (200, result())
    assert metrics(server).cpu(**scope()).empty
    assert len(server.asked) == 2


def test_prometheus_is_told_how_long_it_may_work(server: Server) -> None:
    server.answer = lambda _server, _asked: (200, result())
    metrics(server, 5).cpu(**scope())
    assert 4_000 < int(server.asked[0]["timeout"].removesuffix("ms")) <= 5_000


def test_answer_is_whole_and_not_a_number_is_not_known(server: Server) -> None:
    server.answer = lambda _server, _asked: (
        200,
        result(
            one([[ORIGIN + 3600, "0.5"], [ORIGIN + 3 * 3600, "NaN"], [ORIGIN + 9 * 3600, "7"], ["NaN", "1"]]),
            one([[ORIGIN + 3600, "+Inf"], [ORIGIN + 3601, "3"]], service="never"),
        ),
    )
    answer = metrics(server).cpu(**scope())
    assert answer["service"].tolist() == ["bff"] * 3
    assert answer["value"].tolist()[:1] == [0.5]
    assert [math.isnan(value) for value in answer["value"]] == [False, True, True]


def test_long_ranges_are_asked_in_chunks_whose_edges_count_once(server: Server) -> None:
    def answer(_server: Server, asked: dict[str, str]) -> tuple[int, bytes]:
        start, end, step = (int(float(asked[name])) for name in ("start", "end", "step"))
        assert (end - start) // step + 1 <= 11_000
        # Prometheus gives both edges of a range; this one adds the sample after it as well.
        return 200, result(one([[at, str(at)] for at in range(start, end + 2 * step, step)]))

    server.answer = answer
    length = dt.timedelta(minutes=2 * CHUNK_POINTS - 5)
    found = metrics(server, 30).active_sessions(**scope(end=START + length, step=dt.timedelta(minutes=1)))
    assert len(server.asked) == 2
    assert len(found) == 2 * CHUNK_POINTS - 5
    assert found["value"].tolist() == [ORIGIN + 60.0 * (place + 1) for place in range(len(found))]


def test_known_of_a_prometheus_without_our_series_is_empty(server: Server) -> None:
    server.answer = lambda _server, _asked: (200, result())
    assert metrics(server).known(START, START + HOUR).last is None


def test_known_of_nonsense_is_named(server: Server) -> None:
    server.answer = lambda _server, _asked: (200, result({"metric": {}, "value": ["x"]}))
    with pytest.raises(UnreachableError, match="without readable values"):
        metrics(server).known(START, START + HOUR)


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://host", "http://", "http://[::1", "http://host:port", ""])
def test_what_is_no_url_is_named_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidValueError, match="prometheus_url is no URL, must be like"):
        PrometheusSystemMetrics(url, 1)


def test_shown_url_has_no_credentials() -> None:
    assert shown_url("http://me:pw@[::1]:9090/?token=x#y") == "http://[::1]:9090"


def test_timeout_outside_its_limits_is_named() -> None:
    with pytest.raises(InvalidValueError, match="prometheus_timeout_s"):
        PrometheusSystemMetrics("http://host", 0)


def test_settings_choose_prometheus() -> None:
    chosen = open_system_metrics(Settings(prometheus_url="http://me:pw@host:1/"))
    assert chosen.name == "Prometheus at http://host:1"


def test_names_can_not_leave_their_place_in_the_query() -> None:
    question = asked(Kind.CPU, scope(services=['a"} or up{x="', "b.c|d\\"]))
    # As a literal of PromQL, then as a regular expression.
    assert query_of(question) == (
        "avg by (service, region) (avg_over_time(recommendr_cpu_ratio"
        r'{service=~"a\"\\} or up\\{x=\"|b\\.c\\|d\\\\"}[3600s]))'
    )


def test_queries_take_the_window_of_the_question() -> None:
    narrow = asked(Kind.REQUEST_RATE, scope(step=dt.timedelta(minutes=1), by=()))
    assert query_of(narrow) == "sum by () (rate(recommendr_requests_total[600s]))"
    good = asked(Kind.WITHIN_LATENCY, scope(by=("region",)), limit_s=1.0)
    assert query_of(good) == (
        r'sum by (region) (rate(recommendr_request_duration_seconds_bucket{le=~"1(\\.0)?"}[3600s]))'
        " / sum by (region) (rate(recommendr_request_duration_seconds_count[3600s]))"
    )
