"""An audit of 10,000 personas on 5,000 films along six group axes: seconds of each stage, and peak memory.

    python -m benchmarks.bench_audit --out docs/benchmarks

Makes a synthetic world of 5,000 films in memory, indexes it once (without encoding texts: the text block holds random
vectors of the encoder's width, for time does not depend on what they say), then runs each audit in a process of its
own, three times, and writes the medians. Personas who share histories share computations; in the matched panel nobody
does. Run on an otherwise idle machine.
"""

import argparse
import datetime as dt
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from audit.plan import AGE_BAND, GENDER, MARKET, NAME_ORIGIN, PREMIUM, REGION, AuditPlan
from audit.runs import run_audit
from audit.subject import Subject
from recommender.catalogue import load_catalogue
from recommender.index import current_version
from workspace.columns import Interaction
from workspace.paths import Paths
from workspace.settings import Settings

PERSONAS: Final = 10_000
TASTES: Final = 60
FILMS: Final = 5_000
K: Final = 5
TEXT_DIM: Final = 384
AXES: Final = (NAME_ORIGIN, GENDER, AGE_BAND, REGION, MARKET, PREMIUM)
LIMIT_S: Final = 60.0
LIMIT_MIB: Final = 2_048
TIMES: Final = 3
PACKAGES: Final = ("numpy", "pandas", "scikit-learn", "scipy", "statsmodels", "usearch")


def prepare(home: Path, films: int) -> None:
    """Make the workspace: a synthetic world and one index version of it."""
    from data.synthetic.spec import WorldSpec
    from data.synthetic.world import generate
    from recommender import building
    from recommender.catalogue import build_catalogue, save_catalogue
    from recommender.configuration import DEFAULT_WEIGHTS, Configuration
    from workspace.clock import SystemClock

    world = generate(WorldSpec(films=films, users=500, seed=11))
    catalogue = build_catalogue(world.films, world.users, world.interactions)
    save_catalogue(catalogue, Paths(home).ensure())
    building.embed_films = _random_texts  # type: ignore[assignment]
    building.build_index(
        Settings(home=home), catalogue,
        options=building.BuildOptions(configuration=Configuration(weights=DEFAULT_WEIGHTS)), clock=SystemClock(),
    )  # fmt: skip


def _random_texts(_settings: Settings, films: pd.DataFrame, *_rest: object, **_more: object) -> tuple[Any, str]:
    rng = np.random.default_rng(3)
    texts = rng.normal(size=(len(films), TEXT_DIM)).astype(np.float32)
    return texts / np.linalg.norm(texts, axis=1, keepdims=True), "random vectors"


def look(home: Path, kind: str, personas: int) -> dict[str, Any]:
    """Run one audit and return what it took; the child process of `measure`."""
    paths = Paths(home)
    catalogue = load_catalogue(paths)
    index_version = current_version(paths) or ""
    newest = catalogue.interactions[Interaction.TS].max().date() + dt.timedelta(days=1)
    plan = AuditPlan(
        title="benchmark", index_version=index_version, snapshot_id=catalogue.snapshot_id, on=newest, panel=kind,
        tastes=TASTES, personas=personas, axes=AXES, k=K,
    )  # fmt: skip
    stages: dict[str, float] = {}
    last = ["opening", time.perf_counter()]
    began, worked = time.perf_counter(), time.process_time()

    def tell(stage: str, done: int, total: int) -> None:
        now = time.perf_counter()
        stages[last[0]] = stages.get(last[0], 0.0) + now - last[1]
        last[:] = [stage, now]
        print(f"\r{stage} {done}/{total}   ", end="", file=sys.stderr, flush=True)

    subject = Subject.open(Settings(home=home), index_version, catalogue.snapshot_id, newest)
    findings = run_audit(plan, subject, progress=tell)
    return {
        "seconds": time.perf_counter() - began,
        "processor_s": time.process_time() - worked,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "films": findings.subject["films"],
        "personas": findings.panel["users"],
        "cases": len(np.unique(subject.cases(findings_panel(plan, subject)))),
        "figures": len(findings.figures),
        "leaks": len(findings.leaks),
        "stages": stages,
    }


def findings_panel(plan: AuditPlan, subject: Subject) -> Any:  # noqa: ANN401 - an audit.panel.Panel
    """Return the panel of a plan, to count what is computed once."""
    from audit.personas import build_panel

    return build_panel(plan, subject.view)


def measure(home: Path, personas: int, times: int) -> dict[str, Any]:
    """Return every figure."""
    found: dict[str, list[dict[str, Any]]] = {}
    for kind in ("personas", "matched"):
        command = [sys.executable, "-m", "benchmarks.bench_audit", "--look", str(home), "--kind", kind]
        command += ["--personas", str(personas)]
        found[kind] = [
            json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)  # noqa: S603 - our own
            for _ in range(times)
        ]
    return {
        "processors": os.cpu_count(),
        "load": os.getloadavg()[0],
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "runs": found,
    }


def as_markdown(figures: Mapping[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    runs = figures["runs"]
    first = next(iter(runs.values()))[0]

    def mid(kind: str, name: str) -> float:
        return statistics.median(run[name] for run in runs[kind])

    def stage(kind: str, name: str) -> float:
        return statistics.median(run["stages"].get(name, 0.0) for run in runs[kind])

    kinds = list(runs)
    rows = [
        ("whole run, s", "seconds", f"{LIMIT_S:.0f}", ".1f"),
        ("of it processor, s", "processor_s", "", ".1f"),
        ("peak memory of the process, MiB", "peak_mib", f"{LIMIT_MIB:,}", ",.0f"),
        ("accounts", "personas", "", ",.0f"),
        ("different requests among them", "cases", "", ",.0f"),
        ("figures", "figures", "", ",.0f"),
        ("proxy leaks", "leaks", "", ",.0f"),
    ]
    lines = [
        "# The speed of an audit",
        "",
        (
            f"{K} recommendations each from {first['films']:,} films, along {len(AXES)} group axes; medians of "
            f"{len(next(iter(runs.values())))} runs on {figures['processors']} processors at a load of "
            f"{figures['load']:.1f}. Written by `python -m benchmarks.bench_audit`; versions: {versions}."
        ),
        "",
        f"| | {' | '.join(kinds)} | limit |",
        f"| --- |{' ---: |' * (len(kinds) + 1)}",
        *(
            f"| {words} | {' | '.join(format(mid(kind, name), form) for kind in kinds)} | {limit} |"
            for words, name, limit, form in rows
        ),
        *(
            f"| {name}, s | {' | '.join(f'{stage(kind, name):.1f}' for kind in kinds)} | |"
            for name in dict.fromkeys(name for kind in kinds for run in runs[kind] for name in run["stages"])
        ),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    parser.add_argument("--home", type=Path, help="A workspace with an index; made when none is given.")
    parser.add_argument("--films", type=int, default=FILMS)
    parser.add_argument("--personas", type=int, default=PERSONAS)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--kind", default="personas", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.look is not None:
        json.dump(look(chosen.look, chosen.kind, chosen.personas), sys.stdout)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = chosen.home or Path(folder) / "home"
        if chosen.home is None:
            prepare(home, chosen.films)
        figures = measure(home, chosen.personas, chosen.times)
    chosen.out.mkdir(parents=True, exist_ok=True)
    (chosen.out / "audit.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (chosen.out / "audit.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
