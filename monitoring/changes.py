"""What somebody or something did to the system in a span of time: the candidates for a cause.

| kind | read from |
| --- | --- |
| index_version | the days each version served, from telemetry; the moment of the switch or rollback, from the ledger |
| feature_version | the manifests of two versions that served one after the other |
| catalogue | imports in the ledger |
| provider | providers that failed an import; groups of films that were not shown for a while |
| experiment | the registry: launches and stops |
| incident | findings of ``objectives.services`` |
"""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from experiments.plan import ExperimentPlan
from monitoring.findings import Change, ChangeKind, Finding
from monitoring.ground import Ground
from telemetry.warehouse.tables import CUT, NONE
from workspace.columns import Event, Rollup
from workspace.errors import StateError
from workspace.ledger import LedgerEntry

if TYPE_CHECKING:
    import pandas as pd

    from telemetry.warehouse.sql import Value

INCIDENTS: Final = "objectives.services"
EXPOSURE: Final = "drift.exposure"
GAP: Final = "gap"
"""Metric of a finding that films were not shown for a while."""
LEAST_SHARE: Final = 0.01
"""An index version serves on a day when so many of the day's users met it; late events of an old one do not count."""
_VERSION_CUT: Final = 4
_SWITCHES: Final = frozenset({"index.switch", "index.rollback"})
_IMPORT: Final = "catalogue.import"
_PAGE: Final = 1_000
_DAY: Final = dt.timedelta(days=1)


def gather(
    ground: Ground, start: dt.datetime, end: dt.datetime, *, findings: Sequence[Finding] | None = None
) -> tuple[Change, ...]:
    """Return what changed between two moments, the newest first.

    Args:
        ground: Where the records are.
        start: First moment, aware.
        end: Last moment.
        findings: What detectors found in the same run: incidents of services and gaps of providers are taken from
            them. None looks for incidents itself.
    """
    if findings is None:
        findings = incidents_of(ground, start, end)
    ledger = list(_ledger(ground, start, end))
    found = [
        *_versions(ground, start, end, ledger),
        *_imports(ground, ledger),
        *_experiments(ground, start, end),
        *_from_findings(findings, start, end),
    ]
    return tuple(sorted(found, key=lambda one: (one.at, one.kind, one.name), reverse=True))


def served(frame: "pd.DataFrame") -> list[tuple[str, dt.date, dt.date]]:
    """Return the stretches of days each index version served: its name, the first day and the last.

    Args:
        frame: Columns event_date, index_version, n_users: how many users met which version on which day.

    A version that comes back after a rollback has two stretches. A day without any telemetry ends none.
    """
    days = sorted(frame[Rollup.DATE].unique())
    totals = frame.groupby(Rollup.DATE)[Rollup.USERS].transform("sum")
    kept = frame[(frame[Rollup.USERS] >= LEAST_SHARE * totals) & (frame[Event.INDEX_VERSION] != NONE)]
    place = {day: number for number, day in enumerate(days)}
    found: list[tuple[str, dt.date, dt.date]] = []
    for name, rows in kept.groupby(Event.INDEX_VERSION, sort=True):
        places = sorted(place[day] for day in rows[Rollup.DATE])
        begun = places[0]
        for here, after in zip(places, [*places[1:], -1], strict=True):
            if after != here + 1:
                found.append((str(name), _date(days[begun]), _date(days[here])))
                begun = after
    return sorted(found, key=lambda one: (one[1], one[0]))


def _date(value: Any) -> dt.date:  # noqa: ANN401 - a timestamp or a date, as the engine gave it
    return value.date() if isinstance(value, dt.datetime) else value


def _versions(ground: Ground, start: dt.datetime, end: dt.datetime, ledger: Sequence[LedgerEntry]) -> Iterator[Change]:
    """Yield index versions as they came into service, and what is new in their features."""
    switches = [row for row in ledger if row.action in _SWITCHES]
    told: set[int] = set()
    for name, begun, ended in _stretches(ground, start.date(), end.date()):
        row = _switch_of(name, begun, switches)
        at = _moment(row.at) if row else _midnight(begun)
        if row:
            told.add(row.seq)
        until = _midnight(ended + _DAY) if ended else None
        if _inside(start, end, at, until):
            yield _change("index_version", name, at, until, summary=_words(name, row))
    for row in switches:
        if row.seq not in told:
            yield _change("index_version", row.subject, _moment(row.at), summary=_words(row.subject, row))
    yield from _features(ground, switches)


def _switch_of(name: str, begun: dt.date, switches: Sequence[LedgerEntry]) -> LedgerEntry | None:
    """Return the row of the ledger that tells the same switch more exactly."""
    near = [row for row in switches if row.subject == name and abs(_moment(row.at) - _midnight(begun)) <= 2 * _DAY]
    return min(near, key=lambda row: abs(_moment(row.at) - _midnight(begun)), default=None)


def _words(name: str, row: LedgerEntry | None) -> str:
    back = row is not None and row.action == "index.rollback"
    return f"index version {name} {'was rolled back to' if back else 'came into service'}"


def _inside(start: dt.datetime, end: dt.datetime, at: dt.datetime, until: dt.datetime | None) -> bool:
    """Tell whether something began or ended between two moments."""
    return start <= at <= end or (until is not None and start <= until <= end)


def _stretches(ground: Ground, start: dt.date, end: dt.date) -> list[tuple[str, dt.date, dt.date | None]]:
    """Return when each version served, without an end while it still does."""
    try:
        first, last = ground.days()
    except StateError:
        return []
    # Days more on either side, so that what begins inside can be told from what has always been there.
    window = (max(first, start - 2 * _DAY), min(last, end + _DAY))
    if window[0] > window[1]:
        return []
    sql = (
        f"SELECT {Rollup.DATE}, {Event.INDEX_VERSION}, {Rollup.USERS} FROM ACTIVE_DAY "  # noqa: S608 - our own names
        f"WHERE {CUT} = :cut AND {Rollup.DATE} >= :start AND {Rollup.DATE} <= :end"
    )
    parameters: dict[str, Value] = {"cut": _VERSION_CUT, "start": window[0], "end": window[1]}
    frame = ground.warehouse.query(sql, window=window, parameters=parameters)
    return [(name, begun, ended if ended < window[1] else None) for name, begun, ended in served(frame)
            if begun > window[0]]  # fmt: skip


def _features(ground: Ground, rows: Sequence[LedgerEntry]) -> Iterator[Change]:
    """Yield feature versions: what computes the vectors is not what computed them before the switch."""
    if not rows:
        return
    from recommender import index

    extras = {one.version: one.extra for one in index.list_versions(ground.paths)}
    for row in rows:
        before, now = extras.get(str(row.details.get("before"))), extras.get(row.subject)
        if before is None or now is None:
            continue
        changed = [key for key in ("feature_code", "encoder", "blocks") if before.get(key) != now.get(key)]
        if changed:
            words = f"features changed in {', '.join(changed)} with index version {row.subject}"
            yield _change("feature_version", row.subject, _moment(row.at), None, summary=words)


def _ledger(ground: Ground, start: dt.datetime, end: dt.datetime) -> Iterator[LedgerEntry]:
    """Yield the rows of the ledger between two moments that change what is recommended, the newest first."""
    offset = 0
    while True:
        rows = ground.ledger.entries(_PAGE, offset)
        for row in rows:
            if row.action in {*_SWITCHES, _IMPORT} and start <= _moment(row.at) <= end:
                yield row
        if len(rows) < _PAGE or _moment(rows[-1].at) < start:
            return
        offset += _PAGE


def _imports(ground: Ground, ledger: Sequence[LedgerEntry]) -> Iterator[Change]:
    imports = [row for row in ledger if row.action == _IMPORT]
    catalogue = ground.catalogue() if imports else None
    for row in imports:
        films = row.details.get("films")
        words = f"catalogue {row.subject} was imported" + (f" with {films} films" if films is not None else "")
        yield _change("catalogue", row.subject, _moment(row.at), None, summary=words)
        if catalogue is None or catalogue.snapshot_id != row.subject:
            continue
        for provider in catalogue.manifest.get("providers", ()):
            if not provider.get("ok", True):
                name, reason = str(provider.get("provider")), str(provider.get("reason") or "no reason given")
                words = f"provider {name} failed at the import: {reason}"
                yield _change("provider", name, _moment(row.at), None, {"provider": name}, words)


def _experiments(ground: Ground, start: dt.datetime, end: dt.datetime) -> Iterator[Change]:
    for record in ground.registry.all():
        begun, ended = record.launched_at, record.stopped_at
        if begun is None:
            continue
        if not _inside(start, end, begun, ended):
            continue
        until = f", stopped {ended:%Y-%m-%d}" if ended else ""
        words = f"experiment {record.experiment_id} was launched on {begun:%Y-%m-%d}{until}"
        yield _change("experiment", record.experiment_id, begun, ended, _allocated(record.plan), words)


def _allocated(plan: ExperimentPlan) -> Mapping[str, str]:
    """Return the region an experiment runs in, when it is one alone."""
    inside = [region for region, share in plan.allocation.items() if share > 0]
    return {"region": inside[0]} if len(inside) == 1 and plan.default_allocation == 0 else {}


def incidents_of(ground: Ground, start: dt.datetime, end: dt.datetime) -> tuple[Finding, ...]:
    """Return what ``objectives.services`` finds between two moments."""
    from monitoring import incidents

    return tuple(incidents.find(ground, start, end))


def _from_findings(findings: Sequence[Finding], start: dt.datetime, end: dt.datetime) -> Iterator[Change]:
    for one in findings:
        kind: ChangeKind
        if one.detector == INCIDENTS:
            kind, name = "incident", f"{one.metric} {' '.join(one.segment.values())}".strip()
        elif one.detector == EXPOSURE and one.metric == GAP:
            kind, name = "provider", str(one.segment.get("provider") or "a group of films")
        else:
            continue
        at, until = one.onset.at, one.ended
        if _inside(start, end, at, until):
            yield _change(kind, name, at, until, one.segment, one.summary)


def _change(
    kind: ChangeKind,
    name: str,
    at: dt.datetime,
    until: dt.datetime | None = None,
    segment: Mapping[str, str] | None = None,
    summary: str = "",
) -> Change:
    return Change(kind=kind, name=name, at=at, until=until, segment=dict(segment or {}), summary=summary)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)
