"""Exact availability, against counting every state and against repyability."""

import math
import warnings
from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitoring.findings import Interval
from monitoring.reliability import Component, ComponentAvailability, Diagram, Gate, Structure, reliability
from workspace.errors import InvalidValueError

NAMES = ("a", "b", "c", "d", "e")


def gate(needed: int, *parts: "str | Gate", name: str = "g") -> Gate:
    return Gate(name=name, title=name, needed=needed, parts=parts)


def by_states(one: Gate, shares: Mapping[str, float]) -> float:
    """Add up the probability of every state in which the gate works."""

    def works(part: "str | Gate", up: Mapping[str, bool]) -> bool:
        return up[part] if isinstance(part, str) else sum(works(inner, up) for inner in part.parts) >= part.needed

    total = 0.0
    for states in product((False, True), repeat=len(shares)):
        up = dict(zip(shares, states, strict=True))
        weight = 1.0
        for name, state in up.items():
            weight *= shares[name] if state else 1 - shares[name]
        total += weight * works(one, up)
    return total


@st.composite
def gates(draw: st.DrawFn, depth: int = 3) -> Gate:
    inner = st.sampled_from(NAMES) if depth == 0 else st.one_of(st.sampled_from(NAMES), gates(depth=depth - 1))
    parts = draw(st.lists(inner, min_size=1, max_size=4))
    return gate(draw(st.integers(1, len(parts))), *parts)


shares = st.fixed_dictionaries({name: st.floats(0, 1) for name in NAMES})


@settings(max_examples=50)
@given(gates(), shares)
def test_availability_is_that_of_all_states(one: Gate, each: dict[str, float]) -> None:
    assert Structure(one).availability(each) == pytest.approx(by_states(one, each), abs=1e-12)


@settings(max_examples=25)
@given(gates(), st.sets(st.sampled_from(NAMES)))
def test_works_when_availability_of_the_state_is_one(one: Gate, up: set[str]) -> None:
    assert Structure(one).works(up) == (by_states(one, {name: float(name in up) for name in NAMES}) == 1)


def test_shared_component_is_one_and_the_same() -> None:
    # Two ways that both need a: with a taken for two it would be 1 - (1 - 0.9 · 0.8)(1 - 0.9 · 0.7).
    ways = gate(1, gate(2, "a", "b"), gate(2, "a", "c"))
    assert Structure(ways).availability({"a": 0.9, "b": 0.8, "c": 0.7}) == pytest.approx(0.9 * (1 - 0.2 * 0.3))


def test_bridge_is_that_of_the_textbook() -> None:
    # Birolini, Reliability Engineering, table 2.1: five equal elements in a bridge.
    r = 0.9
    bridge = gate(1, gate(2, "a", "b"), gate(2, "c", "d"), gate(3, "a", "e", "d"), gate(3, "c", "e", "b"))
    expected = 2 * r**2 + 2 * r**3 - 5 * r**4 + 2 * r**5
    assert Structure(bridge).availability(dict.fromkeys(NAMES, r)) == pytest.approx(expected)


def test_many_copies_of_which_most_are_needed() -> None:
    names = [f"n{number}" for number in range(60)]
    found = Structure(gate(50, *names)).availability(dict.fromkeys(names, 0.9))
    expected = sum(math.comb(60, up) * 0.9**up * 0.1 ** (60 - up) for up in range(50, 61))
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_outside_are_refused(share: float) -> None:
    with pytest.raises(InvalidValueError, match="availability of a"):
        Structure(gate(1, "a")).availability({"a": share})
    with pytest.raises(InvalidValueError, match="'a' has no availability"):
        Structure(gate(1, "a")).availability({})


PLANT = gate(
    3,
    "a",
    gate(1, gate(2, "b", "c"), gate(2, "b", "d"), name="ways"),
    gate(2, "c", "d", "e", name="votes"),
    name="plant",
)
SHARES = {"a": 0.99, "b": 0.95, "c": 0.9, "d": 0.85, "e": 0.8}


def test_availability_and_importance_are_those_of_repyability() -> None:
    with warnings.catch_warnings():
        # What its own imports warn of is not ours.
        warnings.simplefilter("ignore")
        repyability = pytest.importorskip("repyability", exc_type=ImportError)
        surpyval = pytest.importorskip("surpyval", exc_type=ImportError)
        model = {name: surpyval.FixedEventProbability.from_params(1 - share) for name, share in SHARES.items()}
        # A name for an appearance: what points to another is the same component once more.
        other = repyability.NonRepairableRBD(
            edges=[
                ("in", "a"),
                *[("a", way) for way in ("b", "b2")],
                ("b", "c"),
                ("b2", "d"),
                *[(last, vote) for last in ("c", "d") for vote in ("c2", "d2", "e")],
                *[(vote, "v") for vote in ("c2", "d2", "e")],
                ("v", "out"),
            ],
            reliabilities={**model, "b2": "b", "c2": "c", "d2": "d", "v": repyability.PerfectReliability},
            k={"v": 2},
        )
        expected = float(other.sf())
        birnbaum, criticality = other.birnbaum_importance(), other.criticality_importance()
    diagram = Diagram(
        title="plant",
        root=PLANT,
        components={name: Component(name=name, title=name, availability=share) for name, share in SHARES.items()},
    )
    given_ = {
        name: ComponentAvailability(name=name, title=name, value=Interval(value=share), measured=False)
        for name, share in SHARES.items()
    }
    found = reliability(diagram, given_)
    assert found.value is not None
    assert found.value.value == pytest.approx(expected, rel=1e-12)
    for block in found.blocks:
        assert block.birnbaum == pytest.approx(float(birnbaum[block.name]), rel=1e-9)
        assert block.criticality == pytest.approx(float(criticality[block.name]), rel=1e-9)
