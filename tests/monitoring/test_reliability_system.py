"""Measured components, systems with intervals, importance and what-if, by hand and by simulation."""

import datetime as dt
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from monitoring.findings import Interval
from monitoring.reliability import ComponentAvailability, load, measured, parse, reliability, what_if
from monitoring.reliability.availability import Record, estimated
from monitoring.reliability.diagram import Component
from tests.monitoring.served import START, platform, standing
from workspace.errors import InvalidValueError, UnknownError

DAYS = 8
N = DAYS * 288 + 1
END = START + dt.timedelta(days=DAYS)
GATEWAY = Component(name="gateway", title="Gateway", service="gateway")
PAIR = """
title = "A pair behind a gate"
system = "all"
[component.gate]
availability = 0.99
[component.a]
availability = 0.9
[component.b]
availability = 0.8
[block.all]
kind = "series"
of = ["gate", "pair"]
[block.pair]
kind = "parallel"
of = ["a", "b"]
"""
MONTH_MIN = 365.25 / 12 * 24 * 60


def assumed() -> dict[str, ComponentAvailability]:
    return {
        name: ComponentAvailability(name=name, title=name, value=Interval(value=share), measured=False)
        for name, share in (("gate", 0.99), ("a", 0.9), ("b", 0.8))
    }


def test_availability_is_hours_up_by_hours() -> None:
    found = estimated(GATEWAY, Record(failures=5, up_h=4_990, down_h=10))
    assert found.value is not None
    assert found.value.value == pytest.approx(0.998)
    assert found.failure_rate == pytest.approx(0.002)
    assert (found.mttr_h, found.mtbf_h and found.mtbf_h.value) == (2, 998)


def test_interval_holds_the_true_availability_of_simulated_failures() -> None:
    rng, hits, true = np.random.default_rng(3), 0, 1 / (1 + 2 / 400)
    for _ in range(400):
        up = np.cumsum(rng.exponential(400, 60))
        failures = int(np.searchsorted(up, 4_000))
        found = estimated(
            GATEWAY, Record(failures=failures, up_h=4_000, down_h=float(rng.exponential(2, failures).sum()))
        )
        assert found.value is not None
        assert found.value.low is not None
        assert found.value.high is not None
        hits += found.value.low <= true <= found.value.high
    # 95 % of 400 ± 3 standard errors.
    assert hits / 400 == pytest.approx(0.95, abs=0.033)


def test_interval_of_failures_is_wider_than_that_of_scrapes() -> None:
    # One failure of an hour in half a year: 12 of 52,416 scrapes, which taken apart would say 0.9996 … 0.9999.
    found = estimated(GATEWAY, Record(failures=1, up_h=4_367, down_h=1))
    assert found.value is not None
    assert found.value.low is not None
    assert found.value.low < 0.998


def test_component_that_never_failed_may_fail_yet() -> None:
    found = estimated(GATEWAY, Record(failures=0, up_h=4_368, down_h=0), repair_h=0.5)
    assert found.value is not None
    assert (found.value.value, found.value.high) == (1.0, 1.0)
    # With half a failure more, 97.5 % of the rate lies below 2.51 / 4,368 h: half an hour each.
    assert found.value.low == pytest.approx(1 / (1 + 2.5119 / 4_368 * 0.5), rel=1e-6)
    assert (found.mtbf_h, found.mttr_h) == (None, None)
    assert found.note == "never failed in 4,368 h: at least 1,739 h between failures"


def test_few_hours_are_not_estimable() -> None:
    found = estimated(GATEWAY, Record(failures=0, up_h=20, down_h=0))
    assert (found.value, found.failure_rate) == (None, None)
    assert found.note == "not estimable: 20 h of gateway are known, 168 are needed"


def test_system_of_hand() -> None:
    found = reliability(parse(PAIR, "pair"), assumed())
    whole = 0.99 * (1 - 0.1 * 0.2)
    assert found.value is not None
    assert found.value.to_dict() == pytest.approx({"value": whole, "low": whole, "high": whole})
    assert found.downtime_min is not None
    assert found.downtime_min.value == pytest.approx((1 - whole) * MONTH_MIN)
    blocks = {one.name: one for one in found.blocks}
    assert blocks["gate"].birnbaum == pytest.approx(0.98)
    assert blocks["a"].birnbaum == pytest.approx(0.99 * 0.2)
    assert blocks["a"].criticality == pytest.approx(0.99 * 0.2 * 0.1 / (1 - whole))
    assert blocks["a"].gain == pytest.approx(0.99 - whole)
    assert {name for name, one in blocks.items() if one.single} == {"gate"}


def test_what_if_says_the_difference() -> None:
    changed = what_if(parse(PAIR, "pair"), assumed(), copies={"gate": 2})
    before, after = 0.99 * 0.98, (1 - 0.01**2) * 0.98
    assert changed.difference is not None
    assert changed.difference.value == pytest.approx(after - before)
    assert changed.saved_min == pytest.approx((after - before) * MONTH_MIN)
    assert changed.change == "2 copies of gate"
    worse = what_if(parse(PAIR, "pair"), assumed(), availability={"gate": 0.5})
    assert worse.after.value is not None
    assert worse.after.value.value == pytest.approx(0.49)
    assert worse.to_dict()["change"] == "gate available 50.0000% of the time"


def test_what_if_refuses_what_is_nothing() -> None:
    with pytest.raises(InvalidValueError, match="nothing would change"):
        what_if(parse(PAIR, "pair"), assumed())
    with pytest.raises(UnknownError, match="'z'"):
        what_if(parse(PAIR, "pair"), assumed(), availability={"z": 1.0})
    with pytest.raises(InvalidValueError, match="availability of a"):
        what_if(parse(PAIR, "pair"), assumed(), availability={"a": 1.5})


def test_difference_takes_what_stays_as_the_same_in_both() -> None:
    unsure = assumed() | {"gate": estimated(GATEWAY, Record(failures=2, up_h=1_000, down_h=50))}
    changed = what_if(parse(PAIR, "pair"), unsure, availability={"a": 0.95})
    assert changed.difference is not None
    assert changed.difference.low is not None
    assert changed.difference.low > 0
    assert changed.before.value is not None
    assert changed.before.value.high is not None
    # Apart, the two intervals overlap: nearly all that is unknown is the gate, in both.
    assert changed.after.value is not None
    assert changed.after.value.low is not None
    assert changed.after.value.low < changed.before.value.high


def test_unknown_component_makes_the_system_unknown() -> None:
    unknown = assumed() | {"gate": estimated(GATEWAY, Record(failures=0, up_h=0, down_h=0))}
    found = reliability(parse(PAIR, "pair"), unknown)
    assert (found.value, found.blocks) == (None, ())
    assert found.notes[0] == "not estimable: 1 of 3 components are not: Gateway"
    assert what_if(parse(PAIR, "pair"), unknown, availability={"a": 1.0}).difference is None


def test_measured_components_come_from_the_scrapes(tmp_path: Path) -> None:
    up = np.ones(N)
    up[301:307] = 0  # 01:05 to 01:30 of the second day
    up[1_000:1_003] = 0
    samples = platform(
        N, services=("gateway", "bff", "user", "content", "recommender"), but={("bff", "DE"): {"up": up}}
    )
    with standing(tmp_path, samples, END) as ground:
        everywhere, there = measured(ground, load()), measured(ground, load(), region="US")
        announced = '\n[[maintenance]]\nservice = "bff"\nfrom = 2026-01-06T01:00:00Z\nto = 2026-01-06T02:00:00Z\n'
        own = (ground.paths.monitoring / "architecture.toml").write_text
        own(files("monitoring.reliability").joinpath("architecture.toml").read_text() + announced)
        planned = measured(ground, load(ground.paths))
    bff = everywhere["bff"]
    assert bff.failures == 2
    # Hours are read from 13 scrapes, both ends included.
    assert bff.down_h == pytest.approx(9 / 13)
    assert bff.up_h + bff.down_h == 2 * DAYS * 24
    assert there["bff"].failures == 0
    assert (planned["bff"].failures, planned["bff"].down_h) == (1, pytest.approx(3 / 13))
    assert everywhere["sign_in"].measured is False
    assert "assumed" in everywhere["sign_in"].note
    assert everywhere["gateway"].repair_h == pytest.approx(9 / 13 / 2)


def test_without_samples_no_service_is_estimable(tmp_path: Path) -> None:
    with standing(tmp_path, None, END) as ground:
        found = reliability(load(), measured(ground, load()))
    assert found.value is None
    assert found.notes[0].startswith("not estimable: 5 of 8 components")
