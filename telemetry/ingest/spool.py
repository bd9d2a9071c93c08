"""The spool folder: whoever has no Kafka puts files there; each is taken in once and moved away."""

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from telemetry.ingest.ingestor import Ingestor, OnMessage
from telemetry.ingest.report import IngestReport
from telemetry.ingest.sources import format_of
from workspace.errors import InputError
from workspace.files import fsync_folder
from workspace.paths import Paths

DONE: Final = "done"
REFUSED: Final = "refused"
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolReport:
    """What became of the files.

    Args:
        report: The account of all rows.
        done: Names of the files taken in.
        refused: Why a file as a whole was refused, by its name.
    """

    report: IngestReport
    done: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the account as plain data."""
        return {**self.report.to_dict(), "done": self.done, "refused": self.refused}


def take_spool(ingestor: Ingestor, paths: Paths, on_domain_event: OnMessage) -> SpoolReport:
    """Take in every file of the spool, in the order of their names.

    A file is moved to ``done`` after its last transaction: killed in between, the next run finds it complete and only
    moves it. A file that can't be read at all is moved to ``refused`` and holds up nobody. Files are to be put into
    the spool by a rename; names that begin with a dot are left alone.

    Args:
        ingestor: Takes the rows.
        paths: The workspace.
        on_domain_event: Takes film and user events, at least once each.

    Returns:
        The account.
    """
    out = SpoolReport(report=IngestReport(source=str(paths.spool)))
    for path in sorted(paths.spool.iterdir()):
        if not path.is_file() or path.name.startswith(".") or format_of(path) is None:
            continue
        try:
            out.report.add(ingestor.ingest_path(path, on_domain_event=on_domain_event))
        except InputError as error:
            _LOG.warning("a file of the spool was refused", extra={"file": path.name, "reason": str(error)})
            out.refused[path.name] = str(error)
            _move(path, paths.spool / REFUSED)
        else:
            out.done.append(path.name)
            _move(path, paths.spool / DONE)
    return out


def _move(path: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    target = folder / path.name
    number = 1
    while True:
        try:
            # A link fails where a rename would overwrite a namesake.
            os.link(path, target)
            break
        except FileExistsError:
            if path.samefile(target):
                break
            number += 1
            target = folder / f"{path.stem}.{number}{path.suffix}"
    fsync_folder(folder)
    path.unlink()
    fsync_folder(path.parent)
