"""The detector ``drift.exposure``: what is shown, and what of it is clicked, by film and groups of films."""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from monitoring.changes import EXPOSURE, GAP
from monitoring.exposure.clicks import SURE, Lost, Pushed, lost_clicks, pushed
from monitoring.exposure.days import FilmDays, attributes_of, film_days, placed
from monitoring.exposure.episodes import DAY, Episode, midnight
from monitoring.exposure.gaps import LEAST_EXPECTED, Gap, gaps
from monitoring.exposure.shares import Shift, risen_films, shifted_groups
from monitoring.findings import Finding, Interval, Onset, Outcome, Severity
from monitoring.ground import Ground
from workspace.errors import StateError

if TYPE_CHECKING:
    import pandas as pd

Flags = NDArray[np.bool_]

IMPRESSIONS: Final = "impressions"
PUSHED: Final = "film_ctr"
LOST: Final = "films_ctr"
FILM: Final = "film"
GROUP: Final = "films"
LEAST_DAYS: Final = 28
LEAST_CLICKS: Final = 4.0
"""Clicks of a film in a week below which only a loss of most of them would be seen."""
MOST_NAMED: Final = 50
_Z95: Final = 1.96


class ExposureDrift:
    """Looks at the films: which are shown more or not at all, which are clicked unlike before.

    Args:
        attributes: Studio, provider and lead by film id, instead of those of the catalogue.
    """

    name: Final = EXPOSURE
    metrics: Final = (IMPRESSIONS, GAP, PUSHED, LOST)

    def __init__(self, attributes: "pd.DataFrame | None" = None) -> None:
        self._attributes = attributes

    def look(self, ground: Ground) -> Outcome:
        """Look at the last half year of films by day."""
        began = time.perf_counter()
        try:
            table = film_days(ground)
        except StateError as error:
            return Outcome(detector=self.name, notes=(f"not estimable: {error.what}",))
        days = int((table.total > 0).sum())
        if days < LEAST_DAYS:
            lack = f"{LEAST_DAYS - days} more days of telemetry are needed: {days} of {LEAST_DAYS} are there"
            return Outcome(detector=self.name, notes=(f"not estimable: {lack}",))
        attributes = attributes_of(ground) if self._attributes is None else self._attributes
        notes = [*_notes(table, attributes)]
        found = list(_found(ground, table, attributes, notes))
        return Outcome(
            detector=self.name,
            findings=tuple(sorted(found, key=lambda one: one.onset.at, reverse=True)),
            notes=tuple(notes),
            looked_at=len(table.films),
            seconds=time.perf_counter() - began,
        )


def _found(ground: Ground, table: FilmDays, attributes: "pd.DataFrame | None", notes: list[str]) -> Iterator[Finding]:
    """Yield the findings; what one explains is taken out before the next is looked for."""
    k = ground.settings.k_anonymity
    masked = np.zeros(table.impressions.shape, dtype=bool)
    for leap in pushed(table):
        masked[leap.row, max(0, leap.first - 1) : leap.stop + 1] = True
        if table.users[leap.row, leap.first : leap.stop].max() < k:
            notes.append(f"a film's clicks leapt, but it was shown to fewer than {k} accounts a day: withheld")
            continue
        yield _of_pushed(leap, table)
    rest = table.without(masked)
    for gap in gaps(ground, rest):
        masked[:, _days_of(gap, table)] = True
        yield _of_gap(gap, rest, attributes)
    rest = table.without(masked)
    lost = lost_clicks(rest)
    if lost is not None:
        yield _of_lost(lost, rest, attributes, k)
    shifts = risen_films(rest) if attributes is None else shifted_groups(rest, attributes)
    for shift in shifts:
        yield _of_shift(shift, rest)


def _of_pushed(leap: Pushed, table: FilmDays) -> Finding:
    film, at, end = str(table.films[leap.row]), midnight(table.days[leap.first]), midnight(table.days[leap.stop - 1])
    effect = leap.within / leap.before - 1
    shown = leap.clicks / leap.within
    reach = _Z95 * (leap.within * (1 - leap.within) / shown) ** 0.5 / leap.before
    return Finding(
        detector=EXPOSURE,
        metric=PUSHED,
        segment={FILM: film},
        onset=Onset(at=at, low=at - DAY, high=at + DAY),
        ended=None if leap.stop == len(table.days) else end + DAY,
        effect=Interval(value=effect, low=effect - reach, high=effect + reach),
        unit="relative",
        p_value=leap.p_value,
        severity=Severity.WARNING,
        summary=(
            f"Film {film} was clicked {leap.within:.0%} of the times it was shown from {at:%Y-%m-%d} to "
            f"{end:%Y-%m-%d}, usually {leap.before:.1%}: {leap.clicks:,.0f} clicks instead of {leap.usual:,.0f}."
        ),
        evidence={"before": leap.before, "within": leap.within, "clicks": leap.clicks, "usual_clicks": leap.usual},
    )


def _of_gap(gap: Gap, table: FilmDays, attributes: "pd.DataFrame | None") -> Finding:
    gone = gap.found.gone
    size = gap.found.expected * (gap.found.expected >= LEAST_EXPECTED)
    segment = _segment(placed(gone, size, list(table.films), attributes), table, gone)
    missing = float(gap.found.expected[gone].sum())
    share = missing / float(gap.found.expected.sum())
    until = f"until {gap.ended:%Y-%m-%d %H:%M}" if gap.ended else "and still are not"
    return Finding(
        detector=EXPOSURE,
        metric=GAP,
        segment=segment,
        onset=Onset(at=gap.at, low=gap.low, high=gap.high),
        ended=gap.ended,
        effect=Interval(value=-1.0),
        unit="relative",
        p_value=float(np.exp(-min(gap.found.ratio, 700.0))),
        severity=Severity.CRITICAL if gap.ended is None else Severity.WARNING,
        summary=(
            f"{int(gone.sum())} films{_where(segment)} were not shown from {gap.at:%Y-%m-%d %H:%M} UTC {until}; "
            f"usually they have {share:.0%} of all places."
        ),
        evidence={"films": int(gone.sum()), "usual_impressions": missing, "usual_share": share,
                  "film_ids": _named(table, gone)},
    )  # fmt: skip


def _of_lost(lost: Lost, table: FilmDays, attributes: "pd.DataFrame | None", k: int) -> Finding:
    sure = (lost.chance > SURE) & (table.users.max(axis=1) >= k)
    size = table.impressions.sum(axis=1) * (lost.chance > 0)
    segment = _segment(placed(lost.chance > SURE, size, list(table.films), attributes), table, lost.chance > SURE)
    count = round(lost.share * len(table.films))
    effect = _relative(lost.episode)
    return Finding(
        detector=EXPOSURE,
        metric=LOST,
        segment=segment,
        onset=lost.episode.onset(table.days),
        ended=lost.episode.ended(table.days),
        effect=effect,
        unit="relative",
        p_value=float(np.exp(-min(lost.ratio, 700.0))),
        severity=Severity.WARNING,
        summary=(
            f"About {count} of {len(table.films)} films{_where(segment)} were clicked {-effect.value:.0%} less than "
            f"usual {_when(lost.episode, table)}; the others were clicked as ever."
        ),
        evidence={"films": count, "factor": lost.factor, "film_ids": _named(table, sure)},
    )


def _of_shift(shift: Shift, table: FilmDays) -> Finding:
    one = shift.episode
    effect = _relative(one)
    verb = "more" if effect.value > 0 else "less"
    chosen = np.zeros(len(table.films), dtype=bool)
    chosen[shift.rows] = True
    segment = {shift.attribute: shift.value} if shift.attribute else _segment({}, table, chosen)
    return Finding(
        detector=EXPOSURE,
        metric=IMPRESSIONS,
        segment=segment,
        onset=one.onset(table.days),
        ended=one.ended(table.days),
        effect=effect,
        unit="relative",
        p_value=shift.p_value,
        severity=Severity.WARNING,
        summary=(
            f"{len(shift.rows)} films{_where(segment)} are shown {abs(effect.value):.0%} {verb} than before "
            f"{_when(one, table)}: {one.level:.1%} of what is shown instead of {one.before:.1%}."
        ),
        evidence={"films": len(shift.rows), "before": one.before, "within": one.level,
                  "film_ids": _named(table, chosen)},
    )  # fmt: skip


def _relative(one: Episode) -> Interval:
    """Return the relative change with its interval: z says how many standard errors it is."""
    value = one.level / one.before - 1
    reach = _Z95 * abs(value / one.z) if one.z else float("inf")
    return Interval(value=value, low=value - reach, high=value + reach)


def _when(one: Episode, table: FilmDays) -> str:
    until = "" if one.stop is None else f" to {table.days[one.stop - 1]}"
    return f"{'since' if one.stop is None else 'from'} {table.days[one.first]}{until}"


def _segment(place: Mapping[str, str], table: FilmDays, chosen: Flags) -> dict[str, str]:
    """Return the place of a set of films; one without anything in common goes by its film that is shown most."""
    return dict(place) or {GROUP: f"{_named(table, chosen)[0]} and {int(chosen.sum()) - 1} more"}


def _where(segment: Mapping[str, str]) -> str:
    name, value = next(iter(segment.items()))
    return "" if name == GROUP else f" of {name} {value}"


def _named(table: FilmDays, chosen: Flags) -> list[Any]:
    """Return the ids of films chosen, those shown most first; the page shows no more of them."""
    order = np.argsort(-table.impressions.sum(axis=1), kind="stable")
    return [str(table.films[row]) for row in order if chosen[row]][:MOST_NAMED]


def _days_of(gap: Gap, table: FilmDays) -> slice:
    first = max(0, (gap.at - DAY / 24 - midnight(table.days[0])).days)
    last = len(table.days) if gap.ended is None else (gap.ended - midnight(table.days[0]) + DAY).days
    return slice(first, max(last, first + 1))


def _notes(table: FilmDays, attributes: "pd.DataFrame | None") -> Iterator[str]:
    if attributes is None:
        yield "no catalogue is imported: films are grouped by what happens to them, not by studio or provider"
    else:
        strangers = int((~np.isin(table.films.astype(str), attributes.index.to_numpy().astype(str))).sum())
        if strangers:
            yield f"{strangers} of {len(table.films)} films are not in the catalogue: they belong to no group"
    if table.left_out:
        yield f"index versions that an experiment tries are left out: {', '.join(table.left_out)}"
    clicked = float(table.clicks.sum()) / (len(table.films) * len(table.days)) * 7
    if clicked < LEAST_CLICKS:
        yield (
            f"a film has {clicked:.1f} clicks a week, {LEAST_CLICKS:g} are needed to see that many lost some together"
        )
    missing = [day for day, shown in zip(table.days, table.total, strict=True) if shown == 0]
    if missing:
        yield f"{len(missing)} of {len(table.days)} days have no impressions, the last on {max(missing)}"
