"""Streaming gives the rows of the world in memory, within bounds."""

import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from data.synthetic import World, WorldSpec, stream
from data.synthetic.streaming import FILES, FILMS, INTERACTIONS, TRUTH_FILMS, TRUTH_USERS, USERS
from data.synthetic.tables import frame, read_truth
from workspace.errors import InvalidValueError, StateError


@pytest.mark.parametrize("batch_users", [1, 512, 100_000])
def test_stream_writes_the_rows_of_generate_whatever_the_batch(
    world: World, spec: WorldSpec, tmp_path: Path, batch_users: int
) -> None:
    report = stream(spec, tmp_path / "world", batch_users=batch_users)
    tables = {name: pq.read_table(tmp_path / "world" / name) for name in FILES}
    pd.testing.assert_frame_equal(frame(tables[FILMS]), world.films)
    pd.testing.assert_frame_equal(frame(tables[USERS]), world.users)
    pd.testing.assert_frame_equal(frame(tables[INTERACTIONS]), world.interactions)
    truth = read_truth(tables[TRUTH_FILMS], tables[TRUTH_USERS])
    assert np.array_equal(truth.preference([0, 599]), world.truth.preference([0, 599]))
    assert (report.films, report.users, report.interactions) == (700, 600, len(world.interactions))


def test_stream_memory_does_not_grow_with_users(spec: WorldSpec, tmp_path: Path) -> None:
    peaks = []
    for users in (512, 4_096):
        tracemalloc.start()
        small = replace(spec, films=100, users=users, interactions_per_user=10.0)
        stream(small, tmp_path / f"w{users}", batch_users=256)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_stream_tells_its_progress(spec: WorldSpec, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    stream(spec, tmp_path / "world", lambda done, total: told.append((done, total)), batch_users=256)
    assert told == [(256, 600), (512, 600), (600, 600)]


def test_stream_leaves_nothing_behind_when_it_fails(spec: WorldSpec, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt(f"{done} of {total}")

    with pytest.raises(KeyboardInterrupt):
        stream(spec, tmp_path / "world", stop, batch_users=256)
    assert list(tmp_path.iterdir()) == []


def test_stream_refuses_a_taken_folder_and_an_empty_batch(spec: WorldSpec, tmp_path: Path) -> None:
    with pytest.raises(StateError):
        stream(spec, tmp_path)
    with pytest.raises(InvalidValueError, match="batch_users"):
        stream(spec, tmp_path / "world", batch_users=0)
