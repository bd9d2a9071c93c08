"""Identity by content: the order of films, the hash of a film, the name of a snapshot."""

import hashlib
import json
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from recommender.catalogue.schema import FILM_CELLS, USER_CELLS, Cell
from workspace.columns import Film, Interaction, User

# What a vector can be made of. Left out: where the film may be shown (a rule, looked up when asked), who delivered it
# and when, and the running counts of votes, which move daily and would make every film look changed.
CONTENT: Final = tuple(
    column
    for column in Film.ALL
    if column
    not in {Film.AVAILABLE_REGIONS, Film.BLOCKED_REGIONS, Film.PROVIDER, Film.UPDATED_AT, Film.POPULARITY,
            Film.VOTE_AVERAGE, Film.VOTE_COUNT}
)  # fmt: skip
_FILM_HASH_HEX: Final = 32
_SNAPSHOT_HEX: Final = 12
_INT64_DIGITS: Final = 18


def natural_order(ids: pd.Series) -> npt.NDArray[np.int64]:
    """Return the positions that put ids in natural order: numbers by value first, then the rest as text.

    Args:
        ids: Ids as text, (n,).

    Returns:
        Positions (n,).

    Example:
        >>> natural_order(pd.Series(["tt2", "10", "9"])).tolist()
        [2, 1, 0]
    """
    text = ids.to_numpy(dtype=object)
    numeric = (t.isascii() and t.isdigit() and len(t) <= _INT64_DIGITS for t in text)
    is_number = np.fromiter(numeric, dtype=bool, count=len(text))
    number = np.fromiter((int(t) if n else 0 for t, n in zip(text, is_number, strict=True)), np.int64, len(text))
    return np.lexsort((text.astype(str), number, ~is_number)).astype(np.int64)


def film_hashes(films: pd.DataFrame, columns: Sequence[str] = CONTENT) -> npt.NDArray[np.str_]:
    """Return one hash a film over what its vector can be made of.

    Two films have the same hash exactly when all the named columns agree. The votes and the popularity, the regions,
    the provider and the date of the update are not among them by default.

    Args:
        films: Frame with the columns of `Film`.
        columns: The columns that count.

    Returns:
        Hexadecimal hashes of 32 digits, (n_films,).
    """
    cells = [_plain(films[column], FILM_CELLS[column]) for column in columns]
    digest = hashlib.sha256
    return np.array(
        [digest(_canonical(row)).hexdigest()[:_FILM_HASH_HEX] for row in zip(*cells, strict=True)],
        dtype=f"<U{_FILM_HASH_HEX}",
    )


def content_id(films: pd.DataFrame, users: pd.DataFrame, interactions: pd.DataFrame) -> str:
    """Return the name of a snapshot: ``c`` and 12 digits of the hash of all its films, users and interactions."""
    digest = hashlib.sha256()
    for film in film_hashes(films, Film.ALL):
        digest.update(film.encode())
    for row in zip(*(_plain(users[column], USER_CELLS[column]) for column in User.ALL), strict=True):
        digest.update(_canonical(row))
    for column in (Interaction.USER, Interaction.FILM, Interaction.KIND):
        digest.update("\x1f".join(interactions[column]).encode("utf-8", "surrogatepass"))
    digest.update(interactions[Interaction.VALUE].to_numpy(np.float32).tobytes())
    digest.update(_microseconds(interactions[Interaction.TS]).tobytes())
    return f"c{digest.hexdigest()[:_SNAPSHOT_HEX]}"


def _canonical(row: tuple[object, ...]) -> bytes:
    return json.dumps(row, ensure_ascii=True, separators=(",", ":")).encode()


def _microseconds(moments: pd.Series) -> npt.NDArray[np.int64]:
    return np.asarray(moments.astype("int64"), dtype=np.int64)


def _plain(cells: pd.Series, cell: Cell) -> list[object]:
    if cell in {Cell.DATE, Cell.TIME}:
        return [value if known else None
                for value, known in zip(_microseconds(cells).tolist(), cells.notna(), strict=True)]  # fmt: skip
    if cell is Cell.NUMBER:
        return [value if value == value else None for value in cells.tolist()]  # noqa: PLR0124 - NaN
    return list(cells)
