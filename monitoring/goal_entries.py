"""What no machine here measures and somebody enters: revenue by period, by hand or from CSV.

Entries are never changed: a correction is a newer entry of the same goal and period, and the newest counts. Every
entry leaves a row in the ledger.
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Date, DateTime, Double, Integer, String, Text, select
from sqlalchemy.orm import Mapped, mapped_column

from workspace.checks import check_scalar
from workspace.errors import InvalidValueError, RecommendrError, SchemaError, UnknownError
from workspace.store import Base, Store

if TYPE_CHECKING:
    from monitoring.ground import Ground
    from monitoring.measures import Reading

ENTERED: Final[Mapping[str, str]] = {
    "revenue_ads": "advertising revenue of the period",
    "revenue_premium": "premium subscription revenue of the period",
}
"""Goals that are entered, and what of each."""
ENTER: Final = "goal.enter"
COLUMNS: Final = ("goal", "period", "value")
NOTE: Final = "note"
MOST_ROWS: Final = 10_000
_MOST_BYTES: Final = 10_000_000
_SLACK: Final = dt.timedelta(days=3)
"""Two reporting calendars may differ by a weekend."""
_ALIKE: Final = 0.15
"""February has a tenth less days than January and is compared with it all the same."""
_PERIOD: Final = re.compile(r"(?P<year>\d{4})(?:-(?:Q(?P<quarter>[1-4])|(?P<month>\d{2})))?")
_DAY: Final = dt.timedelta(days=1)
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 2200


class GoalEntryRow(Base):
    """One entry, as stored."""

    __tablename__ = "goal_entries"

    seq: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"), primary_key=True)
    goal: Mapped[str] = mapped_column(String(64), index=True)
    period_start: Mapped[dt.date] = mapped_column(Date)
    period_end: Mapped[dt.date] = mapped_column(Date)
    value: Mapped[float] = mapped_column(Double)
    note: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    entered_by: Mapped[str] = mapped_column(Text)
    entered_at: Mapped[dt.datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One figure of one period.

    Args:
        goal: Of `ENTERED`.
        start: First day of the period.
        end: Last day, included.
        value: In money, at least 0.
        note: Whatever should be known about it.

    Raises:
        UnknownError: When the goal is none that is entered.
        InvalidValueError: When the value is negative or the period ends before it starts.
    """

    goal: str
    start: dt.date
    end: dt.date
    value: float
    note: str = ""

    def __post_init__(self) -> None:
        if self.goal not in ENTERED:
            raise UnknownError(
                f"goal == {self.goal!r}", "must be one that is entered", f"they are {', '.join(ENTERED)}"
            )
        if self.start > self.end:
            raise InvalidValueError(f"period == {self.start} … {self.end}", "must not end before it starts")
        if not _FIRST_YEAR <= self.start.year <= self.end.year <= _LAST_YEAR:
            raise InvalidValueError(f"period == {self.start} … {self.end}", f"must lie in {_FIRST_YEAR} … {_LAST_YEAR}")
        check_scalar(self.value, "value", ge=0, hint="enter the money of the period, not its change")

    @property
    def period(self) -> str:
        """The period, as people write it."""
        return period_name(self.start, self.end)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "goal": self.goal, "period": self.period, "start": self.start.isoformat(), "end": self.end.isoformat(),
            "value": self.value, "note": self.note,
        }  # fmt: skip


def parse_period(text: str) -> tuple[dt.date, dt.date]:
    """Return the first and the last day of a period.

    Args:
        text: A year ``2026``, a quarter ``2026-Q2``, a month ``2026-05``, or days ``2026-05-01..2026-05-31``.

    Raises:
        InvalidValueError: When it is none of these.

    Example:
        >>> parse_period("2026-Q2")
        (datetime.date(2026, 4, 1), datetime.date(2026, 6, 30))
    """
    bad = InvalidValueError(
        f"period == {text!r}", "must be a year, quarter, month or two days",
        "write it as 2026, 2026-Q2, 2026-05 or 2026-05-01..2026-05-31",
    )  # fmt: skip
    if ".." in text:
        try:
            start, end = (dt.date.fromisoformat(part.strip()) for part in text.split("..", 1))
        except ValueError as error:
            raise bad from error
        return start, end
    found = _PERIOD.fullmatch(text.strip())
    if not found:
        raise bad
    try:
        year = int(found["year"])
        if found["quarter"]:
            first, months = dt.date(year, 3 * int(found["quarter"]) - 2, 1), 3
        elif found["month"]:
            first, months = dt.date(year, int(found["month"]), 1), 1
        else:
            first, months = dt.date(year, 1, 1), 12
        return first, _months_later(first, months) - _DAY
    except ValueError as error:
        raise bad from error


def period_name(start: dt.date, end: dt.date) -> str:
    """Return a period as people write it.

    Example:
        >>> period_name(dt.date(2026, 5, 1), dt.date(2026, 5, 31))
        '2026-05'
    """
    whole = {
        12: f"{start:%Y}", 3: f"{start:%Y}-Q{(start.month + 2) // 3}", 1: f"{start:%Y-%m}",
    }  # fmt: skip
    for months, name in whole.items():
        if start.day == 1 and (start.month - 1) % months == 0 and end + _DAY == _months_later(start, months):
            return name
    return f"{start}..{end}"


def enter(ground: "Ground", entries: Sequence[Entry], *, actor: str, source: str = "hand") -> int:
    """Store entries, all or none, with a row in the ledger each.

    Args:
        ground: The stores.
        entries: What is entered.
        actor: Who enters it.
        source: From where, for example the name of a file.

    Returns:
        How many were new; what is stored already just so is not stored again.
    """
    known = {(one.goal, one.start, one.end): one for one in newest(ground.store)}
    fresh = [one for one in entries if known.get((one.goal, one.start, one.end)) != one]
    now = ground.clock.now()
    with ground.store.session() as session:
        for one in fresh:
            session.add(
                GoalEntryRow(
                    goal=one.goal, period_start=one.start, period_end=one.end, value=one.value, note=one.note,
                    source=source, entered_by=actor, entered_at=now,
                )
            )  # fmt: skip
            ground.ledger.append(actor, ENTER, one.goal, {**one.to_dict(), "source": source}, session=session)
    return len(fresh)


def newest(store: Store, goal: str | None = None, *, at: dt.datetime | None = None) -> list[Entry]:
    """Return what counts of each goal and period, ordered by goal and end of the period.

    Args:
        store: The operational store.
        goal: Only of this goal.
        at: Only what was entered by then about periods that were over.
    """
    asked = select(GoalEntryRow).order_by(GoalEntryRow.seq)
    if goal is not None:
        asked = asked.where(GoalEntryRow.goal == goal)
    if at is not None:
        asked = asked.where(GoalEntryRow.entered_at <= at, GoalEntryRow.period_end < at.astimezone(dt.UTC).date())
    with store.reading() as session:
        rows = session.scalars(asked).all()
    found = {
        (row.goal, row.period_start, row.period_end): Entry(
            goal=row.goal, start=row.period_start, end=row.period_end, value=row.value, note=row.note
        )
        for row in rows
        if row.goal in ENTERED
    }
    return sorted(found.values(), key=lambda one: (one.goal, one.end, one.start))


def growth(store: Store, goal: str, *, at: dt.datetime) -> "Reading":
    """Return the change of a goal in its newest period, against the same period a year before, else the one before."""
    from monitoring.measures import Reading

    entries = newest(store, goal, at=at)
    if not entries:
        hint = f"run `recommendr monitor goals enter {goal} --period 2026-05 VALUE`"
        return Reading(value=None, unit="relative", note=f"not estimable: no period of it is entered; {hint}")
    return _growth(entries[-1], entries)


def growth_course(store: Store, goal: str, count: int, *, at: dt.datetime) -> "tuple[Reading, ...]":
    """Return the change in each of the newest periods, the oldest first; those with nothing to compare left out."""
    entries = newest(store, goal, at=at)
    found = (_growth(one, entries) for one in entries[-count:])
    return tuple(one for one in found if one.value is not None)


def _growth(one: Entry, entries: Sequence[Entry]) -> "Reading":
    from monitoring.measures import Reading

    as_of = dt.datetime.combine(one.end + _DAY, dt.time(), tzinfo=dt.UTC)
    before = _year_before(one, entries) or _period_before(one, entries)
    if before is None:
        note = f"not estimable: {one.period} is entered, one period more is missing: a year before, or the one before"
        return Reading(value=None, unit="relative", as_of=as_of, note=note)
    if before.value == 0:
        return Reading(value=None, unit="relative", as_of=as_of, note=f"not estimable: {before.period} was 0")
    note = f"{one.period}: {one.value:,.2f} against {before.value:,.2f} in {before.period}"
    return Reading(value=one.value / before.value - 1, unit="relative", as_of=as_of, note=note)


def _year_before(one: Entry, entries: Sequence[Entry]) -> Entry | None:
    start, end = _months_later(one.start, -12), _months_later(one.end + _DAY, -12) - _DAY
    fitting = [other for other in entries if abs(other.start - start) <= _SLACK and abs(other.end - end) <= _SLACK]
    return fitting[-1] if fitting else None


def _period_before(one: Entry, entries: Sequence[Entry]) -> Entry | None:
    length = (one.end - one.start).days + 1
    for other in reversed(entries):
        alike = abs((other.end - other.start).days + 1 - length) <= _ALIKE * length
        if alike and abs(one.start - _DAY - other.end) <= _SLACK and other.start < one.start:
            return other
    return None


def read_csv(path: Path) -> list[Entry]:
    """Return the entries of a CSV file with the columns goal, period, value and, if wanted, note.

    Raises:
        SchemaError: When the file can't be read as such, or a line can't be used; the first five are named, and
            nothing is taken from the rest.
    """
    try:
        rows = list(csv.reader(io.StringIO(_text(path), newline=""), strict=True))
    except csv.Error as error:
        raise SchemaError(f"{path} can't be read: {error}", "must be CSV", "save it as CSV UTF-8") from error
    if not rows:
        raise SchemaError(f"{path} is empty", f"must have the columns {', '.join(COLUMNS)}")
    names = [name.strip().lower() for name in rows[0]]
    missing = [name for name in COLUMNS if name not in names]
    if missing or len(set(names)) != len(names):
        limit = f"must have {', '.join(COLUMNS)} once each, and may have {NOTE}"
        raise SchemaError(f"{path} has the columns {', '.join(names)}", limit)
    if len(rows) - 1 > MOST_ROWS:
        raise SchemaError(f"{path} has {len(rows) - 1:,} rows", f"must have at most {MOST_ROWS:,}")
    entries: dict[tuple[str, dt.date, dt.date], Entry] = {}
    faults = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            one = _entry(names, row)
            if (one.goal, one.start, one.end) in entries:
                raise InvalidValueError(f"{one.goal} of {one.period}", "must be there once")
            entries[one.goal, one.start, one.end] = one
        except RecommendrError as fault:
            faults.append(f"line {number}: {fault}")
    if faults:
        more = f" (and {len(faults) - 5} more)" if len(faults) > 5 else ""  # noqa: PLR2004 - as the docstring says
        raise SchemaError(f"{path}: {' '.join(faults[:5])}{more}", hint="correct them; nothing was imported")
    return list(entries.values())


def _text(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > _MOST_BYTES:
        raise SchemaError(f"{path} has {len(content):,} bytes", f"must have at most {_MOST_BYTES:,}")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SchemaError(f"{path} can't be read: {error}", "must be UTF-8", "save it as CSV UTF-8") from error


def _entry(names: Sequence[str], row: Sequence[str]) -> Entry:
    if len(row) != len(names):
        raise InvalidValueError(f"cells == {len(row)}", f"must be {len(names)}", "write 125000.50, not 125,000.50")
    cells = dict(zip(names, row, strict=True))
    start, end = parse_period(cells["period"])
    text = cells["value"].strip()
    try:
        value = float(text)
    except ValueError as error:
        raise InvalidValueError(f"value == {text!r}", "must be a number", "write it as 125000.50") from error
    return Entry(goal=cells["goal"].strip(), start=start, end=end, value=value, note=cells.get(NOTE, "").strip())


def _months_later(day: dt.date, months: int) -> dt.date:
    """Return the same day some months later; the last of the month where it has no such day."""
    whole = day.year * 12 + day.month - 1 + months
    first = dt.date(whole // 12, whole % 12 + 1, 1)
    following = dt.date((whole + 1) // 12, (whole + 1) % 12 + 1, 1)
    return min(first + (day.day - 1) * _DAY, following - _DAY)
