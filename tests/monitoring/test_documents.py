"""Plain data: what JSON can hold, and back."""

import datetime as dt
import json
import math

import numpy as np
import pytest

from monitoring.documents import finding_of, outcome_of, plain
from monitoring.findings import Cause, Change, Interval, Outcome
from tests.monitoring.alarms import NOW, finding


def test_plain_takes_what_results_hold() -> None:
    value = {
        1: np.float64(0.5),
        "a": np.array([1, 2]),
        "nan": [np.nan, math.inf],
        "day": dt.date(2026, 5, 1),
        "b": True,
    }
    read = plain(value)
    assert read == {"1": 0.5, "a": [1, 2], "nan": [None, None], "day": "2026-05-01", "b": True}
    assert json.loads(json.dumps(read, allow_nan=False)) == read
    assert plain(NOW) == "2026-05-04T12:00:00+00:00"
    assert plain(slice(1)) == "slice(None, 1, None)"


def test_an_outcome_comes_back_as_it_was() -> None:
    change = Change(kind="index_version", name="v7", at=NOW, segment={"market": "x"}, summary="v7 went live")
    cause = Cause(change=change, weight=0.7, reason="it went live the day before")
    found = finding(causes=(cause,), ended=NOW, p_value=0.001, evidence={"users": 500})
    outcome = Outcome(detector="drift.telemetry", findings=(found,), notes=("a note",), looked_at=7, seconds=0.5)
    assert outcome_of(json.loads(json.dumps(plain(outcome.to_dict())))) == outcome


def test_what_was_not_estimable_comes_back_as_such() -> None:
    document = plain(finding(effect=Interval(value=math.nan)).to_dict())
    assert document["effect"]["value"] is None
    assert finding_of(document).effect.value == pytest.approx(math.nan, nan_ok=True)
