"""The scorecard: every figure held against the users themselves, every gap against its reason."""

import json

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from experiments.effects import effects, measured
from experiments.scorecard import Scorecard, score
from tests.experiments.arms import COLUMNS, cells, counted, plan_of, rows_of, users
from workspace.errors import UnknownError

KEYS = {
    "name", "variant", "control", "n", "mean_control", "mean_variant", "diff", "ci95", "rel", "rel_ci95", "p",
    "p_adjusted", "df", "method",
}  # fmt: skip
ROWS = rows_of(np.random.default_rng(3), lift=0.05)
CARD = score(plan_of(), counted(cells(ROWS)))
MANY = plan_of(
    metrics=[
        {"metric": "ctr", "kind": "primary"},
        {"metric": "refresh_rate", "kind": "primary"},
        {"metric": "thumbs_down_rate", "kind": "guardrail", "margin_rel": 0.1},
        {"metric": "focus_s", "kind": "secondary"},
        {"metric": "survey_score", "kind": "secondary"},
    ]
)
WIDE = (
    "clicks", "impressions", "thumbs_down", "refreshes", "sessions", "focus_s", "focus_s_capped", "survey_score",
    "surveys", "active_days",
)  # fmt: skip


def wide(rng: np.random.Generator, n: int, answers: float = 0.3) -> np.ndarray:
    shown = rng.poisson(20, n) + 1.0
    focus = rng.gamma(1.0, 30, n)
    asked = (rng.random(n) < answers) * 1.0
    return np.column_stack([
        rng.binomial(shown.astype(int), 0.1), shown, rng.binomial(shown.astype(int), 0.02), rng.poisson(1, n),
        rng.poisson(2, n) + 1, focus, np.minimum(focus, 100), asked * rng.integers(1, 6, n), asked,
        rng.poisson(3, n) + 1,
    ])  # fmt: skip


def wide_card(seed: int = 1, answers: float = 0.3) -> Scorecard:
    rng = np.random.default_rng(seed)
    rows = {(v, r): wide(rng, 800, answers) for v in ("control", "treatment") for r in ("US", "FR")}
    return score(MANY, counted(cells(rows, WIDE), caps={"focus_s_capped": 100.0}))


def test_plain_estimate_is_the_delta_method_on_the_users() -> None:
    found = CARD.metric("ctr", "treatment").plain
    assert found is not None
    ratios, variances = [], []
    for variant in ("control", "treatment"):
        arm = np.vstack([rows for (name, _), rows in ROWS.items() if name == variant])
        x, y = arm[:, 0], arm[:, 1]
        ratio = x.sum() / y.sum()
        ratios.append(ratio)
        variances.append(np.var((x - ratio * y) / y.mean(), ddof=1) / len(arm))
    diff = ratios[1] - ratios[0]
    assert found.diff == pytest.approx(diff, rel=1e-9)
    assert found.se == pytest.approx(np.sqrt(sum(variances)), rel=1e-9)
    assert found.p == pytest.approx(2 * stats.norm.sf(abs(diff) / np.sqrt(sum(variances))), rel=1e-2)


def test_judged_is_stratified_by_region_and_narrower_with_the_days_before() -> None:
    one = CARD.metric("ctr", "treatment")
    assert one.strata == ("FR", "KZ", "US")
    assert one.judged is not None
    assert one.raw is not None
    assert "cuped" in one.judged.method
    assert "cuped" not in one.raw.method
    # Regions weigh by all their users, whatever the arm they are in: the combined ratio.
    share = {region: len(ROWS["control", region]) for region in one.strata}
    for variant, mean in (("control", one.raw.mean_control), ("treatment", one.raw.mean_variant)):
        above = sum(share[r] * ROWS[variant, r][:, 0].mean() for r in share)
        below = sum(share[r] * ROWS[variant, r][:, 1].mean() for r in share)
        assert mean == pytest.approx(above / below, rel=1e-9)
    assert one.variance_left is not None
    assert one.variance_left == pytest.approx((one.judged.se / one.raw.se) ** 2)
    assert one.variance_left < 0.9
    raw = score(plan_of(), counted(cells(ROWS)), cuped=False).metric("ctr", "treatment")
    assert raw.judged == one.raw


def test_totals_are_the_raw_sums_of_all_users() -> None:
    totals = CARD.metric("ctr", "treatment").totals
    assert totals is not None
    control = np.vstack([rows for (name, _), rows in ROWS.items() if name == "control"])
    assert totals.numerator_control == pytest.approx(control[:, 0].sum())
    assert totals.denominator_control == pytest.approx(control[:, 1].sum())
    assert totals.users_control == len(control)


def test_families_are_corrected_apart_and_intervals_agree() -> None:
    card = wide_card()
    for role, method in (("primary", "holm"), ("other", "fdr_bh")):
        family = [one for one in card.metrics if (one.role == "primary") == (role == "primary")]
        expected = multipletests([one.judged.p for one in family if one.judged], method=method)[1]
        assert [one.p_adjusted for one in family] == pytest.approx(expected.tolist(), rel=1e-12)
    for one in (*card.metrics, *CARD.metrics):
        assert one.ci_adjusted is not None
        assert one.rel_ci_adjusted is not None
        assert one.p_adjusted is not None
        outside = not one.ci_adjusted[0] <= 0 <= one.ci_adjusted[1]
        assert outside == (one.p_adjusted < 0.05)
        assert outside == (not one.rel_ci_adjusted[0] <= 0 <= one.rel_ci_adjusted[1])


def test_metrics_that_can_not_be_read_alone_bring_their_company() -> None:
    card = wide_card()
    names = [(one.name, one.role) for one in card.metrics]
    assert names[-2:] == [("focus_s_uncapped", "beside"), ("survey_response_rate", "beside")]
    capped = card.metric("focus_s", "treatment")
    assert capped.cap == 100.0
    assert capped.beside == ("focus_s_uncapped",)
    assert card.metric("focus_s_uncapped", "treatment").cap is None
    assert [one.spec.name for one in measured(MANY)] == [name for name, _ in names]


def test_to_dict_has_the_keys_of_the_contract() -> None:
    document = json.loads(json.dumps(CARD.to_dict(), allow_nan=False))
    assert {"experiment", "as_of", "srm", "metrics"} <= set(document)
    assert set(document["srm"]) == {"p", "counts", "expected", "ok"}
    for row in document["metrics"]:
        assert set(row) >= KEYS
        assert row["n"] == row["n_control"] + row["n_variant"]
        assert row["ci95"][0] < row["diff"] < row["ci95"][1]


def test_an_empty_arm_is_not_estimable_and_never_zero() -> None:
    rows = {key: value for key, value in ROWS.items() if key[0] == "control"}
    card = score(plan_of(), counted(cells(rows)))
    for one in card.metrics:
        assert one.status == "not_estimable"
        assert one.reason == "nobody was exposed to treatment"
        row = one.to_dict()
        assert [row[name] for name in ("diff", "rel", "p", "p_adjusted", "ci95", "mean_control")] == [None] * 6
    assert card.users == {"control": 5_100, "treatment": 0}
    assert card.health == "error", "all users in one arm is a sample ratio mismatch"


def test_zero_variance_and_zero_denominators_have_their_reasons() -> None:
    same = np.tile([1.0, 10.0, 0.0, 0.0, 0.0, 0.0], (50, 1))
    card = score(plan_of(), counted(cells({("control", "US"): same, ("treatment", "US"): same})))
    one = card.metric("ctr", "treatment")
    assert one.status == "not_estimable"
    assert "variance" in str(one.reason)
    silent = wide_card(answers=0.0).metric("survey_score", "treatment")
    assert silent.status == "not_estimable"
    assert silent.judged is None
    assert silent.p_adjusted is None
    assert "0" in str(silent.reason)


def test_a_region_without_an_arm_is_left_out_named_and_counted() -> None:
    lone = ROWS | {("control", "UZ"): users(np.random.default_rng(9), 40)}
    card = score(plan_of(allocation={"UZ": 0.1, "GB": 0.1}), counted(cells(lone)))
    one = card.metric("ctr", "treatment")
    assert one.left_out == {"UZ": 40}
    assert "UZ" not in one.strata
    assert one.judged == CARD.metric("ctr", "treatment").judged
    finding = next(found for found in card.findings if found.check == "regions")
    assert finding.level == "warn"
    assert "UZ: one arm is empty, 40 users left out" in finding.message
    assert "GB: allocated, but nobody was exposed" in finding.message


def test_variants_that_nobody_planned_change_nothing() -> None:
    stray = ROWS | {("other", "US"): users(np.random.default_rng(9), 40, 0.5)}
    card = score(plan_of(), counted(cells(stray), left_out={"unknown_variant": 40}))
    assert card.metric("ctr", "treatment").judged == CARD.metric("ctr", "treatment").judged
    assert card.to_dict()["left_out"] == {"unknown_variant": 40}
    assert next(found for found in card.findings if found.check == "unknown_variant").level == "warn"
    with pytest.raises(UnknownError):
        card.metric("ctr", "other")


def test_segments_are_estimated_without_strata() -> None:
    found = effects(plan_of(), cells(ROWS).where(region="US"), stratum=None)[0]
    assert found.strata == ()
    assert found.raw is not None
    assert found.raw.mean_control == pytest.approx(
        ROWS["control", "US"][:, 0].sum() / ROWS["control", "US"][:, 1].sum()
    )


def test_guardrails_are_held_against_their_margin() -> None:
    def guardrail(harm: float, margin: float) -> str:
        plan = plan_of(metrics=[{"metric": "ctr", "kind": "primary"},
                                {"metric": "thumbs_down_rate", "kind": "guardrail", "margin_rel": margin}])  # fmt: skip
        rows = rows_of(np.random.default_rng(5), harm=harm)
        return score(plan, counted(cells(rows))).metric("thumbs_down_rate", "treatment").status

    assert guardrail(0.0, 0.15) == "non_inferior"
    assert guardrail(0.5, 0.15) == "harmed"
    assert guardrail(0.5, 0.9) == "non_inferior", "worse, but by less than what is tolerated"
    assert guardrail(0.0, 0.01) == "unclear"


def test_columns_of_the_days_before_are_optional() -> None:
    bare = {key: rows[:, :3] for key, rows in ROWS.items()}
    one = score(plan_of(), counted(cells(bare, COLUMNS[:3]))).metric("ctr", "treatment")
    assert one.judged == one.raw
    assert one.balance_p is None
    assert one.variance_left == 1.0
