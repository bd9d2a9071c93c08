"""The questions answered from the embedded series: DuckDB reads the columns a question needs, numpy the rest.

Questions whose steps are whole hours read the hours that were worked out when the samples were written.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from telemetry.system.questions import (
    BOUNDS_S,
    EVERY,
    Floats,
    Kind,
    Known,
    Questions,
    Series,
    SystemQuestion,
    answer_frame,
)
from telemetry.system.series import (
    HOUR_US,
    HOURS,
    SAMPLES,
    SeriesStore,
    count_of,
    edge_of,
    high_of,
    lift_of,
    low_of,
    sum_of,
)
from telemetry.system.windows import Bins, Windows, bucket_quantile, ratio
from workspace.columns import Sample
from workspace.errors import IntegrityError
from workspace.paths import Paths

_ATTEMPTS: Final = 3
_MEMORY: Final = "512MB"
_TOTAL: Final = Sample.BUCKETS[-1]
_GAUGES: Final = {
    Kind.CPU: Sample.CPU,
    Kind.MEMORY: Sample.MEMORY,
    Kind.AVAILABILITY: Sample.UP,
    Kind.ACTIVE_SESSIONS: Sample.ACTIVE_SESSIONS,
}


class EmbeddedSystemMetrics(Questions):
    """Answers from the samples of a workspace. Safe to share between threads.

    Args:
        paths: The workspace.
    """

    name: Final = "embedded series"

    def __init__(self, paths: Paths) -> None:
        import duckdb

        self._store = SeriesStore(paths)
        self._connection = duckdb.connect(config={"memory_limit": _MEMORY})
        # Files never change under their name, so that their footers need reading once only.
        self._connection.execute("SET parquet_metadata_cache = true")

    def answer(self, question: SystemQuestion) -> pd.DataFrame:
        """Answer any question.

        Raises:
            IntegrityError: When a file of samples is damaged.
        """
        counters, gauges = _needed(question)
        rows = self._bins(question, counters, gauges)
        if rows.empty:
            return answer_frame(question, [])
        labels, bins = _dense(rows, question, counters, gauges)
        windows = Windows(bins, step_s=question.step_s, steps=question.steps_in_window)
        groups = _groups(labels, question)
        values = _answer(question, windows, groups)
        return answer_frame(question, [Series(*label, values[row]) for row, label in enumerate(groups)])

    def known(self, start: dt.datetime, end: dt.datetime) -> Known:
        """Say which services and regions have samples, and from when to when."""
        span = (int(start.timestamp() * 1e6), int(end.timestamp() * 1e6))
        sql = (
            f"SELECT {Sample.SERVICE}, {Sample.REGION}, min(coalesce(first_us, end_us)), "  # noqa: S608 - own names
            "max(coalesce(last_us, end_us)) FROM read_parquet($files) "
            f"WHERE end_us >= $start AND end_us - {HOUR_US} < $end GROUP BY ALL"
        )
        rows = self._read(HOURS, *span, sql, {"start": span[0], "end": span[1]})
        if rows.empty:
            return Known()
        services, regions, first, last = (rows.iloc[:, column] for column in range(4))
        moments = [pd.Timestamp(int(us), unit="us", tz="UTC").to_pydatetime() for us in (first.min(), last.max())]
        return Known.of(services.tolist(), regions.tolist(), *moments)

    def close(self) -> None:
        """Let go of the engine."""
        self._connection.close()

    def _bins(self, question: SystemQuestion, counters: Sequence[str], gauges: Sequence[str]) -> pd.DataFrame:
        times = question.times
        low, high = (int(times[0]) - question.window_s) * 1_000_000, int(times[-1]) * 1_000_000
        hourly = question.step_s * 1_000_000 % HOUR_US == 0
        parameters: dict[str, Any] = {"low": low, "high": high}
        conditions = ["moment_us BETWEEN $low AND $high"]
        for column, chosen in ((Sample.SERVICE, question.services), (Sample.REGION, question.regions)):
            if chosen is not None:
                parameters[column] = list(chosen)
                conditions.append(f"{column} IN (SELECT unnest(${column}))")
        dataset, source = (HOURS, _from_hours) if hourly else (SAMPLES, _from_samples)
        step_us = question.step_s * 1_000_000
        sql = _bins_sql(source(counters, gauges, step_us), counters, gauges, conditions, step_us)
        return self._read(dataset, low, high, sql, parameters)

    def _read(self, dataset: str, start_us: int, end_us: int, sql: str, parameters: dict[str, Any]) -> pd.DataFrame:
        """Run a query over the newest files; once more when they were replaced between listing and reading."""
        import duckdb

        problem: duckdb.Error | None = None
        for _ in range(_ATTEMPTS):
            files = self._store.files(dataset, start_us, end_us)
            if not files:
                return pd.DataFrame()
            try:
                with self._connection.cursor() as cursor:
                    return cursor.execute(sql, {**parameters, "files": [str(path) for path in files]}).df()
            except duckdb.Error as error:
                problem = error
                if all(path.exists() for path in files):
                    break
        raise IntegrityError(
            f"the samples in {self._store.folder} can't be read: {str(problem).splitlines()[0]}",
            hint="remove the damaged file and import its samples again",
        ) from problem


def _needed(question: SystemQuestion) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the counters and gauges a question is answered from."""
    if question.kind in _GAUGES:
        return (), (_GAUGES[question.kind],)
    return {
        Kind.REQUEST_RATE: (Sample.REQUESTS,),
        Kind.ERROR_RATE: (Sample.ERRORS, Sample.REQUESTS),
        Kind.WITHIN_LATENCY: (_bucket(question.limit_s), _TOTAL),
        Kind.LATENCY_QUANTILE: Sample.BUCKETS,
    }[question.kind], ()


def _bucket(limit_s: float) -> str:
    return Sample.BUCKETS[BOUNDS_S.index(limit_s)]


def _from_samples(counters: Sequence[str], gauges: Sequence[str], step_us: int) -> str:
    counted = f"CASE WHEN {Sample.REQUESTS} IS NOT NULL THEN moment_us END"
    columns = [f"({Sample.REQUESTS} IS NOT NULL)::BIGINT AS n", f"{counted} AS first_us", f"{counted} AS last_us"]
    for counter in counters:
        lifted = f"{counter} + {lift_of(counter)}"
        columns += [f"{lifted} AS {low_of(counter)}", f"{lifted} AS {high_of(counter)}", lift_of(counter)]
    for gauge in gauges:
        at_end = f"CASE WHEN moment_us % {step_us} = 0 THEN {gauge} END"
        columns += [f"({gauge} IS NOT NULL)::BIGINT AS {count_of(gauge)}", f"{gauge} AS {sum_of(gauge)}"]
        columns.append(f"{at_end} AS {edge_of(gauge)}")
    return _source(columns, f"epoch_us({Sample.TS})")


def _from_hours(counters: Sequence[str], gauges: Sequence[str], step_us: int) -> str:
    columns = ["n", "first_us", "last_us"]
    for counter in counters:
        columns += [low_of(counter), high_of(counter), lift_of(counter)]
    for gauge in gauges:
        at_end = f"CASE WHEN moment_us % {step_us} = 0 THEN {edge_of(gauge)} END"
        columns += [count_of(gauge), sum_of(gauge), f"{at_end} AS {edge_of(gauge)}"]
    return _source(columns, "end_us")


def _source(columns: Sequence[str], moment: str) -> str:
    relation = f"(SELECT *, {moment} AS moment_us FROM read_parquet($files))"  # noqa: S608 - own names
    return f"SELECT {Sample.SERVICE}, {Sample.REGION}, moment_us, {', '.join(columns)} FROM {relation}"  # noqa: S608 - own names


def _bins_sql(
    source: str, counters: Sequence[str], gauges: Sequence[str], conditions: Sequence[str], step_us: int
) -> str:
    aggregates = ["sum(n) AS n", "min(first_us) - $low AS first_us", "max(last_us) - $low AS last_us"]
    for counter in counters:
        low, high, lift = low_of(counter), high_of(counter), lift_of(counter)
        aggregates += [f"min({low}) AS {low}", f"max({high}) AS {high}", f"min({lift}) AS {lift}"]
    for gauge in gauges:
        count, total, edge = count_of(gauge), sum_of(gauge), edge_of(gauge)
        aggregates += [f"sum({count}) AS {count}", f"sum({total}) AS {total}", f"max({edge}) AS {edge}"]
    # The windows are (low, low + step], …: what lies exactly at low is bin 0.
    number = f"(moment_us - $low + {step_us - 1}) // {step_us}"
    return (
        f"SELECT {Sample.SERVICE}, {Sample.REGION}, {number} AS bin, {', '.join(aggregates)} FROM ({source}) "  # noqa: S608 - own names
        f"WHERE {' AND '.join(conditions)} GROUP BY ALL"
    )


def _dense(
    rows: pd.DataFrame, question: SystemQuestion, counters: Sequence[str], gauges: Sequence[str]
) -> tuple[list[tuple[str, str]], Bins]:
    """Return the labels of the series, and their bins as arrays."""
    grouped = rows.groupby([Sample.SERVICE, Sample.REGION])
    labels = [(str(service), str(region)) for service, region in grouped.groups]
    series, bin_ = grouped.ngroup().to_numpy(), rows["bin"].to_numpy(np.int64)
    shape = (len(labels), len(question.times) + question.steps_in_window)

    def spread(column: str, absent: float = np.nan) -> Floats:
        dense = np.full(shape, absent)
        values = rows[column].to_numpy(np.float64, na_value=np.nan)
        dense[series, bin_] = np.where(np.isnan(values), absent, values)
        return dense

    return labels, Bins(
        n=spread("n", 0.0),
        first_s=spread("first_us") / 1e6,
        last_s=spread("last_us") / 1e6,
        low={name: spread(low_of(name)) for name in counters},
        high={name: spread(high_of(name)) for name in counters},
        floor={name: spread(lift_of(name)) for name in counters},
        gauge_n={name: spread(count_of(name), 0.0) for name in gauges},
        gauge_sum={name: spread(sum_of(name)) for name in gauges},
        gauge_edge={name: spread(edge_of(name)) for name in gauges},
    )


def _groups(labels: Sequence[tuple[str, str]], question: SystemQuestion) -> dict[tuple[str, str], list[int]]:
    """Return the rows of the series that are taken together, by the label they get."""
    groups: dict[tuple[str, str], list[int]] = {}
    for row, (service, region) in enumerate(labels):
        label = (
            service if Sample.SERVICE in question.by else EVERY,
            region if Sample.REGION in question.by else EVERY,
        )
        groups.setdefault(label, []).append(row)
    return groups


def _answer(question: SystemQuestion, windows: Windows, groups: dict[tuple[str, str], list[int]]) -> Floats:
    """Return the values, shape (n_groups, n_times)."""

    def rates(counter: str) -> Floats:
        return _together(windows.rate(counter), groups)

    if question.kind in (Kind.CPU, Kind.MEMORY, Kind.AVAILABILITY):
        means = windows.mean(_GAUGES[question.kind])
        return ratio(_together(means, groups), _together(np.where(np.isnan(means), np.nan, 1.0), groups))
    if question.kind == Kind.ACTIVE_SESSIONS:
        return _together(windows.mean(Sample.ACTIVE_SESSIONS), groups)
    if question.kind == Kind.REQUEST_RATE:
        return rates(Sample.REQUESTS)
    if question.kind == Kind.ERROR_RATE:
        return ratio(rates(Sample.ERRORS), rates(Sample.REQUESTS))
    if question.kind == Kind.WITHIN_LATENCY:
        return ratio(rates(_bucket(question.limit_s)), rates(_TOTAL))
    return bucket_quantile(question.quantile, np.stack([rates(bucket) for bucket in Sample.BUCKETS]))


def _together(values: Floats, groups: dict[tuple[str, str], list[int]]) -> Floats:
    """Add up the series of each group; a moment at which none has a value has no sum."""
    out = np.full((len(groups), values.shape[1]), np.nan)
    for number, rows in enumerate(groups.values()):
        mine = values[rows]
        known = ~np.isnan(mine)
        out[number] = np.where(known.any(axis=0), np.where(known, mine, 0.0).sum(axis=0), np.nan)
    return out
