"""Run a Prometheus over the newest days of the embedded series: ``python -m telemetry.system``."""

import argparse
import os
import sys
from pathlib import Path

from telemetry.system.local_prometheus import ADDRESS, DAYS, backfilled, command
from workspace.errors import RecommendrError
from workspace.paths import Paths
from workspace.settings import load_settings


def main() -> None:
    """Backfill, then become Prometheus; it ends with the terminal or by its own process id."""
    parser = argparse.ArgumentParser(prog="python -m telemetry.system", description=__doc__)
    parser.add_argument("--home", type=Path, help="workspace folder [RECOMMENDR_HOME, else ./var]")
    parser.add_argument("--days", type=int, default=DAYS, help="days of history before the newest sample [%(default)s]")
    parser.add_argument("--address", default=ADDRESS, help="where it listens [%(default)s]")
    arguments = parser.parse_args()
    try:
        settings = load_settings(arguments.home)
        data = backfilled(Paths(settings.home), days=arguments.days)
        run = command(data, address=arguments.address, console_port=settings.port)
    except RecommendrError as error:
        sys.exit(str(error))
    print(f"Prometheus on http://{arguments.address}: set RECOMMENDR_PROMETHEUS_URL to it", file=sys.stderr)
    os.execv(run[0], run)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
