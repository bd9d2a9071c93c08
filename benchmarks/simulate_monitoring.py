"""What monitoring finds, what it misses, and how often it cries wolf: by simulation.

    python -m benchmarks.simulate_monitoring --seeds 20 --out docs/benchmarks

Half a year of telemetry is made again and again, with nothing planted in it and with every truth planted. On those
without, every detector must stay silent, and every test of drift must be wrong in 5 of 100 cases. On those with, every
truth must be found in its place and on its day. Changes of known size, put into histories that have none, give the
power. A seed takes about two minutes on one core; what is done is kept in ``--keep``, and a second run goes on there.
"""

import argparse
import datetime as dt
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.marked_pages import insert
from benchmarks.simulated_worlds import world
from monitoring.drift import cells as reading
from monitoring.drift.cells import CUT_SUMS, METRICS, SUMS, Breakdown, Cells
from monitoring.drift.expectation import BEFORE_DAYS, NOW_DAYS, Field, between
from monitoring.drift.questions import Questions
from monitoring.drift.search import Search, Twins
from monitoring.drift.testing import LEAST_UNITS, welch
from monitoring.findings import Finding
from monitoring.ground import Ground
from telemetry.metrics import metric as metric_of
from workspace.errors import RecommendrError

Rows = list[dict[str, Any]]
Floats = NDArray[np.float64]

PAGE: Final = Path("docs/monitoring.md")
EFFECTS: Final = (0.03, 0.05, 0.075, 0.10, 0.15, 0.20)
SHARES: Final = (1, 4)
"""Power is simulated with all users and with every fourth group of them."""
POWER_SEEDS: Final = 10
ALPHA: Final = 0.05
DRIFT_DAYS: Final = 3
INCIDENT_MINUTES: Final = 5
TESTS: Final = ("paired, extremes cut", "paired, as it is", "straight line", "Welch, other users")


def quiet(seed: int, users: int, weeks: int, *, power: bool) -> Iterator[dict[str, Any]]:
    """Return the rows of a history with nothing planted: false alarms, errors of tests, power."""
    with world(seed, users, weeks, planted=False) as (ground, _):
        yield from alarms(ground)
        cells = reading.read(ground)
        yield from errors(cells)
        if power:
            for every in SHARES:
                yield from powers(thinned(cells, every), seed, users // every)


def alarms(ground: Ground) -> Iterator[dict[str, Any]]:
    """Return what every detector says where nothing happened."""
    from monitoring.detectors import ALL

    for detector in ALL:
        began = time.perf_counter()
        try:
            findings = detector.look(ground).findings
            error = ""
        except RecommendrError as failure:
            findings, error = (), str(failure)
        yield {
            "kind": "alarms",
            "detector": detector.name,
            "findings": [f"{one.metric} {dict(one.segment)} {one.onset.at:%Y-%m-%d}" for one in findings],
            "error": error,
            "seconds": time.perf_counter() - began,
        }


def errors(cells: Cells) -> Iterator[dict[str, Any]]:
    """Return how often each test of drift is wrong at 5 %, over weeks that share no day and all segments."""
    size = len(cells.days)
    starts = range(BEFORE_DAYS, size - NOW_DAYS + 1, NOW_DAYS)
    now = np.column_stack([between(size, first, first + NOW_DAYS) for first in starts])
    before = np.column_stack([between(size, first - BEFORE_DAYS, first) for first in starts])
    for name in METRICS:
        for cut in (True, False):
            one = Field.of(cells, metric_of(name), least_units=LEAST_UNITS, cut=cut)
            p = np.concatenate([one.compare(at, now, before).p for at in range(len(one.segments))])
            yield _wrong(TESTS[0] if cut else TESTS[1], name, p)
            if cut:
                yield _wrong(TESTS[2], name, np.array([one.slope(at).p[0] for at in range(len(one.segments))]))
        yield _wrong(TESTS[3], name, _unpaired(cells, name, now, before))


def _unpaired(cells: Cells, name: str, now: Floats, before: Floats) -> Floats:
    """Return p-values of one half of the users in a week against the other half before it."""
    p = []
    for segment in cells.segments():
        x, y = cells.sums(metric_of(name), segment)
        later, earlier = slice(0, None, 2), slice(1, None, 2)
        for at in range(now.shape[1]):
            sums = (
                x[later] @ now[:, at],
                y[later] @ now[:, at],
                x[earlier] @ before[:, at],
                y[earlier] @ before[:, at],
            )
            p.append(welch(*sums).p[0])
    return np.array(p)


def _wrong(test: str, metric: str, p: Floats) -> dict[str, Any]:
    known = p[np.isfinite(p)]
    return {"kind": "errors", "test": test, "metric": metric, "tests": len(known), "wrong": int((known < ALPHA).sum())}


def thinned(cells: Cells, every: int) -> Cells:
    """Return the sums of every so many groups of users only."""
    return replace(cells, regions=_some(cells.regions, every), devices=_some(cells.devices, every))


def _some(broken: Breakdown, every: int) -> Breakdown:
    return replace(broken, sums=broken.sums[:, ::every])


def powers(cells: Cells, seed: int, users: int) -> Iterator[dict[str, Any]]:
    """Return whether changes of known size, that stay, are found, placed and dated."""
    rng = np.random.default_rng([seed, users])
    for name in METRICS:
        for effect in EFFECTS:
            day = int(rng.integers(BEFORE_DAYS * 2, len(cells.days) - BEFORE_DAYS))
            found = search(changed(cells, name, 1 - effect, day), name)
            hits = [one for one in found if one.episode is not None and abs(one.episode.begin.day - day) <= NOW_DAYS]
            best = min(hits, key=lambda one: abs(one.episode.begin.day - day), default=None)
            begin = best.episode.begin if best is not None and best.episode is not None else None
            yield {
                "kind": "power", "metric": name, "effect": effect, "users": users,
                "found": begin is not None,
                "placed": best is not None and best.segment == {},
                "days_off": None if begin is None else abs(begin.day - day),
                "in_interval": None if begin is None else begin.low <= day <= begin.high,
                "others": len(found) - len(hits),
            }  # fmt: skip


def changed(cells: Cells, name: str, factor: float, day: int) -> Cells:
    """Return the sums with one metric times a factor for everyone from a day on."""
    rows = [SUMS.index(metric_of(name).numerator), len(SUMS) + CUT_SUMS.index(f"{name}_cut")]

    def moved(broken: Breakdown) -> Breakdown:
        sums = broken.sums.copy()
        sums[[row for row in rows if row < len(sums)], :, day:] *= factor
        return replace(broken, sums=sums)

    return replace(cells, regions=moved(cells.regions), devices=moved(cells.devices))


def search(cells: Cells, name: str) -> list[Any]:
    """Return the changes of one metric."""
    cut, plain = (Field.of(cells, metric_of(name), least_units=LEAST_UNITS, cut=cut) for cut in (True, False))
    return Search(metrics=[Twins(cut=cut, plain=plain)], questions=Questions.of(cells)).run()


def planted(seed: int, users: int, weeks: int) -> Iterator[dict[str, Any]]:
    """Return which planted truths are found, by whom, how far off, and what else is said."""
    from monitoring.detectors import ALL

    with world(seed, users, weeks, planted=True) as (ground, truth):
        findings: list[Finding] = []
        for detector in ALL:
            try:
                findings += detector.look(ground).findings
            except RecommendrError as failure:
                yield {"kind": "failure", "detector": detector.name, "error": str(failure)}
        rest = list(findings)
        for one in truths(truth):
            mine = [finding for finding in findings if _is_about(finding, one)]
            rest = [finding for finding in rest if finding not in mine]
            yield {"kind": "truth", "truth": one["kind"], **_judged(mine, one)}
        for finding in rest:
            yield {"kind": "else", "finding": finding.key, "at": finding.onset.at.isoformat()}


def truths(truth: Mapping[str, Any]) -> Rows:
    """Return the planted truths with the moment each began, and where it must be placed."""
    places: dict[str, tuple[str, tuple[str, ...]]] = {
        "catalogue_quality": ("index_version", ("drift.",)),
        "name_leak": ("index_version", ("drift.",)),
        "keyword_stuffing": ("", ("drift.exposure",)),
        "provider_outage": ("", ("drift.exposure", "objectives.")),
        "taste_drift": ("market", ("drift.telemetry",)),
        "bots": ("", ("outliers.",)),
        "click_farm": ("", ("outliers.", "drift.exposure")),
        "latency": ("region", ("objectives.", "outliers.requests")),
        "memory_leak": ("region", ("objectives.",)),
    }
    out: Rows = []
    for one in truth["planted"]:
        place, detectors = places[one["kind"]]
        wanted = one.get(place) or (one["index_versions"][0] if "index_versions" in one and place else "")
        began = one.get("from") or f"{one.get('first_day') or one['from_day']}T00:00:00+00:00"
        out.append(
            {
                "kind": one["kind"],
                "began": dt.datetime.fromisoformat(began),
                "place": {place: wanted} if place else {},
                "detectors": detectors,
                "minutes": "from" in one,
            }
        )
    began = dt.datetime.fromisoformat(f"{truth['start']}T00:00:00+00:00")
    out.append(
        {"kind": "survey_response", "began": began, "place": {}, "detectors": ("drift.telemetry",), "minutes": False}
    )
    return out


_NEAR: Final = dt.timedelta(days=7)


def _is_about(finding: Finding, truth: Mapping[str, Any]) -> bool:
    if not finding.detector.startswith(tuple(truth["detectors"])):
        return False
    if (finding.metric == "survey_response_rate") != (truth["kind"] == "survey_response"):
        return False
    return bool(abs(finding.onset.at - truth["began"]) <= _NEAR)


def _judged(mine: Sequence[Finding], truth: Mapping[str, Any]) -> dict[str, Any]:
    if not mine:
        return {"found": False}
    placed = [one for one in mine if truth["place"].items() <= dict(one.segment).items()]
    off = min(abs(one.onset.at - truth["began"]) for one in placed or mine)
    limit = dt.timedelta(minutes=INCIDENT_MINUTES) if truth["minutes"] else dt.timedelta(days=DRIFT_DAYS)
    return {
        "found": True,
        "placed": bool(placed),
        "dated": off <= limit,
        "hours_off": off.total_seconds() / 3600,
        "by": sorted({one.detector for one in mine}),
    }


def as_markdown(rows: Rows, users: int, weeks: int) -> str:
    """Return the page of the figures."""
    parts = [_alarms_told(rows, weeks), _truths_told(rows), _errors_told(rows), _power_told(rows)]
    head = (
        "# What monitoring finds and what it misses\n\n"
        f"Written by `python -m benchmarks.simulate_monitoring`; histories of {users:,} users and {weeks} weeks.\n"
    )
    return "\n".join([head, *parts])


def _table(head: Sequence[str], body: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def _alarms_told(rows: Rows, weeks: int) -> str:
    mine = [row for row in rows if row["kind"] == "alarms"]
    body = []
    for name in dict.fromkeys(row["detector"] for row in mine):
        own = [row for row in mine if row["detector"] == name]
        said = [one for row in own for one in row["findings"]]
        failed = sum(bool(row["error"]) for row in own)
        body.append([name, len(own), len(said), "; ".join(said[:3]), failed, f"{max(r['seconds'] for r in own):.1f}"])
    seeds = len({row["seed"] for row in mine})
    total = sum(len(row["findings"]) for row in mine)
    return (
        f"## False alarms\n\n{total} false alarms of all detectors in {seeds} histories of {weeks} weeks with nothing "
        f"planted: {total / max(seeds, 1):.2f} a history; the limit is 1.\n\n"
        + _table(["detector", "histories", "alarms", "which", "could not look", "slowest, s"], body)
    )


def _truths_told(rows: Rows) -> str:
    mine = [row for row in rows if row["kind"] == "truth"]
    body = []
    for name in dict.fromkeys(row["truth"] for row in mine):
        own = [row for row in mine if row["truth"] == name]
        hits = [row for row in own if row["found"]]
        worst = max((row["hours_off"] for row in hits), default=float("nan"))
        by = ", ".join(sorted({one for row in hits for one in row["by"]}))
        counts = [f"{sum(bool(row.get(what)) for row in own)}" for what in ("found", "placed", "dated")]
        body.append([name, len(own), *counts, f"{worst / 24:.2f}", by])
    others = [row["finding"] for row in rows if row["kind"] == "else"]
    failed = sorted({f"{row['detector']}: {row['error']}" for row in rows if row["kind"] == "failure"})
    return (
        f"## Planted truths\n\nDated: within ± {DRIFT_DAYS} days; ± {INCIDENT_MINUTES} min for what has a minute.\n\n"
        + _table(["truth", "histories", "found", "placed", "dated", "worst, days off", "by"], body)
        + f"\nBeside them {len(others)} findings: {'; '.join(sorted(set(others))) or 'none'}.\n"
        + (f"\nCould not look: {'; '.join(failed)}.\n" if failed else "")
    )


def _errors_told(rows: Rows) -> str:
    mine = [row for row in rows if row["kind"] == "errors"]
    body = []
    for test in TESTS:
        for name in (*METRICS, "all"):
            own = [row for row in mine if row["test"] == test and name in (row["metric"], "all")]
            value, error, tests = _rate(own)
            body.append([test, name, f"{tests:,}", f"{value:.2%}", f"{error:.2%}"])
    return (
        "## Wrong at 5 %\n\nShare of tests with p < 0.05 where nothing changed, over weeks and segments, with the "
        "seasons of the history; ± is its standard error over histories.\n\n"
        + _table(["test", "metric", "tests", "wrong", "±"], body)
    )


def _rate(rows: Rows) -> tuple[float, float, int]:
    """Return the share of wrong tests, its standard error over seeds, and how many tests."""
    seeds = sorted({row["seed"] for row in rows})
    wrong = np.array([sum(row["wrong"] for row in rows if row["seed"] == seed) for seed in seeds], dtype=float)
    tests = np.array([sum(row["tests"] for row in rows if row["seed"] == seed) for seed in seeds], dtype=float)
    if not tests.sum():
        return float("nan"), float("nan"), 0
    value = wrong.sum() / tests.sum()
    n = len(seeds)
    error = np.sqrt(((wrong - value * tests) ** 2).sum() * n / max(n - 1, 1)) / tests.sum()
    return float(value), float(error), int(tests.sum())


def _power_told(rows: Rows) -> str:
    mine = [row for row in rows if row["kind"] == "power"]
    sections = []
    for users in sorted({row["users"] for row in mine}, reverse=True):
        body = []
        for name in METRICS:
            own = [row for row in mine if row["metric"] == name and row["users"] == users]
            cells = [f"{np.mean([row['found'] for row in own if row['effect'] == effect]):.0%}" for effect in EFFECTS]
            body.append([name, *cells])
        sections.append(
            f"### {users:,} users\n\n" + _table(["metric", *(f"-{effect:.1%}" for effect in EFFECTS)], body)
        )
    hits = [row for row in mine if row["found"]]
    if not hits:
        return "## Power\n\nNot simulated.\n"
    off = np.array([row["days_off"] for row in hits])
    held = np.mean([row["in_interval"] for row in hits])
    return (
        "## Power\n\nA fall of everyone's figure, on a day drawn at random, that stays: how often it is found within "
        f"{NOW_DAYS} days of its day, at the level of the whole family. Of {len(hits)} found, "
        f"{np.mean([row['placed'] for row in hits]):.0%} are placed with everyone, "
        f"{np.mean(off <= DRIFT_DAYS):.0%} dated within ± {DRIFT_DAYS} days, and "
        f"{held:.0%} of the intervals of the day hold it. "
        f"{sum(row['others'] for row in mine)} other changes were said in {len(mine)} searches.\n\n"
        + "\n".join(sections)
    )


def main() -> None:
    """Simulate what is not kept yet, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--planted-seeds", type=int, default=5)
    parser.add_argument("--users", type=int, default=5_000)
    parser.add_argument("--weeks", type=int, default=26)
    parser.add_argument("--keep", type=Path, default=Path("monitoring-simulated.jsonl"))
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument(
        "--part", default="1/1", help="1/2 simulates every other seed, for two at a time; writes nothing."
    )
    chosen = parser.parse_args()
    part, parts = (int(number) for number in chosen.part.split("/"))
    rows = _kept(chosen.keep)
    jobs = [("quiet", seed) for seed in range(1, chosen.seeds + 1)]
    jobs += [("planted", seed) for seed in range(1, chosen.planted_seeds + 1)]
    for name, seed in jobs[part - 1 :: parts]:
        if any(row["job"] == name and row["seed"] == seed for row in rows):
            continue
        began = time.perf_counter()
        made = (
            quiet(seed, chosen.users, chosen.weeks, power=seed <= POWER_SEEDS)
            if name == "quiet"
            else planted(seed, chosen.users, chosen.weeks)
        )
        new = [{"job": name, "seed": seed, **row} for row in made]
        with chosen.keep.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in new)
        rows += new
        print(f"{name} {seed}: {time.perf_counter() - began:.0f} s", flush=True)
    if parts == 1:
        write(rows, chosen.users, chosen.weeks, chosen.out)


def _kept(file: Path) -> Rows:
    return [json.loads(line) for line in file.read_text("utf-8").splitlines()] if file.exists() else []


def write(rows: Rows, users: int, weeks: int, out: Path) -> None:
    """Write the page and its rows."""
    out.mkdir(parents=True, exist_ok=True)
    page = as_markdown(rows, users, weeks)
    (out / "monitoring-simulated.md").write_text(page, encoding="utf-8")
    # One heading deeper: there the figures are a part of a page.
    insert(PAGE, page.partition("\n")[2].replace("\n#", "\n##"))
    document = {"users": users, "weeks": weeks, "rows": rows}
    (out / "monitoring-simulated.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
