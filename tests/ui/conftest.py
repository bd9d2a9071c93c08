"""One workspace, one server and one browser for every test of the pages."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.made_once import made_once
from tests.ui import small_world

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGS = ["--no-sandbox", "--headless", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
START_S = 60


@dataclass(frozen=True)
class Console:
    """A running server and what it serves."""

    url: str
    home: Path
    versions: tuple[str, str]
    transaction: str


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[str, str], str]:
    """A workspace with telemetry, its two index versions, the current one last, and a transaction that was logged."""

    def make(folder: Path) -> tuple[tuple[str, str], str]:
        return small_world.build(folder / "home"), small_world.telemetry(folder / "home")

    folder, (versions, transaction) = made_once(tmp_path_factory, "console", make)
    return folder / "home", tuple(versions), transaction


@pytest.fixture(scope="session")
def world(made: tuple[Path, tuple[str, str], str]) -> tuple[Path, tuple[str, str]]:
    return made[0], made[1]


@pytest.fixture(scope="session")
def transaction(made: tuple[Path, tuple[str, str], str]) -> str:
    return made[2]


@pytest.fixture(scope="session")
def console(world: tuple[Path, tuple[str, str]], transaction: str) -> Iterator[Console]:
    home, versions = world
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard/app.py"), "--server.port", str(port),
               "--server.address", "127.0.0.1", "--server.headless", "true", "--server.fileWatcherType",
               "none"]  # fmt: skip
    environment = {**os.environ, "RECOMMENDR_HOME": str(home), "PYTHONPATH": str(ROOT)}
    log = (home / "server.log").open("wb")
    server = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(url, server)
        yield Console(url=url, home=home, versions=versions, transaction=transaction)
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


def _wait(url: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        assert server.poll() is None, "the server ended"
        try:
            with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2):  # noqa: S310 - our own loopback server
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the server did not answer within {START_S} s")


@pytest.fixture(scope="session")
def browser() -> "Iterator[object]":
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not there; `make test` installs it where apt-get and root are")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=str(CHROMIUM), args=CHROMIUM_ARGS)
        yield opened
        opened.close()
