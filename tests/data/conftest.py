"""Worlds the tests share."""

from datetime import date

import pytest

from data.synthetic import Benchmark, World, WorldSpec, generate, load_benchmark

END = date(2026, 3, 1)


@pytest.fixture(scope="session")
def spec() -> WorldSpec:
    """A world of several cells, the last of them partial."""
    return WorldSpec(films=700, users=600, seed=11, end=END, interactions_per_user=30.0)


@pytest.fixture(scope="session")
def world(spec: WorldSpec) -> World:
    return generate(spec)


@pytest.fixture(scope="session")
def benchmark() -> Benchmark:
    return load_benchmark()
