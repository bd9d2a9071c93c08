import datetime as dt
from collections.abc import Iterator

import pytest

from monitoring.ground import Ground, opened
from monitoring.outliers import OddSlates
from monitoring.outliers.slates import composition, ranked
from recommender.catalogue import build_catalogue, save_catalogue
from recommender.slates import SlateItemRow, SlateRow
from tests.recommender import catalogue_frames as frames
from workspace.clock import FrozenClock
from workspace.columns import Conduct, Event, Film
from workspace.paths import Paths
from workspace.settings import Settings

NOW = frames.NOW


@pytest.fixture
def ground(home: Paths) -> Iterator[Ground]:
    films = [
        frames.film(f"f{i}", f"F {i}", **{Film.CAST: [f"lead {i % 30}"], Film.GENRES: [f"genre {i % 6}"]})
        for i in range(60)
    ]
    with opened(Settings(home=home.home), FrozenClock(NOW)) as one:
        save_catalogue(build_catalogue(frames.films(*films), frames.users("u"), frames.interactions()), one.paths)
        yield one


def log(ground: Ground, version: str, slates: int, films: int = 5, step: int = 1, users: int = 40, gap: float = 0.1):  # noqa: ANN201
    """Append slates; film i and film i + 30 have the same lead."""
    with ground.store.session() as session:
        known = session.query(SlateRow).count()
        for number in range(known, known + slates):
            items = [
                SlateItemRow(rank=rank + 1, film_id=f"f{(number + rank * step) % 60}", contributions={},
                             score=3.0 - gap * rank)
                for rank in range(films)
            ]  # fmt: skip
            session.add(
                SlateRow(
                    slate_id=f"s{number}", seq=number + 1, user_id=f"u{number % users}", region="SE", filters={}, k=5,
                    made_at=NOW - dt.timedelta(hours=300 - number), on_date=NOW.date(), seed=0, index_version=version,
                    weights={}, snapshot_id="c", live_seq=0, transaction_id="t", funnel=[], options={}, items=items,
                )
            )  # fmt: skip


def test_features_of_a_slate_are_counted_by_hand(ground: Ground) -> None:
    log(ground, "v1", 1, films=4, step=30, gap=0.6)
    (one,) = composition(ground).to_dict("records")
    # Films f0, f30, f0, f30: one lead and one genre throughout; scores 3.0, 2.4, 1.8, 1.2.
    assert one[Conduct.SHORT] == 1
    assert one[Conduct.SAME_LEAD] == 3
    assert one[Conduct.SAME_GENRE] == 1.0
    assert one[Conduct.SAME_COLLECTION] == 0
    assert one[Conduct.GAP] == pytest.approx(0.2)


def test_few_slates_and_one_version_are_notes(ground: Ground) -> None:
    log(ground, "v1", 10)
    assert "10 slates are logged, 40 fewer than 50" in OddSlates().look(ground).notes[0]
    log(ground, "v1", 60)
    found = OddSlates().look(ground)
    assert found.findings == ()
    assert "versions can't be compared" in found.notes[0]


def test_a_version_that_repeats_leads_is_found_and_an_equal_one_not(ground: Ground) -> None:
    log(ground, "v1", 60)
    log(ground, "v2", 60)
    assert OddSlates().look(ground).findings == ()
    log(ground, "v3", 60, step=30)
    found = OddSlates().look(ground).findings
    leads = [one for one in found if one.metric == Conduct.SAME_LEAD]
    assert [one.segment for one in leads] == [{Event.INDEX_VERSION: "v3"}]
    # Five films of two leads … f(n) and f(n + 30) share one: four of the five repeat it.
    assert leads[0].effect.value == pytest.approx(4.0)
    assert leads[0].onset.at == NOW - dt.timedelta(hours=300 - 120)
    assert leads[0].onset.low == leads[0].onset.at - dt.timedelta(hours=1)
    assert {one.segment[Event.INDEX_VERSION] for one in found} == {"v3"}


def test_short_slates_are_found_when_enough_users_get_them(ground: Ground) -> None:
    log(ground, "v1", 80)
    log(ground, "v1", 8, films=3, users=8)
    assert not [one for one in OddSlates().look(ground).findings if one.metric == Conduct.SHORT]
    log(ground, "v1", 12, films=3)
    (one,) = [one for one in OddSlates().look(ground).findings if one.metric == Conduct.SHORT]
    assert one.effect.value == pytest.approx(0.2)


def test_the_oddest_slate_is_explained(ground: Ground) -> None:
    log(ground, "v1", 70)
    log(ground, "v1", 1, gap=0.7)
    top = ranked(composition(ground), limit=2)
    assert top[Event.SLATE][0] == "s70"
    parts = top.filter(like="_part").iloc[0]
    assert parts.idxmax() == f"{Conduct.GAP}_part"
