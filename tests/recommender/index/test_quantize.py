import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.index.quantize import Coder, encode_query
from tests.recommender.index.conftest import clustered


@pytest.mark.parametrize("digits", [1, 2])
@given(seed=st.integers(0, 10_000), spread=st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_error_bound_holds_for_every_row(digits: int, seed: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = clustered(300, 12, seed)
    coder = Coder(vectors)
    codes = np.concatenate(list(coder.chunks())).astype(np.float64)
    query = rng.normal(size=12) * 10.0 ** rng.uniform(-spread, spread, 12)
    coded = encode_query(query, coder.steps, coder.bounds)
    approximate = sum(coded.units[i] * (codes @ coded.digits[i].astype(np.float64)) for i in range(digits))
    error = np.abs(approximate - vectors.astype(np.float64) @ query).max()
    assert error <= coded.errors[digits - 1]
    assert error > 0  # the codes do lose something: the bound is not compared with nothing


def test_second_digit_tightens_the_bound() -> None:
    coder = Coder(clustered(300))
    list(coder.chunks())
    coded = encode_query(np.random.default_rng(1).normal(size=24), coder.steps, coder.bounds)
    assert coded.errors[1] < coded.errors[0]


def test_codes_reach_the_whole_range_and_empty_columns_code_to_zero() -> None:
    vectors = np.array([[1.0, 0.0, -4.0], [-0.5, 0.0, 2.0]], dtype=np.float32)
    coder = Coder(vectors)
    codes = next(iter(coder.chunks()))
    # 0.5 / (1/127) = 63.5, which rint takes to the even 64.
    assert codes.tolist() == [[127, 0, -127], [-64, 0, 64]]
    assert coder.steps.tolist() == [1 / 127, 0.0, 4 / 127]
