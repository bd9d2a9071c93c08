"""Small versions in a temporary workspace."""

from pathlib import Path

import numpy as np
import pytest

from recommender.index import IndexVersion, open_version, write_version
from workspace.paths import Paths

BLOCKS = {"text": (0, 16), "genre": (16, 24)}
DIM = 24


def clustered(rows: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    """Return float32 rows around 20 centres, columns of very different size, some rows equal and one all zero."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dim))
    vectors = centres[rng.integers(20, size=rows)] + 0.4 * rng.normal(size=(rows, dim))
    vectors *= 10.0 ** rng.uniform(-3, 1, dim)
    vectors[rows // 2 : rows // 2 + rows // 20] = vectors[rows // 2]
    vectors[rows - 1] = 0
    return vectors.astype(np.float32)


def reference(vectors: np.ndarray, query: np.ndarray, allowed: np.ndarray, count: int) -> list[int]:
    """Return the best allowed rows by a float64 product of everything, ties by the lower row."""
    scores = vectors.astype(np.float64) @ query
    # Equal rows must tie although BLAS may sum them in another order.
    scores = np.round(scores, 12)
    order = sorted(np.flatnonzero(allowed), key=lambda row: (-scores[row], row))
    return [int(row) for row in order[:count]]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home").ensure()


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory) -> IndexVersion:
    """30,000 rows: large enough for the codes to be scanned in several chunks."""
    home = Paths(tmp_path_factory.mktemp("large")).ensure()
    return open_version(home, write_version(home, vectors=clustered(30_000), blocks=BLOCKS).version)
