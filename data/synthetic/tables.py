"""Tables on disk: Parquet files of the world, and of its truth beside it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from data.synthetic.truth import Truth
from workspace.columns import Film, User

COMPRESSION: Final = "zstd"
COMPRESSION_LEVEL: Final = 9


class Latent:
    """Columns of the truth's own tables."""

    FACTORS: Final = "factors"
    PEOPLE: Final = "people"
    FAVOURITES: Final = "favourites"
    BAR: Final = "bar"


def frame(table: pa.Table) -> pd.DataFrame:
    """Return a contract table as a frame whose list cells are Python lists."""
    data: pd.DataFrame = table.to_pandas()
    for field in table.schema:
        if pa.types.is_list(field.type):
            data[field.name] = pd.Series(table.column(field.name).to_pylist(), dtype=object)
    return data


def vectors(values: npt.NDArray[Any]) -> pa.FixedSizeListArray:
    """Return the rows of a matrix (n, d) as one Arrow column."""
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), values.shape[1])


def matrix(column: pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return an Arrow column of vectors as a matrix (n, d)."""
    array = column.combine_chunks()
    flat: npt.NDArray[Any] = array.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(array), array.type.list_size)


def film_truth(ids: Iterable[str], factors: npt.NDArray[np.float32], people: npt.NDArray[np.int32]) -> pa.Table:
    """Return the latent table of films."""
    return pa.table({Film.ID: pa.array(ids), Latent.FACTORS: vectors(factors), Latent.PEOPLE: vectors(people)})


def user_truth(
    ids: Iterable[str],
    user_vectors: npt.NDArray[np.float32],
    favourites: npt.NDArray[np.int32],
    bar: npt.NDArray[np.float32],
) -> pa.Table:
    """Return the latent table of users."""
    return pa.table(
        {
            User.ID: pa.array(ids),
            Latent.FACTORS: vectors(user_vectors),
            Latent.FAVOURITES: vectors(favourites),
            Latent.BAR: pa.array(bar),
        }
    )


def read_truth(films: pa.Table, users: pa.Table) -> Truth:
    """Return the truth from its two tables."""
    return Truth(
        film_factors=matrix(films.column(Latent.FACTORS)),
        film_people=matrix(films.column(Latent.PEOPLE)),
        user_vectors=matrix(users.column(Latent.FACTORS)),
        favourites=matrix(users.column(Latent.FAVOURITES)),
        bar=users.column(Latent.BAR).to_numpy(),
    )


class Sheet:
    """A Parquet file written batch by batch; the file appears when the first batch comes.

    Args:
        path: The file.
        level: Compression level; low for large worlds, high for what is committed.
    """

    def __init__(self, path: Path, *, level: int = COMPRESSION_LEVEL) -> None:
        self._path = path
        self._level = level
        self._writer: pq.ParquetWriter | None = None
        self.rows = 0

    def append(self, table: pa.Table) -> None:
        """Write one batch."""
        if self._writer is None:
            self._writer = pq.ParquetWriter(
                self._path, table.schema, compression=COMPRESSION, compression_level=self._level
            )
        self._writer.write_table(table)
        self.rows += len(table)

    def close(self) -> None:
        """Write the footer."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
