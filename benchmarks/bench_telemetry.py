"""User telemetry of a million weekly users: recomputed from events, asked from rollups, over 1 to 26 weeks.

    python -m benchmarks.bench_telemetry --out docs/benchmarks

Generates the events with the synthetic history, lays them as parts, rolls them up and times, side by side and in
turns: a bare scan of the columns, plain DuckDB, ours from events, and the questions of the pages from rollups. Weeks
beyond those generated are copies of their rollups under later dates. Takes about 15 minutes and 8 GB of disk; run on
an otherwise idle machine.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data.synthetic.history import HistorySpec, write_history
from telemetry.metrics import METRICS
from telemetry.parts import EVENTS, PartLog
from telemetry.queries import MetricQuestion, Purpose, Telemetry
from telemetry.rollups import roll_up
from telemetry.rollups.keeping import monday_of
from telemetry.rollups.statements import summed_up
from telemetry.warehouse.cells import event_moments
from telemetry.warehouse.embedded import EmbeddedWarehouse
from telemetry.warehouse.protocol import Step
from telemetry.warehouse.stretches import period_of
from telemetry.warehouse.tables import ACTIVE_DAY, ACTIVE_WEEK, BUCKET_BLOCK, BUCKET_DAY, BUCKET_WEEK, USER_DAY
from workspace.clock import SystemClock
from workspace.columns import Rollup
from workspace.paths import Paths
from workspace.settings import load_settings
from workspace.store import Store

REPEATS: Final = 5
LONG_WEEKS: Final = 26
WEEKS_A_YEAR: Final = 365.25 / 7
PACKAGES: Final = ("duckdb", "sqlglot", "pandas", "pyarrow", "numpy")
END: Final = dt.date(2026, 3, 2)  # a Monday: whole weeks before it
SIX: Final = (*METRICS[:5], replace(METRICS[5], denominator=Rollup.IMPRESSIONS))
ASKED: Final[Mapping[str, Any]] = {"purpose": Purpose.OPERATIONS, "actor": "benchmark"}

NAIVE: Final = """WITH u AS (
  SELECT user_id, count(*) FILTER (event_type = 'impression') AS impressions,
    count(*) FILTER (event_type = 'impression' AND position = 1) AS slates,
    count(*) FILTER (event_type = 'click') AS clicks,
    sum(CASE WHEN event_type = 'focus' THEN value ELSE 0 END) AS focus_s,
    count(*) FILTER (event_type = 'thumbs_down') AS thumbs_down,
    count(*) FILTER (event_type = 'refresh') AS refreshes,
    count(*) FILTER (event_type = 'survey') AS surveys,
    sum(CASE WHEN event_type = 'survey' THEN value ELSE 0 END) AS survey_score
  FROM {events} GROUP BY user_id)
SELECT count(*), avg(impressions), avg(clicks), avg(focus_s), avg(thumbs_down), avg(refreshes), avg(slates),
  avg(surveys), avg(survey_score), var_samp(impressions), var_samp(clicks), var_samp(focus_s), var_samp(thumbs_down),
  var_samp(refreshes), var_samp(slates), var_samp(surveys), var_samp(survey_score), covar_samp(clicks, impressions),
  covar_samp(focus_s, impressions), covar_samp(thumbs_down, impressions), covar_samp(refreshes, slates),
  covar_samp(survey_score, surveys), covar_samp(surveys, impressions) FROM u"""
GROUPED: Final = "SELECT count(*), sum(n) FROM (SELECT user_id, count(*) AS n FROM {events} GROUP BY user_id)"
SCAN: Final = "SELECT sum(user_id % 7), sum(length(event_type)), sum(position), sum(value) FROM {events}"


class Bench:
    """A workspace with weeks of events.

    Args:
        home: Its folder.
    """

    def __init__(self, home: Path) -> None:
        self.settings = load_settings(home)
        self.clock = SystemClock()
        self.store = Store.open(self.settings)
        self.parts = PartLog(self.store, Paths(self.settings.home), self.clock)
        self.warehouse = EmbeddedWarehouse(self.parts, self.settings.warehouse_memory_mb)
        self.telemetry = Telemetry(self.warehouse, self.parts, self.store, self.settings, self.clock)
        self.plain = duckdb.connect(config={"threads": 2, "memory_limit": "1024MiB"})
        self.end = END
        self.weeks = 0

    def take(self, folder: Path) -> int:
        """Make the events of a written history visible parts."""
        for day in sorted((folder / "events").glob("date=*")):
            added = []
            for file in sorted(day.glob("*.parquet")):
                with self.parts.target(EVENTS, dt.date.fromisoformat(day.name[5:])) as (temporary, finished):
                    _link(file, temporary)
                added.append(finished())
            self.parts.commit(added=added)
        dates = self.parts.dates(EVENTS)
        self.end = dates[-1] + dt.timedelta(days=1)
        self.weeks = len(dates) // 7
        return sum(part.rows for part in self.parts.parts(EVENTS))

    def window(self, weeks: int) -> tuple[dt.date, dt.date]:
        """First and last day of the last weeks that have events."""
        return self.end - dt.timedelta(weeks=weeks), self.end - dt.timedelta(days=1)

    def events(self, weeks: int) -> str:
        """The parts of some weeks as plain DuckDB reads them."""
        files = [str(part.path) for part in self.parts.parts(EVENTS, start=self.window(weeks)[0])]
        return f"read_parquet({files!r}, hive_partitioning = false)"

    def from_events(self, weeks: int) -> Any:  # noqa: ANN401 - a frame of one row
        """Our full recomputation."""
        first, last = self.window(weeks)
        around = {"start": first, "end": last + dt.timedelta(days=1)}
        return self.warehouse.query(event_moments(SIX, bounded=False), window=(first, last), parameters=around)

    def pages(self, weeks: int) -> dict[str, Callable[[], Any]]:
        """The questions of the telemetry page over the last weeks."""
        start, end = self.last - dt.timedelta(days=7 * weeks - 1), self.last
        telemetry = self.telemetry

        def ask(**options: Any) -> Callable[[], Any]:  # noqa: ANN401 - of a question
            question = MetricQuestion(metric="ctr", start=start, end=end, exact=False, **options)
            return lambda: telemetry.answer(question, **ASKED)

        return {
            "ctr": ask(),
            "ctr by region": ask(by=("region",)),
            "ctr by region and variant": ask(by=("region", "variant")),
            "ctr by week and variant": ask(by=("variant",), grain="week"),
            "ctr by day": ask(grain="day"),
            "ctr by device in one region": ask(by=("device",), where={"region": "US"}),
            "tiles": lambda: telemetry.tiles(start, end, **ASKED),
            "survey beside engagement": lambda: telemetry.survey_beside_engagement(start, end, **ASKED),
            "active users by region": lambda: telemetry.active(start, end, "day", ("region",), **ASKED),
        }

    @property
    def last(self) -> dt.date:
        """Last day rolled up."""
        return max(self.warehouse.digests(USER_DAY))

    def lengthen(self, weeks: int) -> None:
        """Put copies of the rollups before the first week until there are so many weeks."""
        for table in (BUCKET_DAY, BUCKET_WEEK, ACTIVE_DAY, ACTIVE_WEEK):
            added = []
            for part in self.parts.parts(table.dataset):
                whole = pq.read_table(part.path)
                place = whole.schema.get_field_index(table.moment)
                for shift in range(self.weeks, weeks, self.weeks):
                    date = part.date - dt.timedelta(weeks=shift)
                    if date < monday_of(self.end - dt.timedelta(weeks=weeks)):
                        continue
                    moments = pa.array([date] * len(whole), whole.schema.field(place).type)
                    moved = whole.set_column(place, whole.schema.field(place), moments)
                    with self.parts.target(table.dataset, date) as (temporary, finished):
                        pq.write_table(moved, temporary, compression="zstd", row_group_size=16_384)
                    added.append(finished())
            self.parts.commit(added=added)
        starts = sorted({period_of(monday, BUCKET_BLOCK.days) for monday in self.warehouse.digests(BUCKET_WEEK)})
        self.warehouse.apply([_block(start) for start in starts])


def _block(start: dt.date) -> Step:
    end = start + dt.timedelta(days=BUCKET_BLOCK.days)
    return Step(
        table=BUCKET_BLOCK,
        dates=(start,),
        sql=summed_up(BUCKET_BLOCK, BUCKET_WEEK),
        window=(start, end - dt.timedelta(days=1)),
        digests=("copied",),
        parameters={"start": start, "end": end},
    )


def _link(file: Path, target: Path) -> None:
    try:
        target.hardlink_to(file)
    except OSError:
        # Another file system.
        shutil.copyfile(file, target)


def in_turns(actions: Mapping[str, Callable[[], Any]], repeats: int = REPEATS) -> dict[str, float]:
    """Return the median seconds of each action, all run in turns after one run to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in actions}
    for action in actions.values():
        action()
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.perf_counter()
            action()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(some)) for name, some in seconds.items()}


def bytes_read(action: Callable[[], Any]) -> int:
    """Return how many bytes the process asked the system for, cached or not."""

    def read() -> int:
        lines = Path("/proc/self/io").read_text("utf-8").splitlines()
        return int(next(line for line in lines if line.startswith("rchar")).split()[1])

    before = read()
    action()
    return read() - before


def measure(home: Path, history: Path | None, users: int, weeks: int) -> dict[str, Any]:
    """Make the workspace and return its figures."""
    if history is None:
        history = home / "history"
        write_history(HistorySpec(users=users, weeks=weeks, seed=1, end=END), history, physical=True)
    bench = Bench(home / "home")
    events = bench.take(history)
    weeks = bench.weeks
    week = in_turns(
        {
            "bare scan of the columns": lambda: bench.plain.execute(SCAN.format(events=bench.events(1))).fetchall(),
            "grouping by user alone, one count": lambda: bench.plain.execute(
                GROUPED.format(events=bench.events(1))
            ).fetchall(),
            "plain DuckDB": lambda: bench.plain.execute(NAIVE.format(events=bench.events(1))).fetchall(),
            "ours": lambda: bench.from_events(1),
        }
    )
    steps = [size for size in (1, 2, 4, 8) if size <= weeks]
    scaling = in_turns({str(size): lambda size=size: bench.from_events(size) for size in steps}, 3)  # type: ignore[misc]
    report = roll_up(bench.parts, bench.warehouse, bench.clock)
    bench.lengthen(LONG_WEEKS)
    rolled = {str(size): in_turns(bench.pages(size)) for size in (1, 4, LONG_WEEKS)}
    read = {name: bytes_read(action) for name, action in bench.pages(LONG_WEEKS).items()}
    read["ours from events, one week"] = bytes_read(lambda: bench.from_events(1))
    return {
        "users": users,
        "weeks": weeks,
        "events": events,
        "event_bytes": sum(part.bytes for part in bench.parts.parts(EVENTS)),
        "rollup_bytes": {
            table.dataset: sum(part.bytes for part in bench.parts.parts(table.dataset, start=bench.window(weeks)[0]))
            for table in (USER_DAY, BUCKET_DAY, BUCKET_WEEK, BUCKET_BLOCK, ACTIVE_DAY)
        },
        "rollup_s_a_day": report.seconds / len(report.dates),
        "one_week_from_events_s": week,
        "weeks_from_events_s": scaling,
        "rollups_s": rolled,
        "bytes_read": read,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def a_year(scaling: Mapping[str, float]) -> float:
    """Return the seconds of a year by the straight line through the measured weeks."""
    sizes = np.array([float(size) for size in scaling])
    if len(sizes) == 1:
        return float(next(iter(scaling.values())) * WEEKS_A_YEAR)
    slope, level = np.polyfit(sizes, list(scaling.values()), 1)
    return float(level + slope * WEEKS_A_YEAR)


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    scan = figures["one_week_from_events_s"]["bare scan of the columns"]
    about = (
        f"{figures['events']:,} events of {figures['users']:,} users in {figures['weeks']} weeks, "
        f"{figures['event_bytes'] / 1e9:.1f} GB as Parquet, {figures['processors']} processors. Medians, in turns. "
        f"Written by `python -m benchmarks.bench_telemetry`; versions: {versions}."
    )
    lines = [
        "# User telemetry at a million weekly users",
        "",
        about,
        "",
        "## Six metrics of one week from events, by user",
        "",
        "| what | s | × bare scan |",
        "| --- | ---: | ---: |",
        *(f"| {name} | {s:.2f} | {s / scan:.2f} |" for name, s in figures["one_week_from_events_s"].items()),
        "",
        "| weeks from events | s |",
        "| --- | ---: |",
        *(f"| {size} | {s:.2f} |" for size, s in figures["weeks_from_events_s"].items()),
        f"| a year, by the straight line | {a_year(figures['weeks_from_events_s']):.0f} |",
        "",
        "## The questions of the page from rollups, warm",
        "",
        f"| question | 1 week, ms | 4 weeks, ms | {LONG_WEEKS} weeks, ms | {LONG_WEEKS} ÷ 1 | MB of {LONG_WEEKS} |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    rolled = figures["rollups_s"]
    for name, one in rolled["1"].items():
        four, long = rolled["4"][name], rolled[str(LONG_WEEKS)][name]
        megabytes = figures["bytes_read"][name] / 1e6
        cells = f"{one * 1000:.0f} | {four * 1000:.0f} | {long * 1000:.0f} | {long / one:.1f} | {megabytes:.1f}"
        lines.append(f"| {name} | {cells} |")
    sizes = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in figures["rollup_bytes"].items())
    costs = (
        f"Rolling a day up takes {figures['rollup_s_a_day']:.1f} s. The rollups of {figures['weeks']} weeks: {sizes}. "
        f"One week from events reads {figures['bytes_read']['ours from events, one week'] / 1e6:.0f} MB. "
        f"Peak memory of the process: {figures['peak_rss_mb']:,.0f} MB. "
        f"Weeks before the {figures['weeks']} generated are copies of their rollups under earlier dates."
    )
    lines += ["", costs, ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--weeks", type=int, default=8)
    parser.add_argument("--history", type=Path, default=None, help="A history written before, in its physical form.")
    parser.add_argument("--work", type=Path, default=None, help="Folder with room for the events.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        figures = measure(Path(folder), arguments.history, arguments.users, arguments.weeks)
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "telemetry.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "telemetry.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
