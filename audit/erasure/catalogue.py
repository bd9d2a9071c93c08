"""Taking a person out of the catalogue and out of what was computed from it.

The index holds no id, but the audience block, the market means and the fitted weights were computed with the person's
acts. So a snapshot without them is made, a version is built on it from nothing but that snapshot, and every snapshot
with them and every version built on one is removed.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from audit.erasure.needles import Needles
from recommender.building import BuildOptions, build_index
from recommender.catalogue import Catalogue, build_catalogue, list_catalogues, load_catalogue, save_catalogue
from recommender.configuration import Configuration
from recommender.erased import erased_parts, note_erased, remove_snapshots, remove_versions, versions_of
from recommender.index import current_version
from recommender.index.manifest import read_manifest
from recommender.index.shelf import folder_of
from workspace.clock import Clock
from workspace.columns import Interaction, Quarantine, User
from workspace.errors import IntegrityError
from workspace.paths import Paths
from workspace.settings import Settings

Progress = Callable[[str, int, int], None]
_COUNTS: Final = "counts"
_NAMING: Final = (("users", User.ID), ("interactions", Interaction.USER))


def snapshots_naming(paths: Paths, user_id: str) -> list[str]:
    """Return the snapshots that hold a person as a user or by an act."""
    return [entry.snapshot_id for entry in list_catalogues(paths) if _names(paths, entry.snapshot_id, user_id)]


def erase_from_catalogue(paths: Paths, needles: Needles) -> dict[str, Any]:
    """Make a snapshot without a person the current one.

    Returns:
        ``users interactions`` taken out of the current snapshot; nothing when they are not in it.
    """
    if not list_catalogues(paths):
        return {}
    catalogue = load_catalogue(paths)
    cleared = without_person(catalogue, needles)
    if cleared.snapshot_id == catalogue.snapshot_id:
        return {}
    save_catalogue(cleared, paths)
    return {
        "users": len(catalogue.users) - len(cleared.users),
        "interactions": len(catalogue.interactions) - len(cleared.interactions),
        "snapshots": 1,
    }


def without_person(catalogue: Catalogue, needles: Needles) -> Catalogue:
    """Return the catalogue without a person.

    Rows refused at the import that name them go too; where they are all that names them, the snapshot keeps its name
    and its files, and the proof says so until the next import.
    """
    refused = catalogue.quarantine
    named = [
        needles.is_in(f"{key}\n{value}")
        for key, value in zip(refused[Quarantine.KEY].astype(str), refused[Quarantine.VALUE].astype(str), strict=True)
    ]
    return build_catalogue(
        catalogue.films,
        catalogue.users[catalogue.users[User.ID] != needles.user_id].reset_index(drop=True),
        catalogue.interactions[catalogue.interactions[Interaction.USER] != needles.user_id].reset_index(drop=True),
        refused[~np.array(named, dtype=bool)].reset_index(drop=True),
        catalogue.provenance,
        {name: value for name, value in catalogue.manifest.items() if name not in {_COUNTS, "confirmed_at"}},
    )


def rebuild_index(
    settings: Settings, needles: Needles, *, progress: Progress | None = None, clock: Clock | None = None
) -> dict[str, Any]:
    """Build a version on the current snapshot when the one that is served was computed with the person.

    The weights are fitted anew where they had been fitted; those an operator chose stay.
    """
    paths = Paths(settings.home)
    current = current_version(paths)
    if current is None or current not in versions_of(paths, _stale(paths, needles)):
        return {}
    extra = read_manifest(folder_of(paths, current)).extra
    configuration = Configuration.from_dict(extra)
    options = BuildOptions(only=tuple(extra["blocks"]), configuration=None if configuration.evidence else configuration)
    made = build_index(settings, load_catalogue(paths), options=options, progress=progress, clock=clock)
    return {"versions": 1, "films": made.rows}


def remove_computed(paths: Paths, needles: Needles, clock: Clock) -> dict[str, Any]:
    """Remove every snapshot with a person, and every version computed from one."""
    snapshots = _stale(paths, needles)
    versions = versions_of(paths, snapshots)
    current = next((entry.snapshot_id for entry in list_catalogues(paths) if entry.current), None)
    snapshots = [name for name in snapshots if name != current]
    # Noted first: a replay that needs them says "erased", also after a crash in the middle.
    note_erased(paths, [*versions, *snapshots], clock.now())
    remove_versions(paths, versions)
    remove_snapshots(paths, snapshots)
    return {"versions": len(versions), "snapshots": len(snapshots)} if versions or snapshots else {}


def _stale(paths: Paths, needles: Needles) -> list[str]:
    noted = {name for name in erased_parts(paths) if name.startswith("c")}
    return sorted({*snapshots_naming(paths, needles.user_id), *noted})


def _names(paths: Paths, snapshot_id: str, user_id: str) -> bool:
    for table, column in _NAMING:
        path = paths.catalogue / snapshot_id / f"{table}.parquet"
        try:
            with pq.ParquetFile(path) as file:
                values = file.read([column], use_threads=False)[column]
        except (OSError, pa.ArrowException) as error:
            raise IntegrityError(f"{path} can't be read: {error}", hint="remove the snapshot, or restore it") from error
        if pc.any(pc.equal(values, user_id)).as_py():
            return True
    return False
