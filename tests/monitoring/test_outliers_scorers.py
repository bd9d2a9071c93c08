import numpy as np
import pytest
from scipy.stats import chi2
from sklearn.covariance import MinCovDet
from sklearn.ensemble import IsolationForest

from monitoring.outliers import Forest, Mahalanobis, PyodScorer, Scorer, scorers
from workspace.errors import InvalidValueError, NotEstimableError, StateError


def crowd(n: int = 200, d: int = 3, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) @ np.array([[1.0, 0.8, 0], [0, 0.6, 0], [0, 0, 5.0]])[:d, :d]


def test_mahalanobis_is_scikit_learns_robust_distance_and_its_parts_sum_to_it() -> None:
    rows = crowd(800)
    scorer = Mahalanobis(seed=3).fit(rows)
    robust = MinCovDet(support_fraction=scorers.CENTRAL, random_state=3).fit(rows)
    assert scorer.score(rows[:50]) == pytest.approx(robust.mahalanobis(rows[:50]), rel=1e-6)
    assert scorer.explain(rows[:50]).sum(axis=1) == pytest.approx(scorer.score(rows[:50]))
    # Of a normal crowd the squared distances are χ²: a twentieth lies beyond its 95 % quantile.
    assert np.mean(scorer.score(crowd(4_000, seed=2)) > chi2.ppf(0.95, 3)) == pytest.approx(0.05, abs=0.025)


def test_mahalanobis_is_not_moved_by_a_fifth_of_odd_rows() -> None:
    rows = crowd()
    rows[:40] += 30
    scorer = Mahalanobis().fit(rows)
    assert scorer.score(rows[:40]).min() > 10 * np.quantile(scorer.score(rows[40:]), 0.99)


def test_an_odd_combination_of_usual_values_is_seen() -> None:
    scorer = Mahalanobis().fit(crowd())
    # Columns 0 and 1 go together; each value alone is within two standard deviations.
    assert scorer.score([[1.8, -1.8, 0.0]])[0] > 15 > scorer.score([[1.8, 1.5, 0.0]])[0]


@pytest.mark.parametrize("make", [Mahalanobis, Forest])
def test_the_odd_feature_explains_the_score(make: type[Scorer]) -> None:
    scorer = make().fit(crowd())
    assert isinstance(scorer, Scorer)
    odd = np.array([[0.0, 0.0, 40.0], [9.0, 7.0, 0.0]])
    # One extreme of three saturates a forest: it is among the oddest twentieth, no more.
    assert scorer.score(odd).min() > np.quantile(scorer.score(crowd()), 0.95)
    assert scorer.explain(odd)[0].argmax() == 2
    assert scorer.explain(odd)[1].argmax() != 2


@pytest.mark.parametrize("make", [Mahalanobis, Forest])
def test_missing_values_give_no_score_and_constant_columns_no_part(make: type[Scorer]) -> None:
    rows = crowd()
    rows[:, 1] = 7.0
    rows[3, 0] = np.nan
    scorer = make().fit(rows)
    assert np.isnan(scorer.score(rows[:5])).tolist() == [False, False, False, True, False]
    assert scorer.explain(rows[:3])[:, 1].tolist() == [0, 0, 0]
    assert np.isnan(scorer.explain(rows[3:4])).all()


@pytest.mark.parametrize("make", [Mahalanobis, Forest])
def test_too_few_constant_infinite_and_unlearnt_are_named(make: type[Scorer]) -> None:
    with pytest.raises(NotEstimableError, match="must be 50 to learn from, 20 more"):
        make().fit(crowd(30))
    with pytest.raises(NotEstimableError, match="constant"):
        make().fit(np.ones((60, 2)))
    with pytest.raises(InvalidValueError, match="infinite"):
        make().fit(np.full((60, 2), np.inf))
    with pytest.raises(InvalidValueError, match="matrix"):
        make().fit(np.arange(60.0))
    with pytest.raises(StateError, match="learnt nothing"):
        make().score(crowd())
    with pytest.raises(InvalidValueError, match="must be 3, as learnt from"):
        make().fit(crowd()).score(np.ones((2, 2)))


def test_columns_in_a_line_do_not_make_everything_infinitely_odd() -> None:
    rows = crowd(200, 2)
    rows = np.column_stack([rows, rows.sum(axis=1)])
    scorer = Mahalanobis().fit(rows)
    assert np.isfinite(scorer.score(rows)).all()
    assert np.median(scorer.score(rows)) < 5


def test_forest_is_scikit_learns_with_the_sign_turned() -> None:
    rows = crowd()
    theirs = IsolationForest(n_estimators=100, random_state=scorers.SEED).fit(rows)
    assert Forest().fit(rows).score(rows[:20]) == pytest.approx(-theirs.score_samples(rows[:20]))


class Distance:
    """As small as a detector of PyOD's can be."""

    def fit(self, rows: np.ndarray) -> None:
        self.middle = np.median(rows, axis=0)

    def decision_function(self, rows: np.ndarray) -> np.ndarray:
        return np.abs(rows - self.middle).sum(axis=1)


def test_a_pyod_detector_fits_the_interface() -> None:
    scorer = PyodScorer(Distance()).fit(crowd())
    assert isinstance(scorer, Scorer)
    assert scorer.name == "PyOD Distance"
    assert scorer.score([[0.0, 0.0, 9.0]])[0] == pytest.approx(9.0, abs=2.0)
    assert scorer.explain([[0.0, 0.0, 9.0]])[0].argmax() == 2
    with pytest.raises(InvalidValueError, match="decision_function"):
        PyodScorer(object())


def test_a_real_pyod_detector_ranks_as_pyod_does() -> None:
    ecod = pytest.importorskip("pyod.models.ecod", reason="PyOD is an optional extra")
    rows = crowd(300)
    assert PyodScorer(ecod.ECOD()).fit(rows).score(rows) == pytest.approx(ecod.ECOD().fit(rows).decision_function(rows))
