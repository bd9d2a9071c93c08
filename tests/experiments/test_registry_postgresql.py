"""The same registry on a PostgreSQL server of the test's own."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

from experiments.flags import Flags
from experiments.plan import State
from experiments.registry import Registry
from tests.experiments.plans import NOON, plan
from tests.workspace.test_store_postgresql import server
from workspace.clock import FrozenClock
from workspace.errors import StateError
from workspace.ledger import Ledger
from workspace.store import Store

__all__ = ["server"]


@pytest.fixture
def store(server: str) -> Iterator[Store]:
    # Closed whatever happens: the server's end waits for its last client.
    opened = Store(server)
    opened.upgrade()
    yield opened
    opened.close()


def test_the_registry_holds_on_postgresql(server: str, store: Store) -> None:
    clock = FrozenClock(NOON)
    registry, flags = Registry(store, clock=clock), Flags(store, clock)
    registry.create(plan(), "pm")

    def launch(number: int) -> bool:
        own = Store(server)
        try:
            Registry(own, clock=clock).launch("exp_1", f"writer {number}", canary=True)
        except StateError:
            return False
        else:
            return True
        finally:
            own.close()

    with ThreadPoolExecutor(5) as pool:
        assert sorted(pool.map(launch, range(5))) == [False] * 4 + [True]
    assert registry.ramp("exp_1", 0.5, "pm").ramp == ((NOON, 0.01), (NOON, 0.5))
    served = {flags.lookup("exp_1.flag", f"u{number}", "SE").variant for number in range(40)}
    assert served == {None, "control", "treatment"}
    registry.stop("exp_1", "pm", "harm", roll_back=True)
    assert flags.lookup("exp_1.flag", "u1", "SE").variant == "control"
    registry.decide("exp_1", "Roll back", "harm", "pm")
    assert registry.get("exp_1").state is State.DECIDED
    assert registry.hold_out(0.1, "admin") == registry.holdout()
    assert flags.free("exp_1.flag", "admin", "over").forced is None
    assert len(registry.history("exp_1")) == 5
    assert Ledger(store).verify().ok
