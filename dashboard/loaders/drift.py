"""What *Drift* shows: findings of the last run, courses with what was expected, the tree of segments, the benchmark."""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.watching import ground
from monitoring import changes
from monitoring.benchmark import BenchmarkScore, history
from monitoring.drift import cells as reading
from monitoring.drift import telemetry as drift
from monitoring.drift.cells import Cells, Segment
from monitoring.drift.expectation import BEFORE_DAYS, NOW_DAYS
from monitoring.findings import Change, Finding
from monitoring.proxy import Precision, ProxyCheck, against_offline, weekly
from telemetry.metrics import metric
from workspace.settings import load_settings

if TYPE_CHECKING:
    import pandas as pd

METRICS: Final = {metric(name).title: name for name in reading.METRICS}
_TTL: Final = dt.timedelta(minutes=10)
_DAY: Final = dt.timedelta(days=1)


def _version() -> object:
    return ground().warehouse.version()


def cells() -> Cells:
    """Return the sums that courses and trees are computed from, kept until telemetry changes."""
    return ask((load_settings(), "drift cells", _version()), lambda: reading.read(ground()), ttl=_TTL).value


def course(name: str, segment: Segment) -> "Kept[pd.DataFrame]":
    """Return a metric in a segment day by day, with what was expected."""
    key = (load_settings(), "drift course", name, tuple(sorted(segment.items())), _version())
    return ask(key, lambda: drift.course(ground(), name, segment, cells=cells()), ttl=_TTL)


def weeks() -> list[dt.date]:
    """Return the first days of the weeks that have four weeks before them, the newest first."""
    known = cells().days
    last = len(known) - NOW_DAYS
    return [known[at] for at in range(last, BEFORE_DAYS - 1, -NOW_DAYS)]


def places(name: str) -> list[Segment]:
    """Return the segments a metric is watched in, everyone first."""
    newest = weeks()[:1]
    return [node.segment for node in segments(name, newest[0]).value] if newest else [{}]


def segments(name: str, week: dt.date) -> Kept[tuple[drift.Node, ...]]:
    """Return how a metric stands in every segment in a week against the four weeks before."""
    key = (load_settings(), "drift tree", name, week, _version())
    return ask(key, lambda: drift.segment_tree(ground(), name, week, cells=cells()), ttl=_TTL)


def changed(start: dt.datetime, end: dt.datetime, findings: Sequence[Finding]) -> Kept[tuple[Change, ...]]:
    """Return what was changed in a time, incidents among what was found included."""
    key = (load_settings(), "changes", start, end, tuple(finding.key for finding in findings), _version())
    return ask(key, lambda: changes.gather(ground(), start, end, findings=findings), ttl=_TTL)


def precision() -> Kept[Precision | None]:
    """Return the online stand-in for precision@5 of the last week; None without any."""
    return ask((load_settings(), "proxy", _version()), lambda: next(iter(weekly(ground())), None), ttl=_TTL)


def scores() -> list[BenchmarkScore]:
    """Return the scores of index versions on the benchmark, the newest first."""
    return history(ground())


def agreement() -> Kept[ProxyCheck]:
    """Return how the online and the offline figure go together over index versions."""
    return ask((load_settings(), "proxy check", _version()), lambda: against_offline(ground()), ttl=_TTL)
