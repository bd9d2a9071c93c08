"""Documents: results as plain data that any JSON reader takes, and back."""

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any

from monitoring.findings import Cause, Change, Finding, Interval, Onset, Outcome, Severity


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a result holds
    """Return a value in the types JSON knows; a figure that is not estimable is null, never 0 and never NaN.

    Example:
        >>> plain({"ctr": float("nan"), "at": dt.date(2026, 5, 1), "users": (1, 2)})
        {'ctr': None, 'at': '2026-05-01', 'users': [1, 2]}
    """
    if isinstance(value, Mapping):
        return {storable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if hasattr(value, "tolist"):
        # numpy's scalars and arrays
        return plain(value.tolist())
    return _scalar(value)


def storable(text: str) -> str:
    r"""Return a text as every store and wire takes it: without lone surrogates and without NUL.

    Example:
        >>> storable("a\ud800b\0") == "a?b\ufffd"
        True
    """
    return str(text).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def _scalar(value: Any) -> Any:  # noqa: ANN401 - whatever a result holds
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    return storable(str(value))


def outcome_of(document: Mapping[str, Any]) -> Outcome:
    """Return the outcome of a detector from its plain data."""
    return Outcome(
        detector=document["detector"],
        findings=tuple(finding_of(one) for one in document["findings"]),
        notes=tuple(document["notes"]),
        looked_at=document["looked_at"],
        seconds=document["seconds"],
    )


def finding_of(document: Mapping[str, Any]) -> Finding:
    """Return a finding from its plain data."""
    onset, effect = document["onset"], document["effect"]
    value = effect["value"]
    return Finding(
        detector=document["detector"],
        metric=document["metric"],
        segment=dict(document["segment"]),
        onset=Onset(**{name: dt.datetime.fromisoformat(onset[name]) for name in ("at", "low", "high")}),
        ended=moment_of(document["ended"]),
        effect=Interval(value=math.nan if value is None else value, low=effect["low"], high=effect["high"]),
        unit=document["unit"],
        p_value=document["p_value"],
        severity=Severity(document["severity"]),
        summary=document["summary"],
        causes=tuple(_cause_of(one) for one in document["causes"]),
        evidence=dict(document["evidence"]),
    )


def moment_of(text: str | None) -> dt.datetime | None:
    """Return a moment from its text."""
    return None if text is None else dt.datetime.fromisoformat(text)


def _cause_of(document: Mapping[str, Any]) -> Cause:
    change = document["change"]
    return Cause(
        change=Change(
            kind=change["kind"],
            name=change["name"],
            at=dt.datetime.fromisoformat(change["at"]),
            until=moment_of(change["until"]),
            segment=dict(change["segment"]),
            summary=change["summary"],
        ),
        weight=document["weight"],
        reason=document["reason"],
    )
