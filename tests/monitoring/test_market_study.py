"""General weights against those of a market: found where tastes differ, not where they don't, refused where few."""

import datetime as dt
from pathlib import Path

import numpy as np
import pytest

from monitoring.cost import Prices
from monitoring.findings import Interval
from monitoring.market_study import FILE, LEAST_USERS, MarketFit, MarketStudy, SecondIndex, compare_weights, studied
from recommender.evaluation.weights import Pool
from workspace.errors import IntegrityError
from workspace.files import write_json
from workspace.paths import Paths

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
SECOND = SecondIndex(size_mib=512.0, build_s=12.5, films=1_000)


def pool_of(tastes: np.ndarray, films: int = 40, seed: int = 0) -> Pool:
    """Users who like three films each, drawn by softmax of their own weights of two blocks, shape ``(m, 2)``."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(2, len(tastes), films)).astype(np.float32)
    utility = (scores * tastes.T[:, :, None]).sum(axis=0) + rng.gumbel(size=(len(tastes), films))
    relevant = np.zeros((len(tastes), films), bool)
    np.put_along_axis(relevant, np.argsort(-utility, axis=1)[:, :3], values=True, axis=1)
    return Pool(blocks=("a", "b"), scores=scores, relevant=relevant, allowed=np.ones_like(relevant))


def test_compare_weights_finds_a_market_of_another_taste() -> None:
    markets = np.array(["east"] * 120 + ["west"] * 480)
    tastes = np.where((markets == "east")[:, None], [0.2, 3.0], [3.0, 0.2])
    east, west = compare_weights(pool_of(tastes), markets, seed=1)
    assert (east.market, east.users, west.users) == ("east", 120, 480)
    assert east.is_better
    assert east.difference is not None
    assert east.difference.value > 0.1
    assert east.own == pytest.approx((east.general or 0) + east.difference.value)
    assert east.p_value is not None
    assert east.p_value < 0.001


def test_compare_weights_finds_nothing_where_tastes_are_one() -> None:
    markets = np.array(["east"] * 120 + ["west"] * 480)
    found = compare_weights(pool_of(np.full((600, 2), 1.5)), markets, seed=1)
    assert not any(one.is_better for one in found)
    for one in found:
        assert one.difference is not None
        assert one.difference.low is not None
        assert one.difference.high is not None
        assert one.difference.low <= 0 <= one.difference.high


def test_compare_weights_judges_users_that_neither_has_seen() -> None:
    # Pure chance: fitted weights can't be better on users they have not seen, only on those they have.
    rng = np.random.default_rng(3)
    pool = pool_of(np.zeros((200, 2)), seed=4)
    markets = rng.choice(["east", "west"], 200)
    found = compare_weights(pool, markets, seed=2)
    chance = 3 / 40
    for one in found:
        assert one.own == pytest.approx(chance, abs=0.04)


def test_compare_weights_says_how_many_users_are_missing() -> None:
    markets = np.array(["few"] * 20 + ["fewer"] * 3 + ["west"] * 80)
    few, fewer, west = compare_weights(pool_of(np.ones((103, 2))), markets)
    assert few.note == f"not estimable: 20 users with held-back films, {LEAST_USERS - 20} more needed"
    assert fewer.users is None
    assert "fewer than 10 users" in fewer.note
    assert west.difference is not None
    assert (few.difference, few.is_better) == (None, False)


def test_compare_weights_of_equal_lists_has_no_interval() -> None:
    # One block only: any weight gives the same order.
    pool = pool_of(np.ones((120, 2)))
    single = Pool(blocks=("a",), scores=pool.scores[:1], relevant=pool.relevant, allowed=pool.allowed)
    found = compare_weights(single, np.array(["east"] * 60 + ["west"] * 60))
    for one in found:
        assert one.difference is not None
        assert one.difference.value == 0
        assert one.p_value == 1
        assert not one.is_better


def study_of(*rows: MarketFit) -> MarketStudy:
    return MarketStudy(
        index_version="v1", snapshot_id="c1", studied_at=NOW, folds=5, seed=0, markets=rows, second_index=SECOND
    )


def fit(market: str, value: float, low: float, high: float) -> MarketFit:
    return MarketFit(
        market=market, users=100, general=0.2, own=0.2 + value, p_value=0.01,
        difference=Interval(value=value, low=low, high=high),
    )  # fmt: skip


def test_recommendation_follows_the_intervals() -> None:
    prices = Prices(memory_gib_hour=0.01, currency="EUR")
    gains = study_of(fit("east", 0.04, 0.02, 0.06), fit("west", 0.01, -0.01, 0.03)).recommendation(prices)
    assert gains.startswith("Give weights of their own to: east +0.040 (+0.020 to +0.060)")
    # Half a GiB for 672 hours at 0.01.
    assert "512.0 MiB of memory (3.3600 EUR in four weeks)" in gains
    none = study_of(fit("east", 0.01, -0.02, 0.04), fit("west", -0.03, -0.04, -0.02)).recommendation(prices)
    assert none.startswith("Keep one index and one set of weights")
    assert "+0.040 precision@5, in east" in none
    blind = study_of(MarketFit(market="few", users=12, note="too few")).recommendation(prices)
    assert blind.startswith("It can't be told")
    assert "Nothing can be said of few." in blind


def test_studied_reads_what_was_kept(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "home").ensure()
    assert studied(paths) is None
    kept = study_of(fit("east", 0.04, 0.02, 0.06), MarketFit(market="few", users=None, note="too few"))
    write_json(paths.monitoring / FILE, kept.to_dict())
    assert studied(paths) == kept
    (paths.monitoring / FILE).write_text('{"markets": 3}')
    with pytest.raises(IntegrityError, match="study the markets again"):
        studied(paths)
