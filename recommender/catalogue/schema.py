"""The doors of the catalogue: what a film, a user, an interaction, a quarantine row and a provenance row must be.

`conform_*` bring a frame to the exact column order and types and then check it with pandera; nothing enters or leaves
a catalogue without it.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

from workspace.columns import Film, Interaction, Provenance, Quarantine, User
from workspace.errors import SchemaError

TIME_TYPE: Final = "datetime64[us, UTC]"
DATE_TYPE: Final = "datetime64[us]"
KINDS: Final = ("watched", "rated", "thumbs_down", "dismissed")
_NAMED_AT_MOST: Final = 5


class Cell(StrEnum):
    """What a cell of a column holds."""

    KEY = "key"
    TEXT = "text"
    TEXTS = "list of texts"
    NUMBER = "number"
    SHARE = "number in single precision"
    WHOLE = "whole number"
    FLAG = "flag"
    DATE = "date"
    TIME = "moment"


FILM_CELLS: Final[Mapping[str, Cell]] = {
    Film.ID: Cell.KEY,
    **dict.fromkeys(Film.TEXTS, Cell.TEXT),
    **dict.fromkeys(Film.LISTS, Cell.TEXTS),
    Film.RELEASE_DATE: Cell.DATE,
    **dict.fromkeys(
        (Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT), Cell.NUMBER
    ),
    Film.UPDATED_AT: Cell.TIME,
}
USER_CELLS: Final[Mapping[str, Cell]] = {
    User.ID: Cell.KEY,
    User.REGION: Cell.TEXT,
    User.MARKET: Cell.TEXT,
    User.PREMIUM: Cell.FLAG,
    User.JOINED_AT: Cell.TIME,
    User.EXCLUDED_GENRES: Cell.TEXTS,
    User.MAXIMUM_AGE: Cell.NUMBER,
    User.CONSENT: Cell.FLAG,
}
INTERACTION_CELLS: Final[Mapping[str, Cell]] = {
    Interaction.USER: Cell.KEY,
    Interaction.FILM: Cell.KEY,
    Interaction.KIND: Cell.TEXT,
    Interaction.VALUE: Cell.SHARE,
    Interaction.TS: Cell.TIME,
}
QUARANTINE_CELLS: Final[Mapping[str, Cell]] = {
    column: Cell.WHOLE if column == Quarantine.ROW else Cell.TEXT for column in Quarantine.ALL
}
PROVENANCE_CELLS: Final[Mapping[str, Cell]] = {
    Provenance.FILM: Cell.KEY,
    Provenance.FIELD: Cell.TEXT,
    Provenance.PROVIDER: Cell.TEXT,
    Provenance.UPDATED_AT: Cell.TIME,
    Provenance.AGREED: Cell.FLAG,
    Provenance.OTHER_VALUE: Cell.TEXT,
}

_TYPES: Final[Mapping[Cell, Any]] = {
    Cell.KEY: str,
    Cell.TEXT: str,
    Cell.TEXTS: object,
    Cell.NUMBER: "float64",
    Cell.SHARE: "float32",
    Cell.WHOLE: "int64",
    Cell.FLAG: bool,
    Cell.DATE: DATE_TYPE,
    Cell.TIME: TIME_TYPE,
}


def _all_lists(cells: pd.Series) -> bool:
    return all(type(cell) is list for cell in cells)


_CHECKS: Final[Mapping[str, list[pa.Check]]] = {
    Film.RUNTIME_MIN: [pa.Check.gt(0)],
    Film.MINIMUM_AGE: [pa.Check.in_range(0, 21)],
    Film.POPULARITY: [pa.Check.ge(0)],
    Film.VOTE_AVERAGE: [pa.Check.in_range(0, 10)],
    Film.VOTE_COUNT: [pa.Check.ge(0)],
    User.MAXIMUM_AGE: [pa.Check.ge(0)],
    Interaction.KIND: [pa.Check.isin(KINDS)],
    Interaction.VALUE: [pa.Check.in_range(-1, 5)],
}
_NULLABLE: Final = frozenset(
    {Film.RELEASE_DATE, Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT,
     User.MAXIMUM_AGE}
)  # fmt: skip


def _schema(name: str, columns: tuple[str, ...], cells: Mapping[str, Cell], unique: str | None) -> pa.DataFrameSchema:
    fields = {}
    for column in columns:
        cell = cells[column]
        # The quarantine has a column "value" too, which is text and without limits.
        checks = list(_CHECKS.get(column, [])) if cells is not QUARANTINE_CELLS else []
        if cell is Cell.KEY:
            checks.append(pa.Check.str_length(min_value=1, max_value=200))
        if cell is Cell.TEXTS:
            checks.append(pa.Check(_all_lists, name="being a list"))
        fields[column] = pa.Column(_TYPES[cell], checks, nullable=column in _NULLABLE, unique=column == unique)
    return pa.DataFrameSchema(fields, strict=True, ordered=True, name=name)


FILMS: Final = _schema("films", Film.ALL, FILM_CELLS, Film.ID)
USERS: Final = _schema("users", User.ALL, USER_CELLS, User.ID)
INTERACTIONS: Final = _schema("interactions", Interaction.ALL, INTERACTION_CELLS, None)
QUARANTINE: Final = _schema("quarantine", Quarantine.ALL, QUARANTINE_CELLS, None)
PROVENANCE: Final = _schema("provenance", Provenance.ALL, PROVENANCE_CELLS, None)


def conform_films(frame: pd.DataFrame, door: str = "films") -> pd.DataFrame:
    """Return the films with exact columns and types.

    Args:
        frame: One row a film; missing texts and lists may be None, missing numbers NaN.
        door: What to call the frame in an error.

    Returns:
        A new frame with the columns of `Film.ALL` and a range index; rows stay in their order.

    Raises:
        SchemaError: Missing columns, wrong types, values outside their limits, or an id that occurs twice.
    """
    return _conform(frame, Film.ALL, FILM_CELLS, FILMS, door)


def conform_users(frame: pd.DataFrame, door: str = "users") -> pd.DataFrame:
    """Return the users with exact columns and types; arguments and errors as `conform_films`."""
    return _conform(frame, User.ALL, USER_CELLS, USERS, door)


def conform_interactions(frame: pd.DataFrame, door: str = "interactions") -> pd.DataFrame:
    """Return the interactions with exact columns and types; arguments and errors as `conform_films`."""
    return _conform(frame, Interaction.ALL, INTERACTION_CELLS, INTERACTIONS, door)


def conform_quarantine(frame: pd.DataFrame, door: str = "quarantine") -> pd.DataFrame:
    """Return the quarantine with exact columns and types; arguments and errors as `conform_films`."""
    return _conform(frame, Quarantine.ALL, QUARANTINE_CELLS, QUARANTINE, door)


def conform_provenance(frame: pd.DataFrame, door: str = "provenance") -> pd.DataFrame:
    """Return the provenance with exact columns and types; arguments and errors as `conform_films`."""
    return _conform(frame, Provenance.ALL, PROVENANCE_CELLS, PROVENANCE, door)


def require_columns(found: list[str], needed: tuple[str, ...], door: str) -> None:
    """Check that no column is missing.

    Raises:
        SchemaError: Naming the missing columns and those that are there.
    """
    missing = [column for column in needed if column not in found]
    if missing:
        raise SchemaError(
            f"{door} has no column {', '.join(missing)}",
            f"needs {', '.join(needed)}",
            f"its columns are {', '.join(map(str, found[:40])) or 'none'}",
        )


def _conform(
    frame: pd.DataFrame, columns: tuple[str, ...], cells: Mapping[str, Cell], schema: pa.DataFrameSchema, door: str
) -> pd.DataFrame:
    require_columns(list(frame.columns), columns, door)
    converted = {}
    for column in columns:
        try:
            converted[column] = _CONVERT[cells[column]](frame[column]).reset_index(drop=True)
        except (TypeError, ValueError, OverflowError) as error:
            raise SchemaError(
                f"{door}, column {column}: {error}", f"must hold a {cells[column]} in every row"
            ) from error
    result = pd.DataFrame(converted, columns=list(columns))
    try:
        schema.validate(result, lazy=True)
    except pa.errors.SchemaErrors as error:
        raise _schema_error(error, door) from error
    return result


def _schema_error(error: pa.errors.SchemaErrors, door: str) -> SchemaError:
    cases = error.failure_cases
    first = cases.iloc[0]
    same = cases[(cases["column"] == first["column"]) & (cases["check"] == first["check"])]
    values = ", ".join(dict.fromkeys(repr(value)[:80] for value in same["failure_case"].head(_NAMED_AT_MOST)))
    check = "must occur once" if first["check"] == "field_uniqueness" else f"must satisfy {first['check']}"
    return SchemaError(
        f"{door}, column {first['column']}: {values} in {len(same)} rows",
        check,
        "correct the rows or let the import put them in quarantine",
    )


def _as_text(cells: pd.Series) -> pd.Series:
    return cells.astype("str").where(cells.notna(), "") if cells.hasnans else cells.astype("str")


def _as_key(cells: pd.Series) -> pd.Series:
    if cells.hasnans:
        message = "an id is missing"
        raise ValueError(message)
    return cells.astype("str")


def _as_list(cell: object) -> list[str]:
    if type(cell) is list:
        return cell
    if isinstance(cell, tuple | np.ndarray):
        return [str(item) for item in cell]
    if cell is None or (isinstance(cell, float) and np.isnan(cell)):
        return []
    message = f"{cell!r:.80} is not a list"
    raise TypeError(message)


def _as_lists(cells: pd.Series) -> pd.Series:
    result = np.empty(len(cells), dtype=object)
    for row, cell in enumerate(cells):
        result[row] = _as_list(cell)
    return pd.Series(result, dtype=object)


def _as_flag(cells: pd.Series) -> pd.Series:
    if not cells.isin([True, False]).all():
        message = "every value must be true or false"
        raise ValueError(message)
    return cells.astype(bool)


def _as_number(cells: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(cells).astype("float64")
    if np.isinf(numbers.to_numpy()).any():
        message = "infinity is no number here"
        raise ValueError(message)
    return numbers


def _as_date(cells: pd.Series) -> pd.Series:
    moments = pd.to_datetime(cells, errors="raise")
    if moments.dt.tz is not None:
        moments = moments.dt.tz_convert("UTC").dt.tz_localize(None)
    return moments.dt.normalize().astype(DATE_TYPE)


_CONVERT: Final[Mapping[Cell, Callable[[pd.Series], pd.Series]]] = {
    Cell.KEY: _as_key,
    Cell.TEXT: _as_text,
    Cell.TEXTS: _as_lists,
    Cell.NUMBER: _as_number,
    Cell.SHARE: lambda cells: _as_number(cells).astype("float32"),
    Cell.WHOLE: lambda cells: cells.astype("int64"),
    Cell.FLAG: _as_flag,
    Cell.DATE: _as_date,
    Cell.TIME: lambda cells: pd.to_datetime(cells, utc=True).astype(TIME_TYPE),
}
