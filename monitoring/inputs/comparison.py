"""Two samples of rows compared column by column, from moments and counts that DuckDB sums up; no row is looped over.

Three tests a column, each against another way to change:

- *mean*: Welch's t test of all rows;
- *distribution*: Pearson's chi-square of the counts in the reference's tenths, or of the categories;
- *missing*: chi-square of how many rows have no value.

A column's p is Bonferroni's of its own tests, and those of all columns are adjusted by Benjamini and Hochberg. With a
million rows everything is significant, so a column has drifted only when it has also moved by the least effect worth a
look: in standard deviations, in PSI or in the share that is missing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from experiments.multiplicity import adjust
from monitoring.inputs.distances import LEAST_ROWS, Floats, psi, wasserstein
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, NotEstimableError, SchemaError

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

Kind = Literal["number", "category"]

TENTHS: Final = 10
SAMPLED: Final = 5_000
"""Rows drawn for the bounds of the tenths and for the Wasserstein distance."""
MOST_CATEGORIES: Final = 50
LEAST_EXPECTED: Final = 5.0
"""Cochran's rule: bins with fewer expected rows are taken together with a neighbour."""
_SEED: Final = 20_251_027
_TEXTS: Final = ("VARCHAR", "ENUM", "UUID")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One column in one sample.

    Args:
        rows: All rows.
        known: Rows with a value.
        mean: Of the known; None for a category.
        sd: The same.
    """

    rows: int
    known: int
    mean: float | None = None
    sd: float | None = None

    @property
    def missing(self) -> float:
        """Share of the rows without a value."""
        return 1 - self.known / self.rows if self.rows else float("nan")

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "rows": self.rows,
            "missing": None if not self.rows else self.missing,
            "mean": self.mean,
            "sd": self.sd,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """What one column did.

    Args:
        column: Its name.
        kind: Numbers or categories.
        reference: Before.
        current: After.
        shift: Difference of the means in standard deviations of the reference; None for a category, or without any.
        psi: Population stability index over tenths or categories.
        wasserstein: In standard deviations of the reference, from a sample.
        tests: p by test.
        p_value: Bonferroni's of the tests; None where none could be made.
        p_adjusted: The same for all columns.
        drifted: Significant, and beyond the least effect.
        note: What could not be estimated, and why; empty otherwise.
    """

    column: str
    kind: Kind
    reference: Side
    current: Side
    shift: float | None = None
    psi: float | None = None
    wasserstein: float | None = None
    tests: Mapping[str, float] = field(default_factory=dict)
    p_value: float | None = None
    p_adjusted: float | None = None
    drifted: bool = False
    note: str = ""

    @property
    def missing_change(self) -> float:
        """How much the share without a value changed."""
        return self.current.missing - self.reference.missing

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "column": self.column,
            "kind": self.kind,
            "reference": self.reference.to_dict(),
            "current": self.current.to_dict(),
            "shift": self.shift,
            "psi": self.psi,
            "wasserstein": self.wasserstein,
            "tests": dict(self.tests),
            "p_value": self.p_value,
            "p_adjusted": self.p_adjusted,
            "drifted": self.drifted,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class InputComparison:
    """What all columns did, in the order asked for."""

    columns: tuple[ColumnDrift, ...]

    @property
    def drifted(self) -> tuple[ColumnDrift, ...]:
        """The columns that changed, the surest first."""
        return tuple(sorted((one for one in self.columns if one.drifted), key=lambda one: one.p_adjusted or 0.0))

    @property
    def notes(self) -> tuple[str, ...]:
        """What could not be estimated."""
        return tuple(f"{one.column}: {one.note}" for one in self.columns if one.note)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"columns": [one.to_dict() for one in self.columns], "drifted": [one.column for one in self.drifted]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Least:
    """The smallest change worth a look.

    Args:
        shift: Difference of means, in standard deviations; Cohen (1988) calls 0.2 small.
        psi: Siddiqi's small shift is 0.1.
        missing: Change of the share without a value.
    """

    shift: float = 0.2
    psi: float = 0.1
    missing: float = 0.02

    def __post_init__(self) -> None:
        for name, value in (("shift", self.shift), ("psi", self.psi), ("missing", self.missing)):
            check_scalar(value, name, ge=0)

    def reached(self, one: ColumnDrift) -> bool:
        """Say whether a column moved by as much in any way."""
        return (
            abs(one.shift or 0.0) >= self.shift
            or (one.psi or 0.0) >= self.psi
            or abs(one.missing_change) >= self.missing
        )


def compare(
    reference: "pd.DataFrame | Path | Sequence[Path]",
    current: "pd.DataFrame | Path | Sequence[Path]",
    columns: Sequence[str],
    *,
    alpha: float = 0.05,
    least: Least | None = None,
) -> InputComparison:
    """Compare two samples of rows, column by column.

    Source: Welch (1947), Biometrika 34:28; Pearson's chi-square with Cochran's (1954, Biometrics 10:417) rule for
    small bins; Benjamini & Hochberg (1995), J. Royal Statistical Society B 57:289.

    Args:
        reference: Before: a frame, a Parquet file or several.
        current: After.
        columns: Which columns; numbers and flags are compared as numbers, everything else as categories.
        alpha: False discoveries allowed among the columns.
        least: The smallest change worth a look.

    Raises:
        InvalidValueError: When no column is named, or alpha is outside (0, 1).
        SchemaError: When a column is in neither sample.

    Example:
        >>> import pandas as pd
        >>> before, after = pd.DataFrame({"x": range(100)}), pd.DataFrame({"x": range(50, 150)})
        >>> [one.column for one in compare(before, after, ["x"]).drifted]
        ['x']
    """
    import duckdb

    check_scalar(alpha, "alpha", gt=0, lt=1)
    if not columns:
        raise InvalidValueError("columns == []", "must name at least one column")
    least = least or Least()
    with duckdb.connect(config={"threads": 2}) as connection:
        both = [_opened(connection, name, source) for name, source in (("before", reference), ("after", current))]
        kinds = {column: _kind(column, *both) for column in columns}
        present = [column for column in columns if column in both[0] and column in both[1]]
        found = _compared(connection, {column: kinds[column] for column in present}, (reference, current))
        rows = [_rows(connection, name) for name in ("before", "after")]
    for column in columns:
        if column not in found:
            where = "reference" if column not in both[0] else "current"
            found[column] = ColumnDrift(
                column=column,
                kind=kinds[column],
                reference=Side(rows=rows[0], known=0),
                current=Side(rows=rows[1], known=0),
                note=f"not estimable: the {where} sample has no such column",
            )
    return _judged([found[column] for column in columns], alpha, least)


def _judged(columns: list[ColumnDrift], alpha: float, least: Least) -> InputComparison:
    from dataclasses import replace

    adjusted = adjust([float("nan") if one.p_value is None else one.p_value for one in columns], method="bh")
    out = []
    for one, p in zip(columns, adjusted, strict=True):
        known = bool(np.isfinite(p))
        out.append(
            replace(one, p_adjusted=float(p) if known else None, drifted=known and p < alpha and least.reached(one))
        )
    return InputComparison(columns=tuple(out))


def _opened(connection: "duckdb.DuckDBPyConnection", name: str, source: object) -> dict[str, str]:
    """Make a sample readable under a name, and return the types of its columns."""
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        connection.register(name, source)
    else:
        connection.read_parquet([str(path) for path in _paths(source)]).create_view(name)
    described = connection.execute(f"DESCRIBE {name}").fetchall()
    return {str(row[0]): str(row[1]) for row in described}


def _paths(source: object) -> list[Path]:
    paths = [source] if isinstance(source, str | Path) else list(source)  # type: ignore[call-overload]
    for path in paths:
        if not Path(path).is_file():
            raise InvalidValueError(f"sample == {path}", "must be a Parquet file that exists")
    return [Path(path) for path in paths]


def _kind(column: str, before: Mapping[str, str], after: Mapping[str, str]) -> Kind:
    kind = before.get(column) or after.get(column)
    if kind is None:
        raise SchemaError(f"column {column!r}", "must be in one of the samples", f"known are {', '.join(before)}")
    return "category" if kind.startswith(_TEXTS) else "number"


def _rows(connection: "duckdb.DuckDBPyConnection", name: str) -> int:
    found = connection.execute(f"SELECT COUNT(*) FROM {name}").fetchone()  # noqa: S608 - our own two names
    return int(found[0]) if found else 0


def _compared(
    connection: "duckdb.DuckDBPyConnection", kinds: Mapping[str, Kind], sources: tuple[object, object]
) -> dict[str, ColumnDrift]:
    numbers = [column for column, kind in kinds.items() if kind == "number"]
    out = {}
    if numbers:
        samples = [
            _sample(connection, name, numbers, source)
            for name, source in zip(("before", "after"), sources, strict=True)
        ]
        bounds = {column: _bounds(samples[0][column]) for column in numbers}
        sums = [_sums(connection, name, bounds) for name in ("before", "after")]
        for column in numbers:
            sides, counts = zip(*(one[column] for one in sums), strict=True)
            out[column] = _number(column, sides, counts, [one[column] for one in samples])
    for column in kinds:
        if column not in out:
            out[column] = _category(column, [_counted(connection, name, column) for name in ("before", "after")])
    return out


def _sample(
    connection: "duckdb.DuckDBPyConnection", name: str, columns: list[str], source: object
) -> dict[str, Floats]:
    """Return some rows, the same ones whenever the data are the same."""
    import pandas as pd

    chosen = ", ".join(_value(column) for column in columns)
    if isinstance(source, pd.DataFrame):
        connection.register("drawn", source.sample(min(SAMPLED, len(source)), random_state=_SEED))
        sql = f"SELECT {chosen} FROM drawn"  # noqa: S608 - quoted names
    else:
        # A hash of the row's number: every so many rows would follow whatever comes round in the data.
        step = max(1, _rows(connection, name) // SAMPLED)
        files = f"read_parquet([{', '.join(_literal(path) for path in _paths(source))}], file_row_number = true)"
        sql = f"SELECT {chosen} FROM {files} WHERE hash(file_row_number) % {step} = 0"  # noqa: S608 - quoted names
    out = {}
    for column, values in zip(columns, connection.execute(sql).fetchnumpy().values(), strict=True):
        filled = np.ma.filled(np.ma.asarray(values).astype(np.float64), np.nan)
        out[column] = filled[~np.isnan(filled)]
    return out


def _bounds(sample: Floats) -> Floats:
    """Return where the bins of a column end: its tenths, or every value of a column of few."""
    values = np.unique(sample)
    if values.size <= TENTHS:
        # Also just below each value: what lies between two of them, or beyond, is a bin of its own.
        return np.unique(np.concatenate([values, np.nextafter(values, -np.inf)]))
    return np.unique(np.quantile(sample, np.arange(1, TENTHS) / TENTHS))


def _sums(
    connection: "duckdb.DuckDBPyConnection", name: str, bounds: Mapping[str, Floats]
) -> dict[str, tuple[Side, NDArray[np.float64]]]:
    """Return count, mean and standard deviation of each column and how many rows lie in each of its bins."""
    wanted, inner = ["COUNT(*)"], []
    for place, (column, ends) in enumerate(bounds.items()):
        inner.append(f"{_value(column)} AS c{place}")
        wanted += [f"COUNT(c{place})", f"AVG(c{place})", f"STDDEV_SAMP(c{place})"]
        wanted += [f"COUNT_IF(c{place} <= {float(end)!r}::DOUBLE)" for end in ends]
    sql = f"SELECT {', '.join(wanted)} FROM (SELECT {', '.join(inner)} FROM {name})"  # noqa: S608 - quoted names
    found = connection.execute(sql).fetchone() or ()
    rows, rest = int(found[0]), list(found[1:])
    out = {}
    for column, ends in bounds.items():
        known, mean, sd, *below = rest[: 3 + ends.size]
        rest = rest[3 + ends.size :]
        counts = np.diff(np.array([0, *below, known], dtype=np.float64))
        out[column] = (Side(rows=rows, known=int(known), mean=_finite(mean), sd=_finite(sd)), counts)
    return out


def _counted(connection: "duckdb.DuckDBPyConnection", name: str, column: str) -> tuple[Side, dict[str, int]]:
    rows = connection.execute(
        f"SELECT CAST({_quoted(column)} AS VARCHAR), COUNT(*) FROM {name} GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608
    ).fetchall()
    counts = {str(value): int(count) for value, count in rows if value not in (None, "")}
    return Side(rows=sum(int(count) for _, count in rows), known=sum(counts.values())), counts


def _number(column: str, sides: tuple[Side, ...], counts: tuple[Floats, ...], samples: list[Floats]) -> ColumnDrift:
    before, after = sides
    short = _too_few(before, after)
    tests = {} if min(before.rows, after.rows) < LEAST_ROWS else _missing_test(before, after)
    if short:
        return _column(column, "number", before, after, tests, note=short)
    shift, note = None, ""
    if before.sd and before.mean is not None and after.mean is not None:
        shift = (after.mean - before.mean) / before.sd
    if before.sd or after.sd:
        tests["mean"] = _welch(before, after)
    elif before.mean == after.mean:
        return _column(column, "number", before, after, tests, psi=0.0, note="the same constant in both samples")
    else:
        note = "constant in both samples, at different values: the mean has no test"
    tests |= _distribution_test(counts[0], counts[1])
    try:
        distance = wasserstein(*samples)
    except NotEstimableError:
        distance = None
    return _column(
        column, "number", before, after, tests, shift=shift, psi=psi(*counts), wasserstein=distance, note=note
    )


def _category(column: str, counted: list[tuple[Side, dict[str, int]]]) -> ColumnDrift:
    (before, first), (after, second) = counted
    tests = {} if min(before.rows, after.rows) < LEAST_ROWS else _missing_test(before, after)
    short = _too_few(before, after)
    if short:
        return _column(column, "category", before, after, tests, note=short)
    common = sorted({*first, *second}, key=lambda name: (-first.get(name, 0) - second.get(name, 0), name))
    kept, rest = common[:MOST_CATEGORIES], common[MOST_CATEGORIES:]
    table = [
        np.array([*(side.get(name, 0) for name in kept), sum(side.get(name, 0) for name in rest)], dtype=np.float64)
        for side in (first, second)
    ]
    tests |= _distribution_test(*table)
    return _column(column, "category", before, after, tests, psi=psi(*table))


def _column(
    column: str,
    kind: Kind,
    before: Side,
    after: Side,
    tests: Mapping[str, float],
    **figures: Any,  # noqa: ANN401 - fields of the column
) -> ColumnDrift:
    known = {name: p for name, p in tests.items() if np.isfinite(p)}
    return ColumnDrift(
        column=column,
        kind=kind,
        reference=before,
        current=after,
        tests=known,
        p_value=min(1.0, len(known) * min(known.values())) if known else None,
        **figures,
    )


def _too_few(before: Side, after: Side) -> str:
    for name, side in (("reference", before), ("current", after)):
        if side.known < LEAST_ROWS:
            return (
                f"not estimable: the {name} sample has {side.known} rows with a value, "
                f"{LEAST_ROWS - side.known} fewer than {LEAST_ROWS}"
            )
    return ""


def _welch(before: Side, after: Side) -> float:
    from scipy.stats import ttest_ind_from_stats

    found = ttest_ind_from_stats(
        after.mean, after.sd, after.known, before.mean, before.sd, before.known, equal_var=False
    )
    return float(found.pvalue)


def _missing_test(before: Side, after: Side) -> dict[str, float]:
    table = np.array([[side.known, side.rows - side.known] for side in (before, after)], dtype=np.float64)
    p = _chi_square(table[0], table[1])
    return {} if p is None else {"missing": p}


def _distribution_test(first: Floats, second: Floats) -> dict[str, float]:
    p = _chi_square(first, second)
    return {} if p is None else {"distribution": p}


def _chi_square(first: Floats, second: Floats) -> float | None:
    """Return Pearson's p; None when fewer than two bins hold enough."""
    from scipy.stats import chi2

    table = _merged(np.array([first, second]))
    if table.shape[1] < 2:  # noqa: PLR2004 - one bin has nothing to compare
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return float(chi2.sf(((table - expected) ** 2 / expected).sum(), table.shape[1] - 1))


def _merged(table: Floats) -> Floats:
    """Take neighbouring bins together until each expects enough rows in both samples."""
    share = table.sum(axis=1).min() / table.sum()
    bins: list[Floats] = []
    open_bin = np.zeros(2)
    for column in table.T:
        open_bin = open_bin + column
        if open_bin.sum() * share >= LEAST_EXPECTED:
            bins.append(open_bin)
            open_bin = np.zeros(2)
    if open_bin.any():
        # What is left over at the end joins the last bin.
        bins = [*bins[:-1], bins[-1] + open_bin] if bins else [open_bin]
    merged: Floats = np.array(bins).T if bins else np.zeros((2, 0))
    return merged


def _value(column: str) -> str:
    """Return a column as a number, unknown where it is not finite."""
    cast = f"CAST({_quoted(column)} AS DOUBLE)"
    return f"CASE WHEN isfinite({cast}) THEN {cast} END"


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _literal(path: Path) -> str:
    escaped = str(path).replace("'", "''")
    return f"'{escaped}'"


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None
