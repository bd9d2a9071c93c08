"""The main job on real films and real ratings: import, build, recommend, explain, and the promised precision.

The text block is left out here: encoding three thousand synopses takes minutes. `benchmarks/bench_precision.py` has the
figures with it.
"""

from pathlib import Path

import pytest

from dashboard.imports import import_movielens_folder
from dashboard.quality import evaluate_recommender
from recommender.building import BuildOptions, build_index
from recommender.catalogue import load_catalogue
from recommender.configuration import DEFAULT_WEIGHTS, Configuration
from recommender.engine import Recommender
from workspace.columns import User
from workspace.paths import Paths
from workspace.settings import Settings

pytestmark = pytest.mark.real_data

SHAWSHANK = "318"


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory, real_data: Path) -> Settings:
    settings = Settings(home=tmp_path_factory.mktemp("films"))
    import_movielens_folder(settings, real_data, progress=lambda *_: None, actor="test")
    # Weights as they come: the tests of precision below fit their own, each on its training part.
    options = BuildOptions(without=("text",), configuration=Configuration(weights=dict(DEFAULT_WEIGHTS)))
    build_index(settings, load_catalogue(Paths(settings.home)), options=options)
    return settings


def test_recommender_explains_every_sampled_recommendation_exactly(films: Settings) -> None:
    recommender = Recommender.open(films)
    users = recommender.catalogue.users[User.ID].tolist()
    assert (len(recommender.catalogue.films), len(recommender.catalogue.interactions)) == (9125, 100_004)
    for user in users[::40]:
        slate = recommender.recommend(user)
        assert len(slate.items) == 5
        for item in slate.items[:2]:
            assert sum(item.contributions.values()) == pytest.approx(item.score, abs=1e-6)
            reasons = recommender.explain(user, item.film_id)
            assert reasons.score == pytest.approx(item.score, abs=1e-6)
            assert sum(term.value for term in reasons.features) == pytest.approx(item.score, abs=1e-6)
            assert sum(term.value for term in reasons.history) == pytest.approx(item.score, abs=1e-6)
        assert recommender.replay(slate.slate_id).identical


def test_why_not_gap_leads_from_a_real_film_to_the_last_of_the_slate(films: Settings) -> None:
    recommender = Recommender.open(films)
    verdicts = {user: recommender.why_not(user, SHAWSHANK) for user in ("1", "2", "3", "15")}
    assert {verdict.verdict for verdict in verdicts.values()} <= {"rule", "outranked", "not_candidate", "recommended"}
    for verdict in verdicts.values():
        if verdict.score is not None and verdict.score_at_k is not None:
            assert sum(verdict.gap.values()) == pytest.approx(verdict.score - verdict.score_at_k, abs=1e-9)


def test_precision_reaches_the_promise_and_beats_the_baselines(films: Settings) -> None:
    found = evaluate_recommender(
        films, protocol="temporal", k=5, baseline_names=("popularity", "ease"), without=("text",)
    )
    assert found["users"] == 658
    ease, popularity = (found["baselines"][name]["precision_at_k"] for name in ("ease", "popularity"))
    assert found["precision_at_k"] >= max(0.113, ease)
    assert ease == pytest.approx(0.113, abs=0.004)
    assert popularity == pytest.approx(0.064, abs=0.004)


def test_precision_without_audience_is_content_and_priors_alone(films: Settings) -> None:
    found = evaluate_recommender(films, protocol="temporal", k=5, without=("text", "audience"))
    assert found["precision_at_k"] >= 0.075
