"""The same store on a PostgreSQL server of the test's own."""

import getpass
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import inspect, text

from workspace.clock import FrozenClock
from workspace.errors import StateError
from workspace.ledger import Ledger
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Store

pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")


def server_user() -> str:
    """PostgreSQL refuses to run as root: then it runs as its own user."""
    if os.geteuid() != 0:
        return getpass.getuser()
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        pytest.skip("root has no user `postgres` to run a server as")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """URL of a fresh server that listens on a socket in a temporary folder only."""
    if not (shutil.which("postgres") and shutil.which("initdb")):
        pytest.skip("postgres and initdb are not on the path")
    user = server_user()
    other = {"user": user} if os.geteuid() == 0 else {}
    # Not in pytest's folder: that one is closed to other users, and too long a path for a socket.
    with TemporaryDirectory(prefix="pg") as folder:
        if other:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        subprocess.run(
            ["initdb", "-D", data, "-U", "tester", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
            **other,
        )
        process = subprocess.Popen(
            ["postgres", "-D", data, "-k", folder, "-c", "listen_addresses="],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **other,
        )
        try:
            yield wait_until_up(f"postgresql://tester@/postgres?host={folder}")
        finally:
            process.terminate()
            process.wait()


def wait_until_up(url: str) -> str:
    """Return the URL once the server answers."""
    end = time.monotonic() + 30
    while True:
        store = Store(url)
        try:
            with store.reading() as session:
                session.execute(text("SELECT 1"))
        except StateError:
            if time.monotonic() > end:
                raise
        else:
            return url
        finally:
            store.close()


@pytest.fixture
def store(server: str, home: Paths) -> Iterator[Store]:
    opened = Store.open(Settings(home=home.home, database_url=server))
    yield opened
    with opened.session() as session:
        session.execute(text("TRUNCATE ledger"))
    opened.close()


@pytest.mark.usefixtures("store")
def test_open_migrates_and_again_changes_nothing(server: str, home: Paths) -> None:
    again = Store.open(Settings(home=home.home, database_url=server))
    assert {"ledger", "slates", "slate_items", "live_users"} <= set(inspect(again.engine).get_table_names())
    assert not home.database.exists()
    again.close()


def test_ledger_holds_and_locates_damage(store: Store) -> None:
    ledger = Ledger(store, FrozenClock(datetime(2026, 3, 1, tzinfo=UTC)))
    for number in range(5):
        ledger.append("cli", "x", str(number), {"title": r"Agnès \ 5"})
    assert ledger.verify().ok
    with store.session() as session:
        session.execute(text("UPDATE ledger SET details = replace(details, '5', '6') WHERE seq = 3"))
    assert ledger.verify().broken_at == 3


def test_append_by_four_threads_makes_one_chain(store: Store) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: Ledger(store).append("cli", "x", str(number)), range(60)))
    verdict = Ledger(store).verify()
    assert (verdict.ok, verdict.length) == (True, 60)


def test_unreachable_server_is_named_without_its_password(home: Paths, tmp_path: Path) -> None:
    url = f"postgresql://tester:secret@/postgres?host={tmp_path}"
    with pytest.raises(StateError, match="can't be used") as caught:
        Store.open(Settings(home=home.home, database_url=url))
    assert "secret" not in str(caught.value)
