"""What *Catalogue* shows: how fresh it is, who served it, what was refused, and the versions built on it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import streamlit as st

from recommender.catalogue import Catalogue, SnapshotEntry, list_catalogues, load_catalogue
from recommender.index import Manifest, broken_versions, current_version, list_versions, verify
from recommender.providers.reconcile import STALE_AFTER
from workspace.columns import Quarantine
from workspace.errors import RecommendrError
from workspace.paths import Paths
from workspace.settings import load_settings

_TTL: Final = dt.timedelta(minutes=1)
_MEGABYTE: Final = 1e6
_SHOWN_ROWS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLine:
    """How one provider did at the last import."""

    name: str
    state: str
    ok: bool
    updated: str
    films: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionLine:
    """One index version."""

    version: str
    current: bool
    created: str
    films: int
    megabytes: float
    blocks: tuple[str, ...]
    snapshot_id: str
    strategy: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueView:
    """The catalogue as its page shows it.

    Args:
        age_hours: Since the last import that confirmed it; None when unknown.
        refused: Quarantine counts by source and reason.
        index_problem: Why the current index can't be served, if it can't.
    """

    snapshot_id: str
    counts: tuple[tuple[str, int], ...]
    confirmed: str
    age_hours: float | None
    fresh: bool
    limit_hours: float
    providers: tuple[ProviderLine, ...]
    serving: tuple[str, ...]
    refused: tuple[tuple[str, str, int], ...]
    snapshots: tuple[SnapshotEntry, ...]
    versions: tuple[VersionLine, ...]
    broken: tuple[tuple[str, str], ...]
    index_problem: RecommendrError | None


def catalogue() -> CatalogueView:
    """Return the state of the catalogue and of the index, also when the index is damaged.

    Raises:
        StateError: When nothing was imported yet.
        IntegrityError: When the current snapshot is damaged.
    """
    paths = Paths(load_settings().home)
    stored = _stored(str(paths.home), _pointer(paths))
    current, problem = _current_index(paths)
    moment = stored.manifest.get("confirmed_at") or stored.manifest.get("imported_at")
    age = _age(moment)
    providers = tuple(_provider(one) for one in stored.manifest.get("providers", ()))
    return CatalogueView(
        snapshot_id=stored.snapshot_id,
        counts=(
            ("Films", len(stored.films)), ("Users", len(stored.users)), ("Interactions", len(stored.interactions)),
            ("Quarantined", len(stored.quarantine)),
        ),
        confirmed=_day_and_time(moment),
        age_hours=None if age is None else age / dt.timedelta(hours=1),
        fresh=age is not None and age <= STALE_AFTER,
        limit_hours=STALE_AFTER / dt.timedelta(hours=1),
        providers=providers,
        serving=tuple(one.name for one in providers if one.state.startswith("serves")),
        refused=_refused(stored.quarantine),
        snapshots=tuple(list_catalogues(paths)),
        versions=tuple(_version(one, current) for one in reversed(list_versions(paths))),
        broken=tuple(broken_versions(paths).items()),
        index_problem=problem,
    )  # fmt: skip


def _pointer(paths: Paths) -> str:
    return next((entry.snapshot_id for entry in list_catalogues(paths) if entry.current), "")


@st.cache_resource(ttl=_TTL, max_entries=2, show_spinner="Reading the catalogue…")
def _stored(home: str, snapshot_id: str) -> Catalogue:
    from pathlib import Path

    return load_catalogue(Paths(Path(home)), snapshot_id or None)


def _current_index(paths: Paths) -> tuple[str | None, RecommendrError | None]:
    try:
        return current_version(paths), None
    except RecommendrError as error:
        return None, error


def _age(moment: object) -> dt.timedelta | None:
    try:
        return dt.datetime.now(dt.UTC) - dt.datetime.fromisoformat(str(moment))
    except (TypeError, ValueError):
        return None


def _day_and_time(moment: object) -> str:
    try:
        return f"{dt.datetime.fromisoformat(str(moment)).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return "unknown"


def _provider(one: Mapping[str, Any]) -> ProviderLine:
    ok, served = bool(one.get("ok")), bool(one.get("served", one.get("ok")))
    state = "serves" if ok and served else "serves though stale" if served else "down" if not ok else "stands by"
    films = one.get("films")
    return ProviderLine(
        name=str(one["provider"]), state=state, ok=ok, updated=_day_and_time(one.get("updated_at")),
        films="" if films is None else f"{films:,}", reason=str(one.get("reason", "")),
    )  # fmt: skip


def _refused(rows: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    counted = rows.groupby([Quarantine.SOURCE, Quarantine.REASON], observed=True).size().sort_values(ascending=False)
    return tuple((str(source), str(reason), int(number)) for (source, reason), number in counted.items())


def _version(one: Manifest, current: str | None) -> VersionLine:
    extra = one.extra
    evidence = extra.get("evidence") or {}
    return VersionLine(
        version=one.version, current=one.version == current, created=_day_and_time(one.created_at), films=one.rows,
        megabytes=sum(file.bytes for file in one.files.values()) / _MEGABYTE, blocks=tuple(one.blocks),
        snapshot_id=str(extra.get("snapshot_id", "")), strategy=str(extra.get("strategy", "")),
        evidence=_told(evidence),
    )  # fmt: skip


def _told(evidence: Mapping[str, Any]) -> str:
    said = {name.replace("_", " "): value for name, value in evidence.items() if not isinstance(value, dict | list)}
    return "; ".join(
        f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}" for name, value in said.items()
    )


def quarantine(sources: Sequence[str], reasons: Sequence[str]) -> tuple[pd.DataFrame, int]:
    """Return the first thousand quarantined rows of some sources and reasons, none meaning all, and how many in all."""
    found = _filtered(sources, reasons)
    return found.head(_SHOWN_ROWS), len(found)


def quarantine_csv(sources: Sequence[str], reasons: Sequence[str]) -> bytes:
    """Return all of them as CSV that no spreadsheet takes for formulas."""
    found = _filtered(sources, reasons)
    texts = found.select_dtypes(include=["object", "string"]).columns
    # A cell that begins like a formula is run by spreadsheets: an apostrophe makes it text.
    safe = found.assign(
        **{name: found[name].astype(str).str.replace(r"^(?=[=+\-@\t\r])", "'", regex=True) for name in texts}
    )
    return str(safe.to_csv(index=False)).encode()


def _filtered(sources: Sequence[str], reasons: Sequence[str]) -> pd.DataFrame:
    paths = Paths(load_settings().home)
    rows = _stored(str(paths.home), _pointer(paths)).quarantine
    if sources:
        rows = rows[rows[Quarantine.SOURCE].isin(list(sources))]
    return rows[rows[Quarantine.REASON].isin(list(reasons))] if reasons else rows


def verify_version(version: str) -> list[str]:
    """Compare every file of a version with its hash; say what is wrong."""
    return [str(problem) for problem in verify(Paths(load_settings().home), version)]
