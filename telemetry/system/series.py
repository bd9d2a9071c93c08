"""The embedded series: samples of the services in Parquet, one file a week, and what is derived from them.

Beside each week's samples lie its hours (first, last and sums of every hour, from which questions over months are
answered) and its tails (the newest sample of every series up to then, from which the next week goes on). Counters are
stored as they were read, each with its *lift*: what their resets have lost so far. Reading plus lift only ever grows,
so that the growth between any two samples is one subtraction.

A new version of a week has a new name; readers take the newest name there is.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from telemetry.system.questions import Floats
from workspace.columns import Sample
from workspace.errors import SchemaError
from workspace.files import file_lock, sweep_temporaries, write_bytes
from workspace.ids import new_id
from workspace.paths import Paths

COUNTERS: Final = (Sample.REQUESTS, Sample.ERRORS, Sample.LATENCY_SUM, *Sample.BUCKETS)
GAUGES: Final = (Sample.CPU, Sample.MEMORY, Sample.UP, Sample.ACTIVE_SESSIONS)
HOUR_US: Final = 3_600_000_000
WEEK_US: Final = 168 * HOUR_US
EVER_US: Final = 2**62
SAMPLES: Final = "samples"
HOURS: Final = "hours"
TAILS: Final = "tails"
_KEY: Final = (Sample.SERVICE, Sample.REGION, Sample.TS)
_MONDAY: Final = dt.date(1970, 1, 5)
_MONDAY_US: Final = 4 * 24 * HOUR_US
_EARLIEST: Final = pd.Timestamp(2000, 1, 1)
_ROWS_A_GROUP: Final = 32_768
# The console appends a row a minute: its own small files spare rewriting those of the whole platform.
_OWN: Final = "console"
_OTHERS: Final = "platform"

Tails = dict[tuple[str, str], tuple[Floats, Floats]]
"""Reading and lift of every counter at the newest sample of a series."""


def lift_of(counter: str) -> str:
    """Return the name of the column that holds a counter's lift."""
    return f"lift_{counter}"


def low_of(counter: str) -> str:
    """Return the name of the column of hours that holds a counter's first value, lift included."""
    return f"low_{counter}"


def high_of(counter: str) -> str:
    """Return the name of the column of hours that holds a counter's last value, lift included."""
    return f"high_{counter}"


def count_of(gauge: str) -> str:
    """Return the name of the column of hours that counts a gauge's values."""
    return f"n_{gauge}"


def sum_of(gauge: str) -> str:
    """Return the name of the column of hours that adds up a gauge's values."""
    return f"sum_{gauge}"


def edge_of(gauge: str) -> str:
    """Return the name of the column of hours that holds a gauge's value exactly at the hour's end."""
    return f"edge_{gauge}"


class SeriesStore:
    """Keeps samples.

    Args:
        paths: The workspace.

    Example:
        >>> import tempfile
        >>> SeriesStore(Paths(Path(tempfile.mkdtemp()))).files(SAMPLES, 0, EVER_US)
        []
    """

    def __init__(self, paths: Paths) -> None:
        self.folder: Final = paths.system

    def append(self, frame: pd.DataFrame) -> int:
        """Add samples; those of a moment, service and region that are there already are left out.

        Args:
            frame: Columns `Sample.ALL`, in any order; ``ts`` with a zone, or without one in UTC. Counters may be
                missing all together, gauges singly.

        Returns:
            How many rows are new.

        Raises:
            SchemaError: When a column is missing or a value can't be.
            StateError: When the folder can't be written.
        """
        rows = checked(frame)
        new = 0
        with self._writing():
            for lane, chosen in ((_OWN, True), (_OTHERS, False)):
                mine = rows[(rows[Sample.SERVICE] == _OWN) == chosen]
                if len(mine):
                    new += self._append(lane, mine)
        return new

    def import_parquet(self, sources: Path | Iterable[Path]) -> int:
        """Add the samples of Parquet files, week by week, so that memory holds one week at a time.

        Args:
            sources: The files, or the folder that holds them.

        Returns:
            How many rows are new.

        Raises:
            SchemaError: When a file is no Parquet or lacks a column.
        """
        import duckdb

        files = sorted(sources.glob("*.parquet")) if isinstance(sources, Path) else list(sources)
        if not files:
            raise SchemaError(f"{sources} holds no samples", "must have *.parquet files")
        names = [str(path) for path in files]
        with duckdb.connect() as connection:
            try:
                week = week_sql("epoch_us(ts)")
                weeks = connection.execute(
                    f"SELECT DISTINCT {week} FROM read_parquet($files) ORDER BY 1",  # noqa: S608 - no outside text
                    {"files": names},
                ).fetchall()
                naive = f"REPLACE (make_timestamp(epoch_us({Sample.TS})) AS {Sample.TS})"
                read = f"SELECT * {naive} FROM read_parquet($files) WHERE {week} = $week"  # noqa: S608 - no outside text
                return sum(
                    self.append(connection.execute(read, {"files": names, "week": number}).df()) for (number,) in weeks
                )
            except duckdb.Error as error:
                raise SchemaError(f"the samples of {files[0].parent} can't be read: {error}") from error

    def files(self, dataset: str, start_us: int, end_us: int) -> list[Path]:
        """Return the newest files of the weeks that touch a span, oldest first.

        Args:
            dataset: `SAMPLES`, `HOURS` or `TAILS`.
            start_us: First moment, in microseconds since 1970.
            end_us: Last moment, likewise.
        """
        first, last = week_of(start_us), week_of(end_us)
        newest = {
            (lane, week): path.name
            for lane in (_OWN, _OTHERS)
            for week, path in self._newest(lane).items()
            if first <= week <= last
        }
        return [self.folder / dataset / name for _, name in sorted(newest.items(), key=lambda item: item[0][1])]

    def tables(
        self, start_us: int = 0, end_us: int = EVER_US, *, columns: Sequence[str] = Sample.ALL
    ) -> Iterator[pa.Table]:
        """Return the samples of the weeks that touch a span, oldest first, counters as they were read."""
        for path in self.files(SAMPLES, start_us, end_us):
            yield self._table(path, columns)

    def _table(self, path: Path, columns: Sequence[str]) -> pa.Table:
        """Read a week's samples: of its newest version when the listed one was replaced in the meantime."""
        while True:
            try:
                return pq.read_table(path, columns=list(columns))
            except FileNotFoundError:
                _, lane, *_ = path.name.split(".")
                newer = self._newest(lane).get(_week_in(path.name))
                if newer is None or newer == path:
                    raise
                path = newer

    def _append(self, lane: str, rows: pd.DataFrame) -> int:
        """Rewrite the weeks with new rows, and the later ones whose lifts change by them."""
        stored = self._newest(lane)
        by_week = {
            int(week): part
            for week, part in rows.groupby(week_of(rows[Sample.TS].to_numpy("datetime64[us]").view(np.int64)))
        }
        first = min(by_week)
        earlier = [week for week in stored if week < first]
        tails = self._tails(stored[max(earlier)].name) if earlier else {}
        new = 0
        for week in sorted({*by_week, *(week for week in stored if week > first)}):
            before = pq.read_table(stored[week]).to_pandas() if week in stored else None
            after = _merged(before, by_week.get(week))
            tails = _lift(after, tails)
            added = len(after) - (0 if before is None else len(before))
            if added or before is None or not _same_lifts(before, after):
                self._publish(lane, week, after, tails, replaced=stored.get(week))
            new += added
        return new

    def _publish(self, lane: str, week: int, rows: pd.DataFrame, tails: Tails, *, replaced: Path | None) -> None:
        monday = _MONDAY + dt.timedelta(weeks=week)
        name = f"{monday.isoformat()}.{lane}.{new_id('part')}.parquet"
        table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()
        _write(self.folder / TAILS / name, _tails_table(tails))
        _write(self.folder / HOURS / name, _hours(table))
        # Readers list the samples: what was derived from them must be there before.
        _write(self.folder / SAMPLES / name, table)
        if replaced is not None:
            for dataset in (SAMPLES, HOURS, TAILS):
                (self.folder / dataset / replaced.name).unlink(missing_ok=True)

    def _newest(self, lane: str) -> dict[int, Path]:
        found: dict[int, Path] = {}
        # Ids sort by the time they were made: the last name of a week is the newest.
        for path in sorted((self.folder / SAMPLES).glob(f"*.{lane}.*.parquet")):
            found[_week_in(path.name)] = path
        return found

    def _tails(self, name: str) -> Tails:
        table = pq.read_table(self.folder / TAILS / name).to_pandas()
        readings = table[list(COUNTERS)].to_numpy(np.float64)
        lifts = table[[lift_of(counter) for counter in COUNTERS]].to_numpy(np.float64)
        keys = zip(table[Sample.SERVICE], table[Sample.REGION], strict=True)
        return {key: (readings[row], lifts[row]) for row, key in enumerate(keys)}

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with file_lock(self.folder / ".writer.lock"):
            for dataset in (SAMPLES, HOURS, TAILS):
                (self.folder / dataset).mkdir(parents=True, exist_ok=True)
                sweep_temporaries(self.folder / dataset)
            self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove what a killed writer left: versions of a week that are not the newest, and what belongs to none."""
        kept = {path.name for lane in (_OWN, _OTHERS) for path in self._newest(lane).values()}
        for dataset in (SAMPLES, HOURS, TAILS):
            for path in (self.folder / dataset).glob("*.parquet"):
                if path.name not in kept:
                    path.unlink(missing_ok=True)


def _week_in(name: str) -> int:
    """Return the week that a file's name begins with."""
    return (dt.date.fromisoformat(name.split(".", 1)[0]) - _MONDAY).days // 7


def week_of(moment_us: Any) -> Any:  # noqa: ANN401 - a number or an array of numbers
    """Return the week of a moment, counted from Monday 5 January 1970; midnight on Monday ends the week before.

    Example:
        >>> week_of(_MONDAY_US), week_of(_MONDAY_US + 1)
        (-1, 0)
    """
    return -((_MONDAY_US - moment_us) // WEEK_US) - 1


def week_sql(moment_us: str) -> str:
    """Return the same as an expression of SQL."""
    return f"(({moment_us} - {_MONDAY_US} + {WEEK_US - 1}) // {WEEK_US} - 1)"


def checked(frame: pd.DataFrame) -> pd.DataFrame:
    """Return samples as they are stored, sorted by series and time.

    Raises:
        SchemaError: When a column is missing or a value can't be.
    """
    missing = [name for name in Sample.ALL if name not in frame.columns]
    if missing:
        raise SchemaError(f"the samples lack {', '.join(missing)}", f"must have {', '.join(Sample.ALL)}")
    ts = (
        pd.to_datetime(frame[Sample.TS], utc=True, errors="coerce", format="ISO8601")
        .dt.tz_localize(None)
        .dt.as_unit("us")
    )
    out: dict[str, Any] = {Sample.TS: ts}
    for name in (Sample.SERVICE, Sample.REGION):
        out[name] = frame[name].astype("str")
        if frame[name].isna().any() or (out[name].str.strip() == "").any():
            raise SchemaError(f"a sample has no {name}", "must name it")
    if ts.isna().any() or (ts < _EARLIEST).any():
        raise SchemaError(f"a sample has no {Sample.TS}", f"must be a moment from {_EARLIEST.year} on")
    for name in (*COUNTERS, *GAUGES):
        try:
            out[name] = pd.to_numeric(frame[name]).astype(np.float64)
        except (TypeError, ValueError) as error:
            raise SchemaError(f"{name} of the samples is no number: {error}") from error
        if np.isinf(out[name]).any() or (out[name] < 0).any():
            raise SchemaError(f"{name} of a sample is negative or infinite", "must be >= 0")
    rows = pd.DataFrame(out)
    absent = rows[list(COUNTERS)].isna()
    if (absent.any(axis=1) & ~absent.all(axis=1)).any():
        raise SchemaError("a sample has some of its counters only", "must have all or none")
    return rows.drop_duplicates(list(_KEY)).sort_values(list(_KEY), ignore_index=True)


def _merged(before: pd.DataFrame | None, added: pd.DataFrame | None) -> pd.DataFrame:
    parts = [part for part in (before, added) if part is not None]
    if len(parts) == 1:
        rows = parts[0].reset_index(drop=True)
    else:
        # What was there first stays: appending the same again changes nothing.
        rows = pd.concat([part[list(Sample.ALL)] for part in parts]).drop_duplicates(list(_KEY))
        rows = rows.sort_values(list(_KEY), ignore_index=True)
    return rows[list(Sample.ALL)].copy()


def _lift(rows: pd.DataFrame, tails: Tails) -> Tails:
    """Add the lifts to samples sorted by series and time; return the newest of every series so far."""
    readings = rows[list(COUNTERS)].to_numpy(np.float64)
    lifts = np.full_like(readings, np.nan)
    there = ~np.isnan(readings[:, 0])
    out = dict(tails)
    for key, series in _series_of(rows).items():
        index = series[there[series]]
        if not len(index):
            continue
        mine = readings[index]
        before, lift = out.get(key, (mine[0], np.zeros(len(COUNTERS))))
        previous = np.vstack([before, mine[:-1]])
        # A counter that fell began anew from 0: what it had counted until then is what it is lifted by.
        lifts[index] = lift + np.where(mine < previous, previous, 0.0).cumsum(axis=0)
        out[key] = (mine[-1], lifts[index[-1]])
    rows[[lift_of(counter) for counter in COUNTERS]] = lifts
    return out


def _series_of(rows: pd.DataFrame) -> Mapping[tuple[str, str], npt.NDArray[np.intp]]:
    found: Mapping[tuple[str, str], npt.NDArray[np.intp]] = rows.groupby([Sample.SERVICE, Sample.REGION]).indices
    return found


def _same_lifts(before: pd.DataFrame, after: pd.DataFrame) -> bool:
    names: Sequence[str] = [lift_of(counter) for counter in COUNTERS]
    return np.array_equal(before[names].to_numpy(np.float64), after[names].to_numpy(np.float64), equal_nan=True)


def _tails_table(tails: Tails) -> pa.Table:
    columns: dict[str, Any] = {
        Sample.SERVICE: [service for service, _ in tails],
        Sample.REGION: [region for _, region in tails],
    }
    for number, counter in enumerate(COUNTERS):
        columns[counter] = [reading[number] for reading, _ in tails.values()]
        columns[lift_of(counter)] = [lift[number] for _, lift in tails.values()]
    return pa.table(columns)


def _hours(samples: pa.Table) -> pa.Table:
    """Return first, last and sums of every series and hour; an hour has the moment it ends, not that it begins."""
    import duckdb

    with duckdb.connect(config={"threads": 1}) as connection:
        connection.register("samples", samples)
        return connection.sql(_HOURS_SQL).to_arrow_table()


def _hours_sql() -> str:
    end = f"((epoch_us(ts) + {HOUR_US - 1}) // {HOUR_US} * {HOUR_US})"
    counted = f"{Sample.REQUESTS} IS NOT NULL"
    columns = [f"count({Sample.REQUESTS}) AS n"]
    columns += [
        f"{how}(epoch_us(ts)) FILTER ({counted}) AS {name}_us" for how, name in (("min", "first"), ("max", "last"))
    ]
    for counter in COUNTERS:
        lifted = f"{counter} + {lift_of(counter)}"
        columns += [f"min({lifted}) AS {low_of(counter)}", f"max({lifted}) AS {high_of(counter)}"]
        columns.append(f"min({lift_of(counter)}) AS {lift_of(counter)}")
    for gauge in GAUGES:
        columns += [f"count({gauge}) AS {count_of(gauge)}", f"sum({gauge}) AS {sum_of(gauge)}"]
        columns.append(f"max({gauge}) FILTER (epoch_us(ts) = {end}) AS {edge_of(gauge)}")
    return (
        f"SELECT {Sample.SERVICE}, {Sample.REGION}, {end} AS end_us, {', '.join(columns)} "  # noqa: S608 - own names
        f"FROM samples GROUP BY ALL ORDER BY {Sample.SERVICE}, {Sample.REGION}, end_us"
    )


_HOURS_SQL: Final = _hours_sql()


def _write(path: Path, table: pa.Table) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=1, row_group_size=_ROWS_A_GROUP)
    write_bytes(path, sink.getvalue())
