"""Grammar and names."""

import pytest

from data.synthetic import hostile_films
from data.synthetic.people import People
from data.synthetic.regions import MARKETS, RATING_LADDERS, REGIONS
from data.synthetic.story import article, plural
from data.synthetic.vocabulary import GENRES, countries, cultures, themes
from workspace.columns import Film


@pytest.mark.parametrize(
    ("phrase", "expected"),
    [
        ("unlucky florist", "an"),
        ("union steward", "a"),
        ("honest clerk", "an"),
        ("one-eyed cat", "a"),
        ("unhurried drama", "an"),
        ("epic war film", "an"),
        ("unsentimental tale", "an"),
        ("horse herder", "a"),
        ("uncanny look", "an"),
        ("unforgiving winter", "an"),
        ("unwanted queen", "an"),
        ("unemployed cartographer", "an"),
        ("heir", "an"),
    ],
)
def test_article_goes_by_sound(phrase: str, expected: str) -> None:
    assert article(phrase) == f"{expected} {phrase}"


@pytest.mark.parametrize(
    ("noun", "expected"),
    [("Witness", "Witnesses"), ("Debt", "Debts"), ("Family", "Families"), ("Ashes", "Ashes"), ("Paws", "Paws")],
)
def test_plural_follows_english(noun: str, expected: str) -> None:
    assert plural(noun) == expected


def test_people_have_one_name_each_however_many() -> None:
    people = People.hire(seed=0, films=20_000)
    # A name may exist in two cultures; within one, nobody shares it.
    assert len(set(people.names)) > 0.98 * len(people.names)


def test_vocabulary_is_whole() -> None:
    assert abs(sum(country.share for country in countries()) - 1) < 1e-9
    assert abs(sum(region.share for region in REGIONS) - 1) < 1e-9
    assert len(MARKETS) == 3
    codes = {country.code for country in countries()}
    for theme in themes():
        assert set(theme.genres) <= set(GENRES)
        assert set(theme.homes) <= codes
    for country in countries():
        assert set(country.cultures) <= set(cultures())
        assert country.rating in RATING_LADDERS
    for ladder in RATING_LADDERS.values():
        ages = [age for _, age in ladder]
        assert ages == sorted(ages)


def test_hostile_films_attack_and_fit_the_contract() -> None:
    films = hostile_films()
    assert films.columns.tolist() == list(Film.ALL)
    assert films[Film.ID].is_unique
    text = " ".join(films[Film.TITLE]) + " ".join(films[Film.SYNOPSIS])
    for mark in ("<script>", "](javascript:", "\u202e", "\x00", "{{", "=HYPERLINK", "DROP TABLE"):
        assert mark in text
