"""The statements behind a scorecard, in canonical SQL: users first, then sums of their deviations by cell.

Every statement begins with the same steps: the days of a user, then the user. What leaves the engine are counts, sums
of deviations from a common centre and sums of products of those: centred, so that no digit is lost at a large mean,
and plain sums, so that they cost the engine as little as they can.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Self

from experiments.cells import places
from experiments.metrics import Needs
from experiments.sums import visits
from experiments.sums.request import Request, base_of
from experiments.sums.visits import ACTS, BUSIEST, DOUBLES
from telemetry.warehouse.tables import BUCKETS, NONE
from workspace.columns import Event, Rollup, Trial

Source = Literal["user_day", "events"]

PART: Final = "part"
CENTRES, CELLS, DEVICES, EXPOSURES, LEFT_OUT = "centres", "cells", "devices", "exposures", "left_out"
REASON: Final = "reason"
FIRST_DAY: Final = "first_day"
LATE_EVENTS: Final = "late_events"
LATE_S: Final = 24 * 3_600
"""An event that came more seconds than this after it happened is late."""
EARLY, LATE = "early_", "late_"

MEMBERS: Final = "members"
"""The step of every statement at which there is one row a user; what follows reads it several times."""
_LOW, _HIGH = "low_variant", "high_variant"
_KNOWN: Final = f"IFF({Event.VARIANT} <> '{NONE}', HASH({Event.VARIANT}), NULL)"
"""Variants are told apart by their hashes, which cost an engine a fraction of texts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a statement is made of; its values are bound.

    Args:
        source: Rollups by user, or the events themselves.
        needs: The sums, their cross moments and caps.
        variants: How many variants take part: ``variant_0`` and so on are bound.
        buckets: Whether cells are by group of users too: a thousand times as many.
        days: Days of the experiment that are read; of events, for a snapshot.
        pre_days: Days before that are read; the same.
    """

    source: Source
    needs: Needs
    variants: int
    buckets: bool = True
    days: int = 0
    pre_days: int = 0

    @classmethod
    def of(cls, request: Request, source: Source, *, buckets: bool) -> Self:
        """Return the shape of a snapshot."""
        return cls(
            source=source,
            needs=request.needs,
            variants=len(request.variants),
            buckets=buckets,
            days=request.days,
            pre_days=request.pre_days,
        )

    @property
    def sums(self) -> tuple[str, ...]:
        """Sums of a user that the columns are made of, without days of activity."""
        names = dict.fromkeys(base_of(name) for name in self.needs.columns)
        return tuple(name for name in names if name != Trial.ACTIVE_DAYS)

    @property
    def covariates(self) -> bool:
        """Whether the days before are read."""
        return any(name.startswith(Trial.PRE) for name in self.needs.columns)


def sum_name(place: int) -> str:
    """Return the name of Σ (x − centre) in the answer; in its row of centres, the centre."""
    return f"s_{place}"


def product_name(pair: tuple[int, int]) -> str:
    """Return the name of Σ (x − centre)(y − centre) in the answer."""
    return f"p_{pair[0]}_{pair[1]}"


def cube_name(place: int) -> str:
    """Return the name of Σ (x − centre)³ in the answer; in its row of centres, the cap of a capped sum."""
    return f"t_{place}"


def snapshot(shape: Shape, *, by_day: bool = False) -> str:
    """Return the statement of everything a scorecard needs.

    Values: ``experiment``, ``start`` and ``end`` (the day after the last), ``pre_start`` with covariates, and the
    variants.

    Args:
        shape: What it is made of.
        by_day: Whether events are taken by day, which is slower and right however many events a visit has; without,
            the answer is wrong when the row of centres counts more than `visits.MOST`.
    """
    judged = f"judged AS (\n  SELECT * FROM members WHERE {Trial.VARIANT} IS NOT NULL\n)"
    cells: dict[str, tuple[str, ...]] = {CELLS: (Trial.VARIANT, Trial.REGION, Trial.DEVICE)}
    if shape.buckets:  # which would be as many again for every device
        cells = {CELLS: (Trial.VARIANT, Trial.REGION, Trial.BUCKET), DEVICES: (Trial.VARIANT, Trial.DEVICE)}
    return f"""WITH {_users(shape, by_day=by_day)}, {judged}, {_folded(shape.needs, "judged", cells, f"MAX({BUSIEST})")}
UNION ALL
{_counted(shape.needs, EXPOSURES, (Trial.VARIANT, Trial.REGION, FIRST_DAY))}
UNION ALL
{_counted(shape.needs, LEFT_OUT, (REASON,))}"""


def halves(shape: Shape) -> str:
    """Return the statement of the first and second half of the days since exposure.

    Values: as `snapshot`; ``half``, the first day since exposure of the second half; ``whole``, the last day on which
    a user can have been exposed so that its second half has begun.

    Args:
        shape: Of the plain sums, without covariates.
    """
    sums = ", ".join(
        f"CAST(SUM(IFF({Trial.AGE} {sign} :half, {_of_a_day(name)}, 0)) AS DOUBLE) AS {half}{name}"
        for half, sign in ((EARLY, "<"), (LATE, ">="))
        for name in dict.fromkeys(map(base_of, shape.needs.columns))
    )
    keys = f"{Event.USER}, {Trial.VARIANT}, {Trial.REGION}"
    return f"""WITH {_aged(shape)}, halved AS (
  SELECT {keys}, {sums}
  FROM aged WHERE {FIRST_DAY} <= :whole GROUP BY {keys}
), {_folded(halved(shape.needs), "halved", {CELLS: (Trial.VARIANT, Trial.REGION)})}"""


def halved(needs: Needs) -> Needs:
    """Return the early and late columns of some sums, each with every other."""
    columns = tuple(sorted(f"{half}{name}" for half in (EARLY, LATE) for name in needs.columns))
    return Needs(
        columns=columns,
        pairs=tuple((a, b) for at, a in enumerate(columns) for b in columns[at + 1 :]),
        caps=tuple(sorted((f"{half}{name}", quantile) for half in (EARLY, LATE) for name, quantile in needs.caps)),
    )


def by_age(shape: Shape) -> str:
    """Return the statement of the users active in each stretch of days since exposure.

    Values: as `snapshot`, and ``width``, days of a stretch.

    Args:
        shape: Of the plain sums, without covariates.
    """
    names = dict.fromkeys(map(base_of, shape.needs.columns))
    sums = ", ".join(f"CAST(SUM({_of_a_day(name)}) AS DOUBLE) AS {name}" for name in names)
    stretch = f"CAST(FLOOR({Trial.AGE} / :width) * :width AS BIGINT)"
    return f"""WITH {_aged(shape)}, stretched AS (
  SELECT {Event.USER}, {Trial.VARIANT}, {stretch} AS {Trial.AGE}, {sums}
  FROM aged GROUP BY {Event.USER}, {Trial.VARIANT}, {stretch}
), {_folded(shape.needs, "stretched", {CELLS: (Trial.VARIANT, Trial.AGE)})}"""


def late() -> str:
    """Return the statement of how many events of each variant came late; values ``experiment``, ``start``, ``end``."""
    overdue = f"DATEDIFF('second', {Event.TS}, {Event.RECEIVED_AT}) > {LATE_S}"
    return f"""SELECT {Event.VARIANT} AS {Trial.VARIANT}, CAST(COUNT(*) AS BIGINT) AS {Rollup.EVENTS},
  CAST(COUNT_IF({overdue}) AS BIGINT) AS {LATE_EVENTS}
FROM EVENTS WHERE {Event.EXPERIMENT} = :experiment AND {Event.TS} >= :start AND {Event.TS} < :end
GROUP BY {Event.VARIANT} ORDER BY {Event.VARIANT}"""


def _users(shape: Shape, *, by_day: bool = True) -> str:
    """Return the steps from what is stored to one row a user who was in the experiment.

    Args:
        shape: What the statement is made of.
        by_day: Whether a step ``days`` is needed as well; events are taken to users faster without.
    """
    direct = shape.source == "events" and not by_day
    chosen = ", ".join(f"HASH(:variant_{number})" for number in range(shape.variants))
    named = " ".join(f"WHEN HASH(:variant_{number}) THEN :variant_{number}" for number in range(shape.variants))
    known = f"{_LOW} = {_HIGH} AND {_LOW} IN ({chosen})"
    days = [Trial.ACTIVE_DAYS] if Trial.ACTIVE_DAYS in map(base_of, shape.needs.columns) else []
    pre = [Trial.ACTIVE_DAYS] if days and shape.covariates else []
    own = ", ".join(f"exposed.{name} AS {name}" for name in shape.sums)
    own += "".join(f", {_active('exposed', shape.days, direct=direct)} AS {name}" for name in days)
    if shape.covariates:
        own += "".join(f", COALESCE(earlier.{name}, 0) AS {Trial.PRE}{name}" for name in shape.sums)
        own += "".join(
            f", COALESCE({_active('earlier', shape.pre_days, direct=direct)}, 0) AS {Trial.PRE}{name}" for name in pre
        )
    joined = f" LEFT JOIN earlier ON exposed.{Event.USER} = earlier.{Event.USER}" if shape.covariates else ""
    busy = f"GREATEST(exposed.{BUSIEST}{', COALESCE(earlier.' + BUSIEST + ', 0)' if joined else ''})" if direct else "0"
    steps = [*_exposed(shape, direct=direct), *(_earlier(shape, direct=direct) if shape.covariates else [])]
    return (
        ", ".join(steps)
        + f""", {MEMBERS} AS (
  SELECT exposed.{Event.USER} AS {Event.USER}, MOD(exposed.{Event.USER}, {BUCKETS}) AS {Trial.BUCKET}, {FIRST_DAY},
    {Trial.REGION}, {Trial.DEVICE}, IFF({known}, CASE {_LOW} {named} END, NULL) AS {Trial.VARIANT},
    CASE WHEN {_LOW} IS NULL THEN 'no_variant' WHEN {_LOW} <> {_HIGH} THEN 'multiple' WHEN {known} THEN NULL
      ELSE 'unknown_variant' END AS {REASON}, {busy} AS {BUSIEST}, {own}
  FROM exposed{joined}
)"""
    )


def _active(step: str, days: int, *, direct: bool) -> str:
    return visits.days_of(step, days) if direct else f"{step}.{Trial.ACTIVE_DAYS}"


def _exposed(shape: Shape, *, direct: bool) -> list[str]:
    if direct:
        within = f"{Event.EXPERIMENT} = :experiment AND {Event.TS} >= :start AND {Event.TS} < :end"
        who = (
            f"MIN({Event.REGION}) AS {Event.REGION}, MIN({Event.DEVICE}) AS {Event.DEVICE}, "
            f"MIN({_KNOWN}) AS {_LOW}, MAX({_KNOWN}) AS {_HIGH}"
        )
        places_of = ", ".join(visits.on_first_day(name, "start") for name in (Trial.REGION, Trial.DEVICE))
        return [
            visits.visits("visits", shape.sums, within, who),
            f"""exposed AS (
  SELECT {Event.USER}, MIN({Rollup.DATE}) AS {FIRST_DAY}, {places_of}, MIN({_LOW}) AS {_LOW}, MAX({_HIGH}) AS {_HIGH},
    {visits.totals(shape.sums, "start", shape.days)}
  FROM visits GROUP BY {Event.USER}
)""",
        ]
    totals = ", ".join(_total(name) for name in [*shape.sums, Trial.ACTIVE_DAYS])
    days = _days_of_experiment(shape)
    return [
        *days,
        f"""exposed AS (
  SELECT {Event.USER}, MIN({Rollup.DATE}) AS {FIRST_DAY}, MIN_BY({Event.REGION}, {Rollup.DATE}) AS {Trial.REGION},
    MIN_BY({Event.DEVICE}, {Rollup.DATE}) AS {Trial.DEVICE}, MIN({_LOW}) AS {_LOW}, MAX({_HIGH}) AS {_HIGH},
    {totals}
  FROM days GROUP BY {Event.USER}
)""",
    ]


def _days_of_experiment(shape: Shape) -> list[str]:
    who = (
        f"MIN({Event.REGION}) AS {Event.REGION}, MIN({Event.DEVICE}) AS {Event.DEVICE}, "
        f"MIN({_KNOWN}) AS {_LOW}, MAX({_KNOWN}) AS {_HIGH}"
    )
    again = (
        f"MIN({Event.REGION}) AS {Event.REGION}, MIN({Event.DEVICE}) AS {Event.DEVICE}, "
        f"MIN({_LOW}) AS {_LOW}, MAX({_HIGH}) AS {_HIGH}"
    )
    where = f"{Event.EXPERIMENT} = :experiment AND"
    return _days(shape, "days", where, (who, again), ("start", "end"))


def _earlier(shape: Shape, *, direct: bool) -> list[str]:
    if direct:
        within = f"{Event.TS} >= :pre_start AND {Event.TS} < :start"
        return [
            visits.visits("earlier_visits", shape.sums, within, ""),
            f"""earlier AS (
  SELECT {Event.USER}, {visits.totals(shape.sums, "pre_start", shape.pre_days)}
  FROM earlier_visits GROUP BY {Event.USER}
)""",
        ]
    totals = ", ".join(_total(name) for name in [*shape.sums, Trial.ACTIVE_DAYS])
    return [
        *_days(shape, "earlier_days", "", ("", ""), ("pre_start", "start")),
        f"""earlier AS (
  SELECT {Event.USER}, {totals} FROM earlier_days GROUP BY {Event.USER}
)""",
    ]


def _days(shape: Shape, name: str, where: str, who: tuple[str, str], span: tuple[str, str]) -> list[str]:
    """Return the steps to one row a user and day; ``who`` is what is kept of the rows, then of the visits."""
    first, again = (f"{one}, " if one else "" for one in who)
    if shape.source == "user_day":
        sums = ", ".join(f"CAST({_rolled(one)} AS {_typed(one)}) AS {one}" for one in shape.sums)
        within = f"{where} {Rollup.DATE} >= :{span[0]} AND {Rollup.DATE} < :{span[1]}".strip()
        return [
            f"""{name} AS (
  SELECT {Event.USER}, {Rollup.DATE}, {first}{sums}
  FROM USER_DAY WHERE {within} GROUP BY {Event.USER}, {Rollup.DATE}
)"""
        ]
    within = f"{where} {Event.TS} >= :{span[0]} AND {Event.TS} < :{span[1]}".strip()
    day = f"CAST({Event.TS} AS DATE)"
    acts = ", ".join(f"{ACTS[one]} AS {one}" for one in shape.sums if one != Rollup.SESSIONS)
    if Rollup.SESSIONS not in shape.sums:
        return [
            f"""{name} AS (
  SELECT {Event.USER}, {day} AS {Rollup.DATE}, {first}{acts}
  FROM EVENTS WHERE {within} GROUP BY {Event.USER}, {day}
)"""
        ]
    sums = ", ".join(
        "COUNT(*) AS sessions" if one == Rollup.SESSIONS else f"CAST(SUM({one}) AS {_typed(one)}) AS {one}"
        for one in shape.sums
    )
    return [
        f"""{name}_visits AS (
  SELECT {Event.USER}, {day} AS {Rollup.DATE}, {Event.SESSION}, {first}{acts}
  FROM EVENTS WHERE {within} GROUP BY {Event.USER}, {day}, {Event.SESSION}
)""",
        f"""{name} AS (
  SELECT {Event.USER}, {Rollup.DATE}, {again}{sums} FROM {name}_visits GROUP BY {Event.USER}, {Rollup.DATE}
)""",
    ]


def _aged(shape: Shape) -> str:
    """Return the steps to one row a user and day of the experiment, with the days since the user's exposure."""
    sums = ", ".join(f"days.{name} AS {name}" for name in shape.sums)
    keys = f"{Trial.VARIANT}, members.{Trial.REGION} AS {Trial.REGION}, {Trial.BUCKET}, {FIRST_DAY}"
    return f"""{_users(shape)}, aged AS (
  SELECT members.{Event.USER} AS {Event.USER}, {keys},
    DATEDIFF('day', {FIRST_DAY}, {Rollup.DATE}) AS {Trial.AGE}, {sums}
  FROM days JOIN members ON days.{Event.USER} = members.{Event.USER} WHERE {Trial.VARIANT} IS NOT NULL
)"""


def _folded(needs: Needs, of: str, cells: Mapping[str, Sequence[str]], busiest: str = "0") -> str:
    """Return the end of a statement: the centres, then the cells of each part, from users with their final sums."""
    caps = dict(needs.caps)
    centres = [f"COALESCE({busiest}, 0) AS {BUSIEST}"]
    centres += [f"ROUND(AVG({_uncapped(name)})) AS c_{place}" for place, name in enumerate(needs.columns)]
    # The quantile of all arms together: a cap of each arm's own would hide a difference between them.
    centres += [
        f"PERCENTILE_CONT({caps[name]}) WITHIN GROUP (ORDER BY {_uncapped(name)}) AS cap_{place}"
        for place, name in enumerate(needs.columns)
        if name in caps
    ]
    apart = ", ".join(
        f"LEAST({_uncapped(name)}, cap_{place}) - c_{place} AS d_{place}"
        if name in caps
        else f"{name} - c_{place} AS d_{place}"
        for place, name in enumerate(needs.columns)
    )
    keys = ", ".join(dict.fromkeys(name for part in cells.values() for name in part))
    parts = "".join(f"\nUNION ALL\n{_cells(needs, part, by)}" for part, by in cells.items())
    return f"""middle AS (
  SELECT {", ".join(centres)} FROM {of}
), apart AS (
  SELECT {keys}, {apart} FROM {of} CROSS JOIN middle
)
{_centres(needs)}{parts}"""


def _centres(needs: Needs) -> str:
    columns, capped = needs.columns, dict(needs.caps)
    figures = [f"c_{place}" for place in range(len(columns))]
    figures += [_NO_FIGURE for _ in places(needs)]
    figures += [f"cap_{place}" if name in capped else _NO_FIGURE for place, name in enumerate(columns)]
    return _part(needs, CENTRES, (), BUSIEST, figures, "middle")


def _cells(needs: Needs, part: str, keys: Sequence[str]) -> str:
    columns = needs.columns
    figures = [f"SUM(d_{place})" for place in range(len(columns))]
    figures += [f"SUM(d_{i} * d_{j})" for i, j in places(needs)]
    figures += [f"SUM(d_{place} * d_{place} * d_{place})" for place in range(len(columns))]
    return _part(needs, part, keys, "COUNT(*)", figures, f"apart GROUP BY {', '.join(keys)}")


def _counted(needs: Needs, part: str, keys: Sequence[str]) -> str:
    within = f"{REASON} IS {'NOT ' if part == LEFT_OUT else ''}NULL"
    figures = [_NO_FIGURE] * (2 * len(needs.columns) + len(places(needs)))
    return _part(needs, part, keys, "COUNT(*)", figures, f"members WHERE {within} GROUP BY {', '.join(keys)}")


def _part(needs: Needs, part: str, keys: Sequence[str], n: str, figures: Sequence[str], of: str) -> str:
    """Return one part of the answer; every part has the same columns."""
    labels = ", ".join(name if name in keys else f"CAST(NULL AS {kind}) AS {name}" for name, kind in _LABELS.items())
    named = ", ".join(f"{figure} AS {name}" for figure, name in zip(figures, figure_names(needs), strict=True))
    return f"SELECT '{part}' AS {PART}, {labels}, CAST({n} AS BIGINT) AS {Trial.N}, {named} FROM {of}"


def figure_names(needs: Needs) -> list[str]:
    """Return the names of the figures of the answer, in order."""
    names = [sum_name(place) for place in range(len(needs.columns))]
    names += [product_name(pair) for pair in places(needs)]
    return names + [cube_name(place) for place in range(len(needs.columns))]


_NO_FIGURE: Final = "CAST(NULL AS DOUBLE)"
_LABELS: Final = {
    Trial.VARIANT: "VARCHAR",
    Trial.REGION: "VARCHAR",
    Trial.DEVICE: "VARCHAR",
    REASON: "VARCHAR",
    Trial.BUCKET: "BIGINT",
    Trial.AGE: "BIGINT",
    FIRST_DAY: "DATE",
}


def _uncapped(column: str) -> str:
    return column.removesuffix(Trial.CAPPED)


def _of_a_day(name: str) -> str:
    """Return what a day of a user adds to a sum."""
    return "1" if name == Trial.ACTIVE_DAYS else name


def _rolled(name: str) -> str:
    if name == Trial.INTERACTIONS:
        return f"SUM({Rollup.EVENTS} - {Rollup.IMPRESSIONS})"
    return f"SUM({name})"


def _total(name: str) -> str:
    total = "COUNT(*)" if name == Trial.ACTIVE_DAYS else f"SUM({name})"
    return f"CAST({total} AS DOUBLE) AS {name}"


def _typed(name: str) -> str:
    return "DOUBLE" if name in DOUBLES else "BIGINT"
