"""Configurations: what may be weighed, and the round trip through a manifest."""

import pytest

from recommender.configuration import DEFAULT, Configuration
from recommender.profile import Pooling
from workspace.errors import InvalidValueError


def test_configuration_survives_a_manifest() -> None:
    made = Configuration(
        weights={"genre": 1.0, "diversity": 0.5}, pooling=Pooling(shrinkage=3.0), evidence={"folds": 5}
    )
    assert Configuration.from_dict(made.to_dict()) == made
    assert Configuration.from_dict(DEFAULT.to_dict()) == DEFAULT


def test_of_blocks_keeps_the_re_rank_terms() -> None:
    made = Configuration(weights={"genre": 1.0, "text": 2.0, "closest_film": 0.5})
    assert made.of_blocks(["genre"]).weights == {"genre": 1.0, "closest_film": 0.5}


@pytest.mark.parametrize(
    "weights", [{"genres": 1.0}, {"genre": -0.1}, {"genre": float("nan")}, {"genre": float("inf")}]
)
def test_configuration_refuses_unknown_blocks_and_bad_weights(weights: dict[str, float]) -> None:
    with pytest.raises(InvalidValueError):
        Configuration(weights=weights)
