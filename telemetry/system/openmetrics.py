"""Samples as OpenMetrics text, which ``promtool tsdb create-blocks-from openmetrics`` turns into a history.

The text wants the samples of a metric together and in the order of time, a stamp in seconds on each, and ``# EOF``.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from telemetry.system import names
from telemetry.system.questions import BOUNDS_S, Floats
from workspace.columns import Sample

Tables = Callable[[], Iterable[pa.Table]]

_EOF: Final = "# EOF\n"
_CODES: Final = ((names.OK_CODE, "ok"), (names.ERROR_CODE, "errors"))
_GAUGES: Final = (
    (names.CPU, Sample.CPU),
    (names.MEMORY, Sample.MEMORY),
    (names.UP, Sample.UP),
    (names.ACTIVE_SESSIONS, Sample.ACTIVE_SESSIONS),
)


def write_openmetrics(path: Path, tables: Tables) -> int:
    """Write samples as OpenMetrics text.

    Args:
        path: The file; it is a passing one, and need not survive a crash.
        tables: Gives the tables with the columns `Sample.ALL`, oldest first; asked once for each family of metrics.

    Returns:
        How many samples were written.
    """
    written = 0
    with path.open("w", encoding="utf-8") as stream:
        stream.write(f"# TYPE {names.REQUESTS} counter\n")
        for table in tables():
            written += _write(stream.write, table, _requests(table))
        stream.write(f"# TYPE {names.DURATION} histogram\n")
        for table in tables():
            written += _write(stream.write, table, _durations(table))
        for name, column in _GAUGES:
            stream.write(f"# TYPE {name} gauge\n")
            for table in tables():
                written += _write(stream.write, table, iter([(name, "", _values(table, column))]))
        stream.write(_EOF)
    return written


def _requests(table: pa.Table) -> Iterator[tuple[str, str, Floats]]:
    total, errors = _values(table, Sample.REQUESTS), _values(table, Sample.ERRORS)
    for code, which in _CODES:
        yield names.REQUESTS_TOTAL, f',{names.CODE}="{code}"', errors if which == "errors" else total - errors


def _durations(table: pa.Table) -> Iterator[tuple[str, str, Floats]]:
    for bucket, bound in zip(Sample.BUCKETS, BOUNDS_S, strict=True):
        written = "+Inf" if np.isinf(bound) else repr(bound)
        yield names.BUCKET, f',{names.LE}="{written}"', _values(table, bucket)
    yield names.COUNT, "", _values(table, Sample.BUCKETS[-1])
    yield names.SUM, "", _values(table, Sample.LATENCY_SUM)


def _write(write: Callable[[str], object], table: pa.Table, series: Iterator[tuple[str, str, Floats]]) -> int:
    """Write each series in its own run of lines."""
    frame = table.select([Sample.TS, Sample.SERVICE, Sample.REGION]).to_pandas()
    seconds = frame[Sample.TS].to_numpy("datetime64[us]").astype(np.int64) / 1e6
    groups = frame.groupby([Sample.SERVICE, Sample.REGION]).indices
    written = 0
    for name, more, values in series:
        for (service, region), rows in groups.items():
            labels = f'{names.SERVICE}="{_escaped(service)}",{names.REGION}="{_escaped(region)}"{more}'
            there = rows[~np.isnan(values[rows])]
            lines = [
                f"{name}{{{labels}}} {value!r} {moment:.3f}\n"
                for value, moment in zip(values[there].tolist(), seconds[there].tolist(), strict=True)
            ]
            write("".join(lines))
            written += len(lines)
    return written


def _values(table: pa.Table, column: str) -> Floats:
    values: Floats = table.column(column).to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
