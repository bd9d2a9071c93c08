"""The goals as a live tree: each with its target, its figure and interval, its course, and what threatens it.

Organisational objectives stand at the top, leading indicators, user outcomes and model details below. The fault tree of
the source document is the same tree inverted: a goal that is missed is a failure that occurs, and may cause the failure
above it. The state of a goal is that of its own figure; what lies below it is counted beside it, never mixed in.

A goal is *met* when its whole interval lies on the right side of the target, *missed* when its whole interval lies on
the wrong side, and *at risk* in between; without an interval the value alone decides. What can't be estimated is
*unknown*, never met. A goal without a figure of its own stands for the goals directly below it, at their worst.
"""

import datetime as dt
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from monitoring.findings import Finding
from monitoring.measures import MEASURES, Reading, Unit, read, trend
from workspace.errors import SchemaError

if TYPE_CHECKING:
    from monitoring.cost import Prices
    from monitoring.ground import Ground
    from workspace.paths import Paths

FILE: Final = "goals.toml"
SHIPPED: Final = Path(__file__).with_name(FILE)
WEEKS: Final = 8
Level = Literal["objective", "indicator", "outcome", "model"]
LEVELS: Final[Mapping[Level, str]] = {
    "objective": "Organisational objectives",
    "indicator": "Leading indicators",
    "outcome": "User outcomes",
    "model": "Model details",
}
Status = Literal["met", "at risk", "missed", "unknown"]
Failure = Literal["does not occur", "threatens", "occurs", "unknown"]
_WORST_FIRST: Final[tuple[Status, ...]] = ("missed", "at risk", "unknown", "met")
_FAILURES: Final[Mapping[Status, Failure]] = {
    "met": "does not occur",
    "at risk": "threatens",
    "missed": "occurs",
    "unknown": "unknown",
}


class Risk(BaseModel):
    """What threatens goals, from the source document."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    title: str = Field(min_length=1)
    source: str
    summary: str

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        return {"id": self.id, "title": self.title, "source": self.source, "summary": self.summary}


class Goal(BaseModel):
    """One goal, as the file describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    title: str = Field(min_length=1)
    level: Level
    parent: str | None = None
    serves: tuple[str, ...] = ()
    measure: str | None = None
    op: Literal[">=", "<="] | None = None
    target: float | None = Field(default=None, allow_inf_nan=False)
    target_from: Literal["share_of_fee"] | None = None
    owner: str = Field(min_length=1)
    failure: str = Field(min_length=1)
    risks: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    page: str = "goals"
    why: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.measure is None:
            if self.op is not None or self.target is not None or self.target_from is not None:
                raise ValueError(f"goal {self.id}: a target needs a measure")
            return self
        if self.measure not in MEASURES:
            raise ValueError(f"goal {self.id}: measure == {self.measure!r}, must be one of {', '.join(MEASURES)}")
        if self.op is None or (self.target is None) == (self.target_from is None):
            raise ValueError(f"goal {self.id}: a measure needs op, and either target or target_from")
        return self

    def target_at(self, prices: "Prices") -> float | None:
        """Return the target, which a fee may decide."""
        return prices.most_of_fee * prices.premium_fee if self.target_from else self.target


class GoalFile(BaseModel):
    """Everything the file describes, consistent in itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    goal: tuple[Goal, ...] = Field(min_length=1)
    risk: tuple[Risk, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for kind, ids in (("goal", [one.id for one in self.goal]), ("risk", [one.id for one in self.risk])):
            twice = [one for one, count in Counter(ids).items() if count > 1]
            if twice:
                raise ValueError(f"{kind} {twice[0]} is there twice")
        goals, risks = {one.id: one for one in self.goal}, {one.id for one in self.risk}
        for one in self.goal:
            for name in (*((one.parent,) if one.parent is not None else ()), *one.serves):
                if name not in goals:
                    raise ValueError(f"goal {one.id}: {name!r} is no goal, the goals are {', '.join(goals)}")
            for name in one.risks:
                if name not in risks:
                    raise ValueError(f"goal {one.id}: {name!r} is no risk, the risks are {', '.join(sorted(risks))}")
            _check_ends(one, goals)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class GoalNode:
    """One goal as it stands.

    Args:
        goal: What the file says of it.
        target: What its figure shall reach, in ``unit``; None for a goal without a figure.
        unit: Of target and figure; None for a goal without a figure.
        reading: Its figure; None for a goal without one.
        course: The figure in each of the last weeks, the oldest first; empty where its past is not kept.
        status: By its own figure; without one, the worst of the goals directly below.
        below_not_met: How many goals below it are at risk or missed.
        below_unknown: How many below it are unknown.
        risks: What threatens it.
        findings: Keys of what detectors found and that lasts, and that may explain it.
        children: The goals below it.
    """

    goal: Goal
    target: float | None
    unit: Unit | None
    reading: Reading | None
    course: tuple[Reading, ...] = ()
    status: Status
    below_not_met: int = 0
    below_unknown: int = 0
    risks: tuple[Risk, ...] = ()
    findings: tuple[str, ...] = ()
    children: "tuple[GoalNode, ...]" = field(default=())

    @property
    def failure(self) -> Failure:
        """Whether its failure, the same goal inverted, occurs."""
        return _FAILURES[self.status]

    def walk(self) -> "Iterator[GoalNode]":
        """Yield it and every goal below it, from the top."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the goals below it included."""
        return {
            **self.goal.model_dump(exclude={"target", "risks"}),
            "target": self.target,
            "unit": self.unit,
            "reading": self.reading.to_dict() if self.reading else None,
            "course": [one.to_dict() for one in self.course],
            "status": self.status,
            "failure_state": self.failure,
            "below_not_met": self.below_not_met,
            "below_unknown": self.below_unknown,
            "risks": [one.to_dict() for one in self.risks],
            "findings": list(self.findings),
            "children": [child.to_dict() for child in self.children],
        }


def load_goals(paths: "Paths") -> GoalFile:
    """Return the goals: those of the workspace when it has its own file, else those shipped.

    Raises:
        SchemaError: When the file can't be read, or names a measure, goal or risk there is none of.
    """
    own = paths.monitoring / FILE
    path = own if own.exists() else SHIPPED
    try:
        return GoalFile.model_validate(tomllib.loads(path.read_text("utf-8")))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        told = first["msg"].removeprefix("Value error, ")
        raise SchemaError(
            f"{path}: {f'{place}: ' if place else ''}{told}", hint="correct or remove the file"
        ) from error
    except (OSError, ValueError) as error:
        raise SchemaError(f"{path}: {error}", "must be readable TOML", "correct or remove the file") from error


def tree(
    ground: "Ground", *, at: dt.datetime | None = None, weeks: int = WEEKS, findings: Sequence[Finding] = ()
) -> tuple[GoalNode, ...]:
    """Return the organisational objectives with every goal below them, each as it stands.

    Args:
        ground: The stores.
        at: As of when, aware; now when None.
        weeks: How many weeks of the past to show; 0 for none.
        findings: What detectors found last, to be placed at the goals it may explain.

    Raises:
        SchemaError: As `load_goals`, and for prices that can't be read.
    """
    from monitoring.cost import load_prices

    file = load_goals(ground.paths)
    moment = at or ground.clock.now()
    prices = load_prices(ground.paths)
    risks = {one.id: one for one in file.risk}
    lasting = [one for one in findings if one.ended is None]
    figures = _figures(ground, file, moment, weeks)

    def node(goal: Goal) -> GoalNode:
        children = tuple(node(child) for child in file.goal if child.parent == goal.id)
        below = [inner.status for child in children for inner in child.walk()]
        reading, course = figures.get(goal.measure or "", (None, ()))
        target = goal.target_at(prices)
        return GoalNode(
            goal=goal,
            target=target,
            unit=MEASURES[goal.measure].unit if goal.measure else None,
            reading=reading,
            course=course,
            status=status_of(reading, goal.op, target) if goal.measure else _worst(children),
            below_not_met=sum(one in {"at risk", "missed"} for one in below),
            below_unknown=below.count("unknown"),
            risks=tuple(risks[name] for name in goal.risks),
            findings=tuple(one.key for one in lasting if _may_explain(one, goal)),
            children=children,
        )

    return tuple(node(goal) for goal in file.goal if goal.parent is None)


def _figures(
    ground: "Ground", file: GoalFile, at: dt.datetime, weeks: int
) -> dict[str, tuple[Reading, tuple[Reading, ...]]]:
    """Return the figure and the course of every measure that goals name, as many at a time as the warehouse takes."""
    names = list(dict.fromkeys(goal.measure for goal in file.goal if goal.measure))
    with ThreadPoolExecutor(max(1, ground.warehouse.side_by_side)) as pool:
        readings = [pool.submit(read, name, ground, at=at) for name in names]
        courses = [pool.submit(trend, name, ground, weeks=weeks, at=at) if weeks else None for name in names]
        return {
            name: (reading.result(), course.result() if course else ())
            for name, reading, course in zip(names, readings, courses, strict=True)
        }


def status_of(reading: Reading | None, op: Literal[">=", "<="] | None, target: float | None) -> Status:
    """Return how a figure stands to its target.

    Example:
        >>> status_of(Reading(value=0.22, low=0.19, high=0.25, unit="share"), ">=", 0.20)
        'at risk'
    """
    if reading is None or reading.value is None or op is None or target is None:
        return "unknown"
    low = reading.value if reading.low is None else reading.low
    high = reading.value if reading.high is None else reading.high
    worst, best = (low, high) if op == ">=" else (-high, -low)
    bound = target if op == ">=" else -target
    if worst >= bound:
        return "met"
    return "missed" if best < bound else "at risk"


def _worst(children: Sequence[GoalNode]) -> Status:
    return min((one.status for one in children), key=_WORST_FIRST.index, default="unknown")


def _may_explain(finding: Finding, goal: Goal) -> bool:
    detected = any(fnmatch(finding.detector, pattern) for pattern in goal.detectors)
    return detected and (not goal.metrics or any(fnmatch(finding.metric, pattern) for pattern in goal.metrics))


def _check_ends(goal: Goal, goals: Mapping[str, Goal]) -> None:
    seen, above = {goal.id}, goal.parent
    while above is not None:
        if above in seen:
            raise ValueError(f"goal {goal.id}: lies below itself")
        seen.add(above)
        above = goals[above].parent if above in goals else None
