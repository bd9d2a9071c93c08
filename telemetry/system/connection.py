"""Requests to Prometheus that end: in time, within bounds, or with a named error."""

import io
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NoReturn, Self
from urllib.parse import urlsplit, urlunsplit

import requests
from prometheus_api_client import PrometheusConnect
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util.retry import Retry

from workspace.errors import InvalidValueError, UnreachableError

_ATTEMPTS: Final = 2
_PAUSE_S: Final = 0.2
_PASSING: Final = frozenset({502, 503, 504})
_CHUNK_BYTES: Final = 1 << 16
_MOST_BYTES: Final = 256 << 20
_SHOWN: Final = 200
_OK: Final = 200
_HINT: Final = "check RECOMMENDR_PROMETHEUS_URL and that Prometheus is up; unset it for the embedded series"


class Questioner:
    """Asks one Prometheus, all requests of one question within one span of time.

    Args:
        url: Where it is; may hold a user and password, which are never repeated.
        timeout_s: Seconds until the question is given up.

    Raises:
        InvalidValueError: When the URL is none.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self.shown: Final = shown_url(url)
        self._timeout_s = timeout_s
        self._session = _BoundedSession(time.monotonic() + timeout_s)
        # Its own retries know no deadline: ours do. A read given up shall say so, not that retries were used up.
        once = Retry(0, read=False)
        self._prometheus = PrometheusConnect(url.rstrip("/"), session=self._session, retry=once, timeout=timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def instant(self, query: str, at_s: float) -> list[dict[str, Any]]:
        """Return the series of an instant query, each with its ``metric`` and ``value``.

        Raises:
            UnreachableError: When there is no answer in time, or none that can be meant.
        """
        return self._ask("query", query, {"time": at_s})

    def over_time(self, query: str, start_s: int, end_s: int, step_s: int) -> list[dict[str, Any]]:
        """Return the series of a range query, each with its ``metric`` and ``values``.

        Raises:
            UnreachableError: When there is no answer in time, or none that can be meant.
        """
        return self._ask("query_range", query, {"start": start_s, "end": end_s, "step": step_s})

    def _ask(self, kind: str, query: str, span: Mapping[str, float]) -> list[dict[str, Any]]:
        # Prometheus stops working on it as well, not only we stop waiting.
        params = {**span, "timeout": f"{max(1, math.ceil(self._session.left_s() * 1000))}ms"}
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return _series_of(self._send(kind, query, params))
            except (requests.ConnectionError, _PassingError) as error:
                # Gone for a moment, as in a restart: once more, if there is time.
                if attempt == _ATTEMPTS or isinstance(error, requests.Timeout) or self._session.left_s() <= _PAUSE_S:
                    self._refuse(error)
                time.sleep(_PAUSE_S)
            except (requests.JSONDecodeError, LookupError, TypeError, AttributeError, RecursionError) as error:
                self._refuse(_NonsenseError("answered what is no result of a query"), error)
            except (requests.RequestException, HTTPError, _NonsenseError) as error:
                self._refuse(error)
        raise AssertionError("unreachable")  # pragma: no cover - every attempt returns or raises

    def _send(self, kind: str, query: str, params: dict[str, Any]) -> object:
        if kind == "query":
            return self._prometheus.custom_query(query, params=params)
        start, end = (datetime.fromtimestamp(params[name], UTC) for name in ("start", "end"))
        more = {"timeout": params["timeout"]}
        return self._prometheus.custom_query_range(query, start, end, str(params["step"]), params=more)

    def _refuse(self, error: Exception, cause: Exception | None = None) -> NoReturn:
        if isinstance(error, requests.Timeout):
            said = f"did not answer within {self._timeout_s:g} s"
        elif isinstance(error, _NonsenseError | _PassingError):
            said = str(error)
        elif isinstance(error, requests.ConnectionError):
            said = "can't be reached"
        else:
            said = f"broke off its answer ({type(error).__name__})"
        hint = _HINT
        if isinstance(error, requests.Timeout):
            hint = "ask for a shorter time or a longer step, or raise RECOMMENDR_PROMETHEUS_TIMEOUT_S"
        raise UnreachableError(f"Prometheus at {self.shown} {said}", hint=hint) from (cause or error)


def shown_url(url: str) -> str:
    """Return a URL without user, password, query and fragment.

    Raises:
        InvalidValueError: When it is no URL of HTTP.

    Example:
        >>> shown_url("https://me:secret@metrics.example:9090/prom?token=1")
        'https://metrics.example:9090/prom'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not host:
        # The text is not repeated: it may hold a password.
        raise InvalidValueError("prometheus_url is no URL", "must be like http://host:9090")
    place = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, place if port is None else f"{place}:{port}", parts.path.rstrip("/"), "", ""))


class _NonsenseError(Exception):
    """It answered, but not with the result of a query."""


class _PassingError(Exception):
    """It answered that it can't just now."""


class _BoundedSession(requests.Session):
    """Reads every answer to its end before the deadline: the timeout of `requests` is between two bytes only."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def left_s(self) -> float:
        """Return the seconds until the deadline."""
        return self._deadline - time.monotonic()

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # noqa: ANN401 - as it is
        """Send, and read the whole answer."""
        options |= {"stream": True, "timeout": self._checked_left(request)}
        with super().send(request, **options) as response:
            try:
                body = self._read(response)
            except ReadTimeoutError as error:
                raise requests.ReadTimeout(request=request) from error
        whole = requests.Response()
        whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
        whole.raw, whole.encoding = io.BytesIO(body), "utf-8"
        if whole.status_code in _PASSING:
            raise _PassingError(f"answered HTTP {whole.status_code}")
        if whole.status_code != _OK:
            raise _NonsenseError(f"answered HTTP {whole.status_code}{_said(whole)}")
        return whole

    def _read(self, response: requests.Response) -> bytes:
        body = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            self._checked_left(response.request)
            if len(body) > _MOST_BYTES:
                raise _NonsenseError(f"answered with more than {_MOST_BYTES >> 20} MiB")
        return bytes(body)

    def _checked_left(self, request: requests.PreparedRequest) -> float:
        left = self.left_s()
        if left <= 0:
            raise requests.ReadTimeout(request=request)
        return left


def _said(response: requests.Response) -> str:
    """Return what Prometheus says of its refusal; pages of others are not repeated."""
    try:
        said = str(response.json()["error"])
    except (ValueError, LookupError, TypeError):
        return ""
    return f": {said[:_SHOWN]}"


def _series_of(answer: object) -> list[dict[str, Any]]:
    if not isinstance(answer, list) or not all(isinstance(one, dict) and "metric" in one for one in answer):
        raise _NonsenseError("answered JSON that is no result of a query")
    return answer
