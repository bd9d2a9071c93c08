"""From an empty workspace to a served index: the synthetic world, or files of others.

Every step is published whole and named by its content, so that a run that was killed is finished by the next one:
what is there is taken, what is missing is made.
"""

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from data.synthetic import World, WorldSpec, generate, providers
from dashboard.versions import ledger_of
from recommender.building import build_index
from recommender.catalogue import Catalogue, list_catalogues, load_catalogue, save_catalogue
from recommender.index import current_version, list_versions
from recommender.movielens import ImportReport, import_movielens
from recommender.providers import file_providers, import_providers
from workspace.clock import Clock, SystemClock
from workspace.errors import StateError
from workspace.files import file_lock, write_bytes
from workspace.paths import Paths
from workspace.settings import Settings

Progress = Callable[[str, int, int], None]

LOCK: Final = ".provisioning.lock"
WORLD: Final = "world"
FEED_FILE: Final = "films.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What `provision_synthetic` found or made.

    Args:
        status: ``ready`` when there was nothing to do.
        home: The workspace.
        snapshot_id: The current catalogue.
        index_version: The current index version.
        films: Films of the catalogue.
        users: Its users.
        interactions: Its interactions.
        quarantined: Rows refused or repaired.
    """

    status: Literal["ready", "created", "completed"]
    home: str
    snapshot_id: str
    index_version: str
    films: int
    users: int
    interactions: int
    quarantined: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def provision_synthetic(
    settings: Settings,
    *,
    films: int | None = None,
    users: int | None = None,
    seed: int | None = None,
    force: bool = False,
    progress: Progress,
    clock: Clock | None = None,
    actor: str,
) -> Provision:
    """Make a workspace ready: world, provider feeds, catalogue, features, index.

    A ready workspace is left as it is, whatever it holds. One with a catalogue but no index gets the index.

    Args:
        settings: The workspace.
        films: Films of the world; None takes what is there, else the default.
        users: Its users, likewise.
        seed: Its seed, likewise.
        force: Make the world and the index anew.
        progress: Told the stage, what is done and the total.
        clock: What tells the time.
        actor: Who does it, for the ledger.

    Returns:
        What is there now.

    Raises:
        StateError: When the workspace holds something else than the sizes asked for, or another process is at it.
        InvalidValueError: When a size is outside its limits.
    """
    clock = clock or SystemClock()
    wanted = {name: value for name, value in (("films", films), ("users", users), ("seed", seed)) if value is not None}
    spec = replace(WorldSpec(), **wanted)
    paths = Paths(settings.home).ensure()
    with file_lock(paths.home / LOCK, blocking=False):
        catalogue = None if force else _present(paths, wanted)
        made = catalogue is None
        if catalogue is None:
            catalogue = _import_world(spec, paths, progress, clock)
            save_catalogue(catalogue, paths)
            _record_import(settings, catalogue, actor)
        # A version of this catalogue that is not current was put aside on purpose, by a switch or a rollback.
        indexed = any(manifest.extra.get("snapshot_id") == catalogue.snapshot_id for manifest in list_versions(paths))
        status: Literal["ready", "created", "completed"] = "created" if made else "completed"
        if not made and indexed and current_version(paths) is not None:
            status = "ready"
        else:
            build_index(settings, catalogue, progress=progress, clock=clock)
    return _provision(status, paths, catalogue)


def provision_movielens(
    settings: Settings, folder: Path, *, progress: Progress, clock: Clock | None = None, actor: str
) -> dict[str, Any]:
    """Import a MovieLens-layout folder as the current catalogue; the index stays what it is.

    Args:
        settings: The workspace.
        folder: Where the files are.
        progress: Told the file, the files done and their number.
        clock: What tells the time.
        actor: Who does it, for the ledger.

    Returns:
        ``snapshot_id films users interactions quarantined balanced reasons files``: the account of every row.

    Raises:
        SchemaError: When the folder or a file is not what it must be; the last catalogue stays.
        StateError: When another process is at it.
    """
    paths = Paths(settings.home).ensure()
    with file_lock(paths.home / LOCK, blocking=False):
        catalogue = import_movielens(folder, clock=clock or SystemClock(), progress=progress)
        save_catalogue(catalogue, paths)
        _record_import(settings, catalogue, actor)
    report = ImportReport.from_manifest(catalogue.manifest)
    reasons: Counter[str] = Counter()
    for file in report.files:
        reasons.update(file.refused)
    return {
        "snapshot_id": catalogue.snapshot_id,
        "films": len(catalogue.films),
        "users": len(catalogue.users),
        "interactions": len(catalogue.interactions),
        "quarantined": sum(reasons.values()),
        "reasons": dict(reasons.most_common()),
        **report.to_dict(),
    }


def _present(paths: Paths, wanted: dict[str, int]) -> Catalogue | None:
    """Return the current catalogue when it is what was asked for; None when there is none."""
    if not any(entry.current for entry in list_catalogues(paths)):
        return None
    catalogue = load_catalogue(paths)
    world = catalogue.manifest.get(WORLD, {})
    differing = {name: value for name, value in wanted.items() if world.get(name) != value}
    if differing:
        asked = ", ".join(f"{name} == {value}" for name, value in differing.items())
        held = ", ".join(f"{name} {world[name]}" for name in differing) if world else "imported data"
        hint = "--force replaces it, or choose another --home"
        raise StateError(f"{asked}, but the workspace holds {held}", hint=hint)
    return catalogue


def _import_world(spec: WorldSpec, paths: Paths, progress: Progress, clock: Clock) -> Catalogue:
    progress("synthetic world", 0, 0)
    world = generate(spec)
    progress("synthetic world", 1, 1)
    _write_feeds(world, paths, progress)
    progress("reconciling providers", 0, 0)
    catalogue = import_providers(file_providers(paths), world.users, world.interactions, clock=clock,
                                 manifest={WORLD: spec.to_dict()})
    progress("reconciling providers", 1, 1)
    return catalogue


def _write_feeds(world: World, paths: Paths, progress: Progress) -> None:
    feeds = providers(world)
    for done, (name, frame) in enumerate(feeds.items(), start=1):
        content = io.BytesIO()
        frame.to_parquet(content, index=False)
        write_bytes(paths.providers / name / FEED_FILE, content.getvalue())
        progress("provider feeds", done, len(feeds))


def _record_import(settings: Settings, catalogue: Catalogue, actor: str) -> None:
    facts = {"source": str(catalogue.manifest.get("source", "")), **catalogue.manifest["counts"]}
    with ledger_of(settings) as ledger:
        ledger.append(actor, "catalogue.import", catalogue.snapshot_id, facts)


def _provision(
    status: Literal["ready", "created", "completed"], paths: Paths, catalogue: Catalogue
) -> Provision:
    return Provision(
        status=status, home=str(paths.home), snapshot_id=catalogue.snapshot_id,
        index_version=str(current_version(paths)), films=len(catalogue.films), users=len(catalogue.users),
        interactions=len(catalogue.interactions), quarantined=len(catalogue.quarantine),
    )
