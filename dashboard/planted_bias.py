"""Two faults planted beside the served version of a synthetic workspace, for an audit to find.

One version leaks names: its manifest says that the deployment joins the origin of a name into the market, and for some
origins the mean film of such a market lies off in the ``people`` block, so that films with a cast of the same origin
rise. One snapshot holds a studio that stuffed keywords, with an index version of it. Nothing is switched.
"""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from audit.groups import ORIGINS, film_groups
from audit.plan import CAST_ORIGIN, MARKET, NAME_ORIGIN
from audit.subject import JOIN, SEGMENTS
from dashboard.imports import Progress, import_lock
from dashboard.projection import SLATE, Projection
from dashboard.provisioning import WORLD
from dashboard.stuffing import PLANTED, plant_stuffing
from dashboard.versions import ledger_of
from data.synthetic.leak import gain_for, separating
from recommender.catalogue import Catalogue, load_catalogue
from recommender.features import layout
from recommender.features.stored import FEATURES_FILE, MEANS_FILE
from recommender.index import current_version, open_version, write_version
from recommender.index.version import OWN_FILES
from recommender.profile import EVERYBODY, block_scales, coefficients
from recommender.view import View
from workspace.clock import Clock, SystemClock
from workspace.errors import StateError
from workspace.files import write_json
from workspace.paths import Paths
from workspace.settings import Settings

FILE: Final = "planted.json"
LEAKING_BLOCK: Final = layout.PEOPLE
PEOPLE_WEIGHT: Final = 1.0
"""Weight of the leaking block where the workspace's own fit gave it none: a block without weight can leak nothing."""
CHANGED_SHARE: Final = 0.4
"""Share of a name group's lists the leak is made to change."""
LEAST_FILM_SHARE: Final = 0.02
_TASTES: Final = 120


def plant_bias(settings: Settings, *, progress: Progress, clock: Clock | None = None, actor: str) -> dict[str, Any]:
    """Plant both faults, or return what was planted before.

    Args:
        settings: The workspace.
        progress: Told the stage.
        clock: What tells the time.
        actor: Who does it, for the ledger.

    Returns:
        The truth, as ``planted.json`` keeps it, with ``status`` ``created`` or ``ready``.

    Raises:
        StateError: When the workspace holds no synthetic catalogue, or no index with people and keywords in it.
    """
    clock = clock or SystemClock()
    paths = Paths(settings.home).ensure()
    with import_lock(paths):
        catalogue = _synthetic(paths)
        clean = _clean_version(paths)
        before = _planted_before(paths, clean, catalogue.snapshot_id)
        if before is not None:
            return {"status": "ready", **before}
        view = View.open(paths, clean, catalogue)
        _check_blocks(view)
        progress("leaking version", 0, 2)
        truth = {"clean_version": clean, "clean_snapshot_id": catalogue.snapshot_id, **_plant_leak(paths, view, clock)}
        progress("stuffed snapshot", 1, 2)
        truth |= plant_stuffing(paths, view, clock)
        write_json(paths.audit / FILE, truth)
        with ledger_of(settings) as ledger:
            ledger.append(actor, "audit.plant_bias", truth["leaking_version"], {"stuffed": truth["stuffed_version"]})
        progress("stuffed snapshot", 2, 2)
    return {"status": "created", **truth}


def _synthetic(paths: Paths) -> Catalogue:
    """Return the current catalogue of a synthetic workspace."""
    catalogue = load_catalogue(paths)
    if WORLD not in catalogue.manifest:
        raise StateError(
            "the workspace does not hold a synthetic world",
            "faults are planted beside synthetic data only",
            "make one with `recommendr init` in another --home",
        )
    return catalogue


def _clean_version(paths: Paths) -> str:
    current = current_version(paths)
    if current is None:
        raise StateError("no index version is current", hint="run `recommendr index build`")
    delta = open_version(paths, current).manifest.delta
    return current if delta is None else delta.base


def _planted_before(paths: Paths, clean: str, snapshot_id: str) -> dict[str, Any] | None:
    """Return what was planted, when it was beside this version and is all still there."""
    try:
        truth: dict[str, Any] = json.loads((paths.audit / FILE).read_bytes())
        there = [
            (paths.indexes / truth["leaking_version"]).is_dir(),
            (paths.indexes / truth["stuffed_version"]).is_dir(),
            (paths.catalogue / truth["stuffed_snapshot_id"]).is_dir(),
            (truth["clean_version"], truth["clean_snapshot_id"]) == (clean, snapshot_id),
        ]
    except (OSError, ValueError, KeyError):
        return None
    return truth if all(there) else None


def _check_blocks(view: View) -> None:
    for block in (LEAKING_BLOCK, layout.KEYWORD):
        if block not in view.matrix.layout:
            raise StateError(
                f"version {view.version} has no block {block!r}",
                "the faults are planted in people and keywords",
                "run `recommendr index build`",
            )


def _plant_leak(paths: Paths, view: View, clock: Clock) -> dict[str, Any]:
    """Write the version that leaks names: the same vectors, other means of what each market watches."""
    manifest = view.index.manifest
    weights = dict(view.configuration.weights)
    weights[LEAKING_BLOCK] = weights.get(LEAKING_BLOCK, 0.0) or PEOPLE_WEIGHT
    shifts, changed = _shifts(view, weights)
    means: dict[str, npt.NDArray[np.float32]] = {}
    for market, mean in view.stored.market_means.items():
        means[market] = mean
        # Every origin has its key, shifted or not: an unknown market would be held against everybody's mean.
        for origin in ORIGINS if market != EVERYBODY else ():
            own = mean.copy()
            own[view.matrix.layout.columns(LEAKING_BLOCK)] -= shifts.get(origin, np.float32(0.0))
            means[f"{market}{JOIN}{origin}"] = own
    written = write_version(
        paths,
        vectors=np.asarray(view.index.vectors),
        blocks=manifest.blocks,
        extra={**manifest.extra, "weights": weights, SEGMENTS: [MARKET, NAME_ORIGIN], PLANTED: "leaks names"},
        attachments=_with_means(view, means),
        clock=clock,
    )
    return {
        "leaking_version": written.version,
        "leaking_block": LEAKING_BLOCK,
        "leaking_weight": weights[LEAKING_BLOCK],
        "lists_changed": changed,
    }


def _shifts(view: View, weights: Mapping[str, float]) -> tuple[dict[str, npt.NDArray[np.float32]], dict[str, float]]:
    """Return each origin's shift of the mean film, and the share of its lists that it changes."""
    audience = Projection(view, tastes=_TASTES, weights=weights)
    scores = audience.scores
    people = np.asarray(view.index.vectors)[:, view.matrix.layout.columns(LEAKING_BLOCK)].astype(np.float64)
    acts, pooling = audience.panel.histories, view.configuration.pooling
    liking = coefficients(acts, len(scores), pooling)
    mass = np.bincount(acts.users, weights=np.abs(liking), minlength=len(scores)).astype(np.float64)
    scale = block_scales(view.matrix.layout, mass, pooling)[LEAKING_BLOCK] * weights[LEAKING_BLOCK]
    pull = np.bincount(acts.users, weights=liking, minlength=len(scores)) * scale
    codes, names = film_groups(view.films, [CAST_ORIGIN]).of(CAST_ORIGIN)
    shifts: dict[str, npt.NDArray[np.float32]] = {}
    changed: dict[str, float] = {}
    for code, origin in enumerate(names):
        if (codes == code).mean() < LEAST_FILM_SHARE:
            continue
        direction = separating(people, codes == code)
        gain, share = gain_for(scores, pull[:, None] * (people @ direction), share=CHANGED_SHARE, k=SLATE)
        shifts[origin] = (gain * direction).astype(np.float32)
        changed[origin] = round(share, 4)
    return shifts, changed


def _with_means(view: View, means: Mapping[str, npt.NDArray[np.float32]]) -> Callable[[Path], None]:
    """Return what copies a version's own files with other means in them."""

    def attach(folder: Path) -> None:
        for name in view.index.manifest.files:
            if name not in OWN_FILES:
                shutil.copyfile(view.index.folder / name, folder / name)
        state = json.loads((folder / FEATURES_FILE).read_bytes())
        write_json(folder / FEATURES_FILE, {**state, "markets": sorted(means)})
        np.save(folder / MEANS_FILE, np.stack([means[name] for name in sorted(means)]), allow_pickle=False)

    return attach
