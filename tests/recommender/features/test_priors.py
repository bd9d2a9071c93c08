"""The priors: counted by hand on a few acts, and never ahead of their time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.acts import Acts
from recommender.features.priors import DAYS_A_YEAR, PopularityBins, Priors, Recency, acclaim, quality
from workspace.columns import Film

FILMS = 4
PRIORS = ("acclaim", "quality", "popularity", "recency")


def acts(*rows: tuple[int, float, bool, bool, float]) -> Acts:
    """Return acts of (film, liking, watched, positive, day)."""
    columns = list(zip(*rows, strict=True)) if rows else [()] * 5
    return Acts(
        users=np.zeros(len(rows), np.int64),
        films=np.array(columns[0], np.int64),
        likes=np.array(columns[1], np.float64),
        watched=np.array(columns[2], np.bool_),
        positive=np.array(columns[3], np.bool_),
        days=np.array(columns[4], np.float64),
    )


def likes_on(*rows: tuple[int, float]) -> Acts:
    return acts(*((film, 1.0, True, True, day) for film, day in rows))


def released(*dates: str | None) -> pd.DataFrame:
    return pd.DataFrame({Film.RELEASE_DATE: pd.to_datetime(list(dates))})


def test_acclaim_is_the_logarithm_of_positive_acts_against_the_most_liked_film() -> None:
    given_acts = acts((0, 1, True, True, 1), (0, 1, True, True, 2), (0, 1, True, True, 3), (1, 1, True, True, 4),
                      (2, 0.3, True, False, 5), (3, -1, False, False, 6))  # fmt: skip
    # 3, 1, 0, 0 likes: log 4, log 2, log 1, log 1, by the largest.
    assert acclaim(given_acts, FILMS)[:, 0] == pytest.approx([1.0, 0.5, 0.0, 0.0])


def test_acclaim_of_nobody_is_zero() -> None:
    assert acclaim(Acts.none(), FILMS).tolist() == [[0.0]] * FILMS


def test_quality_shrinks_a_film_s_mean_towards_the_catalogue_s() -> None:
    given_acts = acts((0, 1.0, True, True, 1), (0, 0.5, True, True, 1), (1, 0.0, True, False, 1),
                      (2, -1.0, False, False, 1))  # fmt: skip
    # Mean of what was watched: (1 + 0.5 + 0) / 3 = 0.5; a thumbs-down unwatched is no opinion on quality.
    expected = [(1.5 - 2 * 0.5) / (2 + 20), (0.0 - 0.5) / (1 + 20), 0.0, 0.0]
    assert quality(given_acts, FILMS)[:, 0] == pytest.approx(expected)


def test_popularity_counts_the_two_years_before_the_bin() -> None:
    bins = PopularityBins(edges=(0.0, 731.0, 1462.0))
    given_acts = likes_on((0, 0.0), (0, 0.5), (0, 730.9), (1, 731.0), (2, 1461.9), (2, 5000.0))
    # Bin at 731 looks at [0.5, 731): two likes of film 0; bin at 1462 at [731.5, 1462): one of film 2. 731.0 is in
    # neither: too late for the one, half a day too old for the other.
    expected = np.array([[0, np.log(3), 0], [0, 0, 0], [0, 0, np.log(2)], [0, 0, 0]]) / np.log(3)
    assert bins.vectors(given_acts, FILMS) == pytest.approx(expected)


def test_popularity_query_picks_the_bin_of_the_day() -> None:
    bins = PopularityBins(edges=(10.0, 20.0))
    assert bins.query(9.9).tolist() == [0, 0]
    assert bins.query(10.0).tolist() == [1, 0]
    assert bins.query(19.9).tolist() == [1, 0]
    assert bins.query(1e6).tolist() == [0, 1]


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.integers(0, FILMS - 1), st.floats(0, 6000)), min_size=1, max_size=25),
    st.lists(st.tuples(st.integers(0, FILMS - 1), st.floats(0, 3000)), max_size=25),
)
def test_popularity_never_looks_ahead(known: list[tuple[int, float]], later: list[tuple[int, float]]) -> None:
    bins = PopularityBins.over(likes_on(*known))
    for column, edge in enumerate(bins.edges):
        before = likes_on(*((film, day) for film, day in known if day < edge))
        after = likes_on(*((film, day) for film, day in known if day < edge), *((f, edge + d) for f, d in later))
        # The scale is of the whole table; a bin is the same up to it.
        quiet = np.expm1(_counts(bins, before)[:, column])
        loud = np.expm1(_counts(bins, after)[:, column])
        assert loud == pytest.approx(quiet, abs=1e-4)


def _counts(bins: PopularityBins, some: Acts) -> np.ndarray:
    anchor = likes_on(*[(FILMS, bins.edges[0] - 1.0)] * 99)  # fixes the largest number at log 100
    both = Acts(**{name: np.concatenate([getattr(some, name), getattr(anchor, name)])
                   for name in ("users", "films", "likes", "watched", "positive", "days")})  # fmt: skip
    return bins.vectors(both, FILMS + 1)[:FILMS] * np.log(100)


@given(st.lists(st.floats(0, 20_000), min_size=1, max_size=30))
def test_bins_begin_before_the_first_act_and_end_right_after_the_last(days: list[float]) -> None:
    bins = PopularityBins.over(likes_on(*((0, day) for day in days)))
    assert list(bins.edges) == sorted(set(bins.edges))
    assert bins.edges[0] <= min(days) + 1e-6
    assert bins.edges[-1] == np.nextafter(max(days), np.inf)


def test_bins_are_monthly_over_a_short_history_and_quarterly_over_a_long_one() -> None:
    short = PopularityBins.over(likes_on((0, 0.0), (0, 2 * DAYS_A_YEAR)))
    long = PopularityBins.over(likes_on((0, 0.0), (0, 10 * DAYS_A_YEAR)))
    assert np.diff(short.edges) == pytest.approx(DAYS_A_YEAR / 12)
    assert np.diff(long.edges) == pytest.approx(DAYS_A_YEAR / 4)
    assert PopularityBins.over(Acts.none()).edges == (0.0,)


@settings(max_examples=40)
@given(st.integers(0, 40 * 365), st.integers(0, 40 * 365))
def test_recency_is_separable(release: int, back: int) -> None:
    dates = released(str(np.datetime64("1980-01-01") + release), "2020-07-01")
    recency = Recency.over(dates)
    at = float((np.datetime64("2020-07-01") - back).astype("datetime64[D]").astype(int))
    product = float(recency.vectors(dates)[0, 0]) * float(recency.query(at)[0])
    film_year = 1980 + release / 365.25
    moment_year = 1970 + at / 365.25
    assert product == pytest.approx(np.exp((film_year - moment_year) / 2), rel=0.02)


def test_recency_of_an_unknown_release_is_zero_and_the_newest_film_stays_fresh() -> None:
    dates = released("2010-01-01", None)
    recency = Recency.over(dates)
    assert recency.vectors(dates)[:, 0].tolist() == [1.0, 0.0]
    assert recency.query(40_000.0).tolist() == [1.0]
    assert np.isfinite(Recency.over(released(None)).query(0.0)).all()
    assert np.isfinite(recency.query(-300_000.0)).all()


def test_priors_lay_the_chosen_blocks_side_by_side_and_restore_from_json() -> None:
    films = released("2010-01-01", "2011-01-01", None, "2009-01-01")
    some = likes_on((0, 15_000.0), (1, 15_300.0))
    priors = Priors.fit(films, some, PRIORS)
    bins = priors.dims["popularity"]
    assert priors.dims == {"acclaim": 1, "quality": 1, "popularity": bins, "recency": 1}
    assert priors.vectors(films, some).shape == (4, bins + 3)
    assert priors.query(15_300.0).shape == (bins + 3,)
    again = Priors.from_dict(priors.to_dict())
    assert again == priors
    assert Priors.fit(films, some, ("genre", "recency")).dims == {"recency": 1}


def test_priors_without_a_block_have_no_columns() -> None:
    films = released("2010-01-01")
    priors = Priors.fit(films, Acts.none(), ())
    assert priors.vectors(films, Acts.none()).shape == (1, 0)
    assert priors.query(0.0).shape == (0,)
