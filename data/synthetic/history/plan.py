"""When what happens: every planted truth with its window, laid over the weeks there are.

Windows are fractions of the history, so that a history of a few weeks has the same truths as one of half a year, as
far as they fit. What does not fit is named in `Plan.left_out`.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from data.synthetic.history.spec import HistorySpec

Arm = Literal["control", "treatment"]
ARMS: Final[tuple[Arm, Arm]] = ("control", "treatment")

EXPERIMENT_DAYS: Final = 14
LONGEST_EXPERIMENT_DAYS: Final = 28
ALLOCATED: Final = 0.9
CTR_LIFT: Final = 0.06
THUMBS_HARM: Final = 0.25
NOVELTY_LIFT: Final = 0.30
NOVELTY_GONE: Final = 0.75
LOST_SHARE: Final = 0.6
LOSING_REGION: Final = "US"

DRIFT_MARKET: Final = "central_asia"
INCIDENT_FACTOR: Final = 0.45
INCIDENT_FILMS: Final = 0.25
LEAK_SHARE: Final = 0.6
STUFFED_SHARE: Final = 0.06
RECENT_DAYS: Final = 14

_RELEASES: Final = (0.0, 0.15, 0.7, 0.88)
"""Where in a history a new index version is taken into service, for no other reason than that it is new."""

_TAKEN_IN_ORDER: Final = ("exp_ctr_lift", "exp_thumbs_harm", "exp_aa", "exp_srm", "exp_novelty")
_RUN_IN_ORDER: Final = ("exp_aa", "exp_thumbs_harm", "exp_srm", "exp_novelty", "exp_ctr_lift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Days of the history from ``first`` to before ``stop``, counted from 0; parts of days are allowed."""

    first: float
    stop: float

    def has(self, day: int) -> bool:
        """Say whether a day begins inside."""
        return self.first <= day < self.stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """One experiment over all regions, half and half.

    Args:
        name: Its id.
        window: Whole days.
        effect: What is true of it.
    """

    name: str
    window: Window
    effect: Literal["ctr_lift", "thumbs_harm", "none", "srm", "novelty"]

    def click_factor(self, day: int) -> float:
        """Return what treatment does to the probability of a click on a day."""
        if self.effect == "ctr_lift":
            return 1.0 + CTR_LIFT
        if self.effect == "novelty":
            run = (day - self.window.first) / (self.window.stop - self.window.first)
            return 1.0 + NOVELTY_LIFT * max(0.0, 1.0 - run / NOVELTY_GONE)
        return 1.0

    def thumbs_factor(self) -> float:
        """Return what treatment does to the probability of a thumbs-down."""
        return 1.0 + THUMBS_HARM if self.effect == "thumbs_harm" else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexVersion:
    """One index version and the days it served."""

    name: str
    window: Window
    leaks: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every window of a history.

    Args:
        spec: The history.
        experiments: One after another: no user is in two at a time.
        left_out: Planted truths that did not fit, with the reason.
        versions: Index versions, one after another without a gap.
        drift_day: From this day on, the market's taste is another.
        incident: Days of the catalogue incident.
        stuffing_day: From this day on, one studio stuffs keywords.
        bots: Days on which bots are at work.
        farm: Days on which the click farm is at work.
        memory_leak: In one service and region.
        provider_outage: Of one provider of films.
        latency: In one service and region.
    """

    spec: HistorySpec
    experiments: tuple[Experiment, ...]
    left_out: tuple[str, ...]
    versions: tuple[IndexVersion, ...]
    drift_day: int
    incident: Window
    stuffing_day: int
    bots: Window
    farm: Window
    memory_leak: Window
    provider_outage: Window
    latency: Window

    def experiment(self, day: int) -> Experiment | None:
        """Return the experiment that runs on a day."""
        return next((one for one in self.experiments if one.window.has(day)), None)

    def version(self, day: int) -> IndexVersion:
        """Return the index version that serves on a day."""
        return next(one for one in self.versions if one.window.has(day))

    def date(self, day: float) -> date:
        """Return the date of a day."""
        return self.spec.date_of(int(day))

    def moment(self, day: float) -> datetime:
        """Return the moment a fraction of a day stands for."""
        minutes = round(day * 1440)
        return datetime.combine(self.spec.start, time(), tzinfo=UTC) + timedelta(minutes=minutes)


def plan(spec: HistorySpec) -> Plan:
    """Return the plan of a history.

    Example:
        >>> [one.name for one in plan(HistorySpec(weeks=2, end=date(2026, 1, 1))).experiments]
        ['exp_ctr_lift']
    """
    if not spec.planted:
        return _uneventful(spec)
    experiments = _experiments(spec.days)
    running = {one.name for one in experiments}
    left_out = [
        f"{name}: {spec.weeks} weeks hold {len(running)} experiments of {EXPERIMENT_DAYS} days one after another"
        for name in _TAKEN_IN_ORDER
        if name not in running
    ]
    days, recent = spec.days, min(RECENT_DAYS, spec.days)
    late = days - recent
    incident = _days(days, 0.30, 0.33)
    return Plan(
        spec=spec,
        experiments=experiments,
        left_out=tuple(left_out),
        versions=_versions(spec, incident),
        drift_day=int(0.58 * days),
        incident=incident,
        stuffing_day=int(0.68 * days),
        bots=_days(days, 0.22, 0.26),
        farm=_days(days, 0.85, 0.865),
        memory_leak=Window(first=late + 0.30 * recent, stop=late + 0.62 * recent),
        provider_outage=Window(first=late + 0.70 * recent, stop=late + 0.70 * recent + 0.75),
        latency=Window(first=days - 2 + 17 / 24, stop=days - 2 + 21 / 24),
    )


def _uneventful(spec: HistorySpec) -> Plan:
    """Return the plan of a history with nothing planted; its index versions change all the same, to no effect."""
    never = Window(first=spec.days, stop=spec.days)
    return Plan(
        spec=spec,
        experiments=(),
        left_out=("everything: the history is unplanted",),
        versions=_plain_versions(spec),
        drift_day=spec.days,
        incident=never,
        stuffing_day=spec.days,
        bots=never,
        farm=never,
        memory_leak=never,
        provider_outage=never,
        latency=never,
    )


def _experiments(days: int) -> tuple[Experiment, ...]:
    slots = max(1, min(len(_TAKEN_IN_ORDER), days // EXPERIMENT_DAYS))
    taken = _TAKEN_IN_ORDER[:slots]
    width = days // slots
    length = min(LONGEST_EXPERIMENT_DAYS, width)
    effects: dict[str, Literal["ctr_lift", "thumbs_harm", "none", "srm", "novelty"]] = {
        "exp_ctr_lift": "ctr_lift",
        "exp_thumbs_harm": "thumbs_harm",
        "exp_aa": "none",
        "exp_srm": "srm",
        "exp_novelty": "novelty",
    }
    found = []
    # Counted from the end: the last experiment runs to the last day, where a page looks first.
    for place, name in enumerate(reversed([name for name in _RUN_IN_ORDER if name in taken])):
        stop = days - place * width
        found.append(Experiment(name=name, window=Window(first=stop - length, stop=stop), effect=effects[name]))
    return tuple(reversed(found))


def _days(days: int, low: float, high: float) -> Window:
    """Return whole days, one at least."""
    first = int(low * days)
    return Window(first=first, stop=min(days, max(first + 1, round(high * days))))


def _plain_versions(spec: HistorySpec) -> tuple[IndexVersion, ...]:
    cuts = sorted({int(share * spec.days) for share in _RELEASES})
    return tuple(
        IndexVersion(name=f"idx-{spec.date_of(first):%Y%m%d}", window=Window(first=first, stop=stop))
        for first, stop in zip(cuts, [*cuts[1:], spec.days], strict=True)
    )


def _versions(spec: HistorySpec, incident: Window) -> tuple[IndexVersion, ...]:
    """Return the index versions; the broken one serves the days of the incident and is then rolled back."""
    days = spec.days
    leak = _days(days, 0.44, 0.52)
    cuts = [(int(share * days), False, False) for share in _RELEASES[:2]] + [(int(incident.first), False, True)]
    cuts += [(int(incident.stop), False, False), (int(leak.first), True, False), (int(leak.stop), False, False)]
    cuts += [(int(share * days), False, False) for share in _RELEASES[2:]]
    found: list[IndexVersion] = []
    for place, (first, leaks, broken) in enumerate(cuts):
        stop = days if place + 1 == len(cuts) else cuts[place + 1][0]
        if stop <= first:
            continue
        # A rollback serves the version from before the incident again.
        again = place > 0 and cuts[place - 1][2] and len(found) > 1
        name = found[-2].name if again else f"idx-{spec.date_of(first):%Y%m%d}"
        found.append(IndexVersion(name=name, window=Window(first=first, stop=stop), leaks=leaks, broken=broken))
    return tuple(found)
