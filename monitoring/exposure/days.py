"""Impressions and clicks of every film on every day, as matrices, and what is known of the films."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from monitoring.ground import Ground
from telemetry.warehouse.tables import FILM_DAY
from workspace.columns import Event, Film, Rollup

if TYPE_CHECKING:
    from telemetry.warehouse.sql import Value

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

DAYS: Final = 182
MOST_ROWS: Final = 4_000_000
"""Films × versions × days read at most: fewer days are read of a larger catalogue."""
LEAST_DAYS: Final = 28
STUDIO: Final = "studio"
PROVIDER: Final = "provider"
LEAD: Final = "lead"
ATTRIBUTES: Final = (STUDIO, PROVIDER)
ALIVE_DAYS: Final = 7
"""A film last shown so many days ago is still expected; one gone for longer has left the catalogue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmDays:
    """Sums by film and day.

    Args:
        films: Film ids, shape (n_films,).
        days: Consecutive.
        impressions: Shape (n_films, n_days).
        clicks: The same shape.
        users: Distinct users of each day and version, summed over versions; the same shape.
        left_out: Index versions whose events are left out, because an experiment tries them.
    """

    films: NDArray[np.object_]
    days: tuple[dt.date, ...]
    impressions: Floats
    clicks: Floats
    users: Floats
    left_out: tuple[str, ...] = ()

    @property
    def total(self) -> Floats:
        """Impressions of each day, shape (n_days,)."""
        out: Floats = self.impressions.sum(axis=0)
        return out

    def alive(self) -> Flags:
        """Return on which days a film is expected: from its first impression to its last, shape (n_films, n_days)."""
        seen = self.impressions > 0
        begun = np.cumsum(seen, axis=1) > 0
        later = np.flip(np.cumsum(np.flip(seen, axis=1), axis=1), axis=1) > 0
        recent = seen[:, -ALIVE_DAYS - 1 :].any(axis=1, keepdims=True)
        out: Flags = begun & (later | recent)
        return out

    def without(self, masked: Flags) -> "FilmDays":
        """Return the same without some films on some days.

        Args:
            masked: Shape (n_films, n_days).
        """
        kept = ~masked
        return replace(
            self, impressions=self.impressions * kept, clicks=self.clicks * kept, users=self.users * kept
        )  # fmt: skip


def film_days(ground: Ground) -> FilmDays:
    """Read the last half year of films by day, or as many days as a large catalogue allows.

    Versions of the index that only treatment arms of an experiment are served by are left out: what an experiment
    tries is no drift.

    Raises:
        StateError: When no telemetry is rolled up.
    """
    first, last = ground.days()
    start = max(first, last - dt.timedelta(days=DAYS - 1))
    rows = ground.warehouse.rows(FILM_DAY, (start, last))
    if rows > MOST_ROWS:
        days = max(LEAST_DAYS, int(MOST_ROWS / rows * ((last - start).days + 1)))
        start = max(start, last - dt.timedelta(days=days - 1))
    tried = trial_versions(ground)
    names = {f"tried_{number}": version for number, version in enumerate(tried)}
    kept = f" AND {Event.INDEX_VERSION} NOT IN ({', '.join(f':{name}' for name in names)})" if names else ""
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT) AS {name}" for name in _SUMS)
    parameters: dict[str, Value] = {"start": start, "end": last, **names}
    frame = ground.warehouse.query(
        f"SELECT {Rollup.DATE}, {Event.FILM}, {sums} FROM FILM_DAY "  # noqa: S608 - our own names
        f"WHERE {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end{kept} GROUP BY {Rollup.DATE}, {Event.FILM}",
        window=(start, last),
        parameters=parameters,
    )
    return replace(matrices(frame, start, last), left_out=tried)


_SUMS: Final = (Rollup.IMPRESSIONS, Rollup.CLICKS, Rollup.USERS)


def matrices(frame: pd.DataFrame, start: dt.date, end: dt.date) -> FilmDays:
    """Lay rows out as matrices; a film without a row on a day was not shown."""
    days = tuple(start + dt.timedelta(days=number) for number in range((end - start).days + 1))
    films, row = np.unique(frame[Event.FILM].to_numpy(dtype=object).astype(str), return_inverse=True)
    place = (pd.to_datetime(frame[Rollup.DATE]) - pd.Timestamp(start)).dt.days.to_numpy(dtype=np.int64)
    sums = {}
    for name in _SUMS:
        matrix = np.zeros((len(films), len(days)))
        np.add.at(matrix, (row, place), frame[name].to_numpy(dtype=np.float64))
        sums[name] = matrix
    return FilmDays(
        films=films.astype(object),
        days=days,
        impressions=sums[Rollup.IMPRESSIONS],
        clicks=sums[Rollup.CLICKS],
        users=sums[Rollup.USERS],
    )


def trial_versions(ground: Ground) -> tuple[str, ...]:
    """Return the index versions that only the treatment of an experiment that is live is served by."""
    found: set[str] = set()
    control: set[str | None] = set()
    for record in ground.registry.all():
        if record.live:
            names = [one.name for one in record.plan.variants]
            control.add(record.version_of(names[0]))
            found |= {version for name in names[1:] if (version := record.version_of(name)) is not None}
    return tuple(sorted(found - control))


def attributes_of(ground: Ground) -> pd.DataFrame | None:
    """Return studio, provider and lead of every film of the catalogue; None without a catalogue.

    Returns:
        Index: film ids. Columns studio, provider, lead; empty text where a film has none.
    """
    catalogue = ground.catalogue()
    if catalogue is None:
        return None
    films = catalogue.films
    return pd.DataFrame(
        {
            STUDIO: [_first(names) for names in films[Film.STUDIOS]],
            PROVIDER: films[Film.PROVIDER].fillna("").astype(str).to_numpy(dtype=object),
            LEAD: [_first(names) for names in films[Film.CAST]],
        },
        index=pd.Index(films[Film.ID].to_numpy(dtype=object)),
    )


def placed(chosen: Flags, size: Floats, films: Sequence[str], attributes: pd.DataFrame | None) -> Mapping[str, str]:
    """Return the attribute that tells a set of films from the others, if there is one.

    Args:
        chosen: Which films are in the set, shape (n_films,).
        size: How much each film counts, for example its usual impressions; 0 for a film too rare to be judged.
        films: Their ids.
        attributes: As `attributes_of`.

    Returns:
        One attribute and its value when it covers four fifths of the set and lies to four fifths in it, the best of
        them; empty when there is none.
    """
    if attributes is None or not chosen.any():
        return {}
    known = attributes.reindex(list(films))
    inside = size[chosen].sum()
    best: tuple[float, dict[str, str]] = (0.0, {})
    for name in ATTRIBUTES:
        if name not in known:
            continue
        codes, values = pd.factorize(known[name].fillna("").to_numpy(dtype=object))
        both = np.bincount(codes[chosen], size[chosen], len(values))
        whole = np.bincount(codes, size, len(values))
        for place, value in enumerate(values):
            if value and min(both[place] / max(whole[place], 1e-9), both[place] / max(inside, 1e-9)) >= _AGREES:
                score = 2 * both[place] / (whole[place] + inside)
                best = max(best, (score, {name: str(value)}), key=lambda pair: pair[0])
    return best[1]


_AGREES: Final = 0.8


def _first(names: Any) -> str:  # noqa: ANN401 - a list, an array or nothing
    return str(names[0]) if names is not None and len(names) else ""
