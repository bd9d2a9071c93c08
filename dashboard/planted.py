"""The experiments of a synthetic history, as a product manager would have registered them before they began.

The history tells when they ran and what is true of them; of the truth, nothing goes into a plan.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

from experiments.metrics import Kind
from experiments.plan import DecisionRule, ExperimentPlan, MetricPlan, State, VariantPlan

_HYPOTHESES: Final = {
    "exp_ctr_lift": "Ordering a slate by the freshest taste raises clicks without more rejections.",
    "exp_thumbs_harm": "Showing bolder films raises clicks without more rejections.",
    "exp_aa": "Serving the same from a second cluster changes nothing that users notice.",
    "exp_srm": "Loading posters later raises clicks, since the slate appears sooner.",
    "exp_novelty": "A new layout of the slate raises clicks.",
}
_MEASURED: Final[tuple[tuple[str, Kind, float], ...]] = (
    ("ctr", "primary", 0.05),
    ("thumbs_down_rate", "guardrail", 0.10),
    ("refresh_rate", "guardrail", 0.10),
    ("precision_at_5", "secondary", 0.05),
    ("focus_s", "secondary", 0.05),
    ("survey_score", "secondary", 0.05),
    ("survey_positive", "secondary", 0.05),
    ("engagement", "secondary", 0.05),
)
_WEEK: Final = 7


def planted_plans(truth: Mapping[str, Any]) -> list[tuple[ExperimentPlan, State]]:
    """Return the plans of a history's experiments, oldest first, and where each stands when the history ends.

    Args:
        truth: What ``truth.json`` of the history holds.
    """
    ended = max((_day(one["last_day"]) for one in truth["experiments"]), default=None)
    return [
        (_plan(one), State.RUNNING if _day(one["last_day"]) == ended else State.STOPPED) for one in truth["experiments"]
    ]


def _plan(one: Mapping[str, Any]) -> ExperimentPlan:
    name, first, last = str(one["experiment_id"]), _day(one["first_day"]), _day(one["last_day"])
    days = (last - first).days + 1
    looks = [*range(_WEEK, days, _WEEK), days]
    share = float(one["intended_share"])
    return ExperimentPlan(
        experiment_id=name,
        hypothesis=_HYPOTHESES.get(name, "Treatment changes what users do."),
        owner="product",
        flag=name.removeprefix("exp_"),
        variants=_variants(one["variants"], share),
        default_allocation=float(one["allocated_share"]),
        start=first,
        metrics=tuple(MetricPlan(metric=metric, kind=kind, margin_rel=margin) for metric, kind, margin in _MEASURED),
        rule=DecisionRule(look_days=tuple(looks)),
        salt=name,
    )


def _variants(names: Sequence[str], share: float) -> tuple[VariantPlan, ...]:
    return tuple(VariantPlan(name=name, weight=share) for name in names)


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)
