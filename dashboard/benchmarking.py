"""Scores of index versions on the committed benchmark: the one place where the synthetic world meets the monitor."""

import hashlib
import json
from typing import TYPE_CHECKING

from data.synthetic import load_benchmark
from monitoring import benchmark as scores
from monitoring.benchmark import BenchmarkScore
from monitoring.ground import Ground
from recommender.index import list_versions

if TYPE_CHECKING:
    import pandas as pd

    from data.synthetic.benchmark import Benchmark


class CommittedBenchmark:
    """The committed benchmark as the monitor takes one.

    Args:
        benchmark: Loaded and checked.
    """

    def __init__(self, benchmark: "Benchmark") -> None:
        self._benchmark = benchmark

    @property
    def version(self) -> str:
        """Its name, and a hash over the hashes of its files."""
        manifest = self._benchmark.manifest
        digest = hashlib.sha256(json.dumps(manifest.sha256, sort_keys=True).encode()).hexdigest()
        return f"{manifest.name}-{digest[:12]}"

    @property
    def films(self) -> "pd.DataFrame":
        """Its films."""
        return self._benchmark.world.films

    @property
    def users(self) -> "pd.DataFrame":
        """Its users."""
        return self._benchmark.world.users

    @property
    def interactions(self) -> "pd.DataFrame":
        """What they did."""
        return self._benchmark.world.interactions


def score(ground: Ground, version: str | None = None) -> BenchmarkScore:
    """Score an index version on the committed benchmark, and keep the score.

    Args:
        ground: The stores.
        version: The index version; None takes the current one.

    Raises:
        StateError: When no version is current, or the encoder at hand is not the version's.
        UnknownError: When there is no such version.
    """
    return scores.rescore(ground, CommittedBenchmark(load_benchmark()), version=version)


def unscored(ground: Ground) -> list[str]:
    """Return the index versions that have no score on the committed benchmark, the oldest first."""
    now = CommittedBenchmark(load_benchmark()).version
    known = {one.index_version for one in scores.history(ground, 500) if one.benchmark_version == now}
    return [one.version for one in reversed(list_versions(ground.paths)) if one.version not in known]
