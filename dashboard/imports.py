"""Imports into the catalogue as the console and the command line run them: one at a time, each a ledger row."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from dashboard.admission import SOURCE, Admitted, admit, last_admitted
from dashboard.erasing import without_erased
from dashboard.versions import ledger_of
from recommender.catalogue import Catalogue, save_catalogue
from recommender.movielens import ImportReport, import_movielens
from workspace.clock import Clock, SystemClock
from workspace.files import file_lock
from workspace.paths import Paths
from workspace.settings import Settings

Progress = Callable[[str, int, int], None]

_LOCK: Final = ".import.lock"


def import_movielens_folder(
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
        ``snapshot_id films users interactions quarantined reasons admission balanced files``: the account of every
        row; what the gate holds is set aside.

    Raises:
        SchemaError: When the folder or a file is not what it must be; the last catalogue stays.
        StateError: When another process is at it.
    """
    paths = Paths(settings.home).ensure()
    with import_lock(paths):
        catalogue = import_movielens(folder, clock=clock or SystemClock(), progress=progress)
        catalogue, _ = without_erased(settings, catalogue)
        admitted = publish(settings, catalogue, previous=last_admitted(paths), clock=clock, actor=actor)
        catalogue = admitted.catalogue
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
        "admission": catalogue.manifest[SOURCE],
        **report.to_dict(),
    }


def publish(
    settings: Settings, catalogue: Catalogue, *, previous: Catalogue | None, clock: Clock | None = None, actor: str
) -> Admitted:
    """Lead a catalogue through the admission gate, store what passed as the current one, and record it.

    Args:
        settings: The workspace.
        catalogue: What an import made.
        previous: The catalogue admitted before; None at the first import.
        clock: What tells the time.
        actor: Who does it, for the ledger.
    """
    admitted = admit(settings, catalogue, previous=previous, clock=clock, actor=actor)
    save_catalogue(admitted.catalogue, Paths(settings.home))
    record_import(settings, admitted.catalogue, actor=actor)
    return admitted


@contextmanager
def import_lock(paths: Paths) -> Iterator[None]:
    """Keep two imports into one workspace from running at a time.

    Raises:
        StateError: When another one runs.
    """
    with file_lock(paths.home / _LOCK, blocking=False):
        yield


def record_import(settings: Settings, catalogue: Catalogue, *, actor: str) -> None:
    """Write an import into the ledger."""
    facts = {"source": str(catalogue.manifest.get("source", "")), **catalogue.manifest["counts"]}
    with ledger_of(settings) as ledger:
        ledger.append(actor, "catalogue.import", catalogue.snapshot_id, facts)
