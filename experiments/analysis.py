"""An experiment analysed: its scorecard and its verdict as of any day, its course and its segments.

Composed from the registry's records and the sums; everything is computed anew from what was planned and what was
counted, so that a verdict of last week can be asked for again today, with the events that came since.
"""

import datetime as dt
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from experiments.counted import KeptSums
from experiments.effects import effect, effects, measured
from experiments.novelty import Novelty
from experiments.plan import ExperimentPlan
from experiments.results import MetricResult
from experiments.scorecard import Scorecard, score
from experiments.sums import Request
from experiments.verdict import Verdict, judge, looks_due
from experiments.views import Analysis, Breakdown, Course, Dimension, Point, Rewind, Segment
from workspace.columns import Trial
from workspace.errors import InvalidValueError, NotEstimableError, StateError

if TYPE_CHECKING:
    import pandas as pd

    from experiments.cells import Cells
    from experiments.registry import Record, Registry
    from experiments.resplit import Resplit
    from experiments.sums import Sums

__all__ = ["Analysis", "Analyst", "Breakdown", "Course", "Dimension", "Point", "Rewind", "Segment"]

LEAST_USERS: Final = 10
RESPLITS: Final = 1_000
_DAY: Final = dt.timedelta(days=1)
_KEPT: Final = 512


class Analyst:
    """Analyses the experiments of a workspace; may be used from many threads.

    Args:
        sums: Counts their users.
        registry: Knows their plans.
        k: Least number of users of an arm that a segment is shown for.
    """

    def __init__(self, sums: "Sums", registry: "Registry", *, k: int = LEAST_USERS) -> None:
        self._sums = sums
        self._registry = registry
        self._k = k
        self._cards: OrderedDict[tuple[object, ...], Scorecard] = OrderedDict()
        self._lock = threading.Lock()

    def last_day(self) -> dt.date | None:
        """Return the last day that is summed up; None without any."""
        return self._sums.last_day()

    def plan(self, experiment_id: str) -> ExperimentPlan:
        """Return the plan of an experiment.

        Raises:
            UnknownError: When there is no such experiment.
        """
        return self._registry.get(experiment_id).plan

    def ended(self, experiment_id: str) -> dt.date | None:
        """Return the last full day of an experiment that was stopped before its planned end; None otherwise."""
        return _ended(self._registry.get(experiment_id))

    def as_of(self, experiment_id: str, as_of: dt.date | None = None) -> dt.date:
        """Return the day an analysis is as of.

        Args:
            experiment_id: Which experiment.
            as_of: The day asked for; None takes the last one summed up, at most the planned end or the day it was
                stopped.

        Raises:
            InvalidValueError: When the day lies before the start, or nothing is summed up for it yet.
            StateError: When nothing is summed up at all.
        """
        record, last = self._registry.get(experiment_id), self.last_day()
        start = record.plan.start
        if last is None or last < start:
            hint = "ingest events and run `recommendr telemetry rollup`"
            raise StateError(f"no day since {start} is summed up yet, so {experiment_id} has no figures", hint=hint)
        if as_of is None:
            return max(start, min(last, record.plan.planned_end, _ended(record) or record.plan.planned_end))
        if not start <= as_of <= last:
            hint = f"pass a day from {start} to {last}"
            raise InvalidValueError(f"as_of == {as_of}", f"must be a day of {experiment_id} that is summed up", hint)
        return as_of

    def analysis(self, experiment_id: str, as_of: dt.date | None = None, cuped: bool | None = None) -> Analysis:
        """Return scorecard and verdict as of a day.

        Args:
            experiment_id: Which experiment.
            as_of: Last day whose events are known; None as in `as_of`.
            cuped: Whether the scorecard is adjusted by the days before; None as the rule says. The verdict is always
                by the rule.

        Raises:
            UnknownError: When there is no such experiment.
            NotEstimableError: When nobody was exposed by then.
        """
        plan, day = self.plan(experiment_id), self.as_of(experiment_id, as_of)
        by_rule = self._card(plan, day)
        looks = [self._look(plan, date) for _, date in looks_due(plan, day)]
        verdict = judge(plan, looks, by_rule, stopped=self.ended(experiment_id))
        shown = by_rule if cuped in (None, plan.rule.cuped) else self._card(plan, day, cuped=cuped)
        return Analysis(scorecard=shown, verdict=verdict)

    def scorecard(self, experiment_id: str, as_of: dt.date | None = None, cuped: bool | None = None) -> Scorecard:
        """Return the scorecard as of a day; arguments and errors as `analysis`."""
        return self._card(self.plan(experiment_id), self.as_of(experiment_id, as_of), cuped=cuped)

    def verdict(self, experiment_id: str, as_of: dt.date | None = None) -> Verdict:
        """Return the verdict as of a day; arguments and errors as `analysis`."""
        return self.analysis(experiment_id, as_of).verdict

    def novelty(self, experiment_id: str, as_of: dt.date | None = None) -> tuple[Novelty, ...]:
        """Return whether the lifts fade; arguments and errors as `analysis`."""
        return self.scorecard(experiment_id, as_of).novelty

    def rewind(self, experiment_id: str) -> Rewind:
        """Return the verdict as of every day since the start, with all events of these days that are known today."""
        plan, last = self.plan(experiment_id), self.as_of(experiment_id)
        stopped = self.ended(experiment_id)
        looks = {date: self._look(plan, date) for _, date in looks_due(plan, last)}
        verdicts = []
        for day in _days(plan.start, last):
            card = looks.get(day) or self._look(plan, day, deep=False)
            due = [looks[date] for _, date in looks_due(plan, day)]
            verdicts.append(judge(plan, due, card, stopped=stopped))
        return Rewind(experiment_id=experiment_id, verdicts=tuple(verdicts))

    def course(
        self, experiment_id: str, metric: str, variant: str | None = None, *, as_of: dt.date | None = None
    ) -> Course:
        """Return the cumulative lift of a metric, day by day, with a band that may be watched.

        The band is tightest at the users there were at the first planned look, or are now when that is still to come:
        a number that no outcome has a part in.

        Raises:
            UnknownError: When the plan has no such metric or treatment.
        """
        plan, last = self.plan(experiment_id), self.as_of(experiment_id, as_of)
        chosen = plan.names[1] if variant is None else variant
        found = [self._point(plan, day, metric, chosen) for day in _days(plan.start, last)]
        first = min(plan.look_date(plan.rule.look_days[0]), last)
        users = [point.estimate.n for point in found if point.estimate is not None and point.date <= first]
        known = [point.estimate.n for point in found if point.estimate is not None]
        tuned_at = float((users[-1:] or known[:1] or [1])[0])
        points = tuple(_banded(point, plan.rule.alpha, tuned_at) for point in found)
        return Course(
            experiment_id=experiment_id,
            metric=metric,
            variant=chosen,
            tuned_at=tuned_at,
            alpha=plan.rule.alpha,
            points=points,
        )

    def breakdown(
        self,
        experiment_id: str,
        dimension: Dimension = "region",
        as_of: dt.date | None = None,
        *,
        k: int | None = None,
    ) -> Breakdown:
        """Return every metric within each region or on each device: where to ask next, never a verdict.

        Args:
            experiment_id: Which experiment.
            dimension: ``region`` or ``device``.
            as_of: As in `analysis`.
            k: Segments with an arm of fewer users are withheld, and one more when their figures would follow from the
                rest; None takes the analyst's.
        """
        plan, day = self.plan(experiment_id), self.as_of(experiment_id, as_of)
        snapshot = self._sums.snapshot(plan, day, buckets=False)
        cells = snapshot.cells if dimension == Trial.REGION else snapshot.by_device
        cells = cells.where(**{Trial.VARIANT: list(plan.names)}).fold([dimension, Trial.VARIANT])
        users: dict[str, dict[str, int]] = {}
        for value, variant, n in zip(cells.keys[dimension], cells.keys[Trial.VARIANT], cells.n, strict=True):
            users.setdefault(str(value), {})[str(variant)] = int(n)
        withheld = _withheld(plan, users, self._k if k is None else k)
        segments = tuple(_segment(plan, value, counts, cells, dimension, withheld) for value, counts in users.items())
        return Breakdown(experiment_id=experiment_id, as_of=day, dimension=dimension, segments=segments)

    def exposures(self, experiment_id: str, as_of: dt.date | None = None) -> "pd.DataFrame":
        """Return users first exposed by day, variant and region; column ``n``."""
        snapshot = self._sums.snapshot(self.plan(experiment_id), self.as_of(experiment_id, as_of), buckets=False)
        return snapshot.exposures

    def resplit(
        self, experiment_id: str, as_of: dt.date | None = None, *, repeats: int = RESPLITS
    ) -> "dict[str, Resplit | str]":
        """Return the false alarms among random splits of the experiment's own users, or the reason, by metric.

        Args:
            experiment_id: Which experiment.
            as_of: As in `analysis`.
            repeats: How many splits.

        Raises:
            NotEstimableError: When there are too few hash buckets with users to split.
        """
        from experiments.resplit import false_alarms

        plan, day = self.plan(experiment_id), self.as_of(experiment_id, as_of)
        cells = self._sums.snapshot(plan, day).cells
        specs = [one.spec for one in measured(plan)]
        found = false_alarms(cells, specs, repeats=repeats, alpha=plan.rule.alpha, stratified=True)
        return {name: one if one.reason is None else one.reason for name, one in found.items()}

    def counted(self, plan: ExperimentPlan, day: dt.date) -> KeptSums:
        """Return the sums a scorecard of a day is made of; regions with fewer than k users in an arm are pooled.

        Raises:
            NotEstimableError: When nobody was exposed by then.
        """
        return KeptSums.of(self._sums.snapshot(plan, day, buckets=False), k=self._k)

    def halves(self, plan: ExperimentPlan, day: dt.date) -> "Cells | None":
        """Return the sums of both halves of the users' days; None before there is a second half."""
        try:
            return self._sums.halves(plan, day).fold([Trial.VARIANT])
        except NotEstimableError:
            return None

    def late(self, plan: ExperimentPlan, day: dt.date) -> dict[str, float]:
        """Return the share of the events that came late, by variant."""
        return self._sums.late(plan, day)

    def _look(self, plan: ExperimentPlan, day: dt.date, *, deep: bool = True) -> Scorecard:
        """Return the scorecard of a past day, an empty one when nobody was exposed by then."""
        try:
            return self._card(plan, day, deep=deep)
        except NotEstimableError:
            return score(plan, KeptSums.nobody(day, Request.of(plan, day).needs))

    def _card(self, plan: ExperimentPlan, day: dt.date, *, cuped: bool | None = None, deep: bool = True) -> Scorecard:
        counted = self.counted(plan, day)
        adjusted = plan.rule.cuped if cuped is None else cuped
        key = (plan.digest, day, adjusted, deep, counted.digest, tuple(counted.pending_dates))
        with self._lock:
            if key in self._cards:
                self._cards.move_to_end(key)
                return self._cards[key]
        halves, late = (self.halves(plan, day), self.late(plan, day)) if deep else (None, None)
        card = score(plan, counted, halves=halves, late=late, cuped=adjusted)
        with self._lock:
            self._cards[key] = card
            while len(self._cards) > _KEPT:
                self._cards.popitem(last=False)
        return card

    def _point(self, plan: ExperimentPlan, day: dt.date, metric: str, variant: str) -> Point:
        try:
            cells = self.counted(plan, day).cells
        except NotEstimableError as error:
            return Point(date=day, reason=str(error))
        found = effect(plan, cells, metric, variant, cuped=plan.rule.cuped)
        return Point(date=day, estimate=found.judged, reason=found.reason)


def _ended(record: "Record") -> dt.date | None:
    if record.stopped_at is None:
        return None
    # The day on which it was stopped is not a full one.
    last = max(record.plan.start, record.stopped_at.date() - _DAY)
    return last if last < record.plan.planned_end else None


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + at * _DAY for at in range((last - first).days + 1)]


def _banded(point: Point, alpha: float, tuned_at: float) -> Point:
    from experiments.sequential import confidence_sequence_of

    if point.estimate is None:
        return point
    band = confidence_sequence_of(point.estimate, alpha=alpha, tuned_at=tuned_at)
    relative = confidence_sequence_of(point.estimate, alpha=alpha, tuned_at=tuned_at, relative=True)
    return replace(point, band=band, rel_band=relative)


def _withheld(plan: ExperimentPlan, users: dict[str, dict[str, int]], k: int) -> dict[str, str]:
    """Return the segments that are not shown, with the reason."""
    weighted = [name for name in plan.names if plan.shares[name] > 0]
    few = {value for value, counts in users.items() if any(counts.get(name, 0) < k for name in weighted)}
    out = dict.fromkeys(sorted(few), f"an arm has fewer than {k} users")
    rest = sorted((sum(counts.values()), value) for value, counts in users.items() if value not in few)
    if len(few) == 1 and rest:
        # One missing segment is what is left of the whole when the others are taken off.
        out[rest[0][1]] = "the one that is withheld would follow from it"
    return out


def _segment(
    plan: ExperimentPlan,
    value: str,
    counts: dict[str, int],
    cells: "Cells",
    dimension: Dimension,
    withheld: dict[str, str],
) -> Segment:
    if value in withheld:
        return Segment(value=value, users=None, withheld=withheld[value])
    found = effects(plan, cells.where(**{dimension: value}), cuped=plan.rule.cuped, stratum=None)
    return Segment(value=value, users=counts, metrics=tuple(_uncorrected(one) for one in found))


def _uncorrected(one: MetricResult) -> MetricResult:
    """Return a metric without what belongs to a family: segments are shown, not judged."""
    return replace(
        one,
        p_adjusted=None,
        ci_adjusted=None,
        rel_ci_adjusted=None,
        p_harm_adjusted=None,
        status="not_estimable" if one.judged is None else "unclear",
    )
