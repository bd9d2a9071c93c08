"""Reliability block diagrams: series, parallel and k-of-n, nested, from TOML."""

import datetime as dt
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from workspace.checks import check_scalar
from workspace.errors import SchemaError, UnknownError
from workspace.paths import Paths

FILE: Final = "architecture.toml"
MOST_PARTS: Final = 200
MOST_COPIES: Final = 20
MOST_BOXES: Final = 2_000
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """What works or does not.

    Args:
        name: Its name in the diagram.
        title: As people call it.
        service: Its name in the system metrics; None when it is not measured.
        availability: Assumed share of the time in which it works; None when it is measured.
        copy_of: The component it is a copy of: as available as that, failing on its own.
    """

    name: str
    title: str
    service: str | None = None
    availability: float | None = None
    copy_of: str | None = None

    @property
    def source(self) -> str:
        """The component whose availability is its own."""
        return self.copy_of or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Parts of which some are needed: all in series, one in parallel.

    Args:
        name: Its name in the diagram.
        title: As people call it.
        needed: How many of the parts must work.
        parts: Names of components, or gates.
    """

    name: str
    title: str
    needed: int
    parts: tuple["str | Gate", ...]

    @property
    def kind(self) -> Literal["series", "parallel", "k_of_n"]:
        """What it is called."""
        if self.needed == len(self.parts):
            return "series"
        return "parallel" if self.needed == 1 else "k_of_n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """A time in which a service was down as announced.

    Args:
        service: Which.
        start: From when on, aware.
        end: Until when.
        region: Where; None for everywhere.
    """

    service: str
    start: dt.datetime
    end: dt.datetime
    region: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagram:
    """A system of components.

    Args:
        title: What it does when it works.
        root: The gate that is the system.
        components: By name.
        maintenance: What does not count as failure.
    """

    title: str
    root: Gate
    components: Mapping[str, Component]
    maintenance: tuple[Maintenance, ...] = ()

    def component(self, name: str) -> Component:
        """Return a component.

        Raises:
            UnknownError: When there is none of the name, with the names there are.
        """
        if name not in self.components:
            known = ", ".join(sorted(self.components))
            raise UnknownError(f"component == {name!r}", "must be one of the diagram", f"it has {known}")
        return self.components[name]

    def with_copies(self, name: str, copies: int) -> "Diagram":
        """Return the diagram with a component replaced by copies, one of which is enough.

        Raises:
            UnknownError: When there is no such component.
            InvalidValueError: When the number is not 1 … 20.
        """
        check_scalar(copies, "copies", ge=1, le=MOST_COPIES)
        one = self.component(name)
        if copies == 1:
            return self
        made = [
            replace(one, name=f"{name}_{number}", title=f"{one.title}, copy {number}", copy_of=one.source)
            for number in range(1, copies + 1)
        ]
        gate = Gate(name=f"{name}_copies", title=one.title, needed=1, parts=tuple(copy.name for copy in made))
        kept = {key: value for key, value in self.components.items() if key != name}
        return replace(
            self, root=_replaced(self.root, name, gate), components=kept | {copy.name: copy for copy in made}
        )


def leaves(gate: Gate) -> Iterator[str]:
    """Yield the components of a gate in the order they stand in, as often as they do."""
    for part in gate.parts:
        if isinstance(part, Gate):
            yield from leaves(part)
        else:
            yield part


def _replaced(gate: Gate, name: str, by: Gate) -> Gate:
    parts = tuple(
        _replaced(part, name, by) if isinstance(part, Gate) else by if part == name else part for part in gate.parts
    )
    return replace(gate, parts=parts)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Component(_Table):
    title: str = ""
    service: str | None = None
    availability: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.service is None) == (self.availability is None):
            raise ValueError("has a service and an availability, or neither: it needs one of the two")
        return self


class _Block(_Table):
    title: str = ""
    kind: Literal["series", "parallel", "k_of_n"]
    of: tuple[str, ...] = Field(min_length=1, max_length=MOST_PARTS)
    needed: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _enough(self) -> Self:
        if (self.kind == "k_of_n") != (self.needed is not None):
            raise ValueError("needed == how many must work, for k_of_n and only there")
        if self.needed is not None and self.needed > len(self.of):
            raise ValueError(f"needed == {self.needed}, must be at most the {len(self.of)} there are")
        return self

    @property
    def least(self) -> int:
        return {"series": len(self.of), "parallel": 1}.get(self.kind, self.needed or 1)


class _Maintenance(_Table):
    service: str
    region: str | None = None
    start: AwareDatetime = Field(alias="from")
    end: AwareDatetime = Field(alias="to")


class _File(_Table):
    title: str = Field(min_length=1)
    system: str
    component: dict[Name, _Component] = Field(min_length=1, max_length=MOST_PARTS)
    block: dict[Name, _Block] = Field(min_length=1, max_length=MOST_PARTS)
    maintenance: tuple[_Maintenance, ...] = ()


def load(paths: Paths | None = None) -> Diagram:
    """Read the diagram of a workspace; the one that comes with the program where it has none.

    Args:
        paths: The workspace; None for the diagram that comes with the program.

    Raises:
        SchemaError: When the file is no TOML or no diagram, naming what is wrong with it.

    Example:
        >>> load().root.kind
        'series'
    """
    own = None if paths is None else paths.monitoring / FILE
    if own is None or not own.exists():
        return parse(files("monitoring.reliability").joinpath(FILE).read_text(encoding="utf-8"), FILE)
    try:
        text = own.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{own} can't be read: {error}", "must be readable TOML") from error
    return parse(text, str(own))


def parse(text: str, source: str) -> Diagram:
    """Read a diagram from TOML.

    Args:
        text: The TOML.
        source: What the text is called in messages.

    Raises:
        SchemaError: As `load`; also for a name nobody knows and a block that holds itself.
    """
    try:
        read = _File.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(f"{source} is no TOML: {error}", hint="correct the line it names") from error
    except ValidationError as error:
        raise _named(error, source) from error
    both = sorted(set(read.component) & set(read.block))
    if both:
        raise SchemaError(f"{source}: {both[0]!r} is a component and a block", "must be one of them")
    if read.system not in read.block:
        raise SchemaError(f"{source}: system == {read.system!r}", "must name a block", f"there is {_list(read.block)}")
    root = _gate(read, read.system, (), source, {})
    if _boxes(root, {}) > MOST_BOXES:
        raise SchemaError(f"{source} unfolds to more than {MOST_BOXES:,} boxes", "must have fewer", "name fewer twice")
    used = set(leaves(root))
    unused = sorted(set(read.component) - used)
    if unused:
        raise SchemaError(f"{source}: the component {unused[0]!r} stands in no block", "must be used or removed")
    return Diagram(
        title=read.title,
        root=root,
        components={
            name: Component(name=name, title=one.title or name, service=one.service, availability=one.availability)
            for name, one in read.component.items()
        },
        maintenance=tuple(
            Maintenance(service=one.service, region=one.region, start=one.start, end=one.end)
            for one in read.maintenance
        ),
    )


def _gate(read: _File, name: str, above: tuple[str, ...], source: str, made: dict[str, Gate]) -> Gate:
    if name in above:
        raise SchemaError(f"{source}: the block {name!r} holds itself", "must not", f"see {' → '.join((*above, name))}")
    block = read.block[name]
    parts: list[str | Gate] = []
    for part in block.of:
        if part in read.block:
            parts.append(made[part] if part in made else _gate(read, part, (*above, name), source, made))
        elif part in read.component:
            parts.append(part)
        else:
            known = _list({**read.component, **read.block})
            raise SchemaError(f"{source}: the block {name!r} holds {part!r}", "which nobody knows", f"there is {known}")
    made[name] = Gate(name=name, title=block.title or name, needed=block.least, parts=tuple(parts))
    return made[name]


def _boxes(gate: Gate, known: dict[str, int]) -> int:
    """Return how many boxes a gate is drawn with, each block counted once however often it stands somewhere."""
    if gate.name not in known:
        known[gate.name] = sum(_boxes(part, known) if isinstance(part, Gate) else 1 for part in gate.parts)
    return known[gate.name]


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names))


def _named(error: ValidationError, source: str) -> SchemaError:
    first = error.errors(include_url=False)[0]
    place = " ".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        message = "is no setting of it"
    elif first["type"] not in ("missing", "value_error"):
        message = f"== {first['input']!r}: {message[:1].lower()}{message[1:]}"
    return SchemaError(f"{source}: {place} {message}", hint="see docs/monitoring-reliability.md")
