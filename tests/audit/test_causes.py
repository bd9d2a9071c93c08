import numpy as np
import pytest

from audit.causes import exposure_shares


def test_exposure_shares_by_hand() -> None:
    # Places count 1 and 1 / log2(3) = 0.6309; the second list has one film only.
    rows = np.array([[0, 2], [0, -1]])
    total = 2 + 0.63093

    shares = exposure_shares(rows, 3)

    assert shares.tolist() == pytest.approx([2 / total, 0, 0.63093 / total], abs=1e-5)
    assert shares.sum() == pytest.approx(1)


def test_exposure_shares_of_no_list_are_zero() -> None:
    assert exposure_shares(np.full((2, 3), -1), 4).tolist() == [0, 0, 0, 0]
