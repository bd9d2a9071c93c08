"""How much of the time a component works, how often it fails and how long that lasts, with intervals by failures.

Scrapes of one failure resemble one another: what chance acts on is the failures, not the scrapes. Failures come as a
Poisson process, repairs last exponentially long; both rates are unknown, and what is not known about them is what the
interval says.

Source: Lie, Hwang, Tillman 1977, "Availability of maintained systems: a state-of-the-art survey", AIIE Transactions
9(3) (the interval of the ratio of two exponential means by F); Jeffreys 1946, "An invariant form for the prior
probability in estimation problems" (half a failure more, so that none seen is not none possible).
"""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from monitoring.burn import Floats
from monitoring.episodes import grouped
from monitoring.findings import Interval
from monitoring.ground import Ground
from monitoring.reliability.diagram import Component, Diagram, Maintenance
from monitoring.service_counts import HOUR, Place, floored, values
from telemetry.system import Kind

LOOKED_BACK: Final = dt.timedelta(days=182)
LEAST_HOURS: Final = 24 * 7
"""What must be known of a service before it has an availability."""
ROUNDING: Final = 1e-9
REPAIR_H: Final = 1.0
"""How long a repair is taken to last when none was ever seen anywhere."""
JEFFREYS: Final = 0.5
CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class ComponentAvailability:
    """How surely one component works.

    Args:
        name: The component.
        title: As people call it.
        value: Share of the time in which it works, with its interval; None when it is not estimable. What is assumed
            has no interval.
        failures: How often it failed; None when it is assumed.
        up_h: Hours in which it was up, over all regions.
        down_h: Hours in which it was down.
        mtbf_h: Mean hours between failures; None without a failure: the note then says the least it can be.
        mttr_h: Mean hours of a repair; None without a failure.
        repair_h: Mean hours of a repair that are taken where none was seen.
        measured: Whether it comes from the system metrics.
        note: What is missing or assumed; empty otherwise.
    """

    name: str
    title: str
    value: Interval | None
    failures: int | None = None
    up_h: float = 0.0
    down_h: float = 0.0
    mtbf_h: Interval | None = None
    mttr_h: float | None = None
    repair_h: float = REPAIR_H
    measured: bool = True
    note: str = ""

    @property
    def failure_rate(self) -> float | None:
        """Share of the time in which it is down although it should not be."""
        return None if self.value is None else 1 - self.value.value

    def draws(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw what the availability may be, shape (n,): one value again and again where it is assumed."""
        if self.value is None:
            return np.full(n, np.nan)
        if not self.measured or self.failures is None:
            return np.full(n, self.value.value)
        rate = rng.gamma(self.failures + JEFFREYS, 1.0, n) / self.up_h
        repair = np.full(n, self.repair_h)
        if self.failures:
            repair = self.down_h / rng.gamma(self.failures, 1.0, n)
        drawn: Floats = 1 / (1 + rate * repair)
        return drawn

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name,
            "title": self.title,
            "availability": self.value.to_dict() if self.value else None,
            "failure_rate": self.failure_rate,
            "failures": self.failures,
            "up_h": self.up_h,
            "down_h": self.down_h,
            "mtbf_h": self.mtbf_h.to_dict() if self.mtbf_h else None,
            "mttr_h": self.mttr_h,
            "measured": self.measured,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What was seen of a service.

    Args:
        failures: How often it failed.
        up_h: Hours in which it was up.
        down_h: Hours in which it was down, maintenance left out.
    """

    failures: int
    up_h: float
    down_h: float


def measured(
    ground: Ground, diagram: Diagram, *, region: str | None = None, at: dt.datetime | None = None
) -> Mapping[str, ComponentAvailability]:
    """Measure the components of a diagram over the last half year.

    Args:
        ground: Whose system metrics are asked.
        diagram: The components.
        region: Only there; None for all regions, each of which counts as one of the same.
        at: Up to when; None for now.

    Returns:
        By name of the component; copies have what they are copies of.
    """
    end = at or ground.clock.now()
    known = ground.system.known(end - LOOKED_BACK, end)
    up: dict[Place, Floats] = {}
    seconds = np.empty(0)
    if known.first and known.last:
        first, last = floored(known.first, HOUR), floored(min(known.last, end), HOUR)
        if last > first:
            seconds, up = values(ground.system, Kind.AVAILABILITY, start=first, end=last, step=HOUR)
    services = sorted({one.service for one in diagram.components.values() if one.service})
    records = {
        service: _record(
            seconds,
            {place: one for place, one in up.items() if place[0] == service and region in (None, place[1])},
            [one for one in diagram.maintenance if one.service == service],
        )
        for service in services
    }
    total = sum(one.failures for one in records.values())
    repair_h = sum(one.down_h for one in records.values()) / total if total else REPAIR_H
    return {
        name: _assumed(one) if one.service is None else estimated(one, records[one.service], repair_h=repair_h)
        for name, one in diagram.components.items()
    }


def _record(seconds: Floats, up: Mapping[Place, Floats], maintenance: Sequence[Maintenance]) -> Record:
    failures, up_h, down_h = 0, 0.0, 0.0
    for place, series in up.items():
        known = ~np.isnan(series)
        for one in maintenance:
            if one.region in (None, place[1]):
                # An hour that touches the maintenance is left out: how much of it was announced can't be told.
                known &= ~((seconds > one.start.timestamp()) & (seconds - 3_600 < one.end.timestamp()))
        down = np.where(known, 1 - series, 0.0)
        failures += len(grouped(down > ROUNDING, bridged=0))
        down_h += float(down.sum())
        up_h += float(known.sum()) - float(down.sum())
    return Record(failures=failures, up_h=up_h, down_h=down_h)


def _assumed(one: Component) -> ComponentAvailability:
    share = one.availability if one.availability is not None else math.nan
    return ComponentAvailability(
        name=one.name,
        title=one.title,
        value=Interval(value=share),
        measured=False,
        note=f"{share:.4%} is assumed, not measured",
    )


def estimated(one: Component, record: Record, *, repair_h: float = REPAIR_H) -> ComponentAvailability:
    """Estimate the availability of one component from what was seen of its service.

    Args:
        one: The component.
        record: What was seen.
        repair_h: Mean hours of a repair, for the interval of one that never failed.

    Example:
        >>> gateway = Component(name="gateway", title="Gateway", service="gateway")
        >>> estimated(gateway, Record(failures=4, up_h=9_990.0, down_h=10.0)).value.value
        0.999
    """
    from scipy.special import gammaincinv

    hours = record.up_h + record.down_h
    if hours < LEAST_HOURS:
        return ComponentAvailability(
            name=one.name,
            title=one.title,
            value=None,
            up_h=record.up_h,
            down_h=record.down_h,
            note=f"not estimable: {hours:.0f} h of {one.service} are known, {LEAST_HOURS} are needed",
        )
    low, high = _odds(record, repair_h)
    share = record.up_h / hours
    # Of the rate, as of the odds: Garwood's interval with half a failure more.
    ends = [float(gammaincinv(record.failures + JEFFREYS, (1 + side * CONFIDENCE) / 2)) for side in (-1, 1)]
    between = [record.up_h / end if end > 0 else math.inf for end in reversed(ends)]
    note, mtbf = f"never failed in {record.up_h:,.0f} h: at least {between[0]:,.0f} h between failures", None
    if record.failures:
        note, mtbf = "", Interval(value=record.up_h / record.failures, low=between[0], high=between[1])
    return ComponentAvailability(
        name=one.name,
        title=one.title,
        value=Interval(value=share, low=1 / (1 + high), high=1 / (1 + low) if record.failures else 1.0),
        failures=record.failures,
        up_h=record.up_h,
        down_h=record.down_h,
        mtbf_h=mtbf,
        mttr_h=record.down_h / record.failures if record.failures else None,
        repair_h=record.down_h / record.failures if record.failures else repair_h,
        note=note,
    )


def _odds(record: Record, repair_h: float) -> tuple[float, float]:
    """Return the interval of down by up."""
    from scipy.special import fdtri, gammaincinv

    sides = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    if not record.failures:
        low, high = (float(gammaincinv(JEFFREYS, side)) * repair_h / record.up_h for side in sides)
        return low, high
    above, below = 2 * (record.failures + JEFFREYS), 2 * record.failures
    scale = above / below * record.down_h / record.up_h
    low, high = (float(fdtri(above, below, side)) * scale for side in sides)
    return low, high
