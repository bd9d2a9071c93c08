"""Synthetic films the tests of manipulation share."""

from datetime import date

import pandas as pd

from data.synthetic import WorldSpec, generate


def films(count: int = 300, seed: int = 3) -> pd.DataFrame:
    return generate(WorldSpec(films=count, users=1, seed=seed, end=date(2026, 3, 1))).films
