"""How many users are assigned in a second: a million ids with regions, from each form they may come in.

python benchmarks/bench_assignment.py
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import pandas as pd
import pyarrow as pa

from experiments.assignment import assign
from experiments.plan import ExperimentPlan, read_plan

USERS = 1_000_000
REPEATS = 5
REGIONS = ("US", "CA", "DE", "FR", "SE")


def main() -> None:
    """Print one row a form and share: millions of users a second."""
    ids = [f"user_{number:08d}" for number in range(USERS)]
    regions = np.random.default_rng(0).choice(REGIONS, USERS)
    forms = {
        "list": (ids, regions.tolist()),
        "pandas": (pd.Series(ids), pd.Series(regions)),
        "arrow": (pa.array(ids), pa.array(regions)),
    }
    print("| ids | allocation | holdout | million users a second |\n| --- | --- | --- | --- |")
    for share, holdout in ((0.1, 0.0), (0.1, 0.05), (1.0, 0.0)):
        chosen = _plan(share)
        for name, (users, homes) in forms.items():
            seconds = _median(lambda u=users, h=homes, p=chosen, o=holdout: assign(p, u, h, holdout=o))
            print(f"| {name} | {share:.0%} | {holdout:.0%} | {USERS / seconds / 1e6:.2f} |", flush=True)


def _plan(share: float) -> ExperimentPlan:
    return read_plan(
        {
            "experiment_id": "bench",
            "hypothesis": "It is fast enough.",
            "owner": "bench",
            "flag": "bench",
            "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
            "start": "2026-01-01",
            "metrics": [{"metric": "ctr", "kind": "primary"}],
            "default_allocation": share,
            "salt": "a1b2c3d4e5f60718293a4b5c6d7e8f90",
        }
    )


def _median(run: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
