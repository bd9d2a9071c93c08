"""The text of Article 27 follows the weights, and nothing else."""

from audit.report.main_parameters import CRITERIA, main_parameters
from recommender.features.layout import BLOCKS
from recommender.ranking import RERANK_TERMS
from tests.audit.report.findings import FACTS

WEIGHTS = {"audience": 62.2, "keyword": 2.9, "text": 5.1, "recency": 0.15, "people": 0.0}


def test_criteria_are_in_the_order_of_what_moves_scores() -> None:
    said = main_parameters({"weights": WEIGHTS, **FACTS})
    # Importances 0.9, 0.6, 0.08 and 0.02 sum to 1.6.
    assert [(one["block"], one["influence"]) for one in said["criteria"]] == [
        ("audience", 0.5625), ("keyword", 0.375), ("text", 0.05), ("recency", 0.0125),
    ]  # fmt: skip
    assert said["criteria"][0]["words"].startswith("One of the leading criteria, about 56%")
    assert said["criteria"][3]["words"].startswith("Counts a little")
    assert said["unused"] == ["Cast and crew"]
    assert "About 99% of what moves a film comes from your own history" in said["reasons"][1]
    assert "486 users" in said["reasons"][0]
    assert "54%" in said["reasons"][0]


def test_weights_never_fitted_are_said_to_be_so() -> None:
    said = main_parameters({"weights": WEIGHTS})
    assert [one["influence"] for one in said["criteria"]] == [None] * 4
    assert "not fitted on this catalogue" in said["reasons"][0]


def test_a_version_that_takes_a_name_in_says_so() -> None:
    said = main_parameters({"weights": WEIGHTS, "segments": ["market", "name_origin"]})
    assert "the origin of the account holder's name" in said["account"][0]
    assert said["account"][1].startswith("Warning")
    assert len(main_parameters({"weights": WEIGHTS})["account"]) == 1


def test_every_block_and_term_has_words() -> None:
    assert set(CRITERIA) == {*BLOCKS, *RERANK_TERMS}


def test_forgetting_is_said_when_there_is_some() -> None:
    said = main_parameters({"weights": WEIGHTS, "pooling": {"half_life_days": 90.0, "shrinkage": 5.0}})
    assert "What you did 90 days before your latest act counts half." in said["reasons"]
    assert main_parameters({})["reasons"] == ["This version weighs no criterion: every film has the same score."]
