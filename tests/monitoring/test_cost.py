"""Costs: money by hand, a measurement of a known burden, prices that are checked, a file that is whole."""

import datetime as dt
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitoring import cost
from monitoring.cost import Cost, Prices, costs, load_prices, measure, per_1000, per_user, size_mib
from monitoring.findings import Interval
from monitoring.ground import Ground, opened
from recommender.index import switch, write_delta, write_version
from tests.experiments.plans import new_store
from tests.monitoring.conftest import END, Watched
from workspace.clock import FrozenClock
from workspace.columns import Event, User
from workspace.errors import (
    IntegrityError,
    InvalidValueError,
    NotEstimableError,
    SchemaError,
    UnknownError,
)
from workspace.paths import Paths
from workspace.settings import Settings

NOW = dt.datetime(2026, 5, 1, 8, tzinfo=dt.UTC)
PRICES = Prices(cpu_hour=0.036, memory_gib_hour=0.012, utilisation=0.5)


def cost_of(version: str = "v1", at: dt.datetime = NOW, ms: float = 20.0) -> Cost:
    return Cost(
        index_version=version, measured_at=at, requests=200, k=5, cpu_ms=Interval(value=ms, low=ms - 2, high=ms + 2),
        wall_ms=ms, memory_mib=512.0, index_mib=5.0, films=600, machine="2 processors",
    )  # fmt: skip


class Burdened:
    """Stands in for a recommender that takes a known time, and refuses some users."""

    def __init__(self, paths: Paths, version: str, *, busy_s: float = 0.0, refused: int = 0, users: int = 30) -> None:
        self.paths, self.clock, self.busy_s, self.refused = paths, FrozenClock(NOW), busy_s, refused
        self.catalogue = SimpleNamespace(users=pd.DataFrame({User.ID: [f"u{number}" for number in range(users)]}))
        self._view = SimpleNamespace(version=version, index=SimpleNamespace(manifest=SimpleNamespace(rows=4)))
        self.asked: list[str] = []

    def view(self, _: str | None) -> Any:
        return self._view

    def recommend(self, user: str, *, k: int, version: str, log: bool) -> None:
        assert (k, version, log) == (5, self._view.version, False)
        self.asked.append(user)
        if int(user[1:]) < self.refused:
            raise NotEstimableError("no film is left")
        until = time.process_time() + self.busy_s
        while time.process_time() < until:
            pass


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path / "home").ensure()


@pytest.fixture
def version(paths: Paths) -> str:
    built = write_version(paths, vectors=np.eye(4, dtype=np.float32), blocks={"a": (0, 4)})
    switch(paths, built.version)
    return built.version


@pytest.fixture
def ground(paths: Paths) -> Iterator[Ground]:
    with new_store(paths), opened(Settings(home=paths.home), FrozenClock(NOW)) as found:
        yield found


def test_money_by_hand() -> None:
    # 20 s of processor for 1,000; rented for 40 s; an hour of it costs 0.036 + half a GiB at 0.012.
    money = cost_of().money_per_1000(PRICES)
    assert money.value == pytest.approx(40 / 3600 * 0.042)
    assert money.low == pytest.approx(36 / 3600 * 0.042)
    assert money.high == pytest.approx(44 / 3600 * 0.042)
    document = cost_of().to_dict(PRICES)
    assert document["cpu_s_per_1000"] == 20.0
    assert document["money_per_1000"]["value"] == money.value


def test_measure_sees_the_burden_and_everybody_once(paths: Paths, version: str) -> None:
    stand_in: Any = Burdened(paths, version, busy_s=0.002, users=80)
    found = measure(stand_in, requests=70)
    assert found.cpu_ms.value == pytest.approx(2.0, rel=0.35)
    assert found.cpu_ms.low is not None
    assert found.cpu_ms.low < found.cpu_ms.value
    assert (found.requests, found.index_version, found.films, found.measured_at) == (70, version, 4, NOW)
    assert len(set(stand_in.asked)) == len(stand_in.asked) == 75
    assert found.memory_mib > 20
    assert costs(paths) == (found,)


def test_measure_refuses_too_few(paths: Paths, version: str) -> None:
    few: Any = Burdened(paths, version)
    with pytest.raises(InvalidValueError, match="requests == 49, must be >= 50"):
        measure(few, requests=49)
    refusing: Any = Burdened(paths, version, refused=15)
    with pytest.raises(NotEstimableError, match=r"answered requests == \d+, must be >= 50. Hint: no film is left"):
        measure(refusing, requests=60)
    nobody: Any = Burdened(paths, version, users=0)
    with pytest.raises(NotEstimableError, match="no users"):
        measure(nobody)
    assert costs(paths) == ()


def test_costs_are_the_newest_of_each_version(paths: Paths) -> None:
    day = dt.timedelta(days=1)
    for one in (cost_of(), cost_of("v2", NOW + day), cost_of("v1", NOW + 2 * day, ms=30)):
        cost._keep(paths, one)
    assert [(one.index_version, one.cpu_ms.value) for one in costs(paths)] == [("v1", 30), ("v2", 20)]


def test_costs_of_a_damaged_file_are_refused(paths: Paths) -> None:
    (paths.monitoring / cost.FILE).write_text('{"costs": [{"index_version": "v1"}]}')
    with pytest.raises(IntegrityError, match="measure again"):
        costs(paths)


def test_size_counts_the_base_of_a_delta(paths: Paths, version: str) -> None:
    delta = write_delta(paths, version, replaced=[0], vectors=np.full((1, 4), 0.5, np.float32), removed=[])
    folder = {one: sum(f.stat().st_size for f in (paths.indexes / one).iterdir()) for one in (version, delta.version)}
    manifests = {one: (paths.indexes / one / "manifest.json").stat().st_size for one in folder}
    own = folder[version] - manifests[version]
    both = own + folder[delta.version] - manifests[delta.version]
    assert size_mib(paths, version) == pytest.approx(own / 2**20)
    assert size_mib(paths, delta.version) == pytest.approx(both / 2**20)
    with pytest.raises(UnknownError, match="must be one that was built"):
        size_mib(paths, "v0")


def test_prices_override_one_by_one(paths: Paths) -> None:
    assert load_prices(paths) == Prices()
    (paths.monitoring / cost.PRICES).write_text('currency = "EUR"\ncpu_hour = 0.1\n')
    assert load_prices(paths) == Prices(currency="EUR", cpu_hour=0.1)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cpu_hour = -1", "cpu_hour == -1"),
        ("utilisation = 0", "utilisation == 0"),
        ("cpu_hour = nan", "cpu_hour == nan"),
        ("gpu_hour = 1", "gpu_hour == 1"),
        ("cpu_hour =", "must be TOML"),
    ],
)
def test_prices_that_can_not_be_are_named(paths: Paths, text: str, said: str) -> None:
    (paths.monitoring / cost.PRICES).write_text(text)
    with pytest.raises(SchemaError) as caught:
        load_prices(paths)
    assert said in str(caught.value)
    assert "cpu_hour" in caught.value.hint


def test_per_1000_is_of_the_current_version(ground: Ground, version: str) -> None:
    assert "run `recommendr monitor cost --measure`" in per_1000(ground, NOW).note
    cost._keep(ground.paths, cost_of("other"))
    assert per_1000(ground, NOW).value is None
    cost._keep(ground.paths, cost_of(version))
    found = per_1000(ground, NOW)
    expected = cost_of().money_per_1000(Prices())
    assert (found.value, found.low, found.high, found.n) == (expected.value, expected.low, expected.high, 200)
    # What is measured later was not known then.
    assert per_1000(ground, NOW - dt.timedelta(days=1)).value is None


def test_per_1000_without_an_index_says_so(ground: Ground) -> None:
    assert per_1000(ground, NOW).note == "not estimable: no index version is current"


def test_per_user_is_cost_times_slates(watched: Watched, paths: Paths, version: str) -> None:
    cost._keep(paths, cost_of(version, at=watched.ground.clock.now()))
    ground = replace(watched.ground, paths=paths)
    found = per_user(ground, watched.ground.clock.now())
    day = watched.events[Event.TS].dt.date
    events = watched.events[(day > END - dt.timedelta(days=28)) & (day <= END)]
    first = (events[Event.TYPE] == "impression") & (events[Event.POSITION] == 1)
    slates = first.groupby(events[Event.USER]).sum()
    money = cost_of().money_per_1000(Prices())
    assert found.value == pytest.approx(money.value / 1000 * slates.mean())
    assert found.n == len(slates)
    # Relative margins add as squares: a tenth, and that of the slates.
    margin = 1.99 * slates.std() / np.sqrt(len(slates)) / slates.mean()
    assert found.high == pytest.approx((found.value or 0) * (1 + np.hypot(0.1, margin)), rel=0.01)
