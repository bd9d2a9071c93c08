"""SIGKILL at any moment between an alarm and its receipt: delivered once it is back, never lost, and told as one."""

import multiprocessing
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from monitoring.alerts.outbox import messages, waiting
from monitoring.alerts.states import alerts_in
from monitoring.runs import Runner
from tests.monitoring.alarms import KNOWN, NOW, Detects, finding, grounded, receiving
from workspace.paths import Paths

ALARMS = 25
KILLS = 10
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
    paths = Paths(tmp_path / "home").ensure()
    chance, context = random.Random(5), multiprocessing.get_context("fork")
    with receiving() as receiver:
        (paths.monitoring / "alerts.toml").write_text(RULES.format(url=receiver.url))
        with grounded(paths.home):
            pass  # the store is there: kills shall strike the monitor, not the migration
        killed = in_between = 0
        for _ in range(KILLS):
            child = context.Process(target=monitor, args=(paths.home,))
            receiver.came.clear()
            child.start()
            # Half the kills come while messages are on their way, the others at any moment before.
            if chance.random() < 0.5:
                receiver.came.wait(5)
                time.sleep(chance.uniform(0, 0.02))
            else:
                time.sleep(chance.uniform(0, 0.3))
            child.kill()
            child.join()
            killed += child.exitcode == -9
            with grounded(paths.home) as ground:
                in_between += 0 < waiting(ground.store) < ALARMS
        monitor(paths.home)
    with grounded(paths.home) as ground:
        firing = alerts_in(ground.store, NOW)
        kept = messages(ground.store)
    assert killed >= KILLS - 4
    assert in_between > 0
    # Every alarm is one alert and one message, whatever was killed: no second, none without the other.
    assert sorted(alert.labels["metric"] for alert, _ in firing) == sorted(f"metric_{one}" for one in range(ALARMS))
    assert len(kept) == ALARMS
    assert {one.state for one in kept} == {"delivered"}
    received = Counter(headers["Idempotency-Key"] for headers, _ in receiver.got)
    assert set(received) == {one.delivery_id for one in kept}
    # More than once only what was on its way when it was killed.
    assert sum(number > 1 for number in received.values()) <= killed
