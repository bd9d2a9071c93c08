"""Interactions as numbers."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from recommender.acts import Acts, days
from tests.recommender import catalogue_frames as frames

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def test_acts_map_kinds_and_values_to_likings() -> None:
    rows = [("a", "1", "rated", 5.0), ("a", "2", "rated", 2.0), ("a", "3", "rated", 0.5), ("b", "1", "watched", 1.0),
            ("b", "2", "watched", 0.2), ("b", "3", "watched", 0.0), ("c", "1", "thumbs_down", -1.0),
            ("c", "2", "dismissed", -1.0), ("c", "3", "rated", 4.0), ("c", "4", "watched", 0.9)]  # fmt: skip
    table = frames.interactions(*((*row, EPOCH + dt.timedelta(hours=12 * i)) for i, row in enumerate(rows)))
    acts = Acts.of(table, {"1": 10, "2": 20, "3": 30}, {"a": 0, "b": 1, "c": 2})
    # The film "4" has no row: its act is left out.
    assert acts.films.tolist() == [10, 20, 30] * 3
    assert acts.users.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert acts.likes.tolist() == pytest.approx([1, 0, -0.5, 1, 0, -0.25, -1, -0.5, 2 / 3])
    assert acts.positive.tolist() == [True, False, False, True, False, False, False, False, True]
    assert acts.watched.tolist() == [True] * 6 + [False, False, True]
    assert acts.days.tolist() == [i / 2 for i in range(9)]
    assert len(acts) == 9
    assert acts.take(np.array([8, 0])).films.tolist() == [30, 10]
    assert not Acts.of(table, {"4": 0}).users.any()
    assert len(Acts.none()) == 0


def test_days_count_from_1970_whatever_the_unit_of_the_moment() -> None:
    moments = pd.Series(pd.to_datetime(["1970-01-02T06:00Z", "1969-12-31T00:00Z"]))
    for unit in ("s", "ms", "us", "ns"):
        assert days(moments.dt.as_unit(unit)).tolist() == [1.25, -1.0]
