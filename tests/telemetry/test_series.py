"""The embedded series: nothing twice, nothing lost, in whatever order samples come."""

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from telemetry.system.embedded import EmbeddedSystemMetrics
from telemetry.system.series import (
    EVER_US,
    HOURS,
    SAMPLES,
    TAILS,
    SeriesStore,
    high_of,
    lift_of,
    low_of,
    week_of,
)
from tests.telemetry.sampled import START, samples
from workspace.columns import Sample
from workspace.errors import SchemaError
from workspace.paths import Paths

WEEK = dt.timedelta(weeks=1)
KEY = [Sample.SERVICE, Sample.REGION, Sample.TS]


def stored(store: SeriesStore) -> pd.DataFrame:
    tables = list(store.tables())
    return pa.concat_tables(tables).to_pandas().sort_values(KEY, ignore_index=True)


def names(store: SeriesStore, dataset: str) -> set[str]:
    return {path.name for path in (store.folder / dataset).iterdir()}


def growth(paths: Paths, **scope: Any) -> pd.DataFrame:
    return EmbeddedSystemMetrics(paths).request_rate(**scope)


def test_series_appended_twice_counts_once(home: Paths) -> None:
    store, frame = SeriesStore(home), samples(50)
    assert store.append(frame) == 200
    before = names(store, SAMPLES)
    assert store.append(frame) == 0
    assert store.append(pd.concat([frame.head(3), frame.head(3)])) == 0
    # What changes nothing writes nothing.
    assert names(store, SAMPLES) == before


def test_series_keeps_what_was_there_first(home: Paths) -> None:
    store, frame = SeriesStore(home), samples(5, services=("bff",), regions=("US",))
    store.append(frame)
    store.append(frame.assign(**{Sample.CPU: 0.123}))
    np.testing.assert_array_equal(stored(store)[Sample.CPU], frame[Sample.CPU])


def test_series_stores_what_it_was_given(home: Paths) -> None:
    store, frame = SeriesStore(home), samples(300)
    store.append(frame.sample(frac=1, random_state=1))
    found = stored(store)
    expected = frame.sort_values(KEY, ignore_index=True)
    assert found[Sample.TS].tolist() == expected[Sample.TS].dt.tz_localize(None).tolist()
    np.testing.assert_array_equal(found[list(Sample.ALL[3:])], expected[list(Sample.ALL[3:])])


@pytest.mark.parametrize("seed", [0, 1])
def test_series_answers_alike_in_whatever_order_samples_come(home: Paths, tmp_path: Path, seed: int) -> None:
    frame = samples(400, step_s=3600, services=("bff",), seed=seed)  # over resets and weeks
    rng = np.random.default_rng(seed)
    parts = np.array_split(rng.permutation(len(frame)), 3)
    whole = Paths(tmp_path / "whole").ensure()
    SeriesStore(whole).append(frame)
    pieces = SeriesStore(home)
    assert sum(pieces.append(frame.iloc[part]) for part in parts) == len(frame)
    scope: Any = {"start": START, "end": START + 3 * WEEK, "step": dt.timedelta(days=9)}
    pd.testing.assert_frame_equal(growth(home, **scope), growth(whole, **scope))
    for first, second in zip(pieces.files(HOURS, 0, EVER_US), SeriesStore(whole).files(HOURS, 0, EVER_US), strict=True):
        pd.testing.assert_frame_equal(pq.read_table(first).to_pandas(), pq.read_table(second).to_pandas())


def test_series_lifts_a_counter_over_its_resets_by_hand(home: Paths) -> None:
    frame = samples(6, step_s=600, services=("bff",), regions=("US",), resets=0)
    frame[Sample.REQUESTS] = [10.0, 30.0, 5.0, 5.0, 2.0, 9.0]
    store = SeriesStore(home)
    store.append(frame)
    rows = pa.concat_tables([pq.read_table(one) for one in store.files(SAMPLES, 0, EVER_US)]).to_pandas()
    # It fell from 30 and from 5.
    assert rows.sort_values(Sample.TS)[lift_of(Sample.REQUESTS)].tolist() == [0, 0, 30, 30, 35, 35]
    hours = pa.concat_tables([pq.read_table(one) for one in store.files(HOURS, 0, EVER_US)]).to_pandas()
    # Midnight ends the hour before; the other five samples lie in the hour until one.
    assert hours["n"].tolist() == [1, 5]
    assert hours[low_of(Sample.REQUESTS)].tolist() == [10, 30]
    assert hours[high_of(Sample.REQUESTS)].tolist() == [10, 44]


def test_series_goes_on_after_weeks_without_samples(home: Paths) -> None:
    frame = samples(2, services=("bff",), regions=("US",), resets=0)
    other = samples(2, services=("user",), regions=("US",), start=START + WEEK, resets=0)
    later = samples(2, services=("bff",), regions=("US",), start=START + 3 * WEEK, resets=0)
    later[Sample.REQUESTS] = [1.0, 2.0]
    store = SeriesStore(home)
    for part in (frame, other, later):
        store.append(part)
    newest = pq.read_table(store.files(SAMPLES, 0, EVER_US)[-1]).to_pandas()
    assert newest[lift_of(Sample.REQUESTS)].iloc[-1] == frame[Sample.REQUESTS].iloc[-1]


def test_series_of_the_console_does_not_rewrite_those_of_the_platform(home: Paths) -> None:
    store = SeriesStore(home)
    store.append(samples(20, resets=0))
    platform = names(store, SAMPLES)
    for minute in range(3):
        row = samples(1, services=("console",), regions=("local",), start=START + minute * dt.timedelta(1), resets=0)
        store.append(row)
    assert platform < names(store, SAMPLES)
    assert len(names(store, SAMPLES)) == len(platform) + 2  # midnight on Monday ends the week before
    assert names(store, SAMPLES) == names(store, HOURS) == names(store, TAILS)


def test_series_sweeps_what_a_killed_writer_left(home: Paths) -> None:
    store = SeriesStore(home)
    store.append(samples(20))
    kept = names(store, SAMPLES)
    orphan = f"2026-01-05.platform.part_{'Z' * 26}.parquet"
    # Killed after the derived files and before the samples: nobody has seen them.
    (store.folder / HOURS / orphan).write_bytes(b"half")
    (store.folder / TAILS / orphan).write_bytes(b"half")
    (store.folder / SAMPLES / ".x.parquet.0123456789abcdef.tmp").write_bytes(b"half")
    assert store.append(samples(20)) == 0
    assert names(store, SAMPLES) == names(store, HOURS) == names(store, TAILS) == kept


def test_series_reads_the_newest_of_two_versions_of_a_week(home: Paths) -> None:
    store = SeriesStore(home)
    store.append(samples(20, start=START + dt.timedelta(hours=1)))
    (old,) = store.files(SAMPLES, 0, EVER_US)
    copy = old.read_bytes()
    store.append(samples(30, start=START + dt.timedelta(hours=1), seed=0))
    old.write_bytes(copy)  # killed before it could remove the one it replaced
    assert len(stored(store)) == 120
    store.append(samples(1, start=START + dt.timedelta(hours=1)))
    assert not old.exists()


def test_series_replaced_while_they_are_read_are_read_in_their_newest_version(home: Paths) -> None:
    store, frame = SeriesStore(home), samples(300, step_s=7_200)
    store.append(frame)
    before = [table.num_rows for table in store.tables()]
    reading = store.tables()
    next(reading)
    # The later weeks are rewritten by then, and their files that were listed are gone.
    store.append(samples(300, step_s=7_200, start=START + dt.timedelta(hours=1)))
    rest = [table.num_rows for table in reading]
    assert rest == [table.num_rows for table in store.tables()][1:]
    assert len(rest) >= 2
    assert sum(rest) > sum(before[1:])


def test_series_without_a_week_that_was_listed_say_so(home: Paths) -> None:
    store = SeriesStore(home)
    store.append(samples(300, step_s=7_200))
    reading = store.tables()
    next(reading)
    for path in store.files(SAMPLES, 0, EVER_US):
        path.unlink()
    with pytest.raises(FileNotFoundError):
        next(reading)


def test_series_imports_files_week_by_week(home: Paths, tmp_path: Path) -> None:
    frame = samples(500, step_s=3600)
    folder = tmp_path / "given"
    folder.mkdir()
    naive = frame.assign(**{Sample.TS: frame[Sample.TS].dt.tz_localize(None)})
    naive.iloc[:700].to_parquet(folder / "a.parquet")
    naive.iloc[600:].to_parquet(folder / "b.parquet")
    assert SeriesStore(home).import_parquet(folder) == len(frame)
    assert len(stored(SeriesStore(home))) == len(frame)
    frame.to_parquet(folder / "a.parquet")
    (folder / "b.parquet").unlink()
    assert SeriesStore(home).import_parquet(folder) == 0


def test_series_import_of_what_are_no_samples_is_named(home: Paths, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="holds no samples"):
        SeriesStore(home).import_parquet(tmp_path / "nowhere")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(SchemaError, match="can't be read"):
        SeriesStore(home).import_parquet(tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({Sample.REQUESTS: -1.0}, "negative"),
        ({Sample.CPU: float("inf")}, "infinite"),
        ({Sample.CPU: "much"}, "is no number"),
        ({Sample.TS: "soon"}, "has no ts"),
        ({Sample.TS: "1970-01-01T00:00:00Z"}, "from 2000 on"),
        ({Sample.SERVICE: None}, "has no service"),
        ({Sample.REGION: " "}, "has no region"),
        ({Sample.ERRORS: float("nan")}, "all or none"),
    ],
)
def test_series_refuses_what_can_not_be(home: Paths, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SchemaError, match=said):
        SeriesStore(home).append(samples(3).assign(**changes))
    assert not list(SeriesStore(home).tables())


def test_series_refuses_a_frame_without_a_column(home: Paths) -> None:
    with pytest.raises(SchemaError, match="lack le_1"):
        SeriesStore(home).append(samples(3).drop(columns="le_1"))


def test_week_ends_with_midnight_on_monday() -> None:
    monday = int(START.timestamp() * 1e6)
    assert week_of(monday + 1) == week_of(monday) + 1
    assert week_of(monday + int(WEEK.total_seconds() * 1e6)) == week_of(monday) + 1
