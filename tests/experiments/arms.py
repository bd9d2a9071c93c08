"""Arms of users with known truths, and their sums as a snapshot would hold them."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.cells import Cells, cells_of
from experiments.counted import KeptSums
from experiments.plan import ExperimentPlan, read_plan

START = dt.date(2026, 1, 1)
COLUMNS = ("clicks", "impressions", "thumbs_down", "pre_clicks", "pre_impressions", "pre_thumbs_down")
RATES = {"US": 0.10, "FR": 0.07, "KZ": 0.13}


def plan_of(**changes: Any) -> ExperimentPlan:
    """Two variants, CTR as primary, thumbs-down as guardrail, looks after 7 and 14 days."""
    document: dict[str, Any] = {
        "experiment_id": "exp", "hypothesis": "Genres first raise clicks.", "owner": "pm", "flag": "genres",
        "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
        "start": START.isoformat(), "salt": "s", "rule": {"look_days": [7, 14]},
        "metrics": [{"metric": "ctr", "kind": "primary"},
                    {"metric": "thumbs_down_rate", "kind": "guardrail", "margin_rel": 0.1}],
    }  # fmt: skip
    return read_plan(document | changes)


def users(rng: np.random.Generator, n: int, rate: float = 0.1, lift: float = 0.0, harm: float = 0.0) -> np.ndarray:
    """Sums of users in the order of `COLUMNS`; users differ in activity and in how readily they click."""
    active = rng.gamma(2.0, 1.0, n)
    shown, before = rng.poisson(15 * active) + 1, rng.poisson(15 * active)
    eager = rng.beta(4, 4 / rate - 4, n)
    clicks = rng.binomial(shown, np.minimum(eager * (1 + lift), 1))
    down = rng.binomial(shown, 0.02 * (1 + harm))
    return np.column_stack(
        [clicks, shown, down, rng.binomial(before, eager), before, rng.binomial(before, 0.02)]
    ).astype(float)


def rows_of(
    rng: np.random.Generator, n: int = 3_000, *, lift: float = 0.0, harm: float = 0.0
) -> dict[tuple[str, str], np.ndarray]:
    """Users by variant and region."""
    size = {"US": n, "FR": n // 2, "KZ": n // 5}
    return {
        (variant, region): users(rng, size[region], RATES[region], lift * at, harm * at)
        for at, variant in enumerate(("control", "treatment"))
        for region in RATES
    }


def cells(rows: Mapping[tuple[str, str], np.ndarray], columns: tuple[str, ...] = COLUMNS) -> Cells:
    keys = {"variant": [variant for variant, _ in rows], "region": [region for _, region in rows]}
    return cells_of(keys, list(rows.values()), list(columns))


def counted(found: Cells, *, day: int = 14, **changes: Any) -> KeptSums:
    """What a snapshot as of a day after the start holds."""
    return KeptSums(
        **{
            "as_of": START + dt.timedelta(days=day - 1), "cells": found, "left_out": {}, "caps": {},
            "sql": ("SELECT 1",), "digest": "d", "computed_at": "2026-02-01", **changes,
        }
    )  # fmt: skip
