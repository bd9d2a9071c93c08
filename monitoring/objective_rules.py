"""What the services promise, as TOML: read and checked before anything is asked."""

import datetime as dt
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from monitoring.burn import BurnRule, Level, duration
from telemetry.system.questions import BOUNDS_S, Kind
from workspace.errors import InvalidValueError, SchemaError
from workspace.paths import Paths

FILE: Final = "objectives.toml"
BUDGETED: Final = (Kind.WITHIN_LATENCY, Kind.ERROR_RATE, Kind.AVAILABILITY)
LIMITED: Final = (Kind.CPU, Kind.MEMORY, Kind.LATENCY_QUANTILE, Kind.ERROR_RATE)
_LONGEST: Final = dt.timedelta(days=90)
_LONGEST_FOR: Final = dt.timedelta(days=1)


def _duration(value: Any) -> Any:  # noqa: ANN401 - whatever the file holds
    return duration(value) if isinstance(value, str) else value


Duration = Annotated[dt.timedelta, BeforeValidator(_duration)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ObjectiveRule(_Table):
    """One promise.

    A budget has a target and a window, a threshold a limit and for how long it must be passed.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")
    title: str = Field(min_length=1, max_length=200)
    kind: Literal["budget", "threshold"]
    question: Kind
    services: tuple[str, ...] = ()
    by_region: bool = False
    target: float | None = Field(default=None, gt=0, lt=1)
    window: Duration = dt.timedelta(days=28)
    limit: float | None = Field(default=None, gt=0)
    lasting: Duration = Field(default=dt.timedelta(minutes=10), alias="for")
    level: Level = "ticket"
    limit_s: float = 1.0
    quantile: float = Field(default=0.95, gt=0, lt=1)
    runbook: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        asked, needed = (BUDGETED, "target") if self.kind == "budget" else (LIMITED, "limit")
        if self.question not in asked:
            raise ValueError(f"question == {self.question.value!r}, must be of {', '.join(one.value for one in asked)}")
        if getattr(self, needed) is None:
            raise ValueError(f"{needed} is missing, a {self.kind} needs one")
        if self.limit_s not in BOUNDS_S[:-1]:
            bounds = ", ".join(f"{bound:g}" for bound in BOUNDS_S[:-1])
            raise ValueError(f"limit_s == {self.limit_s}, must be of {bounds}")
        if not dt.timedelta(days=1) <= self.window <= _LONGEST:
            raise ValueError(f"window == {self.window}, must be 1d … {_LONGEST.days}d")
        if self.lasting > _LONGEST_FOR:
            raise ValueError(f"for == {self.lasting}, must be at most {_LONGEST_FOR.days}d")
        return self


class _BurnTable(_Table):
    level: Level
    factor: float = Field(gt=0)
    long: Duration
    short: Duration

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        self.rule()
        return self

    def rule(self) -> BurnRule:
        return BurnRule(level=self.level, factor=self.factor, long=self.long, short=self.short)


class GuardTable(_Table):
    """How much must have been counted before a budget may alert."""

    least_requests: float = Field(default=500, ge=0)
    least_bad: float = Field(default=5, ge=0)
    least_bad_minutes: float = Field(default=10, ge=0)


class Rules(_Table):
    """All promises and how they are watched."""

    objective: tuple[ObjectiveRule, ...] = Field(min_length=1)
    burn: tuple[_BurnTable, ...] = ()
    guard: GuardTable = GuardTable()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        names = [one.name for one in self.objective]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"the objective {twice[0]!r} is there twice, names must differ")
        return self

    @property
    def burn_rules(self) -> tuple[BurnRule, ...]:
        """The alerts on budgets."""
        return tuple(one.rule() for one in self.burn)


def load(paths: Paths | None = None) -> Rules:
    """Read the rules of a workspace; those that come with the program where it has none.

    Args:
        paths: The workspace; None for the rules that come with the program.

    Raises:
        SchemaError: When the file is no TOML or a rule can't be, naming file, objective and value.

    Example:
        >>> [one.name for one in load().objective][:3]
        ['latency', 'availability', 'errors']
    """
    own = None if paths is None else paths.monitoring / FILE
    if own is not None and own.exists():
        return parse(_text(own), str(own))
    return parse(files("monitoring").joinpath(FILE).read_text(encoding="utf-8"), FILE)


def parse(text: str, source: str) -> Rules:
    """Read rules from TOML.

    Args:
        text: The TOML.
        source: What the text is called in messages.

    Raises:
        SchemaError: As `load`.
    """
    try:
        read = tomllib.loads(text)
        return Rules.model_validate(read)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{source} is no TOML: {error}", hint="correct the line it names") from error
    except ValidationError as error:
        raise _named(error, read, source) from error
    except InvalidValueError as error:
        raise SchemaError(f"{source}: {error.what}", error.limit, error.hint) from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path} can't be read: {error}", "must be readable TOML") from error


def _named(error: ValidationError, read: dict[str, Any], source: str) -> SchemaError:
    """Say which objective is wrong by its name, where it has one, instead of its place."""
    first = error.errors(include_url=False)[0]
    where = [str(part) for part in first["loc"]]
    message = first["msg"].removeprefix("Value error, ")
    if len(where) > 1 and where[0] == "objective" and where[1].isdigit():
        where[1] = repr(read["objective"][int(where[1])].get("name", f"number {int(where[1]) + 1}"))
    place = " ".join(where)
    if first["type"] == "extra_forbidden":
        message = "is no setting of it"
    elif where and first["type"] not in ("missing", "value_error"):
        message = f"== {first['input']!r}: {message[:1].lower()}{message[1:]}"
    return SchemaError(f"{source}: {place} {message}".replace("  ", " "), hint="see docs/monitoring-objectives.md")
