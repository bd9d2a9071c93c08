"""The parts of *Experiments*: the list, and the calculator for the next one."""

from collections.abc import Callable
from typing import Final

from dashboard import components, design_panels
from dashboard import experiment_words as told
from dashboard.loaders import experiments as loaders
from dashboard.loaders.experiments import Listed
from dashboard.tabs import draw_open

_COLUMNS: Final = ("Experiment", "State", "Verdict", "Change", "Health", "Users", "Ramp", "Days left", "Owner")


def everything() -> None:
    """List the experiments, the newest first."""
    kept = loaders.listed()
    components.last_good(kept)
    if not kept.value:
        components.banner("No experiment is registered.", command="recommendr experiment create PLAN.json")
        return
    components.table(
        _COLUMNS, [_row(one) for one in kept.value], numeric=("Users", "Change", "Days left"),
        tight=("State", "Verdict"), caption="Newest first; the change is that of the first primary metric",
    )  # fmt: skip
    for one in kept.value:
        if one.problem is not None:
            components.show(
                f'<p class="rr-muted">{components.text(f"{one.record.plan.experiment_id}: {one.problem}")}</p>'
            )


def _row(one: Listed) -> tuple[object, ...]:
    record, plan = one.record, one.record.plan
    name = components.anchor(plan.experiment_id, "experiment", experiment=plan.experiment_id)
    state = components.pill(record.state.value, told.STATE_TONES[record.state])
    left = "–" if one.days_left is None else f"{one.days_left:,}"
    if one.analysis is None:
        return (name, state, "–", "–", "–", "–", loaders.share_told(record), left, plan.owner)
    card, verdict = one.analysis.scorecard, one.analysis.verdict
    level = card.health
    lift = next((metric for metric in card.of("primary") if metric.judged is not None), None)
    return (
        name, state, components.pill(verdict.decision.value, told.DECISION_TONES[verdict.decision]),
        told.change(None if lift is None or lift.judged is None else lift.judged.rel),
        components.pill(told.LEVELS[level], told.LEVEL_TONES[level]),
        f"{sum(card.users.values()):,}", loaders.share_told(record), left, plan.owner,
    )  # fmt: skip


PANELS: Final[dict[str, Callable[[], None]]] = {"All": everything, "Design": design_panels.calculator}


def draw() -> None:
    """Draw the tabs, and only the open one's panel."""
    draw_open(PANELS)
