"""Stretches beyond a limit."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from telemetry.system.incidents import LIMITS, incidents
from telemetry.system.questions import Kind

STEP = timedelta(minutes=5)
START = datetime(2026, 1, 1, tzinfo=UTC)


def answer(values: list[float], service: str = "gateway", region: str = "US") -> pd.DataFrame:
    moments = pd.to_datetime([START + STEP * at for at in range(len(values))], utc=True)
    return pd.DataFrame({"ts": moments, "service": service, "region": region, "value": values})


def test_incidents_joins_neighbours_and_names_the_worst() -> None:
    (found,) = incidents(answer([0.5, 0.85, 0.97, 0.81, 0.5]), LIMITS[Kind.MEMORY], step=STEP)
    assert (found.start, found.end, found.worst) == (START, START + 3 * STEP, 0.97)
    assert (found.service, found.region) == ("gateway", "US")


@pytest.mark.parametrize("values", [[0.5, 0.9, 0.5], [0.9, float("nan"), 0.9], [0.8, 0.8, 0.8], []])
def test_incidents_leaves_out_single_windows_gaps_and_the_limit_itself(values: list[float]) -> None:
    assert incidents(answer(values), LIMITS[Kind.CPU], step=STEP) == []


def test_incidents_looks_below_where_less_is_worse() -> None:
    (found,) = incidents(answer([1.0, 0.9, 0.2, 1.0]), LIMITS[Kind.AVAILABILITY], step=STEP)
    assert found.worst == 0.2


def test_incidents_keeps_services_apart_and_the_newest_first() -> None:
    frame = pd.concat([answer([0.9, 0.9, 0.1, 0.1]), answer([0.1, 0.1, 0.9, 0.9], service="user")])
    assert [one.service for one in incidents(frame, LIMITS[Kind.CPU], step=STEP)] == ["user", "gateway"]
