import numpy as np
import pandas as pd
import pytest

from audit.manipulation.hubness import TOP, Sentinels
from workspace.errors import InvalidValueError


def test_counts_of_the_catalogue_are_those_of_a_plain_ranking(films: pd.DataFrame) -> None:
    sentinels = Sentinels(films, n=40)
    counted = sentinels.hubs(films, np.arange(len(films)))
    ranking = np.argsort(-sentinels._scores, axis=1, kind="stable")[:, :TOP]
    plain = np.bincount(ranking.ravel(), minlength=len(films))
    # Films of the very same terms tie, and a tie may fall either way.
    assert np.mean(counted.counts == plain) > 0.95
    assert counted.exposure.sum() == pytest.approx(1.0, abs=0.05)


def test_the_same_films_have_the_same_hubs(films: pd.DataFrame) -> None:
    rows = np.arange(len(films))
    first, second = (Sentinels(films, n=16).hubs(films, rows) for _ in range(2))
    assert np.array_equal(first.z, second.z)


def test_a_film_near_every_taste_is_a_hub_globally(films: pd.DataFrame) -> None:
    sentinels = Sentinels(films, n=40)
    sentinels._tastes = np.abs(sentinels._tastes[:1]).repeat(40, axis=0)
    sentinels._scores = sentinels._tastes @ sentinels._content.encode(films, None).vectors.T
    best = int(np.argmax(sentinels._scores[0]))
    found = sentinels.hubs(films.iloc[[best]].reset_index(drop=True), np.array([best]))
    # Held against the lists of the tastes as they were, it leads for nearly all of them.
    assert found.counts[0] >= 30
    assert found.z[0] > 4


def test_a_market_sees_its_own_films_only(films: pd.DataFrame) -> None:
    here = films.copy()
    here["available_regions"] = [["DE"] if row % 2 else ["FR"] for row in range(len(films))]
    sentinels = Sentinels(here, n=16, markets={"german": ["DE"], "french": ["FR"]})
    assert [place.name for place in sentinels._places[-2:]] == ["market french", "market german"]
    assert set(sentinels._places[-1].rows.ravel() % 2) == {1}


def test_a_handful_of_sentinels_is_refused(films: pd.DataFrame) -> None:
    with pytest.raises(InvalidValueError, match="sentinels == 3"):
        Sentinels(films, n=3)
