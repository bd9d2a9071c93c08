"""A Prometheus of one's own beside the workspace: its history from the embedded series, its present from the console.

It is for trying out and for tests; ``make run-prometheus`` runs it. A grown-up Prometheus scrapes the services itself.
"""

import datetime as dt
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from telemetry.system.openmetrics import write_openmetrics
from telemetry.system.series import EVER_US, SAMPLES, SeriesStore
from workspace.columns import Sample
from workspace.errors import StateError
from workspace.files import publish_folder
from workspace.paths import Paths

ADDRESS: Final = "127.0.0.1:9090"
DAYS: Final = 14
"""A platform of 50 series leaves 250,000 samples a day: two weeks are read in within half a minute."""
_BLOCK: Final = "162h"  # the default of 2 h took 40 times as long
_RETENTION: Final = "10y"
_SCRAPE_S: Final = 60
_SAID: Final = 300
_SERVER: Final = "prometheus"
_TOOL: Final = "promtool"


def backfilled(paths: Paths, *, days: int = DAYS) -> Path:
    """Return a data folder that holds the newest days of the embedded series, made when it does not exist yet.

    Args:
        paths: The workspace.
        days: How many days before the newest sample.

    Raises:
        StateError: When there are no samples, or the tool is missing or fails.
    """
    store = SeriesStore(paths)
    files = store.files(SAMPLES, 0, EVER_US)
    if not files:
        hint = "import some: `recommendr synth telemetry` makes them"
        raise StateError(f"{paths.system} holds no samples", hint=hint)
    digest = sha256("\n".join([str(days), *(path.name for path in files)]).encode()).hexdigest()[:16]
    folder = paths.system / "prometheus" / digest
    if not folder.exists():
        with publish_folder(folder) as unfinished:
            create_blocks(store, unfinished, days=days)
    return folder


def create_blocks(store: SeriesStore, folder: Path, *, days: int = DAYS) -> int:
    """Write the newest days of samples as blocks of Prometheus.

    Args:
        store: Where the samples are.
        folder: The data folder of a Prometheus that does not run.
        days: How many days before the newest sample.

    Returns:
        How many samples were written.

    Raises:
        StateError: When the tool is missing or fails.
    """
    tool = _found(_TOOL)

    def newest() -> Iterator[pa.Table]:
        return _newest(store, days)

    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".openmetrics-") as passing:
        text = Path(passing) / "history.om"
        written = write_openmetrics(text, newest)
        # The blocks are made elsewhere: the tool leaves its own passing files beside them.
        blocks = Path(passing) / "blocks"
        command = [tool, "tsdb", "create-blocks-from", "openmetrics", f"--max-block-duration={_BLOCK}"]
        done = subprocess.run(  # noqa: S603 - our own arguments
            [*command, str(text), str(blocks)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise StateError(f"{_TOOL} failed: {(done.stderr or done.stdout).strip()[-_SAID:]}")
        for block in blocks.iterdir():
            if (block / "meta.json").is_file():
                shutil.move(block, folder / block.name)
    return written


def command(data: Path, *, address: str = ADDRESS, console_port: int | None = None) -> list[str]:
    """Write the configuration beside the data and return the command that runs Prometheus over them.

    Args:
        data: The data folder.
        address: Where it listens.
        console_port: Port of the console to scrape on this machine; None scrapes nothing.

    Raises:
        StateError: When Prometheus is missing.
    """
    server = _found(_SERVER)
    jobs = []
    if console_port is not None:
        jobs = [{"job_name": "recommendr", "static_configs": [{"targets": [f"127.0.0.1:{console_port}"]}]}]
    configuration = data / "prometheus.yml"
    # JSON is YAML.
    settings = {"global": {"scrape_interval": f"{_SCRAPE_S}s"}, "scrape_configs": jobs}
    configuration.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    return [
        server,
        f"--config.file={configuration}",
        f"--storage.tsdb.path={data}",
        f"--storage.tsdb.retention.time={_RETENTION}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]


def _newest(store: SeriesStore, days: int) -> Iterator[pa.Table]:
    start_us, end_us = _span(store, days)
    for table in store.tables(start_us, end_us):
        yield table.filter(
            pc.field(Sample.TS) >= dt.datetime.fromtimestamp(start_us / 1e6, dt.UTC).replace(tzinfo=None)
        )


def _span(store: SeriesStore, days: int) -> tuple[int, int]:
    newest = max(pc.max(table.column(Sample.TS)).as_py() for table in store.tables(0, EVER_US, columns=[Sample.TS]))
    start = newest.replace(tzinfo=dt.UTC) - dt.timedelta(days=days)
    return max(0, int(start.timestamp() * 1e6)), EVER_US


def _found(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        hint = "install Debian's package prometheus, or unset RECOMMENDR_PROMETHEUS_URL for the embedded series"
        raise StateError(f"{program} is not installed", hint=hint)
    return path
