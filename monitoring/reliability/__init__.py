"""Reliability: what must work for a recommendation to reach its user, and how surely it does."""

from monitoring.reliability.availability import ComponentAvailability, measured
from monitoring.reliability.diagram import Component, Diagram, Gate, load, parse
from monitoring.reliability.layout import Box, Edge, Layout, layout
from monitoring.reliability.structure import Structure
from monitoring.reliability.system import BlockImportance, SystemReliability, WhatIf, reliability, what_if

__all__ = [
    "BlockImportance",
    "Box",
    "Component",
    "ComponentAvailability",
    "Diagram",
    "Edge",
    "Gate",
    "Layout",
    "Structure",
    "SystemReliability",
    "WhatIf",
    "layout",
    "load",
    "measured",
    "parse",
    "reliability",
    "what_if",
]
