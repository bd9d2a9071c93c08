"""What *Reliability* shows: the block diagram, how surely each component works, and what would be otherwise."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.watching import ground
from monitoring.reliability import (
    ComponentAvailability,
    Diagram,
    Layout,
    SystemReliability,
    WhatIf,
    layout,
    load,
    measured,
    reliability,
    what_if,
)
from workspace.settings import load_settings

_TTL: Final = dt.timedelta(minutes=5)
_LOOKED_BACK: Final = dt.timedelta(days=182)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityView:
    """A system as it stands.

    Args:
        diagram: What must work.
        layout: Where its boxes go.
        components: How surely each works, by name.
        system: How surely all of it does.
    """

    diagram: Diagram
    layout: Layout
    components: Mapping[str, ComponentAvailability]
    system: SystemReliability


def regions() -> list[str]:
    """Return the regions there are samples of, but for that of the console."""
    now = ground().clock.now()
    known = ask(
        (load_settings(), "reliability regions"), lambda: ground().system.known(now - _LOOKED_BACK, now), ttl=_TTL
    )
    return [region for region in known.value.regions if len(region) == 2]  # noqa: PLR2004 - a country's code


def view(region: str | None) -> Kept[ReliabilityView]:
    """Return the system as it stands in a region, or over all of them."""

    def answer() -> ReliabilityView:
        diagram = load(ground().paths)
        components = measured(ground(), diagram, region=region)
        return ReliabilityView(
            diagram=diagram, layout=layout(diagram), components=components, system=reliability(diagram, components)
        )

    return ask((load_settings(), "reliability", region), answer, ttl=_TTL)


def supposed(shown: ReliabilityView, component: str, *, availability: float | None, copies: int) -> WhatIf:
    """Return what would be if a component were better, worse or more.

    Args:
        shown: The system as it is.
        component: Which.
        availability: The share it would have; None leaves it.
        copies: How many copies there would be.

    Raises:
        InvalidValueError: When nothing would change.
    """
    return what_if(
        shown.diagram,
        shown.components,
        availability=None if availability is None else {component: availability},
        copies={component: copies} if copies > 1 else None,
    )
