"""Scorecards of a million users: from events, from rollups, from kept sums; an A/A test a thousand times over.

    python -m benchmarks.bench_experiments --out docs/benchmarks

Generates two weeks of events, takes the second as the experiment and the first as the time before it, and times side
by side and in turns: DuckDB's own scan of every column that is read, ours from events, ours from rollups by user, the
scorecard from kept sums, and gbstats and tea-tasting on the same sums. Takes about 5 minutes and 2 GB of disk; run on
an otherwise idle machine.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_telemetry import Bench, in_turns
from data.synthetic.history import HistorySpec, write_history
from experiments.cells import Cells
from experiments.metrics import METRICS, MetricSpec
from experiments.plan import ExperimentPlan
from experiments.resplit import false_alarms
from experiments.scorecard import score
from experiments.statistics import cuped, ratio
from experiments.sums import Request, Snapshot, Sums, statements
from experiments.sums.snapshot import cells_from
from experiments.sums.statements import Shape, Source
from telemetry.rollups import roll_up
from workspace.columns import Trial
from workspace.paths import Paths

REPEATS: Final = 5
SPLITS: Final = 1_000
END: Final = dt.date(2026, 3, 2)
WEEK: Final = dt.timedelta(days=7)
DAY: Final = dt.timedelta(days=1)
PACKAGES: Final = ("duckdb", "sqlglot", "pandas", "pyarrow", "numpy", "scipy", "gbstats", "tea-tasting")
KINDS: Final = {
    "ctr": "primary",
    "precision_at_5": "secondary",
    "thumbs_down_rate": "guardrail",
    "refresh_rate": "guardrail",
    "focus_s": "secondary",
    "focus_s_uncapped": "secondary",
    "survey_positive": "secondary",
    "engagement": "secondary",
}
PLAN: Final = ExperimentPlan.model_validate({
    "experiment_id": "exp_ctr_lift",
    "hypothesis": "The treatment raises clicks.",
    "owner": "benchmark",
    "flag": "benchmark",
    "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
    "start": END - WEEK,
    "metrics": [{"metric": name, "kind": kind} for name, kind in KINDS.items()],
    "rule": {"pre_days": 7, "look_days": [7]},
})  # fmt: skip
EVERY: Final = "sum(user_id % 7), sum(length(event_type)), sum(position), sum(value), max(ts), sum(length(session_id))"
MORE: Final = "sum(length(region)), sum(length(device)), sum(length(experiment_id)), sum(length(variant))"


class Trials:
    """The workspace of the benchmark, and what is measured in it.

    Args:
        bench: Its events.
    """

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.sums = Sums(bench.warehouse, bench.parts, Paths(bench.settings.home), clock=bench.clock)
        self.request = Request.of(PLAN, END - DAY)

    def scan(self) -> None:
        """DuckDB's own reading of every column that is needed, in both weeks."""
        for first, columns in ((END - WEEK, f"{EVERY}, {MORE}"), (END - 2 * WEEK, EVERY)):
            parts = self.bench.parts.parts("events", start=first, end=first + WEEK - DAY)
            files = [str(part.path) for part in parts]
            self.bench.plain.execute(f"SELECT {columns} FROM read_parquet({files!r})").fetchall()  # noqa: S608

    def taken(self, source: Source) -> None:
        """The whole scorecard with no sums kept."""
        needs = self.request.needs
        sql = statements.snapshot(Shape.of(self.request, source, buckets=False))
        # Around what is kept: nothing of it is to help.
        answer = self.sums._query(sql, self.request, source, staged=statements.MEMBERS)  # noqa: SLF001
        cells = cells_from(answer, statements.CELLS, [Trial.VARIANT, Trial.REGION], needs)
        score(PLAN, _with(self.kept(), cells))

    def kept(self, *, buckets: bool = False) -> Snapshot:
        """The kept sums."""
        return self.sums.snapshot(self.request, buckets=buckets)

    def regions(self) -> list[tuple[MetricSpec, list[Cells]]]:
        """For each metric the arms of each region, as cells."""
        cells = self.kept().cells
        names = sorted(set(cells.keys[Trial.REGION]))
        arms = [cells.where(**{Trial.REGION: name, Trial.VARIANT: arm}) for name in names for arm in PLAN.names]
        return [(METRICS[name], arms) for name in KINDS]


def _with(snapshot: Snapshot, cells: Cells) -> Snapshot:
    from dataclasses import replace

    return replace(snapshot, cells=cells)


def gbstats_of(trials: Trials) -> Callable[[], None]:
    """Return the same metrics × regions by gbstats, from the same sums; it has no CUPED for ratios."""
    from gbstats.frequentist.tests import FrequentistConfig, TwoSidedTTest
    from gbstats.models.statistics import RatioStatistic, SampleMeanStatistic

    def one(cells: Cells, spec: MetricSpec) -> Any:  # noqa: ANN401 - of a library without types
        moments = cells.moments(spec.columns[:2])[0]
        n, total, products = moments.n, moments.n * moments.means, moments.comoments
        raw = products + moments.n * moments.means[:, None] * moments.means
        above, below = (SampleMeanStatistic(n=n, sum=total[at], sum_squares=raw[at, at]) for at in (0, 1))
        return RatioStatistic(n=n, m_statistic=above, d_statistic=below, m_d_sum_of_products=raw[0, 1])

    pairs = [
        (one(arms[at], spec), one(arms[at + 1], spec))
        for spec, arms in trials.regions()
        for at in range(0, len(arms), 2)
    ]
    config = FrequentistConfig(difference_type="absolute")

    def run() -> None:
        for control, variant in pairs:
            TwoSidedTTest(control, variant, config).compute_result()

    return run


def tea_tasting_of(trials: Trials) -> Callable[[], None]:
    """Return the same metrics × regions by tea-tasting with CUPED, from the same sums."""
    import tea_tasting as tt
    from tea_tasting.aggr import Aggregates

    def one(cells: Cells, spec: MetricSpec) -> Any:  # noqa: ANN401 - of a library without types
        moments, names = cells.moments(spec.columns)[0], spec.columns
        covariance = moments.covariance
        return Aggregates(
            count_=int(moments.n),
            mean_=dict(zip(names, moments.means.tolist(), strict=True)),
            var_={name: float(covariance[at, at]) for at, name in enumerate(names)},
            cov_={
                tuple(sorted((names[i], names[j]))): float(covariance[i, j])  # type: ignore[misc]
                for i in range(4)
                for j in range(i)
            },
        )

    jobs = [
        (tt.RatioOfMeans(*spec.columns), one(arms[at], spec), one(arms[at + 1], spec))
        for spec, arms in trials.regions()
        for at in range(0, len(arms), 2)
    ]

    def run() -> None:
        for metric, control, variant in jobs:
            metric.analyze_aggregates(control, variant)

    return run


def ours_of(trials: Trials, *, adjusted: bool) -> Callable[[], None]:
    """Return our own estimates of the same metrics × regions from the same sums, handed over like the others'."""
    jobs = []
    for spec, arms in trials.regions():
        moments = [cells.moments(spec.columns if adjusted else spec.columns[:2])[0] for cells in arms]
        jobs += list(zip(moments[::2], moments[1::2], strict=True))
    estimate = cuped if adjusted else ratio

    def run() -> None:
        for control, variant in jobs:
            estimate(control, variant)

    return run


def measure(home: Path, history: Path | None, users: int) -> dict[str, Any]:
    """Make the workspace and return its figures."""
    if history is None:
        history = home / "history"
        write_history(HistorySpec(users=users, weeks=2, seed=1, end=END), history, physical=True)
    bench = Bench(home / "home")
    events = bench.take(history)
    rolled = roll_up(bench.parts, bench.warehouse, bench.clock)
    trials = Trials(bench)
    whole = trials.kept(buckets=True)
    specs = [METRICS[name] for name in KINDS]
    heavy = in_turns(
        {
            "DuckDB's scan of the columns": trials.scan,
            "scorecard from events": lambda: trials.taken("events"),
            "scorecard from rollups by user": lambda: trials.taken("user_day"),
        },
        REPEATS,
    )
    light = in_turns(
        {
            "scorecard from kept sums, read from disk": lambda: score(PLAN, trials.kept()),
            "ours, the ratios with CUPED by region, sums handed over": ours_of(trials, adjusted=True),
            "tea-tasting, the same ratios with CUPED by region": tea_tasting_of(trials),
            "ours, the ratios without CUPED by region, sums handed over": ours_of(trials, adjusted=False),
            "gbstats, the same ratios without CUPED by region": gbstats_of(trials),
            f"A/A × {SPLITS:,}": lambda: false_alarms(whole.cells, specs, repeats=SPLITS),
        },
        REPEATS,
    )
    return {
        "users": users,
        "exposed": whole.cells.users,
        "events": events,
        "cells": len(whole.cells),
        "regions": len(set(whole.cells.keys[Trial.REGION])),
        "metrics": len(KINDS),
        "rollup_s_a_day": rolled.seconds / len(rolled.dates),
        "heavy_s": heavy,
        "light_s": light,
        "kept_bytes": sum(path.stat().st_size for path in (home / "home" / "experiments").rglob("*.parquet")),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    scan = figures["heavy_s"]["DuckDB's scan of the columns"]
    kept = figures["light_s"]["scorecard from kept sums, read from disk"]
    about = (
        f"{figures['events']:,} events of {figures['users']:,} users in two weeks, the second one the experiment with "
        f"{figures['exposed']:,} exposed users; {figures['metrics']} metrics (and the one that stands beside) × "
        f"2 variants × {figures['regions']} regions with CUPED, {figures['cells']:,} cells. "
        f"{figures['processors']} processors. Medians of {REPEATS}, in turns. "
        f"Written by `python -m benchmarks.bench_experiments`; versions: {versions}."
    )
    after = (
        "The first row reads the sums from disk, estimates every metric over all regions with CUPED and without, "
        "corrects for many metrics and checks the data. The rows by region are like for like: both sides are handed "
        "the same sums ready made, and give the same estimates."
    )
    costs = (
        f"Kept sums take {figures['kept_bytes'] / 1e6:.1f} MB. Rolling a day up takes {figures['rollup_s_a_day']:.1f} "
        f"s. Peak memory of the process: {figures['peak_rss_mb']:,.0f} MB."
    )
    lines = [
        "# Experiments at a million users",
        "",
        about,
        "",
        "## A whole scorecard, nothing kept",
        "",
        "| what | s | × scan |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {s:.2f} | {s / scan:.2f} |" for name, s in figures["heavy_s"].items()),
        "",
        "Three times the scan is what was aimed at.",
        "",
        "## From kept sums",
        "",
        "| what | ms | × ours |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {1000 * s:.1f} | {s / kept:.2f} |" for name, s in figures["light_s"].items()),
        "",
        after,
        "",
        costs,
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--history", type=Path, default=None, help="A history of two weeks, in its physical form.")
    parser.add_argument("--work", type=Path, default=None, help="Folder with room for the events.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        figures = measure(Path(folder), arguments.history, arguments.users)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "experiments.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "experiments.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
