import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from audit.runs.grouping import Grouping, grouping
from audit.runs.leaks import Area, interval, leak_table, pooled, within_strata
from recommender.features.layout import Layout

LAYOUT = Layout.of({"text": 40, "people": 8})
TASTES, GROUPS = 30, 4


def _axis(codes: np.ndarray, name: str = "name_origin") -> Grouping:
    names = [f"group {code}" for code in range(int(codes.max()) + 1)]
    return grouping("user", name, codes, names, least_share=0.02, references={})


def _panel() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every taste twice in every group, with one vector a taste."""
    taste = np.repeat(np.arange(TASTES), 2 * GROUPS)
    vectors = np.random.default_rng(3).normal(size=(TASTES, LAYOUT.dim)).astype(np.float32)[taste]
    return vectors, taste, np.tile(np.arange(GROUPS), 2 * TASTES)


def test_pooled_equals_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    hit = rng.random(500) < 0.3
    scores = np.round(rng.normal(size=500) + hit, 1)

    area = pooled(scores, hit, np.arange(500), 500)

    assert area.auc == pytest.approx(roc_auc_score(hit, scores))
    assert area.influence.sum() == pytest.approx(0, abs=1e-12)


def test_pooled_error_equals_delong_where_everybody_is_a_cluster() -> None:
    # By hand: positives 3, 1; negatives 2, 0. Placements of positives 1, 0.5; of negatives 0.5, 1; AUC 0.75.
    # DeLong: S10 = var(1, .5) = 0.125, S01 = 0.125; variance = 0.125 / 2 + 0.125 / 2 = 0.125.
    area = pooled(np.array([3.0, 1.0, 2.0, 0.0]), np.array([True, True, False, False]), np.arange(4), 4)

    assert area.auc == 0.75
    # Sums of squares are over n where DeLong's are over n − 1: 2 × (0.125² × 2) × 2 groups = 0.125 / 2.
    assert np.sum(area.influence**2) == pytest.approx(0.125 / 2)


def test_within_strata_is_the_mean_over_pairs_of_each_stratum() -> None:
    rng = np.random.default_rng(2)
    strata = np.repeat(np.arange(6), 20)
    scores, hit = np.round(rng.normal(size=120), 1), rng.random(120) < 0.4
    pairs = [int(hit[strata == s].sum() * (~hit[strata == s]).sum()) for s in range(6)]
    each = [roc_auc_score(hit[strata == s], scores[strata == s]) for s in range(6)]

    area = within_strata(scores, hit, strata, strata // 2, 3)

    assert area.auc == pytest.approx(np.average(each, weights=pairs))
    assert area.influence.sum() == pytest.approx(0, abs=1e-12)


def test_identical_vectors_give_one_half_exactly() -> None:
    vectors, taste, codes = _panel()

    rows = leak_table(vectors, LAYOUT, [_axis(codes)], taste, {"name_origin": taste}, alpha=0.05, seed=1)

    assert [(row.block, row.auc, row.interval, row.p, row.carries) for row in rows] == [
        (block, 0.5, (0.5, 0.5), 1.0, False) for block in ("text", "people", "all")
    ]


def test_identical_vectors_give_one_half_exactly_in_an_uneven_panel() -> None:
    vectors, taste, codes = _panel()
    kept = np.random.default_rng(9).random(len(taste)) < 0.6

    rows = leak_table(
        vectors[kept], LAYOUT, [_axis(codes[kept])], taste[kept], {"name_origin": taste[kept]}, alpha=0.05, seed=1
    )

    assert {row.auc for row in rows} == {0.5}


def test_a_block_that_knows_the_group_carries_it_and_no_other_does() -> None:
    vectors, taste, codes = _panel()
    shift = np.random.default_rng(4).normal(size=(GROUPS, 8)).astype(np.float32)
    vectors[:, LAYOUT.columns("people")] += 0.01 * shift[codes]
    gender = _axis(np.arange(len(codes)) // GROUPS % 2, "gender")

    rows = leak_table(
        vectors, LAYOUT, [_axis(codes), gender], taste, {"name_origin": taste, "gender": taste},
        alpha=0.05, seed=1,
    )  # fmt: skip
    found = {(row.axis, row.block): row for row in rows}

    assert found["name_origin", "people"].auc == pytest.approx(1, abs=0.02)
    assert found["name_origin", "people"].carries
    assert found["name_origin", "all"].carries
    assert found["name_origin", "text"].auc == 0.5
    assert not any(row.carries for row in rows if row.axis == "gender")
    assert "it carries the origin of the name" in found["name_origin", "people"].words


def test_a_group_of_one_person_each_is_not_estimable_across_strata() -> None:
    vectors, taste, codes = _panel()
    apart = np.arange(len(taste))

    rows = leak_table(vectors, LAYOUT, [_axis(codes)], taste, {"name_origin": apart}, alpha=0.05, seed=1)

    # Nobody shares a stratum with anybody, so nothing varies inside one: the vectors say nothing either way.
    assert {row.auc for row in rows} <= {0.5, None}
    assert not any(row.carries for row in rows)


def test_interval_covers_the_true_area_with_clusters() -> None:
    rng = np.random.default_rng(5)
    truth, inside, runs = 0.7602, 0, 200  # Φ(1 / √2) for normal scores one standard deviation apart
    for _ in range(runs):
        clusters = np.repeat(np.arange(40), 10)
        shared = rng.normal(size=40)[clusters] * 0.5
        hit = rng.random(400) < 0.5
        scores = shared + rng.normal(size=400) * 0.75**0.5 + hit
        (low, high), _ = interval(pooled(scores, hit, clusters, 40), 0.05)
        inside += low <= truth <= high

    # 95 % of 200 with a standard error of 1.5 points.
    assert 0.90 <= inside / runs <= 0.99


def test_interval_without_spread_says_what_agreeing_clusters_can_show() -> None:
    span, p = interval(Area(auc=1.0, influence=np.zeros(10)), 0.05)

    assert span == (pytest.approx(0.025**0.1), 1.0)
    assert p == pytest.approx(2 / 2**10)


def test_error_where_nobody_shares_a_history_is_that_of_groups_that_mean_nothing() -> None:
    """The spread of the AUC over worlds in which groups are dealt by chance is known from those worlds themselves."""
    taste = np.repeat(np.arange(TASTES), 2 * GROUPS)
    aucs, errors, p = [], [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(TASTES, LAYOUT.dim))[taste] + rng.normal(size=(len(taste), LAYOUT.dim))
        codes = np.concatenate([rng.permutation(np.tile(np.arange(GROUPS), 2)) for _ in range(TASTES)])
        (row, *_) = leak_table(vectors.astype(np.float32), LAYOUT, [_axis(codes)], taste, None, alpha=0.05, seed=seed)
        assert row.auc is not None
        assert row.interval is not None
        aucs.append(row.auc)
        errors.append((row.interval[1] - row.interval[0]) / 4)
        p.append(row.p)
    assert np.mean(errors) == pytest.approx(np.std(aucs, ddof=1), rel=0.25)
    # 2 of 40 are expected under 5 %; 7 and more would come once in a hundred times.
    assert np.sum(np.array(p) < 0.05) <= 6
