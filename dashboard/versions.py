"""Index versions as the console and the command line show and switch them; every switch is a ledger row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from recommender import index
from recommender.activation import activate, roll_back
from recommender.index import Manifest
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

FULL = "full"
INCREMENTAL = "incremental"


def version_facts(manifest: Manifest) -> dict[str, Any]:
    """Return what a list of versions says of one.

    Returns:
        ``version built_at strategy base snapshot_id films blocks encoder bytes``.
    """
    return {
        "version": manifest.version,
        "built_at": manifest.created_at,
        "strategy": FULL if manifest.delta is None else INCREMENTAL,
        "base": None if manifest.delta is None else manifest.delta.base,
        "snapshot_id": manifest.extra.get("snapshot_id"),
        "films": manifest.rows,
        "dimensions": manifest.dim,
        "blocks": list(manifest.blocks),
        "bytes": sum(file.bytes for file in manifest.files.values()),
        "needs_full": manifest.needs_full,
    }


def all_versions(settings: Settings) -> dict[str, Any]:
    """Return the current version, the one before it, all versions (newest first) and those that can't be read."""
    paths = Paths(settings.home)
    manifests = reversed(index.list_versions(paths))
    return {
        "current": index.current_version(paths),
        "previous": index.previous_version(paths),
        "versions": [version_facts(manifest) for manifest in manifests],
        "broken": index.broken_versions(paths),
    }


def switch_index(settings: Settings, version: str, *, actor: str) -> dict[str, Any]:
    """Make a version the current one.

    Args:
        settings: The workspace.
        version: Its id.
        actor: Who does it, for the ledger.

    Returns:
        ``current previous``.

    Raises:
        UnknownError: When there is no such version.
        IntegrityError: When it is damaged; the current one stays.
    """
    with ledger_of(settings) as ledger:
        before = activate(Paths(settings.home), ledger, version, actor=actor)
    return {"current": version, "previous": before}


def rollback_index(settings: Settings, *, actor: str) -> dict[str, Any]:
    """Go back to the version that was current before.

    Returns:
        ``current previous``.

    Raises:
        StateError: When there was none before.
        IntegrityError: When it is damaged; the current one stays.
    """
    with ledger_of(settings) as ledger:
        now, before = roll_back(Paths(settings.home), ledger, actor=actor)
    return {"current": now, "previous": before}


def verify_index(settings: Settings, version: str | None = None) -> dict[str, Any]:
    """Compare the files of one version, or of all, with their hashes.

    Returns:
        ``ok current versions: [{version ok problems}]``.

    Raises:
        StateError: When there is no version at all.
        UnknownError: When there is no such version.
    """
    paths = Paths(settings.home)
    names = [version] if version is not None else _names(paths)
    verdicts = []
    for name in names:
        problems = [str(problem) for problem in index.verify(paths, name)]
        verdicts.append({"version": name, "ok": not problems, "problems": problems})
    return {
        "ok": all(verdict["ok"] for verdict in verdicts),
        "current": index.current_version(paths),
        "versions": verdicts,
    }


@contextmanager
def ledger_of(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger of a workspace."""
    store = Store.open(settings)
    try:
        yield Ledger(store)
    finally:
        store.close()


def _names(paths: Paths) -> list[str]:
    names = [*index.broken_versions(paths), *(manifest.version for manifest in index.list_versions(paths))]
    # Nothing to verify is no clean bill of health: the index itself says what to do.
    return names or [index.open_version(paths, None).version]
