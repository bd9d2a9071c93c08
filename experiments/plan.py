"""What an experiment is: the contract that is frozen at launch.

Everything a verdict depends on is in here: who takes part, what is measured, which looks are taken and by which rule
is decided. `ExperimentPlan.digest` names it in the ledger and in every evidence pack.
"""

import datetime as dt
import hashlib
import json
import math
import re
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from experiments.metrics import METRICS, Kind
from workspace.errors import InvalidValueError

DEFAULT_ALLOCATION: Final = 0.10
"""Share of the users of a region that takes part unless the plan says otherwise, as the source document has it."""
DEFAULT_LOOK_DAYS: Final = (7, 14, 21, 28)
RAMP: Final = (0.01, 0.05, 0.10, 0.25, 0.50)
"""Monitored shares of a canary, in order; each is split half and half."""
_NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")


class State(StrEnum):
    """Where an experiment stands; it only ever moves forward."""

    DRAFT = "draft"
    CANARY = "canary"
    RUNNING = "running"
    STOPPED = "stopped"
    DECIDED = "decided"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class VariantPlan(_Part):
    """One variant.

    Args:
        name: Its name; the first of a plan is the control.
        weight: Its share of those who take part, before scaling to a sum of 1; 0 is allowed.
        index_version: The index version that serves it; None serves the current one.
    """

    name: str
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    index_version: str | None = None

    @field_validator("name")
    @classmethod
    def _named(cls, name: str) -> str:
        return _checked_name(name)


class MetricPlan(_Part):
    """One metric of an experiment.

    Args:
        metric: Its name.
        kind: What it is used as.
        margin_rel: Change for the worse, relative to control, that a guardrail tolerates.
    """

    metric: str
    kind: Kind
    margin_rel: Annotated[float, Field(gt=0, lt=1)] = 0.05

    @field_validator("metric")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in METRICS:
            raise ValueError(f"{name!r} is no metric; the metrics are {', '.join(METRICS)}")
        return name


class DecisionRule(_Part):
    """How the verdict is reached.

    Args:
        alpha: Two-sided error over all planned looks, for the family of primary metrics.
        spending: How the error is spent over the looks.
        look_days: Full days after which a look is planned; the last one is the planned end.
        success: Whether one primary metric must be better, or every one.
        cuped: Whether the judged figure is adjusted by the days before the experiment.
        pre_days: How many days before the start those are.
        primary_family: Correction of the primary metrics.
        other_family: Correction of the others.
        novelty_alpha: Error of the test whether the lift fades.
    """

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    spending: Literal["obrien_fleming", "pocock", "alpha_t2"] = "obrien_fleming"
    look_days: tuple[Annotated[int, Field(ge=1, le=366)], ...] = DEFAULT_LOOK_DAYS
    success: Literal["any_primary", "all_primaries"] = "any_primary"
    cuped: bool = True
    pre_days: Annotated[int, Field(ge=0, le=91)] = 14
    primary_family: Literal["holm"] = "holm"
    other_family: Literal["bh"] = "bh"
    novelty_alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.01

    @field_validator("look_days")
    @classmethod
    def _rising(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if not days or any(later <= earlier for earlier, later in pairwise(days)):
            raise ValueError("must rise and hold one look at least, for example 7, 14, 21, 28")
        return days

    @property
    def looks(self) -> tuple[float, ...]:
        """Share of the planned duration at each look."""
        return tuple(day / self.look_days[-1] for day in self.look_days)


class ExperimentPlan(_Part):
    """An experiment as it is designed; frozen when it is launched.

    Args:
        experiment_id: Its id, as events carry it.
        hypothesis: What is expected and why, in a sentence.
        owner: Who answers for it.
        flag: The feature flag it decides.
        layer: Experiments of one layer never share a user.
        variants: Control first; their weights are shares of those who take part.
        allocation: Share of the users of a region that takes part, by region.
        default_allocation: The same for every other region.
        start: First day.
        metrics: What is measured, each metric once, one primary at least.
        rule: How the verdict is reached.
        salt: What makes the assignment its own; together with id and weights it rebuilds it.
        mde_rel: Least relative change of the first primary metric worth finding, for the plan of its size.

    Example:
        >>> plan = ExperimentPlan.model_validate({
        ...     "experiment_id": "exp_1", "hypothesis": "Genres first raise clicks.", "owner": "pm", "flag": "genres",
        ...     "variants": [{"name": "control", "weight": 1}, {"name": "treatment", "weight": 1}],
        ...     "start": "2026-01-01", "metrics": [{"metric": "ctr", "kind": "primary"}]})
        >>> plan.planned_end.isoformat(), plan.shares
        ('2026-01-28', {'control': 0.5, 'treatment': 0.5})
    """

    experiment_id: str
    hypothesis: Annotated[str, Field(min_length=8, max_length=2_000)]
    owner: Annotated[str, Field(min_length=1, max_length=200)]
    flag: str
    layer: str = "default"
    variants: Annotated[tuple[VariantPlan, ...], Field(min_length=2, max_length=10)]
    allocation: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    default_allocation: Annotated[float, Field(ge=0, le=1)] = DEFAULT_ALLOCATION
    start: dt.date
    metrics: Annotated[tuple[MetricPlan, ...], Field(min_length=1)]
    rule: DecisionRule = DecisionRule()
    salt: str = ""
    mde_rel: Annotated[float, Field(gt=0, lt=10)] = 0.05

    @field_validator("experiment_id", "flag", "layer")
    @classmethod
    def _named(cls, name: str) -> str:
        return _checked_name(name)

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        names = [one.name for one in self.variants]
        if len(set(names)) < len(names):
            raise ValueError(f"variants {names} must have different names")
        if not math.fsum(one.weight for one in self.variants) > 0:
            raise ValueError("one variant at least must have a weight above 0")
        measured = [one.metric for one in self.metrics]
        if len(set(measured)) < len(measured):
            raise ValueError(f"metrics {measured} must be different")
        if not any(one.kind == "primary" for one in self.metrics):
            raise ValueError("one metric at least must be primary")
        return self

    @property
    def control(self) -> str:
        """Name of the control."""
        return self.variants[0].name

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the variants, control first."""
        return tuple(one.name for one in self.variants)

    @property
    def shares(self) -> dict[str, float]:
        """Intended share of those who take part, by variant; they sum to 1."""
        total = math.fsum(one.weight for one in self.variants)
        return {one.name: one.weight / total for one in self.variants}

    @property
    def planned_end(self) -> dt.date:
        """Last day, included."""
        return self.look_date(self.rule.look_days[-1])

    def look_date(self, days: int) -> dt.date:
        """Return the last full day of a look that is taken after some days."""
        return self.start + dt.timedelta(days=days - 1)

    def kinds(self, kind: Kind) -> tuple[MetricPlan, ...]:
        """Return the metrics of one kind, in order."""
        return tuple(one for one in self.metrics if one.kind == kind)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data."""
        return self.model_dump(mode="json")

    @property
    def digest(self) -> str:
        """SHA-256 of the plan's canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def read_plan(document: Any) -> ExperimentPlan:  # noqa: ANN401 - whatever a file held
    """Return a plan from plain data.

    Raises:
        InvalidValueError: Naming the first field that is wrong and what it must be.

    Example:
        >>> read_plan({})
        Traceback (most recent call last):
        workspace.errors.InvalidValueError: experiment_id, field required. Hint: correct the plan.
    """
    try:
        return ExperimentPlan.model_validate(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "plan"
        told = first["msg"].removeprefix("Value error, ")
        value = "" if first["type"] == "missing" or not first["loc"] else f" == {first['input']!r}"
        raise InvalidValueError(f"{where}{value}", told[:1].lower() + told[1:], "correct the plan") from error


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError("must be 1 to 64 of a-z, 0-9, _ . - and begin with a letter")
    return name
