"""From an empty workspace to a served index: a synthetic world through every door that real films take.

Every step is published whole and named by its content, so that a run that was killed is finished by the next one:
what is there is taken, what is missing is made.
"""

import io
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from dashboard.erasing import without_erased
from dashboard.imports import Progress, import_lock, publish
from data.synthetic import World, WorldSpec, generate, providers
from recommender.building import build_index
from recommender.catalogue import Catalogue, list_catalogues, load_catalogue
from recommender.index import current_version, list_versions
from recommender.providers import file_providers, import_providers
from workspace.clock import Clock, SystemClock
from workspace.errors import StateError
from workspace.files import write_bytes
from workspace.paths import Paths
from workspace.settings import Settings

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
    spec = WorldSpec.from_dict(WorldSpec().to_dict() | wanted)
    paths = Paths(settings.home).ensure()
    with import_lock(paths):
        catalogue = None if force else _present(paths, wanted)
        made = catalogue is None
        if catalogue is None:
            made_up, _ = without_erased(settings, _import_world(spec, paths, progress, clock))
            # A world made anew replaces what was there, which is no norm for it.
            catalogue = publish(settings, made_up, previous=None, clock=clock, actor=actor).catalogue
        # A version of this catalogue that is not current was put aside on purpose, by a switch or a rollback.
        indexed = any(manifest.extra.get("snapshot_id") == catalogue.snapshot_id for manifest in list_versions(paths))
        status: Literal["ready", "created", "completed"] = "created" if made else "completed"
        if not made and indexed and current_version(paths) is not None:
            status = "ready"
        else:
            build_index(settings, catalogue, progress=progress, clock=clock)
    return _provision(status, paths, catalogue)


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
    catalogue = import_providers(
        file_providers(paths), world.users, world.interactions, clock=clock, manifest={WORLD: spec.to_dict()}
    )
    progress("reconciling providers", 1, 1)
    return catalogue


def _write_feeds(world: World, paths: Paths, progress: Progress) -> None:
    feeds = providers(world)
    for done, (name, frame) in enumerate(feeds.items(), start=1):
        content = io.BytesIO()
        frame.to_parquet(content, index=False)
        write_bytes(paths.providers / name / FEED_FILE, content.getvalue())
        progress("provider feeds", done, len(feeds))


def _provision(status: Literal["ready", "created", "completed"], paths: Paths, catalogue: Catalogue) -> Provision:
    return Provision(
        status=status,
        home=str(paths.home),
        snapshot_id=catalogue.snapshot_id,
        index_version=str(current_version(paths)),
        films=len(catalogue.films),
        users=len(catalogue.users),
        interactions=len(catalogue.interactions),
        quarantined=len(catalogue.quarantine),
    )
