"""From an empty workspace to served lists on the default synthetic world: rates of every stage.

    python -m benchmarks.bench_serving --out docs/benchmarks

Reported: texts encoded a second, seconds of a build with every text known, opening a version, one request on one user,
all users at once, and one full explanation. Run on an otherwise idle machine.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import numpy as np

from dashboard.provisioning import provision_synthetic
from recommender.building import build_index
from recommender.catalogue import load_catalogue
from recommender.engine import Recommender
from recommender.index import current_version, open_version
from workspace.columns import User
from workspace.paths import Paths
from workspace.settings import load_settings

REPEATS: Final = 5
REQUESTS: Final = 200
PACKAGES: Final = ("numpy", "torch", "sentence-transformers", "usearch", "numkong", "pandas")


class Stages:
    """Seconds spent in each stage that reports its progress."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._since = time.perf_counter()

    def __call__(self, stage: str, done: int, total: int) -> None:  # noqa: ARG002 - the progress protocol
        """Note that a stage is at work."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = self.seconds.get(self._stage, 0.0) + now - self._since
        self._stage, self._since = stage, now


def seconds_of(action: Callable[[], Any], repeats: int = REPEATS) -> list[float]:
    """Return the duration of every repetition."""
    out = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        out.append(time.perf_counter() - start)
    return out


def measure(home: Path) -> dict[str, Any]:
    """Make a workspace and return its figures."""
    settings = load_settings(home)
    stages = Stages()
    start = time.perf_counter()
    made = provision_synthetic(settings, progress=stages, actor="benchmark")
    first_s = time.perf_counter() - start
    stages("", 0, 0)
    paths = Paths(settings.home)
    catalogue = load_catalogue(paths)
    rebuilt = seconds_of(lambda: build_index(settings, catalogue), 3)
    opened = seconds_of(lambda: open_version(paths, current_version(paths)))
    recommender = Recommender.open(settings)
    users = catalogue.users[User.ID].tolist()
    recommender.recommend(users[0], log=False)
    requests = [seconds_of(lambda user=user: recommender.recommend(user, log=False), 1)[0]  # type: ignore[misc]
                for user in users[:REQUESTS]]  # fmt: skip
    batch = seconds_of(recommender.recommend_all, 3)
    film = recommender.recommend(users[0], log=False).items[0].film_id
    explained = seconds_of(lambda: recommender.explain(users[0], film))
    return {
        "films": made.films,
        "users": made.users,
        "interactions": made.interactions,
        "first_run_s": first_s,
        "stages_s": stages.seconds,
        "texts_per_s": made.films / stages.seconds["encode"],
        "rebuild_s": float(np.median(rebuilt)),
        "open_ms": float(np.median(opened)) * 1000,
        "request_median_ms": float(np.median(requests)) * 1000,
        "request_p95_ms": float(np.quantile(requests, 0.95)) * 1000,
        "batch_users_per_s": len(users) / float(np.median(batch)),
        "explain_median_ms": float(np.median(explained)) * 1000,
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
    }


def as_markdown(figures: dict[str, Any]) -> str:
    """Return the figures as a page."""
    versions = ", ".join(f"{name} {number}" for name, number in figures["versions"].items())
    rows = {
        "an empty workspace to a served index, s": figures["first_run_s"],
        **{f"of it: {stage}, s": seconds for stage, seconds in figures["stages_s"].items()},
        "texts encoded a second (the limit of a first build)": figures["texts_per_s"],
        "full build with every text known, weights fitted, s": figures["rebuild_s"],
        "opening a version, ms": figures["open_ms"],
        "one request, median ms": figures["request_median_ms"],
        "one request, p95 ms": figures["request_p95_ms"],
        "one explanation, median ms": figures["explain_median_ms"],
        "all users at once, users a second": figures["batch_users_per_s"],
    }
    lines = [f"| {name} | {value:,.1f} |" for name, value in rows.items()]
    size = f"{figures['films']:,} films, {figures['users']:,} users, {figures['interactions']:,} interactions"
    source = f"Written by `python -m benchmarks.bench_serving`; versions: {versions}."
    head = ["# Serving a synthetic world", "", f"{size}, {figures['processors']} processors. {source}", ""]
    return "\n".join([*head, "| what | figure |", "| --- | ---: |", *lines, ""])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "serving.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (arguments.out / "serving.md").write_text(as_markdown(figures), encoding="utf-8")
    print(as_markdown(figures))


if __name__ == "__main__":
    main()
