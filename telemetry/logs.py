"""Questions about the logs: the lines of this installation and of whatever else was put beside them.

Every ``*.jsonl`` of the folder of logs is read, rotated files among them. A line that is no JSON object is counted and
passed over: a log is often cut off in the middle.
"""

import datetime as dt
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from workspace.checks import check_scalar
from workspace.columns import LogLine
from workspace.errors import InvalidValueError, StateError
from workspace.paths import Paths

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
REST: Final = "rest"
"""Column of everything a line says beside `LogLine.ALL`, as JSON."""
MOST_LINES: Final = 10_000
_LONGEST_TEXT: Final = 500
_LONGEST_LINE_BYTES: Final = 32 << 20
_ATTEMPTS: Final = 3
_MEMORY: Final = "512MB"
_NUMBERS: Final = (LogLine.DURATION_MS,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQuestion:
    """Which lines are wanted; what is left out is not asked for.

    Args:
        start: First moment, aware.
        end: Moment before which they were written, aware.
        services: Who wrote them.
        levels: Of `LEVELS`.
        text: Must be in the line, in capitals or not.
        transaction_id: What they belong to.
        limit: How many at most, the newest.

    Raises:
        InvalidValueError: When a value is outside its limits.

    Example:
        >>> LogQuestion(levels=("ERROR",)).limit
        200
    """

    start: dt.datetime | None = None
    end: dt.datetime | None = None
    services: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    text: str = ""
    transaction_id: str | None = None
    limit: int = 200

    def __post_init__(self) -> None:
        for name, moment in (("start", self.start), ("end", self.end)):
            if moment is not None and moment.tzinfo is None:
                raise InvalidValueError(f"{name} == {moment}", "must be an aware datetime", "pass tzinfo=datetime.UTC")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise InvalidValueError(f"start == {self.start.isoformat()}", f"must be before {self.end.isoformat()}")
        for level in self.levels:
            if level not in LEVELS:
                raise InvalidValueError(f"level == {level!r}", f"must be of {', '.join(LEVELS)}")
        if len(self.text) > _LONGEST_TEXT:
            raise InvalidValueError(f"text has {len(self.text)} characters", f"must have at most {_LONGEST_TEXT}")
        check_scalar(self.limit, "limit", ge=1, le=MOST_LINES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAnswer:
    """The lines found.

    Args:
        lines: Columns `LogLine.ALL` and `REST`, newest first; ``ts`` in UTC, ``duration_ms`` a number, the rest text
            or None.
        matched: How many lines matched; more than there are in ``lines`` when the limit cut them off.
        malformed: How many lines of the files read are no JSON object.
        files: How many files were read.
    """

    lines: pd.DataFrame
    matched: int
    malformed: int
    files: int

    def to_dict(self) -> dict[str, Any]:
        """Return the lines and counts as plain data."""
        lines = []
        for line in self.lines.to_dict("records"):
            shown = {name: None if _absent(value) else value for name, value in line.items()}
            shown[LogLine.TS] = line[LogLine.TS].isoformat()
            shown[REST] = json.loads(line[REST])
            lines.append(shown)
        return {"lines": lines, "matched": self.matched, "malformed": self.malformed, "files": self.files}


def query_logs(paths: Paths, question: LogQuestion) -> pd.DataFrame:
    """Return the lines found, newest first; `search_logs` also counts what it passed over."""
    return search_logs(paths, question).lines


def search_logs(paths: Paths, question: LogQuestion) -> LogAnswer:
    """Return the lines found, newest first, with what was passed over.

    Args:
        paths: The workspace.
        question: Which lines.

    Raises:
        StateError: When the logs can't be read.
    """
    import duckdb

    sql, parameters = _query(question)
    problem: Exception | None = None
    for _ in range(_ATTEMPTS):
        files = _files(paths.logs, question.start)
        if not files:
            return LogAnswer(lines=_frame([]), matched=0, malformed=0, files=0)
        try:
            with duckdb.connect(config={"memory_limit": _MEMORY}) as connection:
                found = connection.execute(sql, {**parameters, "files": [str(path) for path in files]}).fetchone()
        except duckdb.Error as error:
            # A file may be rotated away between listing and reading.
            problem = error
            continue
        total, objects, matched, lines = found or (0, 0, 0, None)
        return LogAnswer(lines=_frame(lines or []), matched=matched, malformed=total - objects, files=len(files))
    said = str(problem).splitlines()[0]
    raise StateError(
        f"the logs in {paths.logs} can't be read: {said}", hint="look at its *.jsonl files, and move the one away"
    ) from problem


def _files(folder: Path, start: dt.datetime | None) -> list[Path]:
    """Return the files that may hold a line from a moment on."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        # What was last written to before the moment holds nothing of it.
        if status.st_size and (start is None or status.st_mtime >= start.timestamp()):
            found.append(path)
    return found


def _query(question: LogQuestion) -> tuple[str, dict[str, Any]]:
    """Return one scan that counts the lines and keeps the newest that match."""
    parameters: dict[str, Any] = {"limit": question.limit}
    unwanted = ["json IS NULL"]
    if question.text:
        parameters["text"] = f"(?i){_pattern((question.text,))}"
        unwanted.append("NOT regexp_matches(json::VARCHAR, $text)")
    for name, chosen in (
        (LogLine.TRANSACTION, () if question.transaction_id is None else (question.transaction_id,)),
        (LogLine.SERVICE, question.services),
        (LogLine.LEVEL, question.levels),
    ):
        if chosen:
            parameters[name], parameters[f"any_{name}"] = list(chosen), _pattern(chosen)
            # Looking for the text first spares taking most lines apart.
            unwanted.append(f"NOT regexp_matches(json::VARCHAR, $any_{name})")
            unwanted.append(f"NOT coalesce(list_contains(${name}, json->>'$.{name}'), false)")
    between = []
    for name, sign, limit in (("start", ">=", question.start), ("end", "<", question.end)):
        if limit is not None:
            parameters[name] = limit.astimezone(dt.UTC).replace(tzinfo=None)
            between.append(f"moment {sign} ${name}")
    wanted = f"FILTER ({' AND '.join(between)})" if between else ""
    # A CASE looks at its conditions in order, and no further; a conjunction looks at all.
    cases = " ".join(f"WHEN {condition} THEN NULL" for condition in unwanted)
    moment = f"CASE {cases} ELSE TRY_CAST(json->>'$.{LogLine.TS}' AS TIMESTAMP) END AS moment"
    read = f"read_ndjson_objects($files, ignore_errors = true, maximum_object_size = {_LONGEST_LINE_BYTES})"
    counts = f"count(*), count(json), count(moment) {wanted}, max_by(json::VARCHAR, moment, $limit) {wanted}"
    return f"SELECT {counts} FROM (SELECT json, {moment} FROM {read})", parameters  # noqa: S608 - values are parameters


def _pattern(texts: Sequence[str]) -> str:
    """Return a regular expression of any of the texts, as it is or as JSON may write it."""
    ways = {way for text in texts for way in (text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1])}
    return "|".join(re.escape(way) for way in sorted(ways))


def _frame(lines: Sequence[str]) -> pd.DataFrame:
    columns: dict[str, list[Any]] = {name: [] for name in (*LogLine.ALL, REST)}
    for text in lines:
        line = json.loads(text)
        for name in LogLine.ALL:
            columns[name].append(_value(name, line.pop(name, None)))
        columns[REST].append(json.dumps(line, ensure_ascii=False))
    frame = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()})
    frame[LogLine.TS] = pd.to_datetime(frame[LogLine.TS], utc=True, format="ISO8601").dt.as_unit("us")
    for name in _NUMBERS:
        frame[name] = frame[name].astype("float64")
    return frame


def _value(name: str, value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if name in _NUMBERS:
        usable = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
        return float(value) if usable else math.nan
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def _absent(value: Any) -> bool:  # noqa: ANN401 - whatever a cell holds
    return value is None or (isinstance(value, float) and math.isnan(value))
