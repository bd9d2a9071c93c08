"""A telemetry event: its stored form, the words it may use, and the rules by which one is refused.

The rules are data: SQL conditions over the typed columns of a chunk, asked in order; the first that holds names the
reason. `telemetry.ingest.door` puts them into one query.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from workspace.columns import Event

EVENT_TYPES: Final = ("impression", "click", "focus", "thumbs_down", "refresh", "survey")
DEVICES: Final = ("web", "ios", "android", "tv")
DOMAIN_EVENTS: Final = ("film.updated", "user.joined")

LONGEST_ID: Final = 128
LONGEST_USER_ID: Final = 256
LONGEST_EXTRA: Final = 16_384
LONGEST_LINE: Final = 65_536
HIGHEST_POSITION: Final = 100
LONGEST_DWELL_S: Final = 86_400
FIRST_MOMENT: Final = dt.datetime(2000, 1, 1)  # noqa: DTZ001 - stored times are UTC without a zone
CLOCK_SKEW: Final = dt.timedelta(minutes=5)

MOMENT: Final = pa.timestamp("us")
TIMES: Final = (Event.TS, Event.RECEIVED_AT)
NUMBERS: Final = (Event.POSITION, Event.VALUE)
TEXTS: Final = tuple(name for name in Event.CONTRACT if name not in TIMES + NUMBERS)
REQUIRED: Final = (Event.ID, Event.TS, Event.USER, Event.REGION, Event.DEVICE, Event.TYPE)

_TYPES: Final = {
    Event.TS: MOMENT,
    Event.RECEIVED_AT: MOMENT,
    Event.USER: pa.int64(),
    Event.POSITION: pa.int16(),
    Event.VALUE: pa.float64(),
}
SCHEMA: Final = pa.schema([(name, _TYPES.get(name, pa.string())) for name in Event.ALL])
"""The form in which events are stored; `user_id` is the 63-bit pseudonym, times are UTC without a zone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One reason to refuse an event.

    Args:
        field: The field at fault.
        reason: What it must be, in words for a person.
        refuses: SQL condition over the typed columns; ``given_<field>`` tells whether a time or number was there,
            `SUSPECT` whether any text has a character that no text may have.
    """

    field: str
    reason: str
    refuses: str


# Controls, private use and line separators: nothing that could steer a terminal or end a line.
UNPRINTABLE: Final = r"[\p{Cc}\p{Cf}\p{Co}\p{Zl}\p{Zp}]"
SUSPECT: Final = "any_unprintable"
"""A column of the door: whether any text of the row has such a character. One test of all is cheaper than of each."""
_FILM_EVENTS: Final = ("impression", "click", "focus", "thumbs_down")
_SLATE_EVENTS: Final = (*_FILM_EVENTS, "refresh")
_VALUE_EVENTS: Final = ("focus", "survey")


def _among(words: tuple[str, ...]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _identity() -> list[Rule]:
    user, kind = Event.USER, Event.TYPE
    return [
        _missing(Event.ID, f"coalesce({Event.ID}, '') = ''"),
        _text(Event.ID, LONGEST_ID),
        _missing(user, f"coalesce({user}, '') = ''"),
        _text(user, LONGEST_USER_ID),
        _missing(kind, f"coalesce({kind}, '') = ''"),
        Rule(field=kind, reason="unknown event type", refuses=f"{kind} NOT IN ({_among(EVENT_TYPES)})"),
    ]


def _times() -> list[Rule]:
    ts, received, skew = Event.TS, Event.RECEIVED_AT, f"INTERVAL {CLOCK_SKEW.seconds} SECOND"
    zone = "must be an ISO-8601 time with a zone"
    return [
        _missing(ts, f"NOT given_{ts}"),
        Rule(field=ts, reason=zone, refuses=f"{ts} IS NULL"),
        Rule(field=ts, reason="before the year 2000", refuses=f"{ts} < TIMESTAMP '{FIRST_MOMENT}'"),
        Rule(field=received, reason=zone, refuses=f"given_{received} AND {received} IS NULL"),
        Rule(field=received, reason="more than 5 min in the future", refuses=f"{received} > stamped_at + {skew}"),
        Rule(field=ts, reason="more than 5 min after its receipt", refuses=f"{ts} > {received} + {skew}"),
    ]


def _context() -> list[Rule]:
    region, device, experiment, variant = Event.REGION, Event.DEVICE, Event.EXPERIMENT, Event.VARIANT
    optional = (Event.SESSION, Event.TRANSACTION, Event.SLATE, Event.FILM, experiment, variant, Event.INDEX_VERSION)
    return [
        _missing(region, f"coalesce({region}, '') = ''"),
        Rule(
            field=region,
            reason="must be two upper-case letters",
            refuses=f"NOT regexp_full_match({region}, '[A-Z][A-Z]')",
        ),
        _missing(device, f"coalesce({device}, '') = ''"),
        Rule(field=device, reason="unknown device", refuses=f"{device} NOT IN ({_among(DEVICES)})"),
        *(_text(name, LONGEST_ID) for name in optional),
        Rule(
            field=experiment,
            reason="experiment and variant come together",
            refuses=f"({experiment} IS NULL) <> ({variant} IS NULL)",
        ),
        Rule(
            field=Event.EXTRA, reason="unknown fields are too long", refuses=f"strlen({Event.EXTRA}) > {LONGEST_EXTRA}"
        ),
    ]


def _numbers() -> list[Rule]:
    kind, position, value = Event.TYPE, Event.POSITION, Event.VALUE
    film, slate = f"{kind} IN ({_among(_FILM_EVENTS)})", f"{kind} IN ({_among(_SLATE_EVENTS)})"
    takes_value = f"{kind} IN ({_among(_VALUE_EVENTS)})"
    whole = f"{position} BETWEEN 1 AND {HIGHEST_POSITION} AND {position} = floor({position})"
    return [
        _missing(Event.SLATE, f"{slate} AND {Event.SLATE} IS NULL"),
        _missing(Event.FILM, f"{film} AND {Event.FILM} IS NULL"),
        _missing(position, f"{film} AND NOT given_{position}"),
        Rule(
            field=position,
            reason=f"must be a whole number from 1 to {HIGHEST_POSITION}",
            refuses=f"given_{position} AND NOT coalesce({whole}, FALSE)",
        ),
        _missing(value, f"{takes_value} AND NOT given_{value}"),
        Rule(
            field=value, reason="must be a number", refuses=f"given_{value} AND NOT coalesce(isfinite({value}), FALSE)"
        ),
        Rule(field=value, reason="only focus and survey carry a value", refuses=f"NOT {takes_value} AND given_{value}"),
        Rule(field=value, reason="negative dwell", refuses=f"{kind} = 'focus' AND {value} < 0"),
        Rule(
            field=value, reason="dwell of more than a day", refuses=f"{kind} = 'focus' AND {value} > {LONGEST_DWELL_S}"
        ),
        Rule(
            field=value,
            reason="must be a whole score from 1 to 5",
            refuses=f"{kind} = 'survey' AND NOT ({value} BETWEEN 1 AND 5 AND {value} = floor({value}))",
        ),
    ]


def _missing(field: str, condition: str) -> Rule:
    return Rule(field=field, reason="missing", refuses=condition)


def _text(field: str, longest: int) -> Rule:
    # strlen counts bytes, never less than characters; a CASE keeps the dear test to the few rows that need it.
    condition = f"""CASE WHEN strlen({field}) > {longest} THEN length({field}) > {longest}
        OR regexp_matches({field}, '{UNPRINTABLE}')
        WHEN {SUSPECT} THEN regexp_matches({field}, '{UNPRINTABLE}') END"""
    return Rule(field=field, reason=f"must be 1 to {longest} printable characters", refuses=condition)


RULES: Final = (*_identity(), *_times(), *_context(), *_numbers())
"""Asked in this order; the first that holds is the reason."""
