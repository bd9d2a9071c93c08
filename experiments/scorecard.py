"""The scorecard: every metric of an experiment × every treatment, and the health of the data, from sums alone."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from experiments.checkup import check_up
from experiments.counted import Counted
from experiments.effects import effects
from experiments.findings import Finding, Level, worst
from experiments.novelty import Novelty, novelties
from experiments.plan import ExperimentPlan
from experiments.results import Arms, MetricResult, Role, Status, estimate_row, srm_row
from workspace.columns import Trial
from workspace.errors import UnknownError

if TYPE_CHECKING:
    from experiments.cells import Cells
    from experiments.health import Srm

__all__ = ["Arms", "Counted", "MetricResult", "Role", "Scorecard", "Status", "estimate_row", "score", "srm_row"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """All metrics of an experiment as of a day, and the health of what they were computed from.

    Args:
        experiment_id: Of which experiment.
        plan_digest: SHA-256 of its plan.
        control: Name of the control.
        start: First day.
        as_of: Last day whose events it knows.
        alpha: Two-sided error of a family.
        cuped: Whether the judged estimates are adjusted by the days before.
        users: Exposed users by variant, those in two variants left out.
        metrics: Every metric of the plan × every treatment, then those beside them.
        srm: Sample ratio over all regions; None without users.
        findings: Every check, whatever came out.
        novelty: Whether lifts fade.
        left_out: What was left out, by reason, in users or events.
        caps: Value at which sums of a user were cut.
        sql: The statements the sums came from.
        source_digest: Digest of the events behind the sums.
        computed_at: When the sums were made.
        pending_dates: Days whose events are not in yet.
    """

    experiment_id: str
    plan_digest: str
    control: str
    start: dt.date
    as_of: dt.date
    alpha: float
    cuped: bool
    users: Mapping[str, int]
    metrics: tuple[MetricResult, ...]
    srm: "Srm | None" = None
    findings: tuple[Finding, ...] = ()
    novelty: tuple[Novelty, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    caps: Mapping[str, float] = field(default_factory=dict)
    sql: tuple[str, ...] = ()
    source_digest: str = ""
    computed_at: str = ""
    pending_dates: tuple[dt.date, ...] = ()

    def of(self, role: Role) -> tuple[MetricResult, ...]:
        """Return the metrics of one role."""
        return tuple(one for one in self.metrics if one.role == role)

    def metric(self, name: str, variant: str) -> MetricResult:
        """Return one metric of one treatment.

        Raises:
            UnknownError: When the scorecard has none such.
        """
        for one in self.metrics:
            if one.name == name and one.variant == variant:
                return one
        names = ", ".join(dict.fromkeys(f"{one.name} of {one.variant}" for one in self.metrics))
        raise UnknownError(f"metric {name!r} of {variant!r}", "must be on the scorecard", f"it has {names}")

    @property
    def health(self) -> Level:
        """The worst of the findings."""
        return worst(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; the keys of the command line first, then more."""
        return {
            "experiment": self.experiment_id,
            "as_of": self.as_of.isoformat(),
            "srm": srm_row(self.srm),
            "metrics": [one.to_dict() for one in self.metrics],
            "plan_digest": self.plan_digest,
            "control": self.control,
            "start": self.start.isoformat(),
            "alpha": self.alpha,
            "cuped": self.cuped,
            "users": dict(self.users),
            "health": {"level": self.health, "findings": [one.to_dict() for one in self.findings]},
            "novelty": [one.to_dict() for one in self.novelty],
            "left_out": dict(self.left_out),
            "caps": dict(self.caps),
            "sql": list(self.sql),
            "source_digest": self.source_digest,
            "computed_at": self.computed_at,
            "pending_dates": [day.isoformat() for day in self.pending_dates],
        }


def score(
    plan: ExperimentPlan,
    snapshot: Counted,
    *,
    halves: "Cells | None" = None,
    late: Mapping[str, float] | None = None,
    cuped: bool | None = None,
) -> Scorecard:
    """Score an experiment from its sums.

    Args:
        plan: The frozen plan.
        snapshot: The sums as of a day.
        halves: Sums of the primary metrics over the first and second half of each user's days, for novelty.
        late: Share of the events that came late, by variant.
        cuped: Whether to adjust by the days before; None as the rule says. A verdict is always by the rule.
    """
    adjust = plan.rule.cuped if cuped is None else cuped
    metrics = effects(plan, snapshot.cells, caps=snapshot.caps, cuped=adjust)
    fades = novelties(plan, halves) if halves is not None else ()
    srm, findings = check_up(plan, snapshot, metrics, fades, late or {})
    arms = snapshot.cells.fold([Trial.VARIANT])
    counted = {str(name): int(n) for name, n in zip(arms.keys[Trial.VARIANT], arms.n, strict=True)}
    return Scorecard(
        experiment_id=plan.experiment_id,
        plan_digest=plan.digest,
        control=plan.control,
        start=plan.start,
        as_of=snapshot.as_of,
        alpha=plan.rule.alpha,
        cuped=adjust,
        users={name: counted.get(name, 0) for name in plan.names},
        metrics=metrics,
        srm=srm,
        findings=findings,
        novelty=fades,
        left_out=dict(snapshot.left_out),
        caps=dict(snapshot.caps),
        sql=tuple(snapshot.sql),
        source_digest=snapshot.digest,
        computed_at=str(snapshot.computed_at),
        pending_dates=tuple(snapshot.pending_dates),
    )
