"""Every switch has its row, also the one whose process died before it could write it."""

import numpy as np
import pytest

from recommender import index
from recommender.activation import activate, roll_back, settle
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store


@pytest.fixture
def versions(home: Paths) -> list[str]:
    blocks = {"only": (0, 4)}
    return [index.write_version(home, vectors=np.eye(4, dtype=np.float32) * scale, blocks=blocks).version
            for scale in (1.0, 2.0, 3.0)]  # fmt: skip


@pytest.fixture
def ledger(home: Paths) -> Ledger:
    return Ledger(Store.open(Settings(home=home.home)))


def rows(ledger: Ledger) -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.subject) for row in reversed(ledger.entries())]


def test_activate_switches_and_records(home: Paths, ledger: Ledger, versions: list[str]) -> None:
    assert activate(home, ledger, versions[0], actor="cli") is None
    assert activate(home, ledger, versions[1], actor="cli") == versions[0]
    assert roll_back(home, ledger, actor="cli") == (versions[0], versions[1])
    assert index.current_version(home) == versions[0]
    assert rows(ledger) == [("cli", "index.switch", versions[0]), ("cli", "index.switch", versions[1]),
                            ("cli", "index.rollback", versions[0])]  # fmt: skip


def test_settle_records_a_switch_that_was_killed_before_its_row(
    home: Paths, ledger: Ledger, versions: list[str]
) -> None:
    activate(home, ledger, versions[0], actor="cli")
    index.switch(home, versions[1])
    activate(home, ledger, versions[2], actor="cli")
    settle(home, ledger)
    assert rows(ledger) == [("cli", "index.switch", versions[0]), ("recovery", "index.switch", versions[1]),
                            ("cli", "index.switch", versions[2])]  # fmt: skip
    assert ledger.verify().ok


def test_settle_has_nothing_to_say_of_a_workspace_without_versions(home: Paths, ledger: Ledger) -> None:
    settle(home, ledger)
    assert rows(ledger) == []
