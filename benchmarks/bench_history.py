"""Writing a history of telemetry at scale: a week of a million users into Parquet.

    python -m benchmarks.bench_history --out docs/benchmarks

Reported: events a second and peak memory by the number of processes and the number of users, and bytes an event in the
form that arrives and in the form that is stored. Every run is a process of its own, so that its memory is its own.
Run on an otherwise idle machine with 2 GB of free disk.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from data.synthetic.history import HISTORY_VERSION, HistorySpec, users_of_scale, write_history

END: Final = date(2026, 6, 1)
SEED: Final = 20_251_027
REPEATS: Final = 3
PACKAGES: Final = ("numpy", "pyarrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One history to write.

    Args:
        name: What it stands for.
        users: Its users.
        weeks: Its weeks.
        workers: Processes; 0 leaves the choice to the writer.
        physical: Whether rows are as stored.
    """

    name: str
    users: int
    weeks: int
    workers: int = 0
    physical: bool = True


def cases(users: int) -> list[Case]:
    """Return what is measured; the first is the one that counts."""
    return [
        Case(name="one week at scale, as stored", users=users, weeks=1),
        Case(name="the same as it arrives", users=users, weeks=1, physical=False),
        Case(name="the same by one process", users=users, weeks=1, workers=1),
        Case(name="a quarter of the users by one process", users=users // 4, weeks=1, workers=1),
        Case(name="the default history", users=500, weeks=26, physical=False),
    ]


def run(case: Case, folder: Path) -> dict[str, Any]:
    """Write one history in this process and return its report."""
    spec = HistorySpec(users=case.users, weeks=case.weeks, seed=SEED, end=END)
    return write_history(spec, folder, physical=case.physical, workers=case.workers or None).to_dict()


def apart(case: Case) -> dict[str, Any]:
    """Run a case in a process of its own and return its report; what it wrote is removed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.bench_history", "--one", json.dumps(asdict(case)), "--folder"]
        done = subprocess.run([*command, f"{folder}/history"], check=True, capture_output=True, text=True)  # noqa: S603
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def measure(users: int, repeats: int) -> dict[str, Any]:
    """Return the figures of all cases: medians over the repeats, the greatest memory."""
    found = []
    for case in cases(users):
        reports = [apart(case) for _ in range(repeats)]
        rates = [report["events_per_s"] for report in reports]
        found.append(
            asdict(case)
            | {
                "workers": reports[0]["workers"],
                "events": reports[0]["events"],
                "events_per_s": statistics.median(rates),
                "events_per_s_all": rates,
                "seconds": statistics.median(report["seconds"] for report in reports),
                "bytes_per_event": reports[0]["event_bytes"] / reports[0]["events"],
                "peak_rss_mb": max(report["peak_rss_mb"] for report in reports),
            }
        )
    return {
        "cases": found,
        "repeats": repeats,
        "seed": SEED,
        "end": END.isoformat(),
        "history_version": HISTORY_VERSION,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    lines = [
        f"| {one['name']} | {one['users']:,} | {one['workers']} | {one['events']:,} | {one['events_per_s']:,.0f} "
        f"| {one['seconds']:,.1f} | {one['bytes_per_event']:.1f} | {one['peak_rss_mb']:,.0f} |"
        for one in figures["cases"]
    ]
    source = f"Written by `python -m benchmarks.bench_history`; versions: {versions}."
    setting = f"{figures['processors']} processors, medians of {figures['repeats']}, seed {figures['seed']}"
    meaning = (
        "Seconds are of the whole history, with the samples of the services, the log and the sync to disk; events a "
        "second are of the events alone, the start of workers included. Memory is that of the largest process."
    )
    head = [
        "# Writing a history of telemetry",
        "",
        f"{setting}, history version {figures['history_version']}. {source}",
        "",
        meaning,
        "",
        "| what | users | processes | events | events a second | seconds | bytes an event | peak memory, MiB |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    return "\n".join([*head, *lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--users", type=int, default=users_of_scale("1m"))
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--one", help="a case as JSON; write it to --folder and print its report")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run(Case(**json.loads(arguments.one)), arguments.folder)))
        return
    figures = measure(arguments.users, arguments.repeats)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "history.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "history.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
