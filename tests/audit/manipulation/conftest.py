import pandas as pd
import pytest

from audit.manipulation.gate import Gate
from tests.audit.manipulation.films import films as made


@pytest.fixture(scope="package")
def films() -> pd.DataFrame:
    return made()


@pytest.fixture(scope="package")
def gate(films: pd.DataFrame) -> Gate:
    return Gate(films)
