"""The gate at every import: what is held stays out, or stays what it was, and is in the queue; nothing is dropped.

A workspace's first import has no admitted catalogue to be held against. Its films are judged against one another, and
the oddest are queued *for review* while they are served. The same holds for a catalogue that shares fewer than half
of its films with the one before: another source has no norm here yet. From then on new and changed films above the
threshold are *held*: a new film stays out with its interactions, a changed one keeps its last admitted content.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from audit.manipulation.edits import studio_of
from audit.manipulation.gate import RATE, Gate, Judgement, out_of_bounds
from audit.manipulation.norms import LEAST_FILMS
from audit.manipulation.queue import HELD, KEPT, RELEASED, Case, Review, ReviewQueue
from dashboard.versions import ledger_of
from recommender.building import BuildOptions, build_index
from recommender.catalogue import (
    Catalogue,
    QuarantineLog,
    build_catalogue,
    film_hashes,
    list_catalogues,
    load_catalogue,
    save_catalogue,
)
from recommender.configuration import Configuration
from recommender.index import current_version, open_version
from recommender.providers.reconcile import film_frame
from workspace.clock import Clock, SystemClock
from workspace.columns import Film, Interaction, Provenance, Quarantine, User
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

Hashes = npt.NDArray[np.str_]

SOURCE: Final = "admission"
HELD_NEW: Final = "film held for review"
HELD_EDIT: Final = "edit held for review, the last admitted content stands"
FIRST: Final = "first import"
IMPORT: Final = "import"
SCAN: Final = "scan"
NORM_SHARE: Final = 0.5
_NUMBERS: Final = (Film.RUNTIME_MIN, Film.MINIMUM_AGE, Film.POPULARITY, Film.VOTE_AVERAGE, Film.VOTE_COUNT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A catalogue that passed the gate, and the account of what did not.

    Args:
        catalogue: What may be served.
        judged: New and changed films that were scored.
        withheld: Why each film was kept out, or kept as it was.
        reviews: Rows added to the queue.
        note: Why nothing was judged, if nothing was.
    """

    catalogue: Catalogue
    judged: int = 0
    withheld: Mapping[str, str] = field(default_factory=dict)
    reviews: tuple[Review, ...] = ()
    note: str = ""


def admit(
    settings: Settings, catalogue: Catalogue, *, previous: Catalogue | None, clock: Clock | None = None, actor: str
) -> Admitted:
    """Judge what is new in a catalogue, and take out what is held.

    Args:
        settings: The workspace.
        catalogue: What an import made.
        previous: The catalogue that was admitted last; None at the first import.
        clock: What tells the time.
        actor: Who imports, for the ledger.

    Returns:
        The catalogue to store: films in = films out + new films withheld.
    """
    films, hashes = catalogue.films, film_hashes(catalogue.films)
    refused = {film[Film.ID]: reason for film in films.to_dict("records") if (reason := out_of_bounds(film))}
    norm = _norm(films, hashes, previous)
    fresh = _fresh(films, hashes, norm)
    store = Store.open(settings)
    try:
        queue = ReviewQueue(store, Ledger(store, clock), clock)
        standing = queue.standing()
        states = [standing.get((film, told)) for film, told in zip(films[Film.ID], hashes, strict=True)]
        withheld = {film: HELD_NEW for film, state in zip(films[Film.ID], states, strict=True) if state in (HELD, KEPT)}
        asked = np.array([row for row in fresh if states[row] is None and films[Film.ID].iloc[row] not in refused],
                         np.int64)  # fmt: skip
        found, note = _judge(settings, films, norm, asked, catalogue, refused)
        odd = [one for one in found if one.held]
        cases = [_case(one, catalogue, norm, hashes, withheld=norm is not None) for one in odd]
        reviews = queue.hold(cases, actor)
        if norm is not None:
            withheld |= {one.film_id: HELD_NEW for one in odd}
        withheld |= refused
        if refused:
            told = {"refused": dict(list(refused.items())[:100])}
            Ledger(store, clock).append(actor, "film.refuse", catalogue.snapshot_id, told)
    finally:
        store.close()
    served = withhold(catalogue, withheld, previous) if withheld else catalogue
    facts = {"judged": len(asked), "held": sum(one.state == HELD for one in reviews), "withheld": len(withheld),
             "review": sum(one.state != HELD for one in reviews), "rate": RATE, "films_in": len(films),
             "films_out": len(served.films), "note": note}  # fmt: skip
    served = replace(served, manifest={**served.manifest, SOURCE: facts})
    return Admitted(catalogue=served, judged=len(asked), withheld=withheld, reviews=tuple(reviews), note=note)


def _norm(films: pd.DataFrame, hashes: Hashes, previous: Catalogue | None) -> pd.DataFrame | None:
    """Return the admitted films to be held against, or None where there is no norm yet."""
    if previous is None or len(previous.films) < LEAST_FILMS:
        return None
    known = set(zip(previous.films[Film.ID], film_hashes(previous.films), strict=True))
    same = sum(pair in known for pair in zip(films[Film.ID], hashes, strict=True))
    return previous.films if same >= NORM_SHARE * len(films) else None


def _fresh(films: pd.DataFrame, hashes: Hashes, norm: pd.DataFrame | None) -> list[int]:
    if norm is None:
        return list(range(len(films)))
    known = set(zip(norm[Film.ID], film_hashes(norm), strict=True))
    return [row for row, pair in enumerate(zip(films[Film.ID], hashes, strict=True)) if pair not in known]


def _judge(
    settings: Settings,
    films: pd.DataFrame,
    norm: pd.DataFrame | None,
    asked: npt.NDArray[np.int64],
    catalogue: Catalogue,
    refused: Mapping[str, str],
) -> tuple[list[Judgement], str]:
    basis = films[~films[Film.ID].isin(refused)] if norm is None else norm
    if not len(asked):
        return [], "nothing is new"
    if len(basis) < LEAST_FILMS:
        return [], f"not estimable: {len(basis)} films, fewer than {LEAST_FILMS}"
    gate = Gate(basis, weights=served_weights(settings), markets=markets_of(catalogue.users))
    return gate.judge(films.iloc[asked].reset_index(drop=True)), ""


def served_weights(settings: Settings) -> Mapping[str, float] | None:
    """Return the block weights of the current index version; None without one."""
    paths = Paths(settings.home)
    version = current_version(paths)
    return None if version is None else Configuration.from_dict(open_version(paths, version).manifest.extra).weights


def markets_of(users: pd.DataFrame) -> dict[str, list[str]]:
    """Return the regions of each market."""
    pairs = sorted(set(zip(users[User.MARKET], users[User.REGION], strict=True)))
    return {market: [region for name, region in pairs if name == market] for market in sorted({m for m, _ in pairs})}


def _case(one: Judgement, catalogue: Catalogue, norm: pd.DataFrame | None, hashes: Hashes, *, withheld: bool) -> Case:
    row = catalogue.film_row(one.film_id)
    film = catalogue.films.iloc[row].to_dict()
    earlier = None if norm is None else norm[norm[Film.ID] == one.film_id]
    before = None if earlier is None or earlier.empty else to_json(earlier.iloc[0].to_dict())
    return Case(
        film_id=one.film_id, content_hash=str(hashes[row]), snapshot_id=catalogue.snapshot_id, studio=studio_of(film),
        title=film[Film.TITLE], source=IMPORT if withheld else FIRST, score=one.score, reasons=_finite(one.to_dict()),
        film=to_json(film), before=before, withheld=withheld,
    )  # fmt: skip


def _finite(plain: dict[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(plain, default=str), parse_constant=lambda _: None)  # type: ignore[no-any-return]


def withhold(catalogue: Catalogue, withheld: Mapping[str, str], previous: Catalogue | None) -> Catalogue:
    """Return a catalogue without some content: a film the previous one knows stays what it was, others are left out.

    Every film and every interaction taken out is a row of the quarantine.

    Args:
        catalogue: What was imported.
        withheld: Reason by film id.
        previous: The last admitted catalogue.
    """
    log = QuarantineLog()
    earlier = _rows_of(previous, withheld)
    out = catalogue.films[Film.ID].isin(withheld)
    for row, film in catalogue.films.loc[out, Film.ID].items():
        if film in set(earlier[Film.ID]):
            reason = HELD_EDIT if withheld[film] == HELD_NEW else withheld[film]
            log.repair(SOURCE, int(str(row)) + 1, film, "content", reason)
        else:
            log.refuse(SOURCE, int(str(row)) + 1, film, withheld[film])
    films = pd.concat([catalogue.films[~out], earlier], ignore_index=True)
    known = set(films[Film.ID])
    lost = ~catalogue.interactions[Interaction.FILM].isin(known)
    gone = catalogue.interactions[lost]
    for row, user, film in zip(gone.index, gone[Interaction.USER], gone[Interaction.FILM], strict=True):
        log.refuse(SOURCE, int(row) + 1, f"{user}/{film}", HELD_NEW)
    rest = catalogue.quarantine[catalogue.quarantine[Quarantine.SOURCE] != SOURCE]
    manifest = _accounted(catalogue.manifest, int(out.sum()) - len(earlier), len(gone))
    return build_catalogue(
        films, catalogue.users, catalogue.interactions[~lost], pd.concat([rest, log.frame()], ignore_index=True),
        catalogue.provenance[catalogue.provenance[Provenance.FILM].isin(known)], manifest,
    )  # fmt: skip


def _rows_of(previous: Catalogue | None, withheld: Mapping[str, str]) -> pd.DataFrame:
    if previous is None:
        return film_frame([])
    return previous.films[previous.films[Film.ID].isin(withheld)]


def _accounted(manifest: Mapping[str, Any], films: int, interactions: int) -> dict[str, Any]:
    """Return the manifest with what was taken out moved from loaded to set aside in the account of the files."""
    moved = {"movies.csv": films, "ratings.csv": interactions}
    files = []
    for one in manifest.get("files", ()):
        count = moved.get(one["name"], 0)
        aside = {**one["set_aside"], HELD_NEW: count} if count else one["set_aside"]
        files.append({**one, "loaded": one["loaded"] - count, "set_aside": aside})
    return {**manifest, "files": files} if files else dict(manifest)


def to_json(film: Mapping[str, Any]) -> str:
    """Return a film's row as JSON; moments in ISO 8601, what is unknown as null."""

    def cell(name: str) -> Any:  # noqa: ANN401 - whatever a cell holds
        value = film[name]
        if isinstance(value, list | str):
            return value
        if pd.isna(value):
            return None
        return value.isoformat() if name in (Film.RELEASE_DATE, Film.UPDATED_AT) else float(value)

    return json.dumps({name: cell(name) for name in Film.ALL})


def from_json(told: str) -> dict[str, Any]:
    """Return the row `to_json` wrote."""
    film: dict[str, Any] = json.loads(told)
    for name in (Film.RELEASE_DATE, Film.UPDATED_AT):
        film[name] = None if film[name] is None else pd.Timestamp(film[name])
    return film | {name: np.nan if film[name] is None else film[name] for name in _NUMBERS}


def decide(
    settings: Settings, review_id: str, *, release: bool, reason: str, clock: Clock | None = None, actor: str
) -> dict[str, Any]:
    """Release a film or keep it out, and bring catalogue and index to that at once.

    Args:
        settings: The workspace.
        review_id: Which row of the queue.
        release: Whether its content comes in.
        reason: Why, for the ledger.
        clock: What tells the time.
        actor: Who decides.

    Returns:
        The row, with ``snapshot_id`` and ``index_version`` that are served now.

    Raises:
        UnknownError: When there is no such row.
        StateError: When it was decided already, or an import is at work.
        InvalidValueError: When there is no reason.
    """
    from dashboard.imports import import_lock

    paths = Paths(settings.home)
    with import_lock(paths):
        store = Store.open(settings)
        try:
            queue = ReviewQueue(store, Ledger(store, clock), clock)
            queue.get(review_id)
            review = (queue.release if release else queue.keep)(review_id, reason, actor)
        finally:
            store.close()
        catalogue = _brought(settings, review, clock, actor)
    return {**review.to_dict(), "now": catalogue, "index_version": current_version(paths)}


def _brought(settings: Settings, review: Review, clock: Clock | None, actor: str) -> str:
    """Store the catalogue that a decision makes of the current one, and add it to the index."""
    paths = Paths(settings.home)
    current = load_catalogue(paths)
    rows = {film: row for row, film in enumerate(current.films[Film.ID])}
    stands = str(film_hashes(current.films.iloc[[rows[review.film_id]]])[0]) if review.film_id in rows else ""
    if review.state == RELEASED:
        if stands == review.content_hash:
            return current.snapshot_id
        others = current.films[current.films[Film.ID] != review.film_id]
        films = pd.concat([others, film_frame([from_json(review.film)])], ignore_index=True)
        rest = current.quarantine[
            (current.quarantine[Quarantine.SOURCE] != SOURCE) | (current.quarantine[Quarantine.KEY] != review.film_id)
        ]
        changed = build_catalogue(
            films, current.users, current.interactions, rest, current.provenance, current.manifest
        )
    else:
        if stands != review.content_hash:
            return current.snapshot_id
        changed = withhold(current, {review.film_id: HELD_NEW}, _before(current, review))
    save_catalogue(changed, paths)
    with ledger_of(settings) as ledger:
        ledger.append(actor, "catalogue.admission", changed.snapshot_id, {"review": review.review_id,
                      "film_id": review.film_id, "films": len(changed.films)})  # fmt: skip
    if current_version(paths) is not None:
        build_index(settings, changed, options=BuildOptions(strategy="incremental"), clock=clock or SystemClock())
    return changed.snapshot_id


def _before(current: Catalogue, review: Review) -> Catalogue | None:
    return None if review.before is None else replace(current, films=film_frame([from_json(review.before)]))


def last_admitted(paths: Paths) -> Catalogue | None:
    """Return the current catalogue; None before the first import."""
    return load_catalogue(paths) if any(entry.current for entry in list_catalogues(paths)) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What a look at the whole current catalogue found.

    Args:
        snapshot_id: The catalogue.
        judged: Films looked at.
        rate: Share of clean films that stand out at most.
        threshold: Score that goes with it; infinite when there are too few films to promise the rate.
        odd: Films above it, the highest score first.
        reviews: Rows added to the queue.
    """

    snapshot_id: str
    judged: int
    rate: float
    threshold: float
    odd: tuple[Judgement, ...]
    reviews: tuple[Review, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {"snapshot_id": self.snapshot_id, "judged": self.judged, "rate": self.rate, "threshold": self.threshold,
                "odd": [one.to_dict() for one in self.odd], "queued": len(self.reviews)}  # fmt: skip


def scan(settings: Settings, *, rate: float = RATE, enqueue: bool, clock: Clock | None = None, actor: str) -> Scan:
    """Judge the whole current catalogue against itself, and queue for review what stands out, if wanted.

    Raises:
        StateError: When nothing was imported yet.
        NotEstimableError: With fewer than 50 films.
    """
    catalogue = load_catalogue(Paths(settings.home))
    gate = Gate(catalogue.films, rate=rate, weights=served_weights(settings), markets=markets_of(catalogue.users))
    odd = sorted((one for one in gate.judge(catalogue.films) if one.held), key=lambda one: -one.score)
    reviews: list[Review] = []
    if enqueue and odd:
        hashes = film_hashes(catalogue.films)
        cases = [replace(_case(one, catalogue, None, hashes, withheld=False), source=SCAN) for one in odd]
        store = Store.open(settings)
        try:
            reviews = ReviewQueue(store, Ledger(store, clock), clock).hold(cases, actor)
        finally:
            store.close()
    return Scan(snapshot_id=catalogue.snapshot_id, judged=len(catalogue.films), rate=rate, threshold=gate.threshold,
                odd=tuple(odd), reviews=tuple(reviews))  # fmt: skip
