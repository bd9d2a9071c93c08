"""Number blocks: near numbers have near vectors; the unknown says nothing."""

import numpy as np
import pandas as pd
import pytest

from recommender.features.numbers import NUMBER_BLOCKS, release_year

ERA, RUNTIME, AGE = NUMBER_BLOCKS


def frame(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns)


def test_release_year_counts_the_days_of_the_year() -> None:
    years = release_year(frame(release_date=[pd.Timestamp("1999-07-02"), pd.NaT]))
    assert years[0] == pytest.approx(1999 + 182 / 365.25)
    assert np.isnan(years[1])


def test_vectors_are_unit_and_fall_with_distance() -> None:
    films = frame(release_date=list(pd.to_datetime(["1960-01-01", "1963-01-01", "1975-01-01", "2015-01-01"])))
    vectors = ERA.vectors(films)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    similarity = vectors @ vectors[0]
    assert similarity[0] > similarity[1] > similarity[2] > similarity[3]


def test_vectors_are_zero_where_the_number_is_unknown() -> None:
    assert not RUNTIME.vectors(frame(runtime_min=[float("nan")])).any()


def test_vectors_clip_numbers_beyond_the_last_centre() -> None:
    vectors = RUNTIME.vectors(frame(runtime_min=[200.0, 5000.0]))
    assert np.array_equal(vectors[0], vectors[1])


@pytest.mark.parametrize(
    ("block", "film", "label"),
    [
        (ERA, {"release_date": pd.Timestamp("1994-10-14")}, "era: released 1994"),
        (RUNTIME, {"runtime_min": 142.0}, "runtime: 142 min"),
        (AGE, {"minimum_age": 16}, "age: from age 16"),
        (AGE, {"minimum_age": float("nan")}, "age: unknown"),
    ],
)
def test_label_reads_like_the_fact(block: object, film: dict[str, object], label: str) -> None:
    assert block.label(film) == label  # type: ignore[attr-defined]
