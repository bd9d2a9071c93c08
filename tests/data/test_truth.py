"""The truth is exact and kept apart."""

import ast
from pathlib import Path

import numpy as np
import pytest

import data.synthetic
from data.synthetic import World
from data.synthetic.taste import FAVOURITE_PULL
from workspace.errors import InvalidValueError

ALLOWED = {"numpy", "pandas", "pyarrow", "pydantic", "workspace", "data"}


def test_preference_is_the_sum_of_its_terms(world: World) -> None:
    truth = world.truth
    rows = np.array([3, 77, 401])
    expected = truth.user_vectors[rows].astype(np.float64) @ truth.film_factors.T.astype(np.float64)
    for place, row in enumerate(rows):
        for person in set(truth.favourites[row].tolist()) - {-1}:
            expected[place] += FAVOURITE_PULL * (truth.film_people == person).sum(axis=1)
    assert truth.preference(rows).dtype == np.float32
    # Latent numbers lie on binary grids, so float32 and float64 agree to the last bit.
    assert np.array_equal(truth.preference(rows), expected.astype(np.float32))


def test_preference_is_the_same_in_every_batch(world: World) -> None:
    whole = world.truth.preference(np.arange(50))
    assert np.array_equal(whole, np.concatenate([world.truth.preference([row]) for row in range(50)]))


def test_preference_spreads_by_one_within_a_user(world: World) -> None:
    spread = world.truth.preference(np.arange(600)).std(axis=1)
    assert np.median(spread) == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize("rows", [[-1], [600]])
def test_preference_refuses_unknown_rows(world: World, rows: list[int]) -> None:
    with pytest.raises(InvalidValueError, match="user_rows"):
        world.truth.preference(rows)


def test_generator_imports_only_what_it_may() -> None:
    for file in Path(data.synthetic.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                roots = {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots = {(node.module or "").split(".")[0]}
            else:
                continue
            standard = {root for root in roots if root in __import__("sys").stdlib_module_names}
            assert roots - standard <= ALLOWED, file.name
