"""Canonical SQL: Snowflake's dialect, `:name` for values, told to each engine in its own words."""

import datetime as dt
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import sqlglot
from sqlglot import exp

from telemetry.warehouse.tables import REGIONS, TABLES
from workspace.errors import InvalidValueError

Value = str | int | float | dt.date | dt.datetime

_PLACEHOLDER: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)\b")
_BOUND: Final = re.compile(r"\$([a-z_][a-z0-9_]*)\b")
_TABLE: Final = re.compile(rf"\b({'|'.join([table.name for table in TABLES] + [REGIONS])})\b")


@lru_cache(maxsize=512)
def to_duckdb(sql: str) -> str:
    """Translate canonical SQL for DuckDB, once for each text.

    Example:
        >>> to_duckdb("SELECT IFF(a > :least, 1, 0) AS b FROM EVENTS")
        'SELECT CASE WHEN a > $least THEN 1 ELSE 0 END AS b FROM EVENTS'
    """
    return sqlglot.transpile(sql, read="snowflake", write="duckdb")[0]


@lru_cache(maxsize=64)
def apart(text: str, step: str) -> tuple[str, str]:
    """Take one step out of a statement of DuckDB's: what computes it, and the statement that reads it as a table.

    Args:
        text: As `to_duckdb` gave it, beginning with WITH.
        step: Name of the step.

    Raises:
        InvalidValueError: When the statement has no such step.

    Example:
        >>> apart("WITH a AS (SELECT $k AS x), b AS (SELECT x FROM a) SELECT x FROM b", "b")
        ('WITH a AS (SELECT $k AS x) SELECT x FROM a', 'WITH a AS (SELECT $k AS x) SELECT x FROM b')
    """
    statement = sqlglot.parse_one(text, read="duckdb")
    steps = {one.alias: one for one in statement.find_all(exp.CTE)}
    if step not in steps:
        raise InvalidValueError(f"step == {step!r}", f"must be one of {', '.join(steps) or 'none'}")
    before = list(steps)[: list(steps).index(step)]
    first = steps[step].this.sql(dialect="duckdb")
    if before:
        first = f"WITH {', '.join(steps[name].sql(dialect='duckdb') for name in before)} {first}"
    steps[step].pop()
    return first, statement.sql(dialect="duckdb")


@lru_cache(maxsize=512)
def bound_in(text: str) -> frozenset[str]:
    """Return the values a statement of DuckDB's asks for.

    Example:
        >>> sorted(bound_in("SELECT $a + $b"))
        ['a', 'b']
    """
    return frozenset(_BOUND.findall(text))


@lru_cache(maxsize=512)
def names_in(sql: str) -> frozenset[str]:
    """Return the values a statement asks for.

    Example:
        >>> sorted(names_in("SELECT :a + :b"))
        ['a', 'b']
    """
    return frozenset(_PLACEHOLDER.findall(sql))


@lru_cache(maxsize=512)
def tables_in(sql: str) -> frozenset[str]:
    """Return the tables a statement reads.

    Example:
        >>> sorted(tables_in("SELECT 1 FROM EVENTS JOIN REGIONS"))
        ['EVENTS', 'REGIONS']
    """
    return frozenset(_TABLE.findall(sql))


def with_literals(sql: str, parameters: Mapping[str, Value]) -> str:
    r"""Put the values into a statement for an engine that can't be handed them beside it.

    Example:
        >>> with_literals("SELECT :a", {"a": "O'Neill\\"})
        "SELECT 'O''Neill\\\\'"
    """
    return _PLACEHOLDER.sub(lambda found: literal(parameters[found[1]]), sql)


def literal(value: Value) -> str:
    """Return a value as Snowflake reads it; backslashes escape there too.

    Raises:
        InvalidValueError: When it is of a kind no query has.

    Example:
        >>> import datetime as dt
        >>> literal(dt.date(2026, 1, 31))
        "CAST('2026-01-31' AS DATE)"
    """
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace("'", "''")
        return f"'{escaped}'"
    if isinstance(value, dt.datetime):
        return f"CAST('{value.replace(tzinfo=None).isoformat(sep=' ')}' AS TIMESTAMP)"
    if isinstance(value, dt.date):
        return f"CAST('{value.isoformat()}' AS DATE)"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    raise InvalidValueError(f"a query value of type {type(value).__name__}", "must be text, a number or a moment")
