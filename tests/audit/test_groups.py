"""Groups are read from the catalogue by rules a reader can redo by hand."""

import datetime as dt

import numpy as np
import pytest

from audit.groups import (
    ORIGINS,
    UNKNOWN,
    cast_origin,
    coded,
    crossed,
    film_groups,
    group_code,
    name_origin,
)
from audit.plan import CAST_ORIGIN, CROSS, ERA, FILM_AXES, LANGUAGE, ORIGIN_COUNTRY, STUDIO_SIZE
from data.synthetic.vocabulary import cultures
from tests.recommender import catalogue_frames as frames
from workspace.columns import Film
from workspace.errors import InvalidValueError, UnknownError


def test_origins_count_every_culture_once() -> None:
    members = [culture for group in ORIGINS.values() for culture in group]
    assert sorted(members) == sorted(cultures())


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("Misaki Ueda", "east_asian"),
        ("Bae Ji-soo", "east_asian"),
        ("Ji-soo Bae", None),  # a Korean family name comes first
        ("Beatrice Carver", "anglophone"),  # Carver is worn by two groups, Beatrice by one
        ("Yolanda Carver", "african_american"),
        ("Yolanda Fuentes", "latin"),
        ("Grace B. L. Langley", "anglophone"),
        ("Chioma Okonkwo", "african"),
        ("Fatima Haddad", "middle_eastern"),
        ("Parisa Tabrizi", "middle_eastern"),
        ("Aigerim Sadykov", "central_asian"),
        ("Grace Ueda", None),  # given and family name of two cultures decide nothing
        ("Ueda", None),
        ("", None),
        ("Robert De Niro", None),
    ],
)
def test_name_origin_needs_given_and_family_name_of_one_culture(name: str, group: str | None) -> None:
    assert name_origin(name) == group


def test_name_origin_never_gives_a_name_to_another_group() -> None:
    group_of = {culture: group for group, members in ORIGINS.items() for culture in members}
    undecided = asked = 0
    for name, culture in cultures().items():
        for given in (*culture.women, *culture.men):
            for family in culture.family[::3]:
                found = name_origin(culture.full_name(given, family))
                assert found in (group_of[name], None)
                undecided += found is None
                asked += 1
    assert undecided / asked < 0.001


@pytest.mark.parametrize(
    ("cast", "group"),
    [
        (["Misaki Ueda", "Grace Langley", "Akira Fujimura"], "east_asian"),
        (["Grace Langley", "Misaki Ueda"], "anglophone"),  # as many: billing decides
        (["Tom Cruise", "Misaki Ueda"], "east_asian"),
        (["Tom Cruise"], None),
        ([], None),
    ],
)
def test_cast_origin_is_that_of_most_names(cast: list[str], group: str | None) -> None:
    assert cast_origin(cast) == group


def _films() -> "frames.pd.DataFrame":
    studios = ["A"] * 6 + ["B"] * 3 + ["C"] * 2 + ["D"]
    rows = [
        frames.film(
            str(number),
            f"Film {number}",
            **{
                Film.STUDIOS: [studio],
                Film.COUNTRIES: ["FR", "DE"] if number % 2 else ["DE"],
                Film.LANGUAGES: ["fr"] if number < 4 else [],
                Film.CAST: ["Misaki Ueda"] if number == 0 else ["Somebody Else"],
                Film.RELEASE_DATE: dt.date(1999, 12, 31) if number < 2 else dt.date(2000, 1, 1),
            },
        )
        for number, studio in enumerate(studios)
    ]
    rows.append(frames.film("12", "Bare", **{Film.STUDIOS: [], Film.RELEASE_DATE: None}))
    return frames.films(*rows)


def test_film_groups_take_the_first_country_and_language_and_keep_unknown() -> None:
    groups = film_groups(_films(), FILM_AXES)
    assert groups.counts(ORIGIN_COUNTRY) == {"DE": 6, "FR": 6, UNKNOWN: 1}
    assert groups.counts(LANGUAGE) == {"fr": 4, UNKNOWN: 9}
    assert groups.counts(CAST_ORIGIN) == {"east_asian": 1, UNKNOWN: 12}
    assert groups.counts(ERA) == {"1990s": 2, "2000s": 10, UNKNOWN: 1}
    assert groups.rows(ORIGIN_COUNTRY, "FR").tolist() == [1, 3, 5, 7, 9, 11]
    codes, names = groups.of(ERA)
    assert names == ("1990s", "2000s")
    assert codes.tolist() == [0, 0] + [1] * 10 + [-1]


def test_film_groups_cut_studios_by_their_films() -> None:
    # Sizes by film: 6 × 6, 3 × 3, 2 × 2, 1; sorted 1 2 2 3 3 3 6 …: lower terciles are 3 (4th of 12) and 6 (8th).
    groups = film_groups(_films(), [STUDIO_SIZE])
    assert groups.counts(STUDIO_SIZE) == {"small": 6, "mid": 6, UNKNOWN: 1}
    assert "at most 3 films" in groups.notes[STUDIO_SIZE]
    alone = film_groups(_films().iloc[9:], [STUDIO_SIZE])  # two films and one film: all small
    assert alone.counts(STUDIO_SIZE) == {"small": 3, UNKNOWN: 1}
    assert film_groups(_films().iloc[12:], [STUDIO_SIZE]).counts(STUDIO_SIZE) == {UNKNOWN: 1}


def test_film_groups_take_further_axes_by_film_id() -> None:
    groups = film_groups(_films(), ["mood"], {"mood": {"0": "dark", "5": "light"}})
    assert groups.counts("mood") == {"dark": 1, "light": 1, UNKNOWN: 11}


def test_film_groups_refuse_an_axis_nobody_knows() -> None:
    with pytest.raises(InvalidValueError, match="film axis == 'colour'"):
        film_groups(_films(), ["colour"])
    groups = film_groups(_films(), [ERA])
    with pytest.raises(UnknownError, match="there are: era"):
        groups.of(LANGUAGE)


def test_unknown_and_empty_groups_are_refused_by_name() -> None:
    groups = film_groups(_films(), [ERA])
    with pytest.raises(UnknownError, match=r"era == '1920s'.*1990s, 2000s"):
        groups.rows(ERA, "1920s")
    with pytest.raises(UnknownError, match="none: every unit is of unknown group"):
        group_code((), "FR", "origin_country")


def test_coded_follows_an_order_and_leaves_out_what_does_not_occur() -> None:
    codes, names = coded(["b", "", None, "a"], ["c", "b", "a"])
    assert (codes.tolist(), names) == ([0, -1, -1, 1], ("b", "a"))


def test_crossed_joins_values_and_is_unknown_where_a_part_is() -> None:
    left = (np.array([0, 1, -1, 0]), ("x", "y"))
    right = (np.array([1, 0, 1, 1]), ("m", "w"))
    codes, names = crossed([left, right])
    assert names == (f"x{CROSS}w", f"y{CROSS}m")
    assert codes.tolist() == [0, 1, -1, 0]
