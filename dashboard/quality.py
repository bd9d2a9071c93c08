"""How good the recommendations are: the recommender, baselines and another version, judged by one protocol."""

from collections.abc import Callable, Sequence
from typing import Any

from recommender.building import embed_films
from recommender.catalogue import load_catalogue
from recommender.evaluation.baselines import baselines
from recommender.evaluation.comparison import compare
from recommender.evaluation.ground import Ground
from recommender.evaluation.judge import PRECISION, Judged, judge
from recommender.evaluation.protocols import Protocol, split
from recommender.evaluation.subject import Subject
from recommender.features import layout
from recommender.features.fitted import chosen_blocks
from recommender.index import list_versions
from workspace.checks import check_scalar
from workspace.errors import UnknownError
from workspace.paths import Paths
from workspace.settings import Settings

Progress = Callable[[str, int, int], None]


def evaluate_recommender(
    settings: Settings,
    *,
    protocol: Protocol,
    k: int,
    baseline_names: Sequence[str] = (),
    without: Sequence[str] = (),
    compare_with: str | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Judge the recommender on the current catalogue; everything, weights included, is fitted on the training part.

    Args:
        settings: The workspace.
        protocol: How interactions are split.
        k: Length of the lists.
        baseline_names: What is judged beside it.
        without: Feature blocks to leave out.
        compare_with: An index version whose blocks are judged on the same users, for a paired comparison.
        seed: Of the split.
        progress: Told the stage, what is done and the total.

    Returns:
        ``protocol k users precision_at_k ci95 hit_rate ndcg_at_k coverage … blocks weights baselines comparison``.

    Raises:
        StateError: When nothing was imported.
        UnknownError: When there is no such version.
        InvalidValueError: For an unknown block or baseline, or a k outside 1 … number of films.
    """
    blocks = chosen_blocks(tuple(without))
    rivals = baselines(baseline_names)
    paths = Paths(settings.home)
    other = None if compare_with is None else _blocks_of(paths, compare_with)
    ground = Ground.of(load_catalogue(paths))
    check_scalar(k, "k", ge=1, le=ground.n_films, hint="a list is no longer than the catalogue")
    splits = split(ground.acts, protocol, seed=seed)
    text = None
    if layout.TEXT in (*blocks, *(other or ())):
        text, _ = embed_films(settings, ground.catalogue.films, progress)

    def judged(names: Sequence[str], title: str) -> Judged:
        subject = Subject.of(ground, text=text, blocks=names, protocol=protocol, seed=seed, name=title)
        return judge(subject, ground, splits, k=k, progress=progress)

    own = judged(blocks, "recommendr")
    found = {rival.name: judge(rival, ground, splits, k=k, progress=progress) for rival in rivals}
    comparison = None
    if other is not None and compare_with is not None:
        theirs = judged(other, compare_with)
        comparison = compare(
            own.per_user[PRECISION], theirs.per_user[PRECISION], names=(own.name, compare_with)
        ).to_dict()
    return {
        "protocol": protocol,
        "k": k,
        **own.to_dict(),
        "blocks": list(blocks),
        "weights": [dict(weights) for weights in own.weights],
        "snapshot_id": ground.catalogue.snapshot_id,
        "baselines": {name: rival.to_dict() for name, rival in found.items()},
        "comparison": comparison,
    }


def _blocks_of(paths: Paths, version: str) -> tuple[str, ...]:
    known = {manifest.version: manifest for manifest in list_versions(paths)}
    if version not in known:
        raise UnknownError(
            f"index version == {version!r}", "must be one that was built", f"there are: {', '.join(known)}"
        )
    return tuple(known[version].extra["blocks"])
