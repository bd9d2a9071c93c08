"""What every account of a panel was shown, as numbers by user, before anything is compared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from audit.exposure import calibration_per_user, group_exposure, history_share, position_weights
from audit.groups import film_groups
from audit.panel import Panel, user_groups
from audit.plan import CALIBRATION, CROSS, EXPOSURE, HIT_RATE, MARKET, PRECISION, REACH, REGION, AuditPlan
from audit.runs.grouping import GONE, Grouping, grouping
from workspace.columns import Film
from workspace.errors import NotEstimableError

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Progress = Callable[[str, int, int], None]

Shown = tuple[Codes, Floats]
"""Film rows, −1 for an empty place, and scores; both of shape ``(n, k)``."""
CALIBRATION_ALPHA: Final = 0.01
BY_FILM: Final = (REACH, EXPOSURE)
"""Measures asked for every film group."""
SHARED: Final = "personas"
"""The kind of panel whose accounts share histories."""
MATCHED: Final = "matched"
OBSERVED: Final = "observed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One measure, by user.

    Args:
        measure: Of `audit.plan.MEASURES`.
        film_axis: Of `audit.plan.FILM_AXES`, empty for measures that ask for no film group.
        film_group: The film group.
        by_user: Its value, NaN where it can't be said, shape ``(n,)``.
        history: The film group's share of each user's history, for ``exposure``; None elsewhere.
    """

    measure: str
    film_axis: str
    film_group: str
    by_user: Floats
    history: Floats | None = None

    @property
    def binary(self) -> bool:
        """Whether every value is yes or no."""
        return self.measure in {REACH, HIT_RATE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A panel with what it was shown.

    Args:
        plan: The plan.
        panel: The panel.
        users: User groups by axis.
        films: Film groups by film axis.
        rows: Films shown, −1 for an empty place, shape ``(n, k)``.
        scores: Their scores, NaN for an empty place.
        clusters: What was drawn independently, 0 … C − 1, shape ``(n,)``.
        strata: By axis, accounts that must be treated alike: one taste, and one region where the axis is none; None
            where accounts do not share histories.
        columns: The measures.
    """

    plan: AuditPlan
    panel: Panel
    users: Mapping[str, Grouping]
    films: Mapping[str, Grouping]
    rows: Codes
    scores: Floats
    clusters: Codes
    strata: Mapping[str, Codes] | None
    columns: tuple[Column, ...]


def measure(plan: AuditPlan, panel: Panel, films: pd.DataFrame, alive: npt.NDArray[np.bool_], shown: Shown) -> Measured:
    """Return the measures of a panel.

    Args:
        plan: The plan.
        panel: The panel.
        films: The films in version order, n_films of them.
        alive: Whether a film is still in the catalogue, shape ``(n_films,)``.
        shown: Films and scores of every account, ``(rows, scores)``.

    Raises:
        NotEstimableError: When an account of a panel of personas has no history.
        UnknownError: When the plan names a reference that is no group.
    """
    rows, scores = shown
    check_histories(panel)
    clusters = np.unique(panel.cluster, return_inverse=True)[1].astype(np.int64)
    users = {axis: _users(plan, panel, axis) for axis in plan.axes}
    grouped = _films(plan, films, alive)
    return Measured(
        plan=plan,
        panel=panel,
        users=users,
        films=grouped,
        rows=rows,
        scores=scores,
        clusters=clusters,
        strata=strata_of(panel, clusters, plan.axes) if panel.kind == SHARED else None,
        columns=tuple(columns_of(plan, panel, films, grouped, rows)),
    )


def check_histories(panel: Panel) -> None:
    """Refuse a panel in which an account has no history.

    Raises:
        NotEstimableError: Naming the first account without one.
    """
    if not len(panel):
        raise NotEstimableError("a panel of 0 accounts", "needs 1 or more", "ask for more personas")
    lengths = np.bincount(panel.histories.users, minlength=panel.n_histories)
    empty = np.flatnonzero(lengths[panel.history_of] == 0)
    if len(empty):
        who = panel.accounts["persona_id"].iloc[int(empty[0])]
        raise NotEstimableError(
            f"the history of {who} and {len(empty) - 1:,} more is empty",
            "a persona without a history has no taste to be served",
            "ask for a longer history, or another date",
        )


def strata_of(panel: Panel, clusters: Codes, axes: tuple[str, ...]) -> dict[str, Codes]:
    """Return by axis which accounts must be treated alike: one taste, and one region unless the region is swapped.

    Without the region, a group that happens to live elsewhere would differ by what may be shown there.
    """
    regions = pd.factorize(panel.accounts[REGION])[0].astype(np.int64)
    both = np.unique(clusters * (regions.max(initial=0) + 1) + regions, return_inverse=True)[1].astype(np.int64)
    return {axis: clusters if {REGION, MARKET} & set(axis.split(CROSS)) else both for axis in axes}


def _users(plan: AuditPlan, panel: Panel, axis: str) -> Grouping:
    codes, names = user_groups(panel, axis)
    return grouping("user", axis, codes, names, least_share=plan.least_share, references=plan.references)


def _films(plan: AuditPlan, films: pd.DataFrame, alive: npt.NDArray[np.bool_]) -> dict[str, Grouping]:
    found = film_groups(films, plan.film_axes)
    out = {}
    for axis in plan.film_axes:
        codes, names = found.of(axis)
        out[axis] = grouping(
            "provider",
            axis,
            np.where(alive, codes, GONE),
            names,
            least_share=plan.least_share,
            references=plan.references,
        )
    return out


def columns_of(
    plan: AuditPlan, panel: Panel, films: pd.DataFrame, grouped: Mapping[str, Grouping], rows: Codes
) -> list[Column]:
    """Return the measures of lists by user.

    Args:
        plan: The plan.
        panel: The panel.
        films: The films in version order.
        grouped: Film groups by film axis.
        rows: Films shown, shape ``(n, k)``.
    """
    hits = hits_of(panel, rows, len(films))
    single: dict[str, Callable[[], Floats]] = {
        PRECISION: lambda: hits.sum(axis=1) / plan.k,
        HIT_RATE: lambda: np.where(np.isnan(hits[:, 0]), np.nan, (hits > 0).any(axis=1)),
        CALIBRATION: lambda: calibration(panel, films, rows),
    }
    out = [
        Column(measure=name, film_axis="", film_group="", by_user=single[name]())
        for name in plan.measures
        if name in single
    ]
    for axis, groups in grouped.items():
        codes = np.maximum(groups.codes, -1)
        if not groups.names or not {REACH, EXPOSURE} & set(plan.measures):
            continue
        shares = group_exposure(rows, codes, len(groups.names), plan.k)
        liked = panel.histories.take(panel.histories.likes > 0)
        history = history_share(liked.films, liked.users, codes, len(groups.names), panel.n_histories)
        for code, name in enumerate(groups.names):
            if not groups.judged[code]:
                continue
            if REACH in plan.measures:
                # A user with an empty slate was reached by nothing: that is an answer, not a gap.
                reached = (np.nan_to_num(shares[:, code]) > 0).astype(np.float64)
                out.append(Column(measure=REACH, film_axis=axis, film_group=name, by_user=reached))
            if EXPOSURE in plan.measures:
                out.append(
                    Column(
                        measure=EXPOSURE,
                        film_axis=axis,
                        film_group=name,
                        by_user=shares[:, code],
                        history=history[panel.history_of, code],
                    )
                )
    return out


def hits_of(panel: Panel, rows: Codes, n_films: int) -> Floats:
    """Return which shown films were kept back, shape ``(n, k)``; NaN for an account with nothing kept back."""
    kept = np.unique(panel.heldout.users * n_films + panel.heldout.films)
    keys = panel.history_of[:, None] * n_films + rows
    hits = (np.isin(keys, kept) & (rows >= 0)).astype(np.float64)
    has = np.bincount(panel.heldout.users, minlength=panel.n_histories)[panel.history_of] > 0
    # Nothing kept back: no list could have been right, so its precision is not estimable, never 0.
    hits[~has] = np.nan
    return hits


def calibration(panel: Panel, films: pd.DataFrame, rows: Codes) -> Floats:
    """Return Steck's divergence of the genres shown from those of the history, shape ``(n,)``.

    Every film spreads over its genres evenly; a place of the list counts by its discount, films of a history alike.
    """
    genres = genre_shares(films)
    liked = panel.histories.take(panel.histories.likes > 0)
    asked = _mix(liked.users, liked.films, np.ones(len(liked)), genres, panel.n_histories)[panel.history_of]
    places = np.broadcast_to(position_weights(rows.shape[1]), rows.shape)
    who, _ = np.nonzero(rows >= 0)
    shown = _mix(who, rows[rows >= 0], places[rows >= 0], genres, len(rows))
    return calibration_per_user(asked, shown, CALIBRATION_ALPHA)


def genre_shares(films: pd.DataFrame) -> sparse.csr_matrix:
    """Return each film's genres as shares, shape ``(n_films, n_genres)``; a film without any is a row of zeros."""
    cells = [tuple(dict.fromkeys(genres)) for genres in films[Film.GENRES]]
    names = sorted({name for genres in cells for name in genres}) or [""]
    place = {name: column for column, name in enumerate(names)}
    lengths = [len(genres) for genres in cells]
    columns = [place[name] for genres in cells for name in genres]
    values = np.repeat([1 / max(length, 1) for length in lengths], lengths)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return sparse.csr_matrix((values, columns, starts), shape=(len(cells), len(names)))


def _mix(users: Codes, films: Codes, weights: Floats, genres: sparse.csr_matrix, n_users: int) -> Floats:
    counts = sparse.csr_matrix((weights, (users, films)), shape=(n_users, genres.shape[0]))
    mixed = (counts @ genres).toarray()
    totals = mixed.sum(axis=1, keepdims=True)
    out: Floats = np.divide(mixed, totals, out=np.full_like(mixed, np.nan), where=totals > 0)
    return out


def relevance(panel: Panel, n_films: int) -> Floats:
    """Return how many accounts would like each film, shape ``(n_films,)``, by the films kept back."""
    by_history = np.bincount(panel.history_of, minlength=panel.n_histories).astype(np.float64)
    kept = panel.heldout
    return np.bincount(kept.films, by_history[kept.users], n_films).astype(np.float64)
