"""A world on disk that would not fit in memory: the rows of ``generate``, written batch by batch."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from data.synthetic.films import film_ids
from data.synthetic.randomness import CELL
from data.synthetic.spec import WorldSpec
from data.synthetic.tables import Sheet, film_truth, user_truth
from data.synthetic.world import Batch, Source
from workspace.checks import check_scalar
from workspace.columns import User
from workspace.files import publish_folder

FILMS: Final = "films.parquet"
USERS: Final = "users.parquet"
INTERACTIONS: Final = "interactions.parquet"
TRUTH_FILMS: Final = "truth_films.parquet"
TRUTH_USERS: Final = "truth_users.parquet"
FILES: Final = (FILMS, USERS, INTERACTIONS, TRUTH_FILMS, TRUTH_USERS)
QUICK_LEVEL: Final = 1

Progress = Callable[[int, int], None]
"""Told (users done, users in all) after each batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """What was written.

    Attributes:
        folder: Where.
        films: Films written.
        users: Users written.
        interactions: Interactions written.
        seconds: Time taken.
        interactions_per_s: Rate over the whole, films included.
        peak_rss_mb: Largest resident memory of this process so far, in MiB.
    """

    folder: str
    films: int
    users: int
    interactions: int
    seconds: float
    interactions_per_s: float
    peak_rss_mb: float

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


def stream(spec: WorldSpec, out: Path, progress: Progress | None = None, *, batch_users: int = 4_096) -> StreamReport:
    """Write the world of a spec to a folder that appears whole or not at all.

    The rows are those of :func:`data.synthetic.generate`, in the same order, whatever the batch. Memory is bounded by
    the films (about 3 KB each) and one batch, not by the users.

    Args:
        spec: The world.
        out: A folder that must not exist yet. It gets ``films``, ``users``, ``interactions``, ``truth_films`` and
            ``truth_users`` as Parquet.
        progress: Told how far it is.
        batch_users: Users a row group, rounded up to whole cells of 256.

    Raises:
        InvalidValueError: When ``batch_users`` is below one.
        StateError: When the folder exists.
    """
    cells_at_once = -(-check_scalar(batch_users, "batch_users", ge=1) // CELL)
    began = time.perf_counter()
    with publish_folder(out) as folder:
        interactions = write_world(Source(spec), folder, progress, cells_at_once=cells_at_once, level=QUICK_LEVEL)
    seconds = time.perf_counter() - began
    return StreamReport(
        folder=str(out),
        films=spec.films,
        users=spec.users,
        interactions=interactions,
        seconds=seconds,
        interactions_per_s=interactions / seconds,
        peak_rss_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def write_world(
    source: Source, folder: Path, progress: Progress | None = None, *, cells_at_once: int, level: int
) -> int:
    """Write the tables of a world into a folder and return the number of interactions."""
    with _sheets(folder, level) as sheets:
        for table in source.filmography.tables():
            sheets[FILMS].append(table)
        sheets[TRUTH_FILMS].append(film_truth(film_ids(range(source.spec.films)), source.factors, source.noticed))
        waiting: list[Batch] = []
        for batch in source.batches():
            waiting.append(batch)
            if len(waiting) == cells_at_once:
                _write(waiting, sheets)
                waiting = []
                if progress is not None:
                    progress(sheets[USERS].rows, source.spec.users)
        if waiting:
            _write(waiting, sheets)
            if progress is not None:
                progress(source.spec.users, source.spec.users)
        return sheets[INTERACTIONS].rows


@contextmanager
def _sheets(folder: Path, level: int) -> Iterator[dict[str, Sheet]]:
    sheets = {name: Sheet(folder / name, level=level) for name in FILES}
    try:
        yield sheets
    finally:
        for sheet in sheets.values():
            sheet.close()


def _write(batches: list[Batch], sheets: dict[str, Sheet]) -> None:
    sheets[USERS].append(pa.concat_tables([batch.users for batch in batches]))
    sheets[INTERACTIONS].append(pa.concat_tables([batch.interactions for batch in batches]))
    truths = [
        user_truth(
            batch.users.column(User.ID).combine_chunks(), batch.taste.vectors, batch.taste.favourites, batch.taste.bar
        )
        for batch in batches
    ]
    sheets[TRUTH_USERS].append(pa.concat_tables(truths))
