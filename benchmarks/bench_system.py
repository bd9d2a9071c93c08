"""Eight questions about the services, asked of the embedded series and of a real Prometheus side by side.

    python -m benchmarks.bench_system --out docs/benchmarks

The samples are those of the synthetic history: 5 services in 10 regions, one every five minutes. Prometheus holds the
newest two weeks of them, so that both are asked about those; the embedded series is asked about all 26 weeks as well.
Reported: median and slowest of the repetitions, and the largest relative difference of the answers. Needs Debian's
``prometheus`` and ``promtool``. Run on an otherwise idle machine.
"""

import argparse
import datetime as dt
import json
import os
import platform
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import requests

from data.synthetic.history import HistorySpec, write_history
from telemetry.system import SeriesStore, SystemMetrics
from telemetry.system.embedded import EmbeddedSystemMetrics
from telemetry.system.local_prometheus import DAYS, command, create_blocks
from telemetry.system.prometheus import PrometheusSystemMetrics
from workspace.paths import Paths

WEEKS: Final = 26
STEP_MIN: Final = 5
REPEATS: Final = 5
END: Final = dt.date(2026, 6, 29)
STARTS_WITHIN_S: Final = 60.0
QUESTIONS: Final[dict[str, tuple[float, ...]]] = {
    "latency_quantile": (0.95,),
    "request_rate": (),
    "error_rate": (),
    "within_latency": (),
    "cpu": (),
    "memory": (),
    "availability": (),
    "active_sessions": (),
}
PACKAGES: Final = ("duckdb", "numpy", "pandas", "prometheus-api-client", "pyarrow")


@contextmanager
def running(data: Path) -> Iterator[tuple[str, str]]:
    """Run Prometheus over a data folder; yield its URL and version."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    run = command(data, address=address)
    process = subprocess.Popen(run, stderr=subprocess.DEVNULL)  # noqa: S603 - our own arguments
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while True:
            try:
                about = requests.get(f"http://{address}/api/v1/status/buildinfo", timeout=1).json()
                break
            except requests.RequestException:
                assert time.monotonic() < until, "prometheus did not start"
                time.sleep(0.1)
        yield f"http://{address}", about["data"]["version"]
    finally:
        process.terminate()
        process.wait()


def timed(metrics: SystemMetrics, **scope: Any) -> dict[str, tuple[list[float], np.ndarray[Any, Any]]]:  # noqa: ANN401 - a Scope
    """Return the seconds of every repetition of every question, and its values."""
    out = {}
    for name, arguments in QUESTIONS.items():
        seconds = []
        for _ in range(REPEATS + 1):
            start = time.perf_counter()
            answer = getattr(metrics, name)(*arguments, **scope)
            seconds.append(time.perf_counter() - start)
        # The first warms caches: a page is asked again and again.
        out[name] = (seconds[1:], answer["value"].to_numpy())
    return out


def measure(folder: Path) -> dict[str, Any]:
    """Make the samples, store them in both and return the figures."""
    spec = HistorySpec(users=50, weeks=WEEKS, end=END, earlier_step_min=STEP_MIN, recent_step_min=STEP_MIN)
    write_history(spec, folder / "history")
    paths = Paths(folder / "home").ensure()
    store = SeriesStore(paths)
    start = time.perf_counter()
    rows = store.import_parquet(folder / "history" / "system")
    imported_s = time.perf_counter() - start
    data = folder / "prometheus"
    data.mkdir()
    start = time.perf_counter()
    blocks = create_blocks(store, data, days=DAYS)
    backfilled_s = time.perf_counter() - start
    embedded = EmbeddedSystemMetrics(paths)
    end = dt.datetime.combine(END, dt.time(), dt.UTC)
    fortnight = {"start": end - dt.timedelta(days=DAYS - 1), "end": end, "step": dt.timedelta(hours=1)}
    half_year = {"start": end - dt.timedelta(weeks=WEEKS), "end": end, "step": dt.timedelta(hours=6)}
    recent = {"start": end - dt.timedelta(days=1), "end": end, "step": dt.timedelta(minutes=5)}
    with running(data) as (url, number):
        prometheus = PrometheusSystemMetrics(url, 60)
        both = {
            name: (timed(embedded, **scope), timed(prometheus, **scope))
            for name, scope in (("13 days by the hour", fortnight), ("1 day by 5 minutes", recent))
        }
    alone = timed(embedded, **half_year)
    return {
        "samples": rows,
        "imported_s": imported_s,
        "prometheus_samples": blocks,
        "backfilled_s": backfilled_s,
        "bytes": sum(path.stat().st_size for path in paths.system.rglob("*.parquet")),
        "half_year": {name: _figures(seconds) for name, (seconds, _) in alone.items()},
        "side_by_side": {
            span: {
                name: {
                    "embedded": _figures(mine[name][0]),
                    "prometheus": _figures(theirs[name][0]),
                    "difference": _difference(mine[name][1], theirs[name][1]),
                }
                for name in QUESTIONS
            }
            for span, (mine, theirs) in both.items()
        },
        "processors": os.cpu_count(),
        "versions": {
            "python": platform.python_version(),
            "prometheus": number,
            **{name: version(name) for name in PACKAGES},
        },
    }


def _figures(seconds: list[float]) -> dict[str, float]:
    return {"median_s": float(np.median(seconds)), "slowest_s": max(seconds)}


def _difference(mine: np.ndarray[Any, Any], theirs: np.ndarray[Any, Any]) -> float | None:
    """Return the largest relative difference; None when one answers what the other does not."""
    if len(mine) != len(theirs) or (np.isnan(mine) != np.isnan(theirs)).any():
        return None
    known = ~np.isnan(mine) & (theirs != 0)
    return float(np.max(np.abs(mine[known] / theirs[known] - 1), initial=0.0))


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    size = (
        f"5 services in 10 regions, a sample every {STEP_MIN} minutes for {WEEKS} weeks: {figures['samples']:,} rows, "
        f"{figures['bytes'] / 1e6:,.0f} MB with what is derived from them, imported in {figures['imported_s']:.1f} s. "
        f"Prometheus holds the newest {DAYS} days: {figures['prometheus_samples']:,} samples, backfilled in "
        f"{figures['backfilled_s']:.1f} s. {figures['processors']} processors; median of {REPEATS}, warm."
    )
    lines = ["# Questions about the services", "", size, ""]
    lines += [f"Written by `python -m benchmarks.bench_system`; versions: {versions}.", ""]
    lines += [f"| embedded, {WEEKS} weeks by 6 hours, 50 series | median, s | slowest, s |", "| --- | ---: | ---: |"]
    lines += [
        f"| {name} | {one['median_s']:.3f} | {one['slowest_s']:.3f} |" for name, one in figures["half_year"].items()
    ]
    for span, questions in figures["side_by_side"].items():
        lines += [
            "",
            f"| {span}, 50 series | embedded, s | Prometheus, s | largest difference |",
            "| --- | ---: | ---: | ---: |",
        ]
        for name, one in questions.items():
            times = f"{one['embedded']['median_s']:.3f} | {one['prometheus']['median_s']:.3f}"
            different = "not the same points" if one["difference"] is None else f"{one['difference']:.1e}"
            lines.append(f"| {name} | {times} | {different} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "system.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "system.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
