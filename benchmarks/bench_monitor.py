"""One run of the monitor over a million weekly users: seconds of each detector, and the memory of the process.

    python -m benchmarks.bench_monitor --out docs/benchmarks

Generates six weeks of events of a million users (five weeks are the least that drift is judged by), rolls them up, and
lets the monitor look in a process of its own, from rollups and samples alone, as `recommendr monitor run` does; then
once more, when nothing is new. Takes about ten minutes and 6 GB of disk; run on an otherwise idle machine.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from benchmarks.bench_telemetry import END, Bench
from data.synthetic.history import HistorySpec, write_history
from telemetry.rollups import roll_up
from telemetry.system import SeriesStore
from workspace.clock import FrozenClock
from workspace.files import write_bytes
from workspace.paths import Paths
from workspace.settings import Settings

WEEKS: Final = 6
EVENTS_A_WEEK: Final = 5.0
LIMIT_S: Final = 30.0
LIMIT_MIB: Final = 2_048
PACKAGES: Final = ("duckdb", "numpy", "pandas", "pyarrow", "scikit-learn", "scipy")


def prepared(folder: Path, users: int) -> dict[str, Any]:
    """Make the workspace under a folder; return how large it is and how long that took."""
    home = folder / "home"
    bench = Bench(home)
    spec = HistorySpec(users=users, weeks=WEEKS, seed=5, end=END, events_per_user_week=EVENTS_A_WEEK)
    began = time.perf_counter()
    written = write_history(spec, folder / "history", physical=True)
    SeriesStore(Paths(home)).import_parquet(folder / "history" / "system")
    write_bytes(Paths(home).logs / "history.jsonl", (folder / "history" / "logs" / "history.jsonl").read_bytes())
    generated = time.perf_counter()
    events = bench.take(folder / "history")
    roll_up(bench.parts, bench.warehouse, bench.clock)
    rolled = time.perf_counter()
    bench.warehouse.close()
    bench.store.close()
    return {"users": users, "weeks": WEEKS, "events": events, "generated_s": generated - began,
            "rolled_up_s": rolled - generated, "log_lines": written.log_lines}  # fmt: skip


def look(home: Path) -> None:
    """Run the monitor once, and tell what it took as JSON; the child process of `measure`."""
    from datetime import UTC, datetime

    from monitoring.detectors import ALL
    from monitoring.ground import opened
    from monitoring.runs import Runner

    began, worked = time.perf_counter(), time.process_time()
    clock = FrozenClock(datetime.combine(END, datetime.min.time(), UTC))
    with opened(Settings(home=home), clock) as ground:
        report = Runner(ground, ALL).run()
    json.dump(
        {
            "seconds": time.perf_counter() - began,
            "processor_s": time.process_time() - worked,
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "findings": len(report.findings),
            "faults": [fault.to_dict() for fault in report.faults],
            "detectors": {outcome.detector: outcome.seconds for outcome in report.outcomes},
        },
        sys.stdout,
    )


def measure(users: int, folder: Path) -> dict[str, Any]:
    """Return every figure."""
    size = prepared(folder, users)
    command = [sys.executable, "-m", "benchmarks.bench_monitor", "--look", str(folder / "home")]
    runs = [json.loads(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(2)]  # noqa: S603 - our own
    return {
        **size,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "runs": runs,
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    first, again = figures["runs"]
    lines = [
        "# The monitor over a million weekly users",
        "",
        (
            f"{figures['users']:,} users, {figures['weeks']} weeks, {figures['events']:,} events, rolled up in "
            f"{figures['rolled_up_s']:,.0f} s; {figures['processors']} processors. Written by "
            f"`python -m benchmarks.bench_monitor`; versions: {versions}."
        ),
        "",
        "| | a run | once more | limit |",
        "| --- | ---: | ---: | ---: |",
        f"| whole run, s | {first['seconds']:.1f} | {again['seconds']:.1f} | {LIMIT_S:.0f} |",
        f"| of it processor, s | {first['processor_s']:.1f} | {again['processor_s']:.1f} | |",
        f"| peak memory of the process, MiB | {first['peak_mib']:,.0f} | {again['peak_mib']:,.0f} | {LIMIT_MIB:,} |",
        f"| findings | {first['findings']} | {again['findings']} | |",
    ]
    lines += [
        f"| {name}, s | {seconds:.1f} | {again['detectors'][name]:.1f} | |"
        for name, seconds in first["detectors"].items()
    ]
    lines += [f"\nFault: {fault['where']}: {fault['what']}" for fault in first["faults"]]
    return "\n".join([*lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.look is not None:
        look(arguments.look)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(arguments.users, Path(folder))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "monitor.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "monitor.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
