"""Histories come from tastes alone, lawful, liked, and never the films that are kept back."""

import numpy as np
import pytest

from audit.histories import LIKED_SHARE, Shelf, Taste, draw_histories
from recommender.view import View
from tests.recommender import catalogue_frames as frames
from workspace.columns import Film
from workspace.errors import NotEstimableError

DAY = 19_000.0


def _film(number: int, genres: list[str], keywords: list[str], popularity: float | None) -> dict[str, object]:
    given = {Film.GENRES: genres, Film.KEYWORDS: keywords, Film.POPULARITY: popularity}
    return frames.film(str(number), f"Film {number}", **given)


def _shelf(lawful: list[bool] | None = None) -> Shelf:
    table = frames.films(
        _film(0, ["Crime", "Drama"], ["heist"], 9.0),
        _film(1, ["Drama"], ["heist", "prison"], 8.0),
        _film(2, ["War"], ["prison"], 7.0),
        _film(3, ["Crime"], [], None),
        _film(4, ["Crime"], ["heist"], 1.0),
    )
    return Shelf(table, np.array(lawful or [True] * 5))


def test_match_adds_genres_and_keywords_and_squares() -> None:
    match = _shelf().match(Taste(genres=("Crime", "Drama"), keywords=("heist",)))
    assert match == pytest.approx([(1 + 0.7 + 1) ** 2, (0.7 + 1) ** 2, 0.0, 1.0, 2.0**2])


def test_popularity_goes_by_rank_and_the_unknown_come_last() -> None:
    assert _shelf().popularity == pytest.approx([1, 1 / np.sqrt(2), 1 / np.sqrt(3), 1 / np.sqrt(5), 1 / np.sqrt(4)])


def test_a_draw_never_leaves_what_is_lawful() -> None:
    shelf = _shelf([True, True, False, True, True])
    tastes = [shelf.draw(np.random.default_rng(seed)) for seed in range(50)]
    assert {genre for taste in tastes for genre in taste.genres} == {"Crime", "Drama"}
    assert {word for taste in tastes for word in taste.keywords} <= {"heist"}  # "prison" is left to one film alone
    drawn = draw_histories(shelf, tastes, copies=[2] * 50, length=3, before=DAY, seed=(1, 2))
    assert 2 not in drawn.seen.films
    assert 2 not in drawn.relevant.films


def test_histories_are_liked_ordered_dated_and_apart_from_what_is_kept_back(small_view: View) -> None:
    shelf = Shelf(small_view.films, small_view.alive)
    tastes = [shelf.draw(np.random.default_rng(place)) for place in range(20)]
    drawn = draw_histories(shelf, tastes, copies=[3] * 20, length=10, before=DAY, seed=(4,))
    for user in range(60):
        seen, kept = drawn.seen.films[drawn.seen.users == user], drawn.relevant.films[drawn.relevant.users == user]
        assert len(seen) == len(set(seen)) == 10
        assert seen.tolist() == sorted(seen)
        assert len(kept) == len(set(kept))
        assert not set(seen) & set(kept)
        fit = shelf.match(tastes[user // 3])
        assert (fit[kept] > 0).all()
        assert (fit[seen] > 0).sum() == round(10 * LIKED_SHARE)
    of_taste = np.concatenate([shelf.match(tastes[user // 3])[drawn.seen.films[drawn.seen.users == user]] > 0
                               for user in range(60)])  # fmt: skip
    assert (drawn.seen.positive == of_taste).all()
    assert drawn.seen.likes[of_taste].min() == pytest.approx((4.0 - 2) / 3)
    assert drawn.seen.likes[~of_taste].max() == pytest.approx((3.0 - 2) / 3)
    assert drawn.seen.watched.all()
    assert DAY - 366 <= drawn.seen.days.min() <= drawn.seen.days.max() < DAY


def test_popular_films_are_drawn_more_often() -> None:
    films = frames.films(*(_film(n, ["Drama"], [], 100.0 - n) for n in range(40)))
    shelf = Shelf(films, np.ones(40, np.bool_))
    taste = Taste(genres=("Drama",), keywords=())
    drawn = draw_histories(shelf, [taste], copies=[4_000], length=1, before=DAY, seed=(3,))
    counts = np.bincount(drawn.seen.films, minlength=40)
    weights = 1 / np.sqrt(np.arange(1, 41))
    expected = 4_000 * weights / weights.sum()
    # Pearson's statistic on 39 degrees of freedom: its 0.999 quantile is 72.1.
    assert ((counts - expected) ** 2 / expected).sum() < 72.1


def test_a_taste_more_changes_no_other() -> None:
    shelf = _shelf()
    taste = Taste(genres=("Crime",), keywords=("heist",))
    one = draw_histories(shelf, [taste, taste], copies=[2, 2], length=2, before=DAY, seed=(9,))
    more = draw_histories(shelf, [taste, taste, taste], copies=[2, 2, 1], length=2, before=DAY, seed=(9,))
    assert more.seen.films[: len(one.seen)].tolist() == one.seen.films.tolist()
    assert more.relevant.films[: len(one.relevant)].tolist() == one.relevant.films.tolist()


def test_a_short_taste_shares_its_films_evenly() -> None:
    drawn = draw_histories(
        _shelf(), [Taste(genres=("Crime",), keywords=())], copies=[1], length=20, before=DAY, seed=(1,)
    )
    assert len(drawn.seen) == 1  # three films of crime: one watched, two kept back, and nothing else beside
    assert len(drawn.relevant) == 2


def test_an_empty_history_is_refused_by_name() -> None:
    with pytest.raises(NotEstimableError, match=r"history of taste 0 \(War\) would be empty"):
        draw_histories(_shelf(), [Taste(genres=("War",), keywords=())], copies=[1], length=5, before=DAY, seed=(1,))
    with pytest.raises(NotEstimableError, match="no film that may be shown has a genre or a keyword"):
        _shelf([False] * 5)


def test_a_catalogue_without_genres_gives_tastes_by_keyword() -> None:
    films = frames.films(*(_film(n, [], ["heist" if n % 2 else "prison"], None) for n in range(6)))
    shelf = Shelf(films, np.ones(6, np.bool_))
    taste = shelf.draw(np.random.default_rng(1))
    assert taste.genres[0] in ("heist", "prison")
    assert shelf.popularity.tolist() == [1.0] * 6
