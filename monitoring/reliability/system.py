"""How surely a system works, which component matters most for it, and what would be if one were better.

Source: Birnbaum 1969, "On the importance of different components in a multicomponent system"; Lambert 1975, "Fault
trees for decision making in systems analysis", section 3 (criticality importance).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitoring.burn import Floats
from monitoring.findings import Interval
from monitoring.reliability.availability import CONFIDENCE, ComponentAvailability
from monitoring.reliability.diagram import Diagram
from monitoring.reliability.structure import Structure
from workspace.checks import check_scalar
from workspace.errors import InvalidValueError

DRAWS: Final = 4_000
SEED: Final = 19_690
MINUTES_A_MONTH: Final = 60 * 24 * 365.25 / 12


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockImportance:
    """What one component means for the system.

    Args:
        name: The component.
        title: As people call it.
        availability: How surely it works.
        birnbaum: By how much the system works more surely when it works than when it fails, 0 … 1.
        criticality: Share of the failures of the system that it causes; None where the system never fails.
        gain: By how much the system would work more surely if it never failed.
        single: Whether the system fails with it even when everything else works.
    """

    name: str
    title: str
    availability: Interval
    birnbaum: float
    criticality: float | None
    gain: float
    single: bool

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "title": self.title,
            "availability": self.availability.to_dict(),
            "birnbaum": self.birnbaum,
            "criticality": self.criticality,
            "gain": self.gain,
            "single": self.single,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemReliability:
    """How surely a system works.

    Args:
        title: What it does when it works.
        value: Share of the time, with its interval; None when a component is not estimable.
        downtime_min: Minutes a month in which it does not; likewise.
        blocks: The components, the most important first.
        notes: What is assumed or missing.
    """

    title: str
    value: Interval | None
    downtime_min: Interval | None
    blocks: tuple[BlockImportance, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "title": self.title,
            "availability": self.value.to_dict() if self.value else None,
            "downtime_min_a_month": self.downtime_min.to_dict() if self.downtime_min else None,
            "blocks": [one.to_dict() for one in self.blocks],
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A system as it is and as it would be.

    Args:
        before: As it is.
        after: As it would be.
        difference: By how much more surely it would work; its interval takes what does not change as the same in both.
        saved_min: Minutes a month that would be saved.
        change: In words.
    """

    before: SystemReliability
    after: SystemReliability
    difference: Interval | None
    saved_min: float | None
    change: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "difference": self.difference.to_dict() if self.difference else None,
            "saved_min_a_month": self.saved_min,
            "change": self.change,
        }


def reliability(diagram: Diagram, components: Mapping[str, ComponentAvailability]) -> SystemReliability:
    """Return how surely a system works.

    Components fail independently of one another; one that stands in several blocks is one and the same in all.

    Args:
        diagram: The system.
        components: How surely each component works, as `availability.measured` returns them.

    Raises:
        InvalidValueError: When a component of the diagram is missing.
    """
    return _judged(diagram, components)[0]


def what_if(
    diagram: Diagram,
    components: Mapping[str, ComponentAvailability],
    *,
    availability: Mapping[str, float] | None = None,
    copies: Mapping[str, int] | None = None,
) -> WhatIf:
    """Return what would be if components were better, worse or more.

    Args:
        diagram: The system as it is.
        components: How surely each component works.
        availability: Shares that some components would have instead.
        copies: How many copies there would be of some, one of which is enough; copies fail independently.

    Raises:
        UnknownError: When the diagram has no such component.
        InvalidValueError: When a share or number is outside its limits, or nothing would change.
    """
    availability, copies = availability or {}, copies or {}
    if not availability and not copies:
        raise InvalidValueError("nothing would change", "must change an availability or a number of copies")
    changed, other, said = diagram, dict(components), []
    for name, share in availability.items():
        one = diagram.component(name)
        check_scalar(share, f"availability of {name}", ge=0, le=1)
        other[name] = ComponentAvailability(
            name=name, title=one.title, value=Interval(value=share), measured=False, note=f"{share:.4%} is supposed"
        )
        said.append(f"{one.title} available {share:.4%} of the time")
    for name, number in copies.items():
        changed = changed.with_copies(name, number)
        said.append(f"{number} copies of {diagram.component(name).title}")
    before, old = _judged(diagram, components)
    after, new = _judged(changed, other)
    difference = None
    if before.value is not None and after.value is not None and old is not None and new is not None:
        difference = _interval(after.value.value - before.value.value, new - old)
    return WhatIf(
        before=before,
        after=after,
        difference=difference,
        saved_min=difference.value * MINUTES_A_MONTH if difference else None,
        change=" and ".join(said),
    )


def _judged(
    diagram: Diagram, components: Mapping[str, ComponentAvailability]
) -> tuple[SystemReliability, Floats | None]:
    structure = Structure(diagram.root)
    sources = {name: diagram.component(name).source for name in structure.names}
    missing = sorted({source for source in sources.values() if source not in components})
    if missing:
        raise InvalidValueError(f"the component {missing[0]!r} has no availability", "must have one")
    mine = {name: components[source] for name, source in sources.items()}
    notes = tuple(dict.fromkeys(f"{one.title}: {one.note}" for one in mine.values() if one.note))
    shares = {name: one.value.value for name, one in mine.items() if one.value is not None}
    if len(shares) < len(mine):
        unknown = [one.title for one in mine.values() if one.value is None]
        notes = (f"not estimable: {len(unknown)} of {len(mine)} components are not: {', '.join(unknown)}", *notes)
        return SystemReliability(title=diagram.title, value=None, downtime_min=None, blocks=(), notes=notes), None
    whole = structure.availability(shares)
    drawn = _drawn(structure, sources, components)
    value = _interval(whole, drawn)
    blocks = [_importance(diagram, structure, shares, mine[name], name, whole) for name in structure.names]
    down = [None if end is None else (1 - end) * MINUTES_A_MONTH for end in (value.high, value.low)]
    return SystemReliability(
        title=diagram.title,
        value=value,
        downtime_min=Interval(value=(1 - whole) * MINUTES_A_MONTH, low=down[0], high=down[1]),
        blocks=tuple(sorted(blocks, key=lambda one: (-(one.criticality or 0.0), -one.birnbaum, one.name))),
        notes=notes,
    ), drawn


def _drawn(structure: Structure, sources: Mapping[str, str], components: Mapping[str, ComponentAvailability]) -> Floats:
    """Draw what the system's availability may be; copies share what is unknown about what they are copies of."""
    draws: dict[str, Floats] = {}
    for source in sorted(set(sources.values())):
        # Each component has its own stream: another one beside it does not change its draws.
        rng = np.random.default_rng([SEED, *source.encode()])
        draws[source] = components[source].draws(DRAWS, rng)
    return structure.over_draws({name: draws[source] for name, source in sources.items()})


def _interval(value: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    # Where nothing ever failed, the figure is the best there can be and lies at the end of what it may be.
    return Interval(value=value, low=min(value, float(low)), high=max(value, float(high)))


def _importance(
    diagram: Diagram,
    structure: Structure,
    shares: Mapping[str, float],
    one: ComponentAvailability,
    name: str,
    whole: float,
) -> BlockImportance:
    working = structure.availability({**shares, name: 1.0})
    failing = structure.availability({**shares, name: 0.0})
    others = [other for other in structure.names if other != name]
    failed = 1 - whole
    return BlockImportance(
        name=name,
        title=diagram.component(name).title,
        availability=one.value or Interval(value=shares[name]),
        birnbaum=working - failing,
        criticality=(working - failing) * (1 - shares[name]) / failed if failed > 0 else None,
        gain=working - whole,
        single=not structure.works(others),
    )
