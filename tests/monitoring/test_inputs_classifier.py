import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from monitoring.inputs import classifier, domain_classifier
from workspace.errors import InvalidValueError, NotEstimableError


def test_classifier_sees_what_no_single_column_shows() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=(600, 2)), rng.normal(size=(600, 2))
    # Both columns are standard normal before and after; only their sign goes together.
    after[:, 1] = np.abs(after[:, 1]) * np.sign(after[:, 0])
    found = domain_classifier(before, after, names=("a", "b"), rng=3)
    assert found.auc > 0.65
    assert found.low < found.auc < found.high
    assert found.p_value < 1e-6
    assert set(found.importances) == {"a", "b"}
    assert found.to_dict()["n_test"] == 600


def test_classifier_keeps_its_level_on_samples_of_one_distribution() -> None:
    rng = np.random.default_rng(2)
    alarms = sum(
        domain_classifier(rng.normal(size=(40, 2)), rng.normal(size=(40, 2)), rng=rng).p_value <= 0.1 for _ in range(24)
    )
    # Binomial(24, 0.1) exceeds 7 one time in 500.
    assert alarms <= 7


def test_auc_is_that_of_scikit_learn_and_one_score_for_all_says_nothing() -> None:
    rng = np.random.default_rng(3)
    scores, truth = rng.normal(size=200).round(1), rng.random(200) < 0.4
    assert classifier._judged(scores, truth)[0] == pytest.approx(roc_auc_score(truth, scores))
    assert classifier._judged(np.zeros(10), np.arange(10) < 4) == (0.5, 1.0)


def test_bad_input_is_named() -> None:
    rows = np.random.default_rng(4).normal(size=(30, 2))
    with pytest.raises(InvalidValueError, match="must be 2"):
        domain_classifier(rows, rows, names=("a",))
    with pytest.raises(NotEstimableError):
        domain_classifier(rows[:10], rows)
