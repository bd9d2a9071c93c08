"""The rules: each alone, all in order, what is relaxable and what never is."""

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender import rules
from recommender.rules import Filters, Request, RuleBook
from workspace.errors import InvalidValueError

ON = dt.date(2020, 6, 1)


def mask(*members: int, size: int = 6) -> rules.Mask:
    out = np.zeros(size, dtype=np.bool_)
    out[list(members)] = True
    return out


@pytest.fixture
def book() -> RuleBook:
    return RuleBook(
        release=np.array(
            ["1990-01-01", "2000-01-01", "2010-01-01", "2021-01-01", "NaT", "2015-01-01"], dtype="datetime64[D]"
        ),
        minimum_age=np.array([0, 12, 18, 0, np.nan, 16], dtype=np.float64),
        genres={"Drama": mask(0, 1, 2), "Horror": mask(2, 5)},
        languages={"en": mask(0, 1, 2, 3), "fr": mask(4, 5)},
        available={"eu": mask(0, 1), "*": mask(2, 3, 4, 5)},
        blocked={"eu": mask(5)},
    )


def test_decide_applies_each_rule_once_and_counts_what_it_removed(book: RuleBook) -> None:
    request = Request(
        on=ON, region="eu", seen=np.array([0]), dismissed=np.array([1]), filters=Filters(exclude_genres=("Horror",))
    )
    decision = book.decide(request)
    removed = {step.rule: step.removed for step in decision.funnel}
    assert removed == {
        "catalogue": 0,
        "released": 1,
        "availability": 0,
        "legal_block": 1,
        "age": 0,
        "seen": 1,
        "dismissed": 1,
        "excluded_genres": 1,
        "age_filter": 0,
        "language": 0,
        "year": 0,
        "shown_lately": 0,
    }
    assert np.flatnonzero(decision.allowed).tolist() == [4]
    assert decision.count == 1


def test_decide_offers_a_film_only_where_it_is_available(book: RuleBook) -> None:
    assert np.flatnonzero(book.decide(Request(on=ON, region="na")).allowed).tolist() == [2, 4, 5]


def test_decide_hides_unrated_films_under_an_age_limit(book: RuleBook) -> None:
    allowed = book.decide(Request(on=ON, region="na", filters=Filters(maximum_age=18))).allowed
    assert np.flatnonzero(allowed).tolist() == [2, 5]


def test_decide_keeps_films_without_release_date_but_not_under_a_year_filter(book: RuleBook) -> None:
    assert book.decide(Request(on=ON, region="eu")).allowed[4]
    assert not book.decide(Request(on=ON, region="eu", filters=Filters(year_from=1980))).allowed[4]


def test_decide_refuses_a_date_before_the_first_film(book: RuleBook) -> None:
    with pytest.raises(InvalidValueError, match="1989-12-31, must be >= 1990-01-01"):
        book.decide(Request(on=dt.date(1989, 12, 31), region="eu"))


def test_decide_suggests_the_genre_that_was_meant(book: RuleBook) -> None:
    with pytest.raises(InvalidValueError, match="did you mean Horror"):
        book.decide(Request(on=ON, region="eu", filters=Filters(exclude_genres=("horor",))))


def test_stopped_by_names_the_first_rule(book: RuleBook) -> None:
    request = Request(on=ON, region="eu", seen=np.array([5]), user_maximum_age=10)
    assert book.stopped_by(5, request) == rules.LEGAL_BLOCK
    assert book.stopped_by(1, request) == rules.AGE
    assert book.stopped_by(0, request) is None


def test_relaxing_names_user_filters_only_and_the_most_helpful_first(book: RuleBook) -> None:
    request = Request(
        on=ON,
        region="eu",
        user_maximum_age=12,
        seen=np.array([0]),
        filters=Filters(exclude_genres=("Drama",), languages=("fr",)),
    )
    assert book.decide(request).count == 0
    assert book.relaxing(request) == ()
    request = Request(on=ON, region="eu", filters=Filters(languages=("fr",), maximum_age=12))
    assert book.decide(request).count == 0
    assert book.relaxing(request) == ("language", "age_filter")


def test_alive_films_are_the_first_step_of_the_funnel() -> None:
    everywhere = {"*": mask(0, 1, 2, 3, 4, 5)}
    book = RuleBook(
        release=np.full(6, "2000-01-01", dtype="datetime64[D]"),
        minimum_age=np.zeros(6),
        genres={},
        languages={},
        available=everywhere,
        blocked={},
        alive=mask(0, 1),
    )
    request = Request(on=ON, region="eu")
    assert book.decide(request).funnel[0].remaining == 2
    assert book.stopped_by(4, request) == rules.CATALOGUE


@pytest.mark.parametrize(
    "wrong", [{"maximum_age": -1}, {"maximum_age": 400}, {"year_from": 12}, {"year_from": 2001, "year_to": 2000}]
)
def test_filters_refuse_impossible_values(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidValueError):
        Filters(**wrong)  # type: ignore[arg-type]


@given(
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.sampled_from(["eu", "na"]),
    st.none() | st.integers(0, 18),
)
def test_decide_agrees_with_stopped_by_film_by_film(
    seen: set[int], shown: set[int], region: str, maximum_age: int | None
) -> None:
    book = RuleBook(
        release=np.array(
            ["1990-01-01", "2000-01-01", "2010-01-01", "2021-01-01", "NaT", "2015-01-01"], dtype="datetime64[D]"
        ),
        minimum_age=np.array([0, 12, 18, 0, np.nan, 16]),
        genres={},
        languages={},
        available={"eu": mask(0, 1), "*": mask(2, 3)},
        blocked={"na": mask(2)},
    )
    request = Request(
        on=ON,
        region=region,
        user_maximum_age=maximum_age,
        seen=np.array(sorted(seen), np.int64),
        shown_lately=np.array(sorted(shown), np.int64),
    )
    allowed = book.decide(request).allowed
    assert [book.stopped_by(row, request) is None for row in range(6)] == allowed.tolist()
