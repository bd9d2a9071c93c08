"""SIGKILL at any moment between an alarm and its receipt: delivered once it is back, never lost, and told as one."""

import multiprocessing
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest

from monitoring.alerts.outbox import messages, waiting
from monitoring.alerts.states import alerts_in
from monitoring.runs import Runner
from tests.monitoring.alarms import KNOWN, NOW, Detects, finding, grounded, prepared, receiving, stored

ALARMS = 40
KILLS = 9
RULES = """
group_by = ["metric"]
[[routes]]
name = "hook"
kind = "webhook"
url = "{url}"
[[rules]]
name = "drift"
kind = "finding"
detector = "drift.*"
"""


def monitor(home: Path) -> None:
    """Run to the end: every alarm is a message of its own."""
    found = tuple(finding(f"metric_{number}") for number in range(ALARMS))
    with grounded(home) as ground:
        Runner(ground, [Detects(findings=found)], explain=lambda found, _: found, known=KNOWN).run()


@pytest.mark.kill
def test_killed_at_any_moment_no_alert_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    paths = prepared(tmp_path / "home")
    chance, context = random.Random(5), multiprocessing.get_context("fork")
    killed = in_between = 0
    with receiving() as receiver:
        (paths.monitoring / "alerts.toml").write_text(RULES.format(url=receiver.url))
        for number in range(KILLS):
            child = context.Process(target=monitor, args=(paths.home,))
            # A third at any moment before the first message is received, the others while messages are on their way.
            early = number % 3 == 0
            wanted = len(receiver.got) + (1 if early else chance.randint(2, 3))
            child.start()
            until(lambda: len(receiver.got) >= wanted or not child.is_alive(), chance.uniform(0, 0.3) if early else 30)  # noqa: B023
            child.kill()
            child.join()
            killed += child.exitcode == -SIGKILL
            with stored(paths.home) as store:
                in_between += 0 < waiting(store) < ALARMS
        monitor(paths.home)
    with stored(paths.home) as store:
        firing, kept = alerts_in(store, NOW), messages(store)
    assert killed >= KILLS // 2
    assert in_between > 0
    # Every alarm is one alert and one message, whatever was killed: no second, none without the other.
    assert sorted(alert.labels["metric"] for alert, _ in firing) == sorted(f"metric_{one}" for one in range(ALARMS))
    assert len(kept) == ALARMS
    assert {one.state for one in kept} == {"delivered"}
    received = Counter(headers["Idempotency-Key"] for headers, _ in receiver.got)
    assert set(received) == {one.delivery_id for one in kept}
    # Twice only what was on its way when it was killed: one message a kill.
    assert received.total() - ALARMS <= killed


def until(holds: Callable[[], bool], at_most_s: float) -> None:
    """Wait for a condition, so long at most."""
    end = time.monotonic() + at_most_s
    while not holds() and time.monotonic() < end:
        time.sleep(0.002)
