"""Rules: when findings, objectives and measures become alerts; TOML, checked whole when it is read.

``<home>/monitoring/alerts.toml`` is taken, else the default shipped with this package. A rule that can't be is named
with its value and what is known, and the others go on.
"""

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from monitoring.alerts.routes import EmailRoute, Name, Route, SlackRoute, WebhookRoute
from monitoring.burn import duration
from monitoring.findings import Severity
from workspace.errors import InvalidValueError, SchemaError
from workspace.paths import Paths

DEFAULT: Final = Path(__file__).with_name("default.toml")
FILE: Final = "alerts.toml"
OWN_LABELS: Final = ("rule", "severity", "detector", "metric", "objective", "measure")
"""Labels every alert may have beside its segment and those of its rule."""
_NAMED_AT_MOST: Final = 20
_LONGEST_FILE: Final = 1 << 20


def _span(value: object) -> object:
    return duration(value) if isinstance(value, str) else value


Span = Annotated[dt.timedelta, BeforeValidator(_span)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Label = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,49}$")]


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Name
    severity: Severity | None = None
    lasts: Span = Field(default=dt.timedelta(0), alias="for")
    labels: dict[Label, Text] = Field(default_factory=dict)
    runbook: Text | None = None
    routes: tuple[Name, ...] | None = None


class FindingRule(_Rule):
    """Findings of detectors.

    Args:
        detector: Pattern of names, as ``drift.*``.
        metric: Pattern of metrics.
        min_severity: Findings below it are no alert. An alert is as severe as its finding, unless the rule says.
        recent: What had ended when it was first seen is still told when it ended so lately.
    """

    kind: Literal["finding"]
    detector: Text = "*"
    metric: Text = "*"
    min_severity: Severity = Severity.WARNING
    recent: Span = dt.timedelta(days=2)


class ObjectiveRule(_Rule):
    """Burn-rate and threshold alerts of objectives.

    Args:
        objective: Pattern of names.
        level: ``page``, ``ticket`` or ``any``. A page is critical and a ticket a warning, unless the rule says.
    """

    kind: Literal["objective"]
    objective: Text = "*"
    level: Literal["page", "ticket", "any"] = "any"


class MeasureRule(_Rule):
    """One measure against a threshold.

    Args:
        measure: Its name in `monitoring.measures`.
        op: How value and threshold stand when it is an alert.
        threshold: In the unit of the measure.
        bound: ``value`` compares the estimate; ``sure`` the end of its interval that is nearest to the good side, so
            that it is an alert only when the whole interval is beyond.
        remediation: ``propose`` or ``perform`` going back to the index version before.
    """

    kind: Literal["measure"]
    measure: Text
    op: Literal["<", "<=", ">", ">="]
    threshold: float = Field(allow_inf_nan=False)
    bound: Literal["value", "sure"] = "value"
    remediation: Literal["off", "propose", "perform"] = "off"


Rule = FindingRule | ObjectiveRule | MeasureRule
_RULE: Final[TypeAdapter[Rule]] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])
_ROUTE: Final[TypeAdapter[WebhookRoute | SlackRoute | EmailRoute]] = TypeAdapter(Route)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What rules may name.

    Args:
        detectors: Patterns of the metrics each detector reports, by its name.
        measures: Names of measures.
        objectives: Names of objectives; None when they can't be read, which is a fault of its own.
    """

    detectors: Mapping[str, tuple[str, ...]]
    measures: tuple[str, ...]
    objectives: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a rule or a route of the file can't be used.

    Args:
        name: Of the rule or route, as far as it has one.
        kind: Which of the two.
        error: What, limit and cure.
    """

    name: str
    kind: Literal["rule", "route"]
    error: InvalidValueError

    def to_dict(self) -> dict[str, str]:
        """Return plain data."""
        error = self.error
        return {"kind": self.kind, "name": self.name, "what": error.what, "limit": error.limit, "hint": error.hint}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The rules of a workspace.

    Args:
        source: The file.
        group_by: Labels of which alerts with the same values leave in one message.
        rules: Those that hold.
        routes: Those that hold, by name.
        problems: Those that don't.
    """

    source: Path
    group_by: tuple[str, ...] = ("rule",)
    rules: tuple[Rule, ...] = ()
    routes: Mapping[str, WebhookRoute | SlackRoute | EmailRoute] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()

    @property
    def broken(self) -> frozenset[str]:
        """Names of the rules that can't be used; their alerts stay as they are."""
        return frozenset(one.name for one in self.problems if one.kind == "rule")

    def routes_of(self, name: str) -> tuple[str, ...]:
        """Return the routes of a rule's alerts; a rule that names none takes all."""
        chosen = next((rule.routes for rule in self.rules if rule.name == name), None)
        return tuple(self.routes) if chosen is None else tuple(one for one in chosen if one in self.routes)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data; secrets stay in their variables."""
        return {
            "source": str(self.source),
            "group_by": list(self.group_by),
            "rules": [_rule_document(rule) for rule in self.rules],
            "routes": [
                {"name": name, "kind": route.kind, "variables": list(route.variables())}
                for name, route in self.routes.items()
            ],
            "problems": [one.to_dict() for one in self.problems],
        }


def rules_file(paths: Paths) -> Path:
    """Return the file that counts."""
    own = paths.monitoring / FILE
    return own if own.exists() else DEFAULT


def load_rules(paths: Paths, known: Known) -> Rules:
    """Read the rules of a workspace.

    Args:
        paths: Where its file may be.
        known: What rules may name.

    Raises:
        SchemaError: When the file is no TOML, or not of this form.
    """
    path = rules_file(paths)
    try:
        content = path.read_bytes()
        if len(content) > _LONGEST_FILE:
            raise SchemaError(f"{path} is of {len(content)} bytes", "must be at most 1 MiB", "shorten it")
        document = tomllib.loads(content.decode())
    except (OSError, ValueError, RecursionError) as error:
        raise SchemaError(f"{path}: {error}", "must be readable TOML", "correct it, or remove it") from error
    return read_rules(document, known, path)


def read_rules(document: Mapping[str, Any], known: Known, source: Path = DEFAULT) -> Rules:
    """Check the content of a rules file.

    Raises:
        SchemaError: When it has other parts than ``group_by``, ``routes`` and ``rules``, or they are not lists.
    """
    others = sorted(set(document) - {"group_by", "routes", "rules"})
    if others:
        hint = "the parts are group_by, [[routes]] and [[rules]]"
        raise SchemaError(f"{source.name} has the part {others[0]!r}", "which is unknown", hint)
    group_by = document.get("group_by", ["rule"])
    if not isinstance(group_by, list) or not all(isinstance(one, str) for one in group_by):
        raise SchemaError(f"group_by == {group_by!r}", "must be a list of labels", 'write it as ["rule", "region"]')
    routes: dict[str, WebhookRoute | SlackRoute | EmailRoute] = {}
    problems: list[Problem] = []
    for route in _checked(_tables(document, "routes", source), "route", _ROUTE, problems):
        routes[route.name] = route
    declared = {str(one.get("name")) for one in _tables(document, "routes", source) if isinstance(one, Mapping)}
    rules: list[Rule] = []
    for rule in _checked(_tables(document, "rules", source), "rule", _RULE, problems):
        error = _unknown(rule, known, declared)
        if error is None:
            rules.append(rule)
        else:
            problems.append(Problem(name=rule.name, kind="rule", error=error))
    return Rules(source=source, group_by=tuple(group_by), rules=tuple(rules), routes=routes, problems=tuple(problems))


def _tables(document: Mapping[str, Any], part: str, source: Path) -> Sequence[Any]:
    tables = document.get(part, [])
    if not isinstance(tables, list):
        raise SchemaError(f"{source.name}: {part} is no list", "must be tables", f"write each as [[{part}]]")
    return tables


def _checked(
    tables: Sequence[Any], kind: Literal["rule", "route"], adapter: TypeAdapter[Any], problems: list[Problem]
) -> Iterator[Any]:
    """Yield what holds; what doesn't goes to the problems."""
    seen: set[str] = set()
    for number, table in enumerate(tables, start=1):
        name = str(table.get("name", f"#{number}")) if isinstance(table, Mapping) else f"#{number}"
        if name in seen:
            error = InvalidValueError(f"{kind} {name!r} is there twice", "names must differ", "rename one of the two")
            problems.append(Problem(name=name, kind=kind, error=error))
            continue
        seen.add(name)
        try:
            yield adapter.validate_python(table)
        except ValidationError as error:
            problems.append(Problem(name=name, kind=kind, error=_named(error, kind, name)))


def _named(error: ValidationError, kind: str, name: str) -> InvalidValueError:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("finding", "objective", "measure"))
    value = first["input"]
    # What stands in a route may be a secret put there by mistake: it is never repeated.
    shown = f" == {str(value)[:80]!r}" if kind == "rule" and not isinstance(value, Mapping) else ""
    message = first["msg"][:1].lower() + first["msg"][1:]
    return InvalidValueError(f"{kind} {name!r}: {place or 'it'}{shown}", message, "see docs/monitoring-alerts.md")


def _unknown(rule: Rule, known: Known, routes: set[str]) -> InvalidValueError | None:
    """Return why a rule names what is not there."""
    missing = next((one for one in rule.routes or () if one not in routes), None)
    if missing is not None:
        return _not_known(rule.name, "route", missing, sorted(routes))
    if isinstance(rule, FindingRule):
        return _unknown_finding(rule, known)
    kind, value = ("measure", rule.measure) if isinstance(rule, MeasureRule) else ("objective", rule.objective)
    names = known.measures if isinstance(rule, MeasureRule) else known.objectives
    exact = isinstance(rule, MeasureRule)
    if names is None or value in names or (not exact and any(fnmatchcase(name, value) for name in names)):
        return None
    return _not_known(rule.name, kind, value, names)


def _unknown_finding(rule: FindingRule, known: Known) -> InvalidValueError | None:
    meant = [name for name in known.detectors if fnmatchcase(name, rule.detector)]
    if not meant:
        return _not_known(rule.name, "detector", rule.detector, sorted(known.detectors))
    metrics = sorted({metric for name in meant for metric in known.detectors[name]})
    # Either may be a pattern: the rule's of what it means, the detector's of what it may report.
    if any(fnmatchcase(one, rule.metric) or fnmatchcase(rule.metric, one) for one in metrics):
        return None
    return _not_known(rule.name, "metric", rule.metric, metrics)


def _not_known(rule: str, field_name: str, value: str, names: Sequence[str]) -> InvalidValueError:
    listed = ", ".join(names[:_NAMED_AT_MOST]) + (" …" if len(names) > _NAMED_AT_MOST else "")
    hint = f"known are {listed}" if names else "there is none yet"
    return InvalidValueError(f"rule {rule!r}: {field_name} == {value!r}", f"must be a known {field_name}", hint)


def _rule_document(rule: Rule) -> dict[str, Any]:
    document = rule.model_dump(mode="json", by_alias=True)
    for name, value in rule:
        if isinstance(value, dt.timedelta):
            document["for" if name == "lasts" else name] = f"{value.total_seconds():g}s"
    return document
