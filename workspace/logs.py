"""Structured logs: one JSON object a line, each with its service and the ``transaction_id`` it belongs to.

No secret and no user's id reaches a line: see `workspace.redaction`.
"""

import json
import logging
import os
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from workspace.errors import InputError, InvalidValueError, StateError
from workspace.files import file_lock
from workspace.ids import new_id
from workspace.paths import Paths
from workspace.redaction import redacted, redacted_text

LOG_FILE: Final = "recommendr.jsonl"
PACKAGES: Final = (
    "workspace",
    "telemetry",
    "recommender",
    "experiments",
    "monitoring",
    "audit",
    "dashboard",
    "pages",
    "data",
)
SERVICE: Final = "console"
"""What writes the lines, unless it says otherwise."""
MAXIMUM_BYTES: Final = 16 * 1024 * 1024
KEPT_FILES: Final = 5
_LONGEST_TRANSACTION_ID: Final = 128
# What every record has; the rest was given by the caller in ``extra``.
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_log: Final = logging.getLogger(__name__)
_transaction: ContextVar[str | None] = ContextVar("recommendr_transaction", default=None)
# Lines outside any transaction carry the one of the process, so that no line is without.
_of_the_process: Final = new_id("txn")


def current_transaction() -> str:
    """Return the transaction this code runs in, or the one of the whole process."""
    return _transaction.get() or _of_the_process


@contextmanager
def transaction(transaction_id: str | None = None) -> Iterator[str]:
    """Put everything logged inside under one transaction.

    Args:
        transaction_id: The id to use; without it the surrounding transaction goes on, or a new one begins.

    Yields:
        The id.

    Raises:
        InvalidValueError: When the id is empty, longer than 128 characters or not printable.
    """
    if transaction_id is not None:
        if not 0 < len(transaction_id) <= _LONGEST_TRANSACTION_ID or not transaction_id.isprintable():
            raise InvalidValueError(
                f"transaction_id == {transaction_id[:_LONGEST_TRANSACTION_ID]!r}",
                f"must be 1 to {_LONGEST_TRANSACTION_ID} printable characters",
            )
        chosen = transaction_id
    else:
        chosen = _transaction.get() or new_id("txn")
    token = _transaction.set(chosen)
    try:
        yield chosen
    finally:
        _transaction.reset(token)


@contextmanager
def hop(service: str, **extra: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - whatever JSON can hold
    """Log one service's part in a request: one line at its end, with its duration and how it ended.

    Args:
        service: Who does the work inside, for example ``recommender``.
        extra: What else the line shall say.

    Yields:
        What the line will say besides: add to it what is known only later.
    """
    details = dict(extra)
    status, start = 200, time.perf_counter()
    try:
        yield details
    except BaseException as error:
        # As HTTP has it: what the caller asked wrongly is no failure of the service.
        status = 400 if isinstance(error, InputError) else 500
        raise
    finally:
        duration_ms = round((time.perf_counter() - start) * 1000, 3)
        _log.info("hop", extra=details | {"service": service, "duration_ms": duration_ms, "status": status})


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object, without secrets; what JSON can't hold is written as its text.

    Args:
        service: Who writes, where a record does not say.
    """

    def __init__(self, service: str = SERVICE) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": redacted_text(record.getMessage()),
            "transaction_id": current_transaction(),
            "pid": record.process,
        }
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        if isinstance(service := extra.pop("service", None), str):
            line["service"] = service
        line |= {key: redacted(value, key) for key, value in extra.items() if key not in line}
        if record.exc_info and record.exc_info[1]:
            error = record.exc_info[1]
            line["error"] = {
                "type": type(error).__name__,
                "message": redacted_text(str(error)),
                "traceback": redacted_text("".join(traceback.format_exception(error))),
            }
        return json.dumps(line, ensure_ascii=True, default=_as_text)


def _as_text(value: object) -> str:
    return redacted_text(str(value))


class JsonLinesHandler(logging.Handler):
    """Appends lines to a file that several processes share, and rotates it.

    The standard rotating handler loses lines when two processes rotate the same file. This one takes a file lock for
    each line, and opens the file again when another process has rotated it away.

    Args:
        path: The file; rotated ones are ``<stem>.1.jsonl``, ``<stem>.2.jsonl`` and so on, the oldest last.
        maximum_bytes: Size at which it is rotated.
        kept: How many rotated files are kept.

    Raises:
        StateError: When the file can't be opened.
    """

    def __init__(self, path: Path, *, maximum_bytes: int = MAXIMUM_BYTES, kept: int = KEPT_FILES) -> None:
        super().__init__()
        self._path = path
        self._maximum_bytes = maximum_bytes
        self._kept = kept
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = self._open()
        except OSError as error:
            raise StateError(
                f"the log {path} can't be written: {error.strerror}", hint="check that its folder is writable"
            ) from error

    def emit(self, record: logging.LogRecord) -> None:
        """Append one line; a failure is reported by `logging` and never reaches the caller."""
        try:
            line = f"{self.format(record)}\n".encode()
            with file_lock(self._path.with_name(f".{self._path.name}.lock")):
                self._follow()
                if os.fstat(self._descriptor).st_size + len(line) > self._maximum_bytes:
                    self._rotate()
                os.write(self._descriptor, line)
        except Exception:  # noqa: BLE001 - the contract of logging: the application goes on
            self.handleError(record)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        super().close()

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def _follow(self) -> None:
        try:
            same = os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            same = False
        if not same:
            self._reopen()

    def _reopen(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1
        self._descriptor = self._open()

    def _rotate(self) -> None:
        for number in range(self._kept, 0, -1):
            older = self._numbered(number - 1) if number > 1 else self._path
            if older.exists():
                older.replace(self._numbered(number))
        self._reopen()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.stem}.{number}{self._path.suffix}")


def configure(paths: Paths, level: str = "INFO", *, service: str = SERVICE) -> JsonLinesHandler:
    """Send the logs of this process to the workspace; a second call replaces the first.

    Args:
        paths: The workspace.
        level: Least level of our own packages; others are kept from WARNING on.
        service: What this process is: ``console``, ``cli`` or a service's own name.

    Returns:
        The handler in use.

    Raises:
        InvalidValueError: When there is no such level.
        StateError: When the log can't be written.
    """
    if level not in logging.getLevelNamesMapping():
        raise InvalidValueError(f"log_level == {level!r}", "must be DEBUG, INFO, WARNING or ERROR")
    handler = JsonLinesHandler(paths.logs / LOG_FILE)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if isinstance(known, JsonLinesHandler)]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    for package in PACKAGES:
        logging.getLogger(package).setLevel(level)
    return handler
