"""What *Experiments* and *Experiment* show: records of the registry, and analyses from the stored sums."""

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd
import streamlit as st

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.telemetry import warehouse
from experiments.analysis import Analysis, Analyst, Breakdown, Course, Dimension
from experiments.canary import CanaryStep, inputs_of, judge
from experiments.records import Record
from experiments.registry import Registry
from experiments.sums import Sums
from telemetry.parts import PartLog
from telemetry.pseudonyms import KeyRing
from workspace.clock import SystemClock
from workspace.errors import NotEstimableError, RecommendrError, StateError
from workspace.ledger import Ledger, LedgerEntry
from workspace.paths import Paths
from workspace.settings import Settings, load_settings
from workspace.store import Store

if TYPE_CHECKING:
    from experiments.resplit import Resplit

_TTL: Final = dt.timedelta(minutes=1)
_TTL_LONG: Final = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What is looked at.

    Args:
        record: The experiment.
        as_of: The day; None before there is one.
        cuped: Whether estimates are adjusted by the days before.
    """

    record: Record
    as_of: dt.date | None
    cuped: bool

    @property
    def key(self) -> tuple[object, ...]:
        """What tells this choice from others."""
        return (self.record.experiment_id, self.record.revision, self.as_of, self.cuped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One experiment of the list; without an analysis it says why."""

    record: Record
    analysis: Analysis | None
    problem: RecommendrError | None
    days_left: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """An evidence pack as it is handed out."""

    name: str
    json: str
    html: str
    digest: str
    ledger: str


@st.cache_resource(max_entries=2, show_spinner=False)
def _registry(settings: Settings) -> Registry:
    return Registry(Store.open(settings))


@st.cache_resource(max_entries=2, show_spinner=False)
def _analyst(settings: Settings) -> Analyst:
    store, clock, paths = Store.open(settings), SystemClock(), Paths(settings.home)
    rotations = KeyRing.open(settings, clock).valid_from[1:]
    sums = Sums(warehouse(settings), PartLog(store, paths, clock), paths, clock=clock, rotations=rotations)
    return Analyst(sums, _registry(settings), k=settings.k_anonymity)


def registry() -> Registry:
    """Return the registry of the workspace."""
    return _registry(load_settings())


def analyst() -> Analyst:
    """Return what analyses the workspace's experiments."""
    return _analyst(load_settings())


def least() -> int:
    """Return the least number of users any figure is about."""
    return load_settings().k_anonymity


def names() -> list[str]:
    """Return the ids of all experiments, the newest first."""
    return [one.experiment_id for one in newest_first()]


def newest_first() -> list[Record]:
    """Return the records of all experiments, the one that starts last first."""
    return sorted(registry().all(), key=lambda one: (one.plan.start, one.experiment_id), reverse=True)


def record(experiment_id: str) -> Record:
    """Return one experiment.

    Raises:
        UnknownError: When there is none of that id.
    """
    return registry().get(experiment_id)


def history(experiment_id: str) -> list[LedgerEntry]:
    """Return everything that was done to an experiment, the newest first."""
    return registry().history(experiment_id)[::-1]


def days(experiment_id: str) -> list[dt.date]:
    """Return the days as of which an experiment can be judged, oldest first; none before its first event."""
    known = record(experiment_id)
    last = ask((load_settings(), "last experiment day"), lambda: analyst().last_day(), ttl=_TTL).value
    if last is None or last < known.plan.start or known.launched_at is None:
        return []
    stopped = dt.date.max if known.stopped_at is None else known.stopped_at.date() - dt.timedelta(days=1)
    end = max(known.plan.start, min(last, known.plan.planned_end, stopped))
    return [known.plan.start + dt.timedelta(days=at) for at in range((end - known.plan.start).days + 1)]


def listed() -> Kept[list[Listed]]:
    """Return every experiment with its verdict as of now."""
    return ask((load_settings(), "experiments", _revisions()), _listed, ttl=_TTL)


def _revisions() -> tuple[tuple[str, int], ...]:
    return tuple((one.experiment_id, one.revision) for one in newest_first())


def _listed() -> list[Listed]:
    return [_standing(one) for one in newest_first()]


def _standing(known: Record) -> Listed:
    left = None if not known.live else max(0, (known.plan.planned_end - SystemClock().now().date()).days + 1)
    found = days(known.experiment_id)
    if not found:
        return Listed(record=known, analysis=None, problem=None, days_left=left)
    try:
        kept = analysis(Chosen(record=known, as_of=found[-1], cuped=known.plan.rule.cuped))
    except (NotEstimableError, StateError) as problem:
        return Listed(record=known, analysis=None, problem=problem, days_left=left)
    return Listed(record=known, analysis=kept.value, problem=None, days_left=left)


def analysis(chosen: Chosen) -> Kept[Analysis]:
    """Return scorecard and verdict as of a day.

    Raises:
        NotEstimableError: When nobody was exposed by then.
    """
    known = chosen.record
    return ask(
        (load_settings(), "analysis", *chosen.key),
        lambda: analyst().analysis(known.experiment_id, chosen.as_of, chosen.cuped),
        ttl=_TTL,
    )


def course(chosen: Chosen, metric: str, variant: str) -> Kept[Course]:
    """Return the cumulative lift of a metric, day by day."""
    return ask(
        (load_settings(), "course", *chosen.key, metric, variant),
        lambda: analyst().course(chosen.record.experiment_id, metric, variant, as_of=chosen.as_of),
        ttl=_TTL_LONG,
    )


def breakdown(chosen: Chosen, dimension: Dimension) -> Kept[Breakdown]:
    """Return every metric within each region or on each device."""
    return ask(
        (load_settings(), "breakdown", *chosen.key, dimension),
        lambda: analyst().breakdown(chosen.record.experiment_id, dimension, chosen.as_of, k=least()),
        ttl=_TTL,
    )


def canary(chosen: Chosen) -> CanaryStep:
    """Return what a canary should do next; nothing is changed."""
    return judge(chosen.record, inputs_of(analysis(chosen).value.scorecard))


def exposures(chosen: Chosen) -> Kept[pd.DataFrame]:
    """Return users first exposed, by day, variant and region."""
    return ask(
        (load_settings(), "exposures", *chosen.key),
        lambda: analyst().exposures(chosen.record.experiment_id, chosen.as_of),
        ttl=_TTL,
    )


def resplit(chosen: Chosen) -> "Kept[dict[str, Resplit | str]]":
    """Return the false alarms among random splits of the experiment's own users, by metric."""
    return ask(
        (load_settings(), "resplit", *chosen.key),
        lambda: analyst().resplit(chosen.record.experiment_id, chosen.as_of),
        ttl=_TTL_LONG,
    )


def evidence(chosen: Chosen) -> Pack:
    """Return the evidence pack as of a day."""
    from experiments.evidence import pack

    settings, known = load_settings(), chosen.record
    head = Ledger(Store.open(settings)).head().hash
    made = pack(analyst(), known.experiment_id, chosen.as_of, ledger_head=head)
    text = made.json_bytes().decode()
    return Pack(
        name=f"{known.experiment_id}-{chosen.as_of}", json=text, html=made.html(),
        digest=str(json.loads(text)["sha256"]), ledger=head,
    )  # fmt: skip


def share_told(known: Record) -> str:
    """Return the share of the users who take part, in words."""
    if known.share is None:
        return f"{100 * known.plan.default_allocation:g} % planned"
    if known.rolled_back:
        return "rolled back"
    return f"{100 * known.share:g} % of the users"
