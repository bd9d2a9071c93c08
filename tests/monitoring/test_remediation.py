"""Remediation: proposed, performed, reversed; each once, recorded, and never one version too far."""

import datetime as dt
from collections.abc import Iterator

import numpy as np
import pytest

from monitoring.remediation import SETTLING, Remediations
from recommender import activation, index
from tests.monitoring.alarms import NOW, stored
from workspace.clock import FrozenClock
from workspace.errors import IntegrityError, InvalidValueError, StateError, UnknownError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.store import Store

DAY = dt.timedelta(days=1)


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    with stored(home.home) as opened:
        yield opened


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


@pytest.fixture
def remediations(store: Store, home: Paths, clock: FrozenClock) -> Remediations:
    return Remediations(store, home, clock=clock)


@pytest.fixture
def versions(home: Paths, store: Store) -> list[str]:
    """Three versions, served one after the other; the third is current."""
    made = [
        index.write_version(home, vectors=np.eye(4, dtype=np.float32) * scale, blocks={"only": (0, 4)}).version
        for scale in (1.0, 2.0, 3.0)
    ]
    for version in made:
        activation.activate(home, Ledger(store), version, actor="cli")
    return made


def rows(store: Store) -> list[tuple[str, str]]:
    return [(row.action, row.actor) for row in reversed(Ledger(store).entries())][3:]


def test_proposed_performed_and_reversed_each_with_its_row(
    remediations: Remediations, versions: list[str], home: Paths, store: Store, clock: FrozenClock
) -> None:
    proposed = remediations.propose("precision@5 is 15 %", "ml")
    assert (proposed.state, proposed.before, proposed.after) == ("proposed", versions[2], versions[1])
    assert index.current_version(home) == versions[2]
    clock.advance(DAY)
    done = remediations.perform(proposed.remediation_id, "pm")
    assert (done.state, done.performed_at, index.current_version(home)) == ("performed", NOW + DAY, versions[1])
    undone = remediations.reverse(proposed.remediation_id, "pm", "it was the catalogue")
    assert (undone.state, index.current_version(home)) == ("reversed", versions[2])
    assert rows(store) == [
        ("remediation.propose", "ml"),
        ("index.rollback", "pm"),
        ("remediation.perform", "pm"),
        ("index.switch", "pm"),
        ("remediation.reverse", "pm"),
    ]
    assert Ledger(store).verify().ok
    assert undone.details["reverse_reason"] == "it was the catalogue"


def test_each_act_done_twice_is_done_once(remediations: Remediations, versions: list[str], home: Paths) -> None:
    proposed = remediations.propose("low", "ml")
    assert remediations.propose("low", "ml") == proposed
    first = remediations.perform(proposed.remediation_id, "ml")
    assert remediations.perform(proposed.remediation_id, "ml") == first
    assert index.current_version(home) == versions[1]
    undone = remediations.reverse(proposed.remediation_id, "ml", "why")
    assert remediations.reverse(proposed.remediation_id, "ml", "why") == undone
    assert index.current_version(home) == versions[2]


def test_killed_after_the_switch_it_is_finished_and_goes_back_no_further(
    remediations: Remediations, versions: list[str], home: Paths, store: Store
) -> None:
    proposed = remediations.propose("low", "ml")
    index.rollback(home)  # as far as a process got that was killed then
    assert remediations.perform(proposed.remediation_id, "ml").state == "performed"
    assert index.current_version(home) == versions[1]
    assert ("index.switch", "recovery") in rows(store)
    index.switch(home, versions[2])  # likewise on the way back
    assert remediations.reverse(proposed.remediation_id, "ml", "why").state == "reversed"
    assert index.current_version(home) == versions[2]


def test_a_run_after_such_a_kill_goes_back_no_further_either(
    remediations: Remediations, versions: list[str], home: Paths
) -> None:
    remediations.propose("low", "monitor", rule="floor")
    index.rollback(home)
    found, _ = remediations.answer("floor", "low", "monitor", perform=True)
    assert found is not None
    assert (found.state, index.current_version(home)) == ("performed", versions[1])


def test_somebody_elses_switch_is_not_undone(
    remediations: Remediations, versions: list[str], home: Paths, store: Store
) -> None:
    proposed = remediations.propose("low", "ml")
    done = remediations.propose("low too", "ml", rule="floor")
    activation.activate(home, Ledger(store), versions[0], actor="cli")
    with pytest.raises(StateError, match=f"about {versions[2]}, and {versions[0]} is served now"):
        remediations.perform(proposed.remediation_id, "ml")
    activation.activate(home, Ledger(store), versions[2], actor="cli")
    with pytest.raises(StateError, match="undo somebody else's switch"):
        remediations.perform(done.remediation_id, "ml")  # the version before is another one now
    assert index.current_version(home) == versions[2]


def test_a_reversal_waits_for_nobody_elses_version(
    remediations: Remediations, versions: list[str], home: Paths, store: Store
) -> None:
    done = remediations.perform(remediations.propose("low", "ml").remediation_id, "ml")
    activation.activate(home, Ledger(store), versions[0], actor="cli")
    with pytest.raises(StateError, match="is served now"):
        remediations.reverse(done.remediation_id, "ml", "why")
    assert index.current_version(home) == versions[0]


def test_a_damaged_version_is_not_gone_back_to(
    remediations: Remediations, versions: list[str], home: Paths, store: Store
) -> None:
    proposed = remediations.propose("low", "ml")
    for file in (home.indexes / versions[1]).rglob("*.usearch"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    for file in (home.indexes / versions[1]).rglob("*.npy"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(IntegrityError):
        remediations.perform(proposed.remediation_id, "ml")
    assert index.current_version(home) == versions[2]
    assert remediations.all()[0].state == "proposed"
    assert [action for action, _ in rows(store)] == ["remediation.propose"]


def test_a_rule_proposes_once_and_performs_once_in_a_week(
    remediations: Remediations, versions: list[str], home: Paths, clock: FrozenClock
) -> None:
    first, _ = remediations.answer("floor", "low", "monitor", perform=False)
    again, why = remediations.answer("floor", "low", "monitor", perform=False)
    assert first == again
    assert "is proposed already" in why
    # Surer by now, and set to perform.
    done, _ = remediations.answer("floor", "lower", "monitor", perform=True)
    assert done is not None
    assert (done.state, index.current_version(home)) == ("performed", versions[1])
    clock.advance(SETTLING - DAY)
    same, why = remediations.answer("floor", "still low", "monitor", perform=True)
    assert (same, index.current_version(home)) == (done, versions[1])
    assert "its week holds days from before" in why
    clock.advance(DAY)
    older, _ = remediations.answer("floor", "still low", "monitor", perform=True)
    assert older is not None
    # Going back did not help: to go back further is only proposed.
    assert (older.state, older.before, older.after) == ("proposed", versions[1], versions[0])
    assert index.current_version(home) == versions[1]


def test_what_a_person_undid_is_only_proposed_from_then_on(
    remediations: Remediations, versions: list[str], home: Paths
) -> None:
    done, _ = remediations.answer("floor", "low", "monitor", perform=True)
    assert done is not None
    remediations.reverse(done.remediation_id, "pm", "we want it")
    found, _ = remediations.answer("floor", "low", "monitor", perform=True)
    assert found is not None
    assert (found.state, index.current_version(home)) == ("proposed", versions[2])


def test_what_a_person_turned_down_is_not_proposed_again(
    remediations: Remediations, versions: list[str], home: Paths, store: Store
) -> None:
    proposed = remediations.propose("low", "monitor", rule="floor")
    remediations.dismiss(proposed.remediation_id, "pm", "a holiday")
    found, why = remediations.answer("floor", "low", "monitor", perform=True)
    assert found is not None
    assert (found.state, index.current_version(home)) == ("dismissed", versions[2])
    assert "was turned down" in why
    with pytest.raises(StateError, match="can't be performed: it is dismissed, must be a proposal"):
        remediations.perform(proposed.remediation_id, "pm")
    assert rows(store)[-1] == ("remediation.dismiss", "pm")


def test_without_a_version_before_nothing_is_proposed(remediations: Remediations) -> None:
    with pytest.raises(StateError, match="no earlier index version"):
        remediations.propose("low", "ml")
    assert remediations.answer("floor", "low", "monitor", perform=True)[0] is None
    assert remediations.all() == ()


def test_bad_input_is_named(remediations: Remediations, versions: list[str]) -> None:
    with pytest.raises(InvalidValueError, match="must be 1 to 1000 characters"):
        remediations.propose(" ", "ml")
    proposed = remediations.propose("low", "ml")
    with pytest.raises(UnknownError, match=f"there are {proposed.remediation_id}"):
        remediations.perform("remediation_1", "ml")
    with pytest.raises(StateError, match="can't be reversed: it is proposed, must be performed"):
        remediations.reverse(proposed.remediation_id, "ml", "why")
    assert len(versions) == 3
