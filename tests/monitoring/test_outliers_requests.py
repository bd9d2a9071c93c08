import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from monitoring.ground import Ground, opened
from monitoring.outliers import OddRequests
from monitoring.outliers.requests import ranked, request_lines, slowness
from workspace.clock import FrozenClock
from workspace.columns import LogLine
from workspace.paths import Paths
from workspace.settings import Settings

NOW = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
BEGIN, END = NOW - dt.timedelta(hours=8), NOW - dt.timedelta(hours=5)


@pytest.fixture
def ground(home: Paths) -> Iterator[Ground]:
    with opened(Settings(home=home.home), FrozenClock(NOW)) as one:
        yield one


def write(ground: Ground, *, slow: float = 1.0, failing: float = 0.0, requests: int = 400, seed: int = 1) -> None:
    """Write requests over a day: the recommender of DE is slower, or fails, for three hours."""
    rng = np.random.default_rng(seed)
    lines: list[dict[str, Any]] = []
    for number in range(requests):
        at = NOW - dt.timedelta(days=1) + dt.timedelta(days=1) * number / requests
        region = ("DE", "US")[number % 2]
        ill = region == "DE" and BEGIN <= at < END
        made = 90 * float(np.exp(0.45 * rng.standard_normal())) * (slow if ill else 1.0)
        failed = ill and rng.random() < failing
        for service, took, after in (("recommender", made, 0), ("bff", made + 120, 1)):
            lines.append(
                {LogLine.TS: (at + dt.timedelta(seconds=after)).isoformat(), LogLine.LEVEL: "INFO",
                 LogLine.SERVICE: service, LogLine.LOGGER: "x", LogLine.MESSAGE: "done",
                 LogLine.TRANSACTION: f"txn{number}", LogLine.DURATION_MS: took, LogLine.REGION: region,
                 LogLine.STATUS: 504 if failed else 200}
            )  # fmt: skip
    text = "".join(f"{json.dumps(line)}\n" for line in lines) + "cut off in the mid"
    (ground.paths.logs / "history.jsonl").write_text(text, encoding="utf-8")


def test_usual_requests_are_nothing_and_few_are_not_estimable(ground: Ground) -> None:
    assert "0 requests in the log, 50 fewer" in OddRequests().look(ground).notes[0]
    write(ground)
    found = OddRequests().look(ground)
    assert found.findings == ()
    assert found.looked_at == 400
    assert found.notes == ("1 lines of the log can't be read and were passed over",)


def test_a_slow_service_is_found_where_it_is_slow_and_not_in_who_waits(ground: Ground) -> None:
    write(ground, slow=14.0)
    (one,) = OddRequests().look(ground).findings
    assert one.segment == {LogLine.SERVICE: "recommender", LogLine.REGION: "DE"}
    assert one.metric == "latency"
    # A request of DE comes every seven minutes; not every one of them is slow enough to be sure.
    assert abs(one.onset.at - BEGIN) < dt.timedelta(minutes=25)
    assert one.ended is not None
    assert abs(one.ended - END) < dt.timedelta(minutes=25)
    assert one.onset.low <= BEGIN + dt.timedelta(minutes=15)
    assert one.effect.value == pytest.approx(14, rel=0.4)
    assert one.evidence["waited_for_it"] == ["bff"]


def test_failures_are_found_and_left_out_beside_slowness(ground: Ground) -> None:
    write(ground, failing=0.8)
    (one,) = OddRequests().look(ground).findings
    assert (one.metric, one.segment[LogLine.SERVICE]) == ("errors", "recommender")
    assert one.effect.value == pytest.approx(0.8, abs=0.2)
    write(ground, slow=14.0, failing=0.8)
    assert [one.metric for one in OddRequests().look(ground).findings] == ["latency"]


def test_slowness_is_the_factor_over_the_median_and_nan_where_nothing_varies(ground: Ground) -> None:
    write(ground)
    lines, _ = request_lines(ground)
    one = slowness(lines)
    mine = one[LogLine.SERVICE] == "recommender"
    middle = lines[LogLine.DURATION_MS][mine].median()
    assert one["slower"][mine].to_numpy() == pytest.approx(lines[LogLine.DURATION_MS][mine] / middle, rel=1e-2)
    # An eighth of a normal crowd lies a robust standard deviation and more above … 15.9 %.
    assert np.mean(one["spreads"][mine] > 1) == pytest.approx(0.159, abs=0.06)
    still = lines.assign(**{LogLine.DURATION_MS: 5.0})
    assert slowness(still)["spreads"].isna().all()


def test_the_oddest_request_is_the_slowest_one(ground: Ground) -> None:
    write(ground, requests=200)
    lines, _ = request_lines(ground)
    odd = lines[LogLine.TRANSACTION] == "txn150"
    lines.loc[odd & (lines[LogLine.SERVICE] == "recommender"), LogLine.DURATION_MS] = 60_000.0
    assert ranked(lines, limit=1)[LogLine.TRANSACTION][0] == "txn150"
