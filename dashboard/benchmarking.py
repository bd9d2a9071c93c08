"""Scores of index versions on the committed benchmark: the one place where the synthetic world meets the monitor."""

import hashlib
import json

from data.synthetic import load_benchmark
from monitoring import benchmark as scores
from monitoring.benchmark import BenchmarkFrames, BenchmarkScore
from monitoring.ground import Ground
from recommender.index import list_versions


def committed() -> BenchmarkFrames:
    """Return the committed benchmark, its hashes checked, as the monitor takes one.

    Raises:
        IntegrityError: When a file is not what its hash says.
    """
    made = load_benchmark()
    manifest, world = made.manifest, made.world
    digest = hashlib.sha256(json.dumps(manifest.sha256, sort_keys=True).encode()).hexdigest()
    return BenchmarkFrames(
        version=f"{manifest.name}-{digest[:12]}",
        films=world.films,
        users=world.users,
        interactions=world.interactions,
    )


def score(ground: Ground, version: str | None = None) -> BenchmarkScore:
    """Score an index version on the committed benchmark, and keep the score.

    Args:
        ground: The stores.
        version: The index version; None takes the current one.

    Raises:
        StateError: When no version is current, or the encoder at hand is not the version's.
        UnknownError: When there is no such version.
    """
    return scores.rescore(ground, committed(), version=version)


def unscored(ground: Ground) -> list[str]:
    """Return the index versions that have no score on the committed benchmark, the oldest first."""
    now = committed().version
    known = {one.index_version for one in scores.history(ground, 500) if one.benchmark_version == now}
    return [one.version for one in reversed(list_versions(ground.paths)) if one.version not in known]
