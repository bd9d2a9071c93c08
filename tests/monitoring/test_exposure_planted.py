"""Every planted truth about films and slates is found, placed and dated; without plants nothing is."""

import datetime as dt
from collections.abc import Iterator

import pytest

from monitoring.exposure import ExposureDrift, SlateDrift
from monitoring.findings import Finding
from tests.monitoring.exposed import Exposed, attributes, exposed

DAYS = dt.timedelta(days=3)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    with exposed(tmp_path_factory.mktemp("planted"), planted=True, users=2_000, seed=20_251_027) as made:
        yield made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exposed]:
    with exposed(tmp_path_factory.mktemp("plain"), planted=False, users=900, seed=7, weeks=9) as made:
        yield made


@pytest.fixture(scope="module")
def found(planted: Exposed) -> dict[str, Finding]:
    outcome = ExposureDrift(attributes()).look(planted.ground)
    assert outcome.notes == ()
    assert len(outcome.findings) == len({one.metric for one in outcome.findings})
    return {one.metric: one for one in outcome.findings}


def day(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_the_studio_that_stuffs_keywords_is_found(planted: Exposed, found: dict[str, Finding]) -> None:
    truth, one = planted.planted["keyword_stuffing"], found["impressions"]
    assert one.segment == {"studio": truth["studio"]}
    assert one.onset.low <= day(truth["from_day"]) <= one.onset.high
    assert one.ended is None
    # The studio takes 6 % of the places, and keeps its share of the others.
    before = one.evidence["before"]
    assert one.effect.value == pytest.approx((0.06 + 0.94 * before) / before - 1, rel=0.15)
    assert set(one.evidence["film_ids"]) == set(truth["film_ids"])


def test_the_gap_of_the_provider_is_found_to_five_minutes(planted: Exposed, found: dict[str, Finding]) -> None:
    truth, one = planted.planted["provider_outage"], found["gap"]
    assert one.segment == {"provider": truth["provider"]}
    assert one.onset.low <= dt.datetime.fromisoformat(truth["from"]) <= one.onset.high
    assert abs(one.onset.at - dt.datetime.fromisoformat(truth["from"])) <= dt.timedelta(minutes=5)
    assert one.ended is not None
    assert abs(one.ended - dt.datetime.fromisoformat(truth["to"])) <= dt.timedelta(minutes=5)


def test_the_film_of_the_click_farm_is_found(planted: Exposed, found: dict[str, Finding]) -> None:
    truth, one = planted.planted["click_farm"], found["film_ctr"]
    assert one.segment == {"film": truth["film_id"]}
    assert abs(one.onset.at - day(truth["first_day"])) <= dt.timedelta(days=1)
    assert one.ended is not None
    assert abs(one.ended - day(truth["last_day"])) <= dt.timedelta(days=2)


def test_the_films_of_the_catalogue_incident_are_found(planted: Exposed, found: dict[str, Finding]) -> None:
    truth, one = planted.planted["catalogue_quality"], found["films_ctr"]
    assert one.onset.low <= day(truth["first_day"]) <= one.onset.high
    assert one.ended is not None
    assert abs(one.ended - day(truth["last_day"]) - dt.timedelta(days=1)) <= dt.timedelta(days=1)
    assert one.effect.value == pytest.approx(truth["click_factor"] - 1, abs=0.12)
    named = set(one.evidence["film_ids"])
    assert named
    assert len(named & set(truth["film_ids"])) >= 0.75 * len(named)


def test_nothing_else_is_found(found: dict[str, Finding]) -> None:
    assert set(found) == {"impressions", "gap", "film_ctr", "films_ctr"}


def test_without_a_catalogue_films_are_grouped_by_what_happens_to_them(planted: Exposed) -> None:
    outcome = ExposureDrift().look(planted.ground)
    assert any("no catalogue" in note for note in outcome.notes)
    stuffed = [one for one in outcome.findings if one.metric == "impressions" and one.ended is None]
    truth = planted.planted["keyword_stuffing"]
    assert len(stuffed) == 1
    assert set(stuffed[0].evidence["film_ids"]) <= set(truth["film_ids"])
    assert abs(stuffed[0].onset.at - day(truth["from_day"])) <= DAYS


def test_slates_that_leak_names_are_laid_to_their_index_version(planted: Exposed) -> None:
    truth = planted.planted["name_leak"]
    (one,) = SlateDrift(attributes()).look(planted.ground).findings
    assert one.segment == {"index_version": truth["index_versions"][0]}
    assert one.onset.low <= day(truth["first_day"]) <= one.onset.high
    assert one.ended == day(truth["last_day"]) + dt.timedelta(days=1)
    assert one.effect.low is not None
    assert one.effect.low > 1


def test_slates_need_a_catalogue(planted: Exposed) -> None:
    assert "no catalogue" in SlateDrift().look(planted.ground).notes[0]


def test_nothing_is_found_where_nothing_happened(plain: Exposed) -> None:
    assert ExposureDrift(attributes()).look(plain.ground).findings == ()
    assert ExposureDrift().look(plain.ground).findings == ()
    assert SlateDrift(attributes()).look(plain.ground).findings == ()
