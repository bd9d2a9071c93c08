"""How fast events come in, how much memory that takes, and that no kill changes a count.

    python -m benchmarks.bench_ingest --kills 100 --out docs/benchmarks

Rates: every repetition is a fresh process on an empty workspace, from opening the file to the last commit; the median
is reported. Kills: a source with duplicates, reordering and malformed lines is taken in by a process that is killed by
SIGKILL at random moments and started again, until it is complete; then every count and sum must be the planted one.
"""

import argparse
import json
import os
import platform
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from workspace.columns import Event

REPEATS: Final = 5
SEED: Final = 20_160_104
DAYS: Final = 3
DUPLICATED: Final = 0.1
MALFORMED: Final = 0.001
PACKAGES: Final = ("duckdb", "numpy", "pyarrow", "SQLAlchemy")
ROOT: Final = Path(__file__).parent.parent
Truth = dict[str, Any]


def make_events(count: int, days: int = 7) -> pa.Table:
    """Return events in the order of their time: twenty for each user, one click in ten, one look in ten."""
    chance = np.random.default_rng(SEED)
    numbers = np.arange(count)
    first = np.datetime64("2026-05-01T00:00:00", "us").astype(np.int64)
    ts = np.sort(first + chance.integers(0, days * 86_400_000_000, count))
    users = chance.integers(0, max(1, count // 20), count)
    focus = numbers % 10 == 9
    kinds = np.where(focus, "focus", np.where(numbers % 10 == 8, "click", "impression"))
    # Quarters of a second: their sums are exact in any order.
    dwell = chance.integers(0, 400, count) / 4
    moment = pa.timestamp("us", "UTC")
    return pa.table({
        Event.ID: [f"ev_{number:020d}" for number in numbers],
        Event.TS: pa.array(ts, moment),
        Event.RECEIVED_AT: pa.array(ts + chance.integers(0, 5_000_000, count), moment),
        Event.USER: [f"user-{user:09d}" for user in users],
        Event.SESSION: [f"session-{user:09d}-{number // 50_000}" for number, user in enumerate(users)],
        Event.TRANSACTION: [f"txn_{number:020d}" for number in numbers],
        Event.REGION: np.array(["US", "GB", "KZ"])[users % 3],
        Event.DEVICE: np.array(["web", "ios", "android", "tv"])[users % 4],
        Event.TYPE: kinds,
        Event.SLATE: [f"slate_{number // 8:020d}" for number in numbers],
        Event.FILM: [str(film) for film in chance.integers(0, 60_000, count)],
        Event.POSITION: pa.array(numbers % 8 + 1, pa.int16()),
        Event.VALUE: pa.array(dwell, pa.float64(), mask=~focus),
        Event.EXPERIMENT: pa.array(["exp_ctr_lift"] * count),
        Event.VARIANT: np.array(["control", "treatment"])[users % 2],
        Event.INDEX_VERSION: pa.array(["v1"] * count),
    })  # fmt: skip


def write_json_lines(table: pa.Table, stream: IO[str]) -> None:
    """Write events as producers send them."""
    for batch in table.to_batches(50_000):
        for row in batch.to_pylist():
            for name in (Event.TS, Event.RECEIVED_AT):
                row[name] = row[name].isoformat()
            stream.write(json.dumps({name: value for name, value in row.items() if value is not None}) + "\n")


def truth_of(table: pa.Table) -> Truth:
    """Return the counts and sums of events each of which counts once."""
    days = table[Event.TS].to_numpy().astype("datetime64[D]").astype(str)
    kinds = table[Event.TYPE].to_numpy(zero_copy_only=False).astype(str)
    keys, rows = np.unique(np.char.add(np.char.add(days, " "), kinds), return_counts=True)
    return {
        "events": table.num_rows,
        "users": len(set(table[Event.USER].to_pylist())),
        "positions": int(table[Event.POSITION].to_numpy().sum()),
        "dwell_s": float(np.nansum(table[Event.VALUE].to_numpy(zero_copy_only=False))),
        "by_day_and_type": dict(zip(keys.tolist(), rows.tolist(), strict=True)),
    }


def found_in(home: Path) -> Truth:
    """Return the same counts and sums as they are stored, and those of the batches."""
    parts, _ = _opened(home)
    table = pa.concat_tables([pq.read_table(part.path, partitioning=None) for part in parts.parts("events")])
    assert len(set(table[Event.ID].to_pylist())) == table.num_rows
    batches = parts.batches()
    assert all(batch.read == batch.accepted + batch.duplicates + batch.quarantined for batch in batches)
    counts = {name: sum(getattr(batch, name) for batch in batches) for name in ("read", "duplicates", "quarantined")}
    return {**truth_of(table), **counts, "batches": len(batches)}


def plant(folder: Path, events: int) -> Truth:
    """Write sources with duplicates, reordering and malformed lines, and return what they hold."""
    table = make_events(events, DAYS)
    chance = np.random.default_rng(SEED + 1)
    doubled = np.concatenate([np.arange(events), chance.integers(0, events, int(events * DUPLICATED))])
    chance.shuffle(doubled)
    half = len(doubled) // 2
    folder.mkdir(parents=True)
    pq.write_table(table.take(pa.array(doubled[:half])), folder / "a.parquet", row_group_size=100_000)
    malformed = int(events * MALFORMED)
    pieces = np.array_split(doubled[half:], malformed)
    with (folder / "b.jsonl").open("w", encoding="utf-8") as stream:
        for piece in pieces:
            write_json_lines(table.take(pa.array(piece)), stream)
            stream.write('{"event_id": "cut off\n')
    duplicates = len(doubled) - events
    return {**truth_of(table), "read": len(doubled) + malformed, "duplicates": duplicates, "quarantined": malformed}


def marathon(folder: Path, *, events: int, kills: int, chunk_rows: int, seed: int = SEED) -> dict[str, Any]:
    """Take sources in under a hail of kills; return what was done and whether every figure is the planted one."""
    truth = plant(folder / "sources", events)
    home = folder / "home"
    total = truth["read"] / chunk_rows
    chance = random.Random(seed)  # noqa: S311 - no secret
    reach, done, at_work = 0.5, 0, 0
    begun = time.perf_counter()
    coming = _child(home, folder / "sources", chunk_rows)
    while done < kills:
        # The next process loads its libraries while this one is at work.
        child, coming = coming, _child(home, folder / "sources", chunk_rows)
        with child:
            _let_go(child)
            before = _transactions(home)
            time.sleep(chance.uniform(0, reach))  # a kill comes at any moment, not at a condition
            child.send_signal(signal.SIGKILL)
            if child.wait() != -signal.SIGKILL:
                break  # complete: there is nothing left to interrupt
        done += 1
        at_work += bool(_left_behind(home))
        moved = _transactions(home)
        # The kills shall last as long as the work does.
        reach *= 0.5 if moved / total > 0.9 * done / kills or moved - before > 2 else 1.25
    with coming:
        _let_go(coming)
        assert coming.wait() == 0
    found = found_in(home)
    batches = found.pop("batches")
    return {
        "events": events,
        "rows": truth["read"],
        "kills": done,
        "kills_in_the_middle_of_a_transaction": at_work,
        "transactions": batches,
        "seconds": time.perf_counter() - begun,
        "exact": found == truth,
        "truth": {name: value for name, value in truth.items() if name != "by_day_and_type"},
        "found": {name: value for name, value in found.items() if name != "by_day_and_type"},
    }


def _child(home: Path, source: Path, chunk_rows: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "benchmarks.bench_ingest", "--child", str(source), "--home", str(home)]
    return subprocess.Popen(  # noqa: S603 - our own command
        [*command, "--chunk-rows", str(chunk_rows)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def _let_go(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"go\n")
    child.stdin.flush()
    assert child.stdout.readline() == b"begin\n"


def _opened(home: Path) -> tuple[Any, Any]:
    from telemetry.parts import PartLog
    from workspace.paths import Paths
    from workspace.settings import Settings
    from workspace.store import Store

    store = Store.open(Settings(home=home))
    return PartLog(store, Paths(home)), store


def _transactions(home: Path) -> int:
    parts, store = _opened(home)
    try:
        return len(parts.batches())
    finally:
        store.close()


def _left_behind(home: Path) -> set[Path]:
    """Return files a killed process has written and not committed."""
    parts, store = _opened(home)
    try:
        listed = {part.path for part in parts.parts("events")}
    finally:
        store.close()
    return {path for path in (home / "telemetry" / "events").rglob("*.parquet*") if path not in listed}


def child(source: Path, home: Path, chunk_rows: int | None) -> None:
    """Take a source in and print what it took; what a repetition runs, and what is killed."""
    from telemetry.ingest import Ingestor, json_lines, lines, parquet
    from workspace.settings import Settings
    from workspace.store import Store

    if chunk_rows:
        for module in (json_lines, parquet):
            module.ROWS = chunk_rows  # type: ignore[misc,attr-defined]
        lines.BLOCK_BYTES = chunk_rows * 400  # type: ignore[misc]
        sys.stdin.readline()
    settings = Settings(home=home)
    ingestor = Ingestor(settings, Store.open(settings))
    print("begin", flush=True)
    begun = resource.getrusage(resource.RUSAGE_SELF)
    started_s = begun.ru_utime + begun.ru_stime
    report = ingestor.ingest_path(source)
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = used.ru_utime + used.ru_stime - started_s
    print(json.dumps({**report.to_dict(), "peak_mb": peak_mb(), "cpu_s": cpu_s}), flush=True)


def peak_mb() -> float:
    """Return the most memory this process has held; `getrusage` would also count what its parent held at the fork."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def rate(folder: Path, source: Path, repeats: int) -> dict[str, Any]:
    """Return the median rate of a source and the highest memory."""
    runs = []
    for number in range(repeats):
        command = [sys.executable, "-m", "benchmarks.bench_ingest", "--child", str(source)]
        home = ["--home", str(folder / f"{source.suffix}-{number}")]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, *home], cwd=ROOT, capture_output=True, check=True
        )
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "events": runs[0]["read"],
        "source_mb": source.stat().st_size / 1e6,
        "events_per_s": statistics.median(run["events_per_s"] for run in runs),
        "runs_events_per_s": [run["events_per_s"] for run in runs],
        "peak_mb": max(run["peak_mb"] for run in runs),
        "cpu_us_per_event": statistics.median(run["cpu_s"] / run["read"] * 1e6 for run in runs),
        "load_average": os.getloadavg()[0],
    }


def measure(folder: Path, kills: int, repeats: int) -> dict[str, Any]:
    """Return all figures."""
    many, fewer = folder / "events.parquet", folder / "events.jsonl"
    pq.write_table(make_events(2_000_000), many)
    with fewer.open("w", encoding="utf-8") as stream:
        write_json_lines(make_events(1_000_000), stream)
    return {
        "parquet": rate(folder, many, repeats),
        "json_lines": rate(folder, fewer, repeats),
        "kills": marathon(folder / "kills", events=1_000_000, kills=kills, chunk_rows=5_000) if kills else None,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    lines = [
        f"| {name} | {one['events']:,} | {one['source_mb']:,.0f} | {one['events_per_s']:,.0f} | "
        f"{min(one['runs_events_per_s']):,.0f} – {max(one['runs_events_per_s']):,.0f} | "
        f"{one['cpu_us_per_event']:.1f} | {one['load_average']:.1f} | {one['peak_mb']:,.0f} |"
        for name, one in (("Parquet", figures["parquet"]), ("JSON Lines", figures["json_lines"]))
    ]
    names = ("source", "events", "MB", "events/s, median", "lowest – highest", "CPU µs/event", "load", "peak MB")
    head = [f"| {' | '.join(names)} |", f"| --- |{' ---: |' * (len(names) - 1)}"]
    repeats = len(figures["parquet"]["runs_events_per_s"])
    text = [
        "# Taking events in",
        "",
        f"Written by `python -m benchmarks.bench_ingest` on {figures['processors']} processors; versions: {versions}.",
        f"Each of {repeats} runs is a fresh process on an empty workspace, from opening the file to the last commit;",
        "load is the machine's load average then: what is beyond the processors was other people's work.",
        "",
        *head,
        *lines,
        "",
    ]
    killed = figures["kills"]
    if killed:
        verdict = "equal the planted ones exactly" if killed["exact"] else "DIFFER from the planted ones"
        doubled, malformed = killed["truth"]["duplicates"], killed["truth"]["quarantined"]
        text += [
            f"{killed['kills']} kills by SIGKILL at random moments during the ingest of {killed['rows']:,} rows:",
            f"{killed['events']:,} events, {doubled:,} duplicates, {malformed:,} malformed lines, shuffled; half in",
            f"Parquet and half in JSON Lines, in {killed['transactions']} transactions.",
            f"{killed['kills_in_the_middle_of_a_transaction']} kills struck while files were there and not committed.",
            f"All counts and sums, by day and type too, {verdict}.",
            "",
        ]
    return "\n".join(text)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--kills", type=int, default=100, help="0 keeps the figures of an earlier run")
    parser.add_argument("--repeats", type=int, default=REPEATS)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--home", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--chunk-rows", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.home, arguments.chunk_rows)
        return
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), arguments.kills, arguments.repeats)
    arguments.out.mkdir(parents=True, exist_ok=True)
    earlier = arguments.out / "ingest.json"
    if not arguments.kills and earlier.exists():
        figures["kills"] = json.loads(earlier.read_text("utf-8"))["kills"]
    (arguments.out / "ingest.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "ingest.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))
    assert figures["kills"] is None or figures["kills"]["exact"]


if __name__ == "__main__":
    main()
