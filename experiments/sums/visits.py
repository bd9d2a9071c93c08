"""From events to users in two steps, with as few sums to keep for every visit as an engine can be made to keep.

Most of what a scorecard from events costs is the grouping by visit, for each sum has its price for each event. So
counts are *packed*: a sum of whole numbers in which every count has thirteen bits of its own. Texts are grouped by and
compared as their hashes, and days of activity are bits of one number.
"""

# ruff: noqa: S608 - statements are made of our own names; values are bound

from collections.abc import Sequence
from typing import Final

from telemetry.warehouse.sums import USER_COUNTS
from workspace.columns import Event, Rollup, Trial

BUSIEST: Final = "busiest"
"""Most events of one visit of a user: beyond `MOST`, counts would run into each other."""
MOST: Final = 2**13 - 1
DAYS: Final = "days_seen"
ACTS: Final = {**USER_COUNTS, Trial.INTERACTIONS: f"COUNT_IF({Event.TYPE} <> 'impression')"}
DOUBLES: Final = (Rollup.FOCUS_S, Rollup.SURVEY_SCORE)
_BITS: Final = MOST.bit_length()
_TOGETHER: Final = 4
"""Counts in one sum: 52 bits of the 53 that a double holds to the last."""
_USUAL: Final = "impression"
MOST_DAYS: Final = 62
_DAY: Final = f"CAST({Event.TS} AS DATE)"
_VISIT: Final = "visit"
_BEHIND: Final = 100_000
"""Added to the number of a day, so that days sort as texts of six digits."""


def visits(name: str, sums: Sequence[str], within: str, who: str) -> str:
    """Return the step of one row a user, day and session.

    Args:
        name: Of the step.
        sums: Which sums of a user are needed.
        within: Which events.
        who: What else is kept of a visit, or nothing.
    """
    keys = f"{Event.USER}, {_DAY} AS {Rollup.DATE}, HASH({Event.SESSION}) AS {_VISIT}"
    packs = "".join(f", {_packed(group)} AS {_pack(at)}" for at, group in enumerate(_groups(sums)))
    others = "".join(f", {ACTS[one]} AS {one}" for one in sums if one in DOUBLES)
    return f"""{name} AS (
  SELECT {keys}{who and f", {who}"}, COUNT(*) AS {Rollup.EVENTS}{packs}{others}
  FROM EVENTS WHERE {within} GROUP BY {Event.USER}, {_DAY}, HASH({Event.SESSION})
)"""


def totals(sums: Sequence[str], start: str, days: int) -> str:
    """Return what the visits of a user add up to.

    Args:
        sums: As in `visits`.
        start: Name of the value that holds the first day.
        days: How many days the visits are from.
    """
    out = [f"MAX({Rollup.EVENTS}) AS {BUSIEST}"]
    for at, group in enumerate(_groups(sums)):
        out += [f"SUM({_field(_pack(at), place)}) AS {one}" for place, one in enumerate(group)]
    out += [f"CAST(SUM({one}) AS DOUBLE) AS {one}" for one in sums if one in DOUBLES]
    shown = next(
        (
            _field(_pack(at), group.index(Rollup.IMPRESSIONS))
            for at, group in enumerate(_groups(sums))
            if Rollup.IMPRESSIONS in group
        ),
        "",
    )
    out += [f"SUM({Rollup.EVENTS} - {shown}) AS {one}" for one in sums if one == Trial.INTERACTIONS]
    out += [f"CAST(COUNT(*) AS DOUBLE) AS {one}" for one in sums if one == Rollup.SESSIONS]
    seen = f"BITOR_AGG(BITSHIFTLEFT(CAST(1 AS BIGINT), {_since(start)}))" if days <= MOST_DAYS else _COUNTED
    return ", ".join([*out, f"{seen} AS {DAYS}"])


def days_of(step: str, days: int) -> str:
    """Return how many days of activity a user of a step had."""
    if days > MOST_DAYS:
        return f"CAST({step}.{DAYS} AS DOUBLE)"
    bits = (f"CAST(BITAND(BITSHIFTRIGHT({step}.{DAYS}, {day}), 1) AS DOUBLE)" for day in range(days))
    return f"({' + '.join(bits)})"


def on_first_day(name: str, start: str) -> str:
    """Return a text of the visits of a user's first day, of several the first in the alphabet."""
    return f"SUBSTR(MIN(CAST({_BEHIND} + {_since(start)} AS VARCHAR) || {name}), {len(str(_BEHIND)) + 1}) AS {name}"


_COUNTED: Final = f"COUNT(DISTINCT {Rollup.DATE})"


def _since(start: str) -> str:
    return f"DATEDIFF('day', CAST(:{start} AS DATE), {Rollup.DATE})"


def _groups(sums: Sequence[str]) -> list[list[str]]:
    """Return the counts to pack, those of one type of event side by side."""
    counts = [one for one in sums if one not in (*DOUBLES, Rollup.SESSIONS, Trial.INTERACTIONS)]
    if Trial.INTERACTIONS in sums and Rollup.IMPRESSIONS not in counts:
        counts.append(Rollup.IMPRESSIONS)
    counts.sort(key=lambda one: (_condition(one)[0] != _USUAL, _condition(one)))
    return [counts[at : at + _TOGETHER] for at in range(0, len(counts), _TOGETHER)]


def _pack(at: int) -> str:
    return f"packed_{at}"


def _packed(group: Sequence[str]) -> str:
    # Most events are of one type: the others are not even looked at for them.
    parts: dict[str, list[str]] = {_USUAL: []}
    for place, one in enumerate(group):
        kind, more = _condition(one)
        unit = _double(1 << (_BITS * place))
        parts.setdefault(kind, []).append(f"IFF({more}, {unit}, {_double(0)})" if more else unit)
    cases = " ".join(f"WHEN '{kind}' THEN {' + '.join(units) or _double(0)}" for kind, units in parts.items())
    return f"SUM(CASE {Event.TYPE} {cases} ELSE {_double(0)} END)"


def _condition(count: str) -> tuple[str, str]:
    """Return the type of event that is counted, and what else must be true of it."""
    kind, _, more = ACTS[count].removeprefix(f"COUNT_IF({Event.TYPE} = '").removesuffix(")").partition("'")
    return kind, more.removeprefix(" AND ")


def _double(number: int) -> str:
    return f"CAST({number} AS DOUBLE)"


def _field(pack: str, place: int) -> str:
    """Return one count of a packed sum; every step of it is exact."""
    own = f"FLOOR({pack} / {_double(1 << (_BITS * place))})" if place else pack
    return f"({own} - {_double(1 << _BITS)} * FLOOR({pack} / {_double(1 << (_BITS * (place + 1)))}))"
