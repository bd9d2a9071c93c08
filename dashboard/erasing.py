"""Erasure as the console and the command line run it: with what `audit` can't reach, and the figures of monitoring.

Also who may be imported: `without_erased` takes out of an import whoever was erased.
"""

import json
from collections.abc import Mapping
from typing import Any

import pandas as pd
from sqlalchemy import select

from audit.erasure import Erased, Ground, Requests, Step, SubjectRequest, Subjects, erase, erased_since
from audit.erasure.erasing import Progress
from audit.export import export_user
from monitoring.benchmark import ScoreRow
from recommender.catalogue import Catalogue, build_catalogue
from workspace.clock import Clock, SystemClock
from workspace.columns import Interaction, Quarantine, User
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

_SCORES = "benchmark"


def erase_user(
    settings: Settings,
    user_id: str,
    *,
    reason: str = "",
    progress: Progress | None = None,
    clock: Clock | None = None,
    actor: str,
) -> Erased:
    """Erase a person from everything the workspace keeps.

    Args:
        settings: The workspace.
        user_id: The raw id.
        reason: Why, for the request.
        progress: Told the step, what is done and the total.
        clock: What tells the time.
        actor: Who does it, for the ledger.

    Raises:
        UnknownError: When nothing is known of them.
        InvalidValueError: For a blank id, or a reason that names them.
        StateError: When another erasure or build runs.
    """
    store = Store.open(settings)
    try:
        ground = Ground.open(settings, store, clock, progress)
        scores = Step(name="benchmark scores", work=lambda: _erase_scores(ground, user_id))
        return erase(ground, user_id, reason=reason, actor=actor, further=[scores])
    finally:
        store.close()


def _erase_scores(ground: Ground, user_id: str) -> dict[str, int]:
    """Remove the kept benchmark scores that list the person: the figures are of versions that go."""
    removed = 0
    for path in sorted((ground.paths.monitoring / _SCORES).glob("*.json")):
        try:
            listed = user_id in json.loads(path.read_bytes())["users"]
        except (ValueError, KeyError, TypeError):
            listed = True  # a damaged one can't be shown to be about others
        if listed:
            # The row first: a file nobody names is harmless, a row without a file is an error.
            with ground.store.session() as session:
                for row in session.scalars(select(ScoreRow).where(ScoreRow.per_user == path.name)):
                    session.delete(row)
            path.unlink(missing_ok=True)
            removed += 1
    return {"files": removed} if removed else {}


def requests_of(settings: Settings, limit: int = 100) -> list[SubjectRequest]:
    """Return the requests of people, newest first."""
    store = Store.open(settings)
    try:
        return Requests(store, SystemClock()).all(limit)
    finally:
        store.close()


def without_erased(settings: Settings, catalogue: Catalogue) -> tuple[Catalogue, int]:
    """Return an import without the people who were erased, and how many those are.

    A row refused at the import goes too when its key is the id of one of them.
    """
    if not Paths(settings.home).database.exists() and settings.database_url is None:
        return catalogue, 0
    keys = catalogue.quarantine[Quarantine.KEY].dropna().astype(str)
    ids = pd.unique(pd.concat([catalogue.users[User.ID], keys[keys.str.strip() != ""]], ignore_index=True)).tolist()
    store = Store.open(settings)
    try:
        erased = erased_since(store, Subjects.open(settings), ids)
    finally:
        store.close()
    if not erased:
        return catalogue, 0
    kept = build_catalogue(
        catalogue.films,
        _without(catalogue.users, User.ID, erased),
        _without(catalogue.interactions, Interaction.USER, erased),
        _without(catalogue.quarantine, Quarantine.KEY, erased),
        catalogue.provenance,
        {name: value for name, value in catalogue.manifest.items() if name != "counts"},
    )
    return kept, len(catalogue.users) - len(kept.users)


def _without(frame: pd.DataFrame, column: str, erased: Mapping[str, Any]) -> pd.DataFrame:
    return frame[~frame[column].isin(list(erased))].reset_index(drop=True)


def export_of(settings: Settings, user_id: str, *, actor: str) -> dict[str, Any]:
    """Return everything that is kept of a person, and enter the request.

    Raises:
        UnknownError: When nothing is known of them.
        ErasedError: When they were erased.
    """
    store = Store.open(settings)
    try:
        return export_user(Ground.open(settings, store), user_id, actor=actor)
    finally:
        store.close()
