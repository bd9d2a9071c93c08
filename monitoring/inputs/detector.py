"""The detector of input drift: films and users between snapshots, tastes between weeks, vectors between versions.

Snapshots are compared column by column (`compare`), each with the last one that was as usual; a change is dated by the
import that brought it, and over with the import that takes it back. Tastes and vectors have many dimensions at once:
they are compared by their energy distance with a permutation test, and a finding needs an effect beside the p-value.
"""

import datetime as dt
import time
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from monitoring.inputs.classifier import domain_classifier
from monitoring.inputs.comparison import ColumnDrift, compare
from monitoring.inputs.distances import LEAST_ROWS, Floats, energy
from monitoring.inputs.features import FILM_COLUMNS, USER_COLUMNS, film_features, taste_profiles, user_features
from workspace.columns import Interaction
from workspace.errors import IntegrityError

if TYPE_CHECKING:
    import pandas as pd

    from recommender.catalogue import Catalogue
    from recommender.index import IndexVersion, Manifest

NAME: Final = "drift.inputs"
ALPHA: Final = 1e-3
"""Of a comparison of snapshots: they are compared at every run."""
PERMUTATIONS: Final = 999
LEAST_AUC: Final = 0.6
"""Vectors that a classifier tells apart no better are alike for a recommender."""
LEAST_TASTE: Final = 0.02
"""Least energy distance between two weeks' tastes, of shares that sum to 1."""
MOST_SNAPSHOTS: Final = 8
MOST_VECTORS: Final = 400
MOST_USERS: Final = 400
SEED: Final = 20_251_027
WEEK: Final = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Snapshot:
    at: dt.datetime
    name: str
    films: "pd.DataFrame"
    users: "pd.DataFrame"


class InputDrift:
    """The detector ``drift.inputs``."""

    name: Final = NAME

    def look(self, ground: Ground) -> Outcome:
        """Look at the newest snapshots, weeks and index versions; see `Detector.look`."""
        began = time.perf_counter()
        catalogue = ground.catalogue()
        if catalogue is None:
            return Outcome(detector=NAME, notes=("not estimable: there is no catalogue",))
        findings: list[Finding] = []
        notes: list[str] = []
        looked = 0
        for found, said, count in (
            _between_snapshots(ground, catalogue),
            _between_weeks(ground, catalogue),
            _between_versions(ground),
        ):
            findings += found
            notes += said
            looked += count
        return Outcome(
            detector=NAME,
            findings=tuple(sorted(findings, key=lambda one: one.onset.at, reverse=True)),
            notes=tuple(notes),
            looked_at=looked,
            seconds=time.perf_counter() - began,
        )


def _between_snapshots(ground: Ground, catalogue: "Catalogue") -> tuple[list[Finding], list[str], int]:
    snapshots, notes = _snapshots(ground, catalogue)
    if len(snapshots) < 2:  # noqa: PLR2004 - one has nothing beside it
        return (
            [],
            [*notes, "films and users can't be compared: there is 1 snapshot of the catalogue, and it takes 2"],
            0,
        )
    findings = []
    least = ground.settings.k_anonymity
    for what, columns in (("films", FILM_COLUMNS), ("users", USER_COLUMNS)):
        if what == "users" and min(len(one.users) for one in snapshots) < least:
            notes.append(f"users are not compared: a snapshot has fewer than {least}")
            continue
        open_ones: dict[str, Finding] = {}
        usual = snapshots[0]
        for before, after in pairwise(snapshots):
            drifted = {
                one.column: one
                for one in compare(getattr(usual, what), getattr(after, what), columns, alpha=ALPHA).drifted
            }
            for column, one in list(open_ones.items()):
                if column not in drifted:
                    findings.append(_closed(one, after.at))
                    del open_ones[column]
            for column, change in drifted.items():
                if column not in open_ones:
                    open_ones[column] = _of_column(what, change, before, after)
            # What is usual moves on as long as nothing is wrong.
            usual = after if not open_ones else usual
        findings += open_ones.values()
    rows = sum(len(one.films) + len(one.users) for one in snapshots)
    return findings, notes, rows


def _snapshots(ground: Ground, catalogue: "Catalogue") -> tuple[list[_Snapshot], list[str]]:
    """Return the newest snapshots up to the current one, oldest first."""
    from recommender.catalogue import list_catalogues, load_catalogue

    out, notes = [], []
    entries = sorted(list_catalogues(ground.paths), key=lambda one: one.imported_at)
    names = [entry.snapshot_id for entry in entries]
    until = names.index(catalogue.snapshot_id) + 1 if catalogue.snapshot_id in names else len(names)
    for entry in entries[max(0, until - MOST_SNAPSHOTS) : until]:
        moment = _moment(entry.imported_at)
        if moment is None:
            notes.append(f"snapshot {entry.snapshot_id} does not say when it was imported, and is left out")
            continue
        try:
            one = (
                catalogue
                if entry.snapshot_id == catalogue.snapshot_id
                else load_catalogue(ground.paths, entry.snapshot_id)
            )
        except IntegrityError as error:
            notes.append(f"snapshot {entry.snapshot_id} is left out: {error.what}")
            continue
        out.append(
            _Snapshot(
                at=moment,
                name=entry.snapshot_id,
                films=film_features(one.films),
                users=user_features(one.users),
            )
        )
    return out, notes


def _of_column(what: str, one: ColumnDrift, before: _Snapshot, after: _Snapshot) -> Finding:
    effect, unit, said = _effect(one)
    return Finding(
        detector=NAME,
        metric=f"{what}.{one.column}",
        segment={},
        onset=Onset(at=after.at, low=before.at, high=after.at),
        effect=effect,
        unit=unit,
        p_value=one.p_adjusted,
        severity=Severity.WARNING,
        summary=f"{one.column} of {what} changed with the import of {after.at:%d %B %Y %H:%M} UTC: {said}.",
        evidence={"before": before.name, "after": after.name, **one.to_dict()},
    )


def _effect(one: ColumnDrift) -> tuple[Interval, str, str]:
    """Return the change that is largest for its kind, and say it."""
    if abs(one.missing_change) >= 0.02 and (one.shift is None or abs(one.shift) < 0.2):  # noqa: PLR2004 - `Least`
        said = f"{one.current.missing:.1%} have no value, before {one.reference.missing:.1%}"
        return Interval(value=one.missing_change), "share without a value", said
    if one.shift is not None and one.reference.sd is not None:
        # The standard error of a difference of means, in the same unit.
        parts = ((one.reference.sd or 0.0) ** 2 / one.reference.known, (one.current.sd or 0.0) ** 2 / one.current.known)
        margin = 1.959964 * float(np.sqrt(sum(parts))) / one.reference.sd
        said = f"the mean is {one.current.mean:.4g}, before {one.reference.mean:.4g}"
        return (
            Interval(value=one.shift, low=one.shift - margin, high=one.shift + margin),
            "standard deviations",
            said,
        )
    return Interval(value=one.psi or 0.0), "psi", f"other values than before (PSI {one.psi or 0.0:.2f})"


def _closed(one: Finding, at: dt.datetime) -> Finding:
    return replace(one, ended=at)


def _between_weeks(ground: Ground, catalogue: "Catalogue") -> tuple[list[Finding], list[str], int]:
    """Compare what users watched in the newest week of interactions with the week before."""
    acts = catalogue.interactions
    if acts.empty:
        return [], ["tastes can't be compared: there are no interactions"], 0
    end = min(acts[Interaction.TS].max().to_pydatetime() + dt.timedelta(seconds=1), ground.clock.now())
    weeks = [taste_profiles(catalogue.films, acts, end - WEEK * back, end - WEEK * (back - 1)) for back in (2, 1)]
    least = max(LEAST_ROWS, ground.settings.k_anonymity)
    for name, profiles in zip(("week before", "newest week"), weeks, strict=True):
        if len(profiles) < least:
            short = f"{len(profiles)} users" if len(profiles) >= ground.settings.k_anonymity else "too few users"
            return [], [f"tastes can't be compared: {short} watched something in the {name}, and it takes {least}"], 0
    genres = sorted(set(weeks[0].columns) | set(weeks[1].columns))
    rng = np.random.default_rng(SEED)
    before, after = (
        _drawn(one.reindex(columns=genres, fill_value=0.0).to_numpy(dtype=np.float64), MOST_USERS, rng) for one in weeks
    )
    found = energy(before, after, permutations=PERMUTATIONS, rng=SEED)
    count = len(before) + len(after)
    if found.p_value > ALPHA or found.value < LEAST_TASTE:
        return [], [], count
    moved = after.mean(axis=0) - before.mean(axis=0)
    genre = genres[int(np.abs(moved).argmax())]
    begin = end - WEEK
    finding = Finding(
        detector=NAME,
        metric="users.taste",
        segment={},
        onset=Onset(at=begin, low=begin - WEEK, high=end),
        effect=Interval(value=found.value),
        unit="energy distance",
        p_value=found.p_value,
        severity=Severity.INFO,
        summary=f"What users watch changed in the week up to {end:%d %B %Y}, most of all the share of {genre}.",
        evidence={"share_by_genre": dict(zip(genres, moved.round(4).tolist(), strict=True)), **found.to_dict()},
    )
    return [finding], [], count


def _between_versions(ground: Ground) -> tuple[list[Finding], list[str], int]:
    """Compare the film vectors of the current index version with those of the one that served before it."""
    from recommender.index import current_version, list_versions, open_version, previous_version

    now, before = current_version(ground.paths), previous_version(ground.paths)
    known = {one.version: one for one in list_versions(ground.paths)}
    if now not in known or before not in known:
        return [], ["vectors can't be compared: it takes two index versions that served one after the other"], 0
    if known[now].blocks != known[before].blocks:
        return [], [f"vectors of {before} and {now} can't be compared: they have other blocks"], 0
    try:
        old, new = open_version(ground.paths, before), open_version(ground.paths, now)
    except IntegrityError as error:
        return [], [f"vectors can't be compared: {error.what}"], 0
    return _of_vectors(known[before], known[now], old, new)


def _of_vectors(
    before: "Manifest", after: "Manifest", old: "IndexVersion", new: "IndexVersion"
) -> tuple[list[Finding], list[str], int]:
    if min(old.rows, new.rows) < 2 * LEAST_ROWS:
        return [], [f"vectors can't be compared: {min(old.rows, new.rows)} films, and it takes {2 * LEAST_ROWS}"], 0
    rng = np.random.default_rng(SEED)
    first, second = (
        np.asarray(one.take(np.sort(rng.choice(one.rows, min(one.rows, MOST_VECTORS), replace=False))), np.float64)
        for one in (old, new)
    )
    findings = []
    for block, (start, stop) in after.blocks.items():
        parts = first[:, start:stop], second[:, start:stop]
        if np.ptp(np.concatenate(parts)) == 0:
            # A block that is switched off is zero in both.
            continue
        found = energy(*parts, permutations=PERMUTATIONS, rng=SEED)
        # Bonferroni over the blocks of a version.
        p = min(1.0, found.p_value * len(after.blocks))
        if found.p_value > 1.5 / (PERMUTATIONS + 1):
            continue
        apart = domain_classifier(*(_projected(part, parts[0]) for part in parts), rng=SEED)
        if apart.auc < LEAST_AUC:
            continue
        at = _moment(after.created_at)
        earlier = _moment(before.created_at)
        if at is None:
            continue
        findings.append(
            Finding(
                detector=NAME,
                metric=f"vectors.{block}",
                segment={"index_version": after.version},
                onset=Onset(at=at, low=min(earlier or at, at), high=at),
                effect=Interval(value=apart.auc, low=apart.low, high=apart.high),
                unit="AUC",
                p_value=p,
                severity=Severity.INFO,
                summary=f"Film vectors of block {block} differ in index {after.version} from {before.version}.",
                evidence={"energy": found.to_dict(), "classifier": apart.to_dict()},
            )
        )
    return findings, [], len(first) + len(second)


def _projected(rows: Floats, reference: Floats) -> Floats:
    """Return rows in the first eight principal directions of the reference: trees need few columns."""
    centre = reference.mean(axis=0)
    directions = np.linalg.svd(reference - centre, full_matrices=False)[2][:8]
    projected: Floats = (rows - centre) @ directions.T
    return projected


def _drawn(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    return rows if len(rows) <= most else rows[rng.choice(len(rows), most, replace=False)]


def _moment(text: object) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
