"""A file of one row a unit, CSV or Parquet: counted, checked and summed by DuckDB; no row leaves the engine.

Every cell that can't be used is counted under the reason; nothing is guessed, filled in or dropped in silence.
"""
# ruff: noqa: S608 - statements are made of our own names; what a file or a caller named becomes a literal by one escape

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import numpy as np

from experiments.moments import Moments
from workspace.errors import InvalidValueError, SchemaError

_GZIP: Final = b"\x1f\x8b"
_PARQUET: Final = b"PAR1"
_DELIMITERS: Final = (",", ";", "\t", "|")
_NUMBERS: Final = ("INT", "FLOAT", "DOUBLE", "DECIMAL", "BOOLEAN", "VARCHAR", "ENUM")
MOST_ARMS: Final = 100
"""A column of more different values than this holds no arms."""
MOST_REGIONS: Final = 10_000
UNREADABLE: Final = "line can't be read"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Which columns say where a row belongs.

    Args:
        variant: Column of the arm.
        region: Column of the stratum, or None.
        unit: Column of the unit's id, or None when nobody needs to know whether one is in two arms.
    """

    variant: str
    region: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """Moments of the usable rows, and how many were not.

    Args:
        moments: By arm and region; the region is the empty string when there is none.
        left_out: Rows by reason.
    """

    moments: dict[tuple[str, str], Moments]
    left_out: dict[str, int]


class UnitFile:
    """A CSV (plain or gzip) or Parquet file of one row a unit; what it is, its content says, not its name.

    Args:
        path: The file.
        roles: Which columns say where a row belongs.

    Raises:
        SchemaError: When it can't be read, or a column is missing or there twice.
        InvalidValueError: When the variant column holds no arms, or a unit has several rows in one arm.
    """

    def __init__(self, path: Path, roles: Roles) -> None:
        self.path, self.roles = path, roles
        head = _head(path)
        self._connection = duckdb.connect(config={"threads": 1})  # one thread: the same file, the same bits
        self._of_csv = head != _PARQUET
        try:
            header, source = _csv_source(path, head) if self._of_csv else (None, f"read_parquet({_path(path)})")
            described = self._connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            self.names = [str(row[0]) for row in described] if header is None else header
            self._types = [str(row[1]) for row in described]
            # Names of our own, so that no column of the file hides one of ours.
            numbered = ", ".join(f"{_quoted(row[0])} AS c{at}" for at, row in enumerate(described))
            self._connection.execute(f"CREATE TEMP VIEW source AS SELECT {numbered} FROM {source}")
            self._place_rows()
        except duckdb.Error as error:
            self.close()
            raise _unreadable(path, error) from error
        except Exception:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @property
    def rows(self) -> int:
        """Rows of the file, those that can't be read included."""
        counted = self._connection.execute("SELECT count(*) FROM placed").fetchone()
        return int(counted[0] if counted else 0) + self._rejected()

    def arms(self) -> dict[str, int]:
        """Return units by arm, whether or not a metric of theirs is usable.

        Raises:
            InvalidValueError: When there are too many different arms for arms.
        """
        found = self._connection.execute(
            "SELECT variant, count(*) FROM placed WHERE misplaced IS NULL GROUP BY 1 ORDER BY 1"
        ).fetchall()
        if len(found) > MOST_ARMS:
            what = f"{self.roles.variant!r} has {len(found):,} different values"
            raise InvalidValueError(what, f"must be at most {MOST_ARMS} arms", "name the column of the variant")
        return {str(arm): int(count) for arm, count in found}

    def groups(self, columns: Sequence[str | float], *, below: frozenset[str] = frozenset()) -> Groups:
        """Return the moments of some columns by arm and region.

        Args:
            columns: Names; a number stands for a column of that constant.
            below: Names of denominators, which can't be negative.

        Raises:
            SchemaError: When a column is missing or holds no numbers by its type.
        """
        d = len(columns)
        averages = [f"favg(x{i})" for i in range(d)]
        products = [f"covar_pop(x{i}, x{j})" for i, j in combinations_with_replacement(range(d), 2)]
        found = self._fetch(
            f"SELECT variant, region, reason, count(*), {', '.join([*averages, *products])} "
            f"FROM ({self._usable(columns, below)}) GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
        )
        moments: dict[tuple[str, str], Moments] = {}
        left_out: dict[str, int] = {}
        for arm, region, reason, count, *figures in found:
            if reason is not None:
                left_out[reason] = left_out.get(reason, 0) + int(count)
                continue
            square = np.empty((d, d))
            for (i, j), value in zip(combinations_with_replacement(range(d), 2), figures[d:], strict=True):
                square[i, j] = square[j, i] = value * count
            moments[arm, region] = Moments.from_sums(int(count), np.array(figures[:d], dtype=np.float64), square)
        if len({region for _, region in moments}) > MOST_REGIONS:
            limit = f"must have at most {MOST_REGIONS:,} different values"
            raise InvalidValueError(f"{self.roles.region!r} as region", limit, "name the column of the region")
        if rejected := self._rejected():
            left_out[UNREADABLE] = rejected
        return Groups(moments=moments, left_out=left_out)

    def skewness(
        self, columns: Sequence[str | float], centres: Mapping[str, tuple[float, float]], *, below: frozenset[str]
    ) -> dict[str, float]:
        """Return the skewness of a unit's value x − m − R·y by arm; arms whose units are all alike have none.

        Args:
            columns: Of x, or of x and y, then whatever else must be usable.
            centres: Mean m and ratio R by arm.
            below: As in `groups`.
        """
        rows = ", ".join(f"({_literal(arm)}, {m!r}::DOUBLE, {r!r}::DOUBLE)" for arm, (m, r) in centres.items())
        y = "x1" if len(columns) > 1 else "0"
        found = self._fetch(
            f"SELECT variant, avg(pow(z, 2)), avg(pow(z, 3)) FROM (SELECT u.variant, x0 - m - r * {y} AS z "
            f"FROM ({self._usable(columns, below)}) u JOIN (VALUES {rows}) c(variant, m, r) ON u.variant = c.variant "
            "WHERE reason IS NULL) GROUP BY 1 ORDER BY 1"
        )
        return {arm: third / second**1.5 for arm, second, third in found if second > 0}

    def _place_rows(self) -> None:
        """Say of each row where it belongs, or why nowhere."""
        self._connection.execute(
            "CREATE TEMP VIEW located AS SELECT *, "
            f"{self._text(self.roles.variant)} AS variant_, "
            f"{self._text(self.roles.region) if self.roles.region else _literal('')} AS region_, "
            f"{self._text(self.roles.unit) if self.roles.unit else 'NULL'} AS unit_ FROM source"
        )
        crossed = "FALSE"
        if self.roles.unit:
            self._connection.execute(
                "CREATE TEMP TABLE crossed AS SELECT unit_ FROM located WHERE unit_ IS NOT NULL "
                "AND variant_ IS NOT NULL GROUP BY 1 HAVING count(DISTINCT variant_) > 1"
            )
            crossed = "unit_ IN (SELECT unit_ FROM crossed)"
            self._check_one_row_a_unit()
        reasons = [f"WHEN variant_ IS NULL THEN {_literal(f'{self.roles.variant} is empty')}"]
        if self.roles.unit:
            reasons.append(f"WHEN unit_ IS NULL THEN {_literal(f'{self.roles.unit} is empty')}")
            reasons.append(f"WHEN {crossed} THEN {_literal(f'{self.roles.unit} is in two arms')}")
        self._connection.execute(
            "CREATE TEMP VIEW placed AS SELECT * RENAME (variant_ AS variant, region_ AS region), "
            f"CASE {' '.join(reasons)} END AS misplaced FROM located"
        )

    def _check_one_row_a_unit(self) -> None:
        again = self._connection.execute(
            "SELECT unit_, count(*) FROM located WHERE unit_ IS NOT NULL AND variant_ IS NOT NULL "
            "AND unit_ NOT IN (SELECT unit_ FROM crossed) GROUP BY 1 HAVING count(*) > 1 ORDER BY 1 LIMIT 1"
        ).fetchone()
        if again is not None:
            hint = "sum the rows of a unit up first; a rate of several rows is a ratio, with --denominator"
            raise InvalidValueError(f"unit {again[0]!r} has {again[1]} rows", "must have one row a unit", hint)

    def _usable(self, columns: Sequence[str | float], below: frozenset[str]) -> str:
        """Return the statement of the values, and of the reason why a row can't be used."""
        reasons = ["WHEN misplaced IS NOT NULL THEN misplaced"]
        if self.roles.region:
            reasons.append(f"WHEN region IS NULL THEN {_literal(f'{self.roles.region} is empty')}")
        values = []
        # Columns that several metrics share come first, so that they are counted alike for each.
        for name in reversed(columns):
            if isinstance(name, str):
                reasons += self._faults(name, negative=name in below)
        for at, name in enumerate(columns):
            number = self._number(name) if isinstance(name, str) else f"{float(name)!r}::DOUBLE"
            values.append(f"CASE WHEN reason IS NULL THEN {number} END AS x{at}")
        return (
            f"SELECT variant, region, reason, {', '.join(values)} "
            f"FROM (SELECT *, CASE {' '.join(reasons)} END AS reason FROM placed)"
        )

    def _faults(self, name: str, *, negative: bool) -> list[str]:
        number = self._number(name)
        faults = [
            (f"{self._text(name)} IS NULL", "is empty"),
            (f"{number} IS NULL", "is not a number"),
            (f"isnan({number})", "is NaN"),
            (f"isinf({number})", "is infinite"),
        ]
        if negative:
            faults.append((f"{number} < 0", "is negative"))
        return [f"WHEN {test} THEN {_literal(f'{name} {told}')}" for test, told in faults]

    def _text(self, name: str) -> str:
        return f"NULLIF(trim(CAST({self._column(name)} AS VARCHAR)), '')"

    def _number(self, name: str) -> str:
        column = self._column(name)
        kind = self._types[self.names.index(name)]
        if not any(word in kind for word in _NUMBERS) or "[" in kind or "(" in kind.replace("DECIMAL(", ""):
            raise SchemaError(f"column {name!r} is of type {kind}", "must hold numbers", "choose another column")
        return f"TRY_CAST({column} AS DOUBLE)"

    def _column(self, name: str) -> str:
        if (times := self.names.count(name)) != 1:
            found = "is not" if times == 0 else f"is {times} times"
            hint = f"the columns are {', '.join(self.names)}"
            raise SchemaError(f"column {name!r} {found} in {self.path.name}", hint=hint)
        return f"c{self.names.index(name)}"

    def _rejected(self) -> int:
        if not self._of_csv:
            return 0
        # Each scan notes the same lines again.
        counted = self._connection.execute("SELECT count(DISTINCT line) FROM reject_errors").fetchone()
        return int(counted[0]) if counted else 0

    def _fetch(self, sql: str) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(sql).fetchall()
        except duckdb.Error as error:
            raise _unreadable(self.path, error) from error


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise SchemaError(f"{path} can't be read ({reason})", hint="name a CSV or Parquet file") from error
    if not head:
        raise SchemaError(f"{path} is empty", "must have a header and rows", "name a CSV or Parquet file")
    return head


def _csv_source(path: Path, head: bytes) -> tuple[list[str], str]:
    """Return the header and how DuckDB reads the rest: as text, so that a cell that is no number is seen."""
    packed = head[:2] == _GZIP
    try:
        with (gzip.open(path, "rt", encoding="utf-8-sig", newline="") if packed
              else path.open(encoding="utf-8-sig", newline="")) as file:  # fmt: skip
            first = file.readline(1 << 20)
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} is no CSV in UTF-8", hint="save it as CSV in UTF-8, or as Parquet") from error
    if not first.strip():
        raise SchemaError(f"the first line of {path} is empty", "must name the columns", "write a header")
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(len(names)))
    compression = "gzip" if packed else "none"
    options = (
        f"columns={{{columns}}}, delim={_literal(delimiter)}, quote='\"', escape='\"', header=true, "
        f"auto_detect=false, compression='{compression}', store_rejects=true, rejects_limit=0"
    )
    return names, f"read_csv({_path(path)}, {options})"


def _unreadable(path: Path, error: duckdb.Error) -> SchemaError:
    told = str(error).strip().splitlines()[0]
    return SchemaError(f"{path.name} can't be read: {told}", hint="save it as CSV in UTF-8, or as Parquet")


def _path(path: Path) -> str:
    """Return the path as a literal in which nothing is a pattern."""
    return _literal("".join(f"[{sign}]" if sign in "*?[" else sign for sign in str(path)))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
