"""The store: migrated from empty, once, by whoever comes first; every failure named."""

import multiprocessing
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import func, inspect, select, text
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlalchemy.exc import OperationalError

from workspace import store as store_module
from workspace.errors import IntegrityError, InvalidValueError, StateError
from workspace.ledger import LedgerRow
from workspace.paths import Paths
from workspace.settings import Settings
from workspace.store import Base, Store, migrations_config

TABLES = {
    "ledger",
    "slates",
    "slate_items",
    "live_interactions",
    "live_users",
    "telemetry_parts",
    "telemetry_batches",
    "telemetry_rejections",
    "telemetry_access",
    "arrivals",
    "experiments",
    "experiment_ramps",
    "experiment_flags",
    "experiment_holdout",
    "monitor_runs",
    "alerts",
    "alert_silences",
    "alert_deliveries",
    "remediations",
    "benchmark_scores",
    "goal_entries",
    "film_reviews",
    "subject_requests",
    "erased_subjects",
    "erased_slates",
    "alembic_version",
}


@pytest.fixture
def store(home: Paths) -> Iterator[Store]:
    opened = Store.open(Settings(home=home.home))
    yield opened
    opened.close()


def row(seq: int) -> LedgerRow:
    names = ("at", "actor", "action", "subject", "details", "transaction_id", "previous_hash", "hash")
    return LedgerRow(seq=seq, **dict.fromkeys(names, "x"))


def test_open_migrates_from_empty_and_again_changes_nothing(home: Paths, store: Store) -> None:
    assert set(inspect(store.engine).get_table_names()) == TABLES
    with store.session() as session:
        session.add(row(1))
    again = Store.open(Settings(home=home.home))
    with again.reading() as session:
        assert session.scalar(select(func.count()).select_from(LedgerRow)) == 1
    again.close()


def test_open_sets_sqlite_up(store: Store) -> None:
    with store.reading() as session:
        found = {
            name: session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "foreign_keys", "synchronous")
        }
    assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}


def test_tables_of_the_classes_are_those_of_the_migrations(store: Store) -> None:
    inspector = inspect(store.engine)
    for table in Base.metadata.tables.values():
        made = {column["name"]: column for column in inspector.get_columns(table.name)}
        assert set(made) == set(table.columns.keys()), table.name
        for column in table.columns:
            assert made[column.name]["nullable"] == column.nullable, f"{table.name}.{column.name}"


def test_downgrade_and_upgrade_come_back_to_the_same(store: Store) -> None:
    config = migrations_config()
    with store.engine.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert set(inspect(store.engine).get_table_names()) == {"alembic_version"}
    store.upgrade()
    assert set(inspect(store.engine).get_table_names()) == TABLES


def test_session_commits_at_the_end_and_rolls_back_on_error(store: Store) -> None:
    with store.session() as session:
        session.add(row(1))
    with pytest.raises(ZeroDivisionError), store.session() as session:
        session.add(row(2))
        session.flush()
        raise ZeroDivisionError
    with store.reading() as session:
        kept = session.scalars(select(LedgerRow)).all()
    assert [one.seq for one in kept] == [1]


def test_reading_keeps_nothing_it_changed(store: Store) -> None:
    with store.reading() as session:
        session.add(row(1))
        session.flush()
    with store.reading() as session:
        assert session.get(LedgerRow, 1) is None


def test_reading_is_not_blocked_by_a_writer(store: Store) -> None:
    with store.session() as writer:
        writer.add(row(1))
        writer.flush()
        with store.reading() as reader:
            assert reader.get(LedgerRow, 1) is None


def test_slate_items_need_their_slate(store: Store) -> None:
    with pytest.raises(ConstraintError), store.session() as session:
        session.execute(text("INSERT INTO slate_items VALUES ('no such slate', 1, '318', 0.5, '{}')"))


def test_programming_errors_are_not_renamed(store: Store) -> None:
    with pytest.raises(OperationalError, match="no such table"), store.session() as session:
        session.execute(text("SELECT * FROM nonsense"))


def test_locked_database_is_named(home: Paths, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "BUSY_TIMEOUT_MS", 50)
    impatient = Store(f"sqlite:///{home.database}")
    with (
        store.session(),
        pytest.raises(StateError, match=r"stayed locked for 0\.05 s"),
        impatient.session(),
    ):
        pass
    impatient.close()


@pytest.mark.parametrize("content", [b"this is not a database, but long enough to be one" * 100])
def test_open_names_a_file_that_is_no_database(home: Paths, content: bytes) -> None:
    home.database.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"is damaged: file is not a database.*restore it"):
        Store.open(Settings(home=home.home))
    assert home.database.read_bytes() == content


def test_open_names_a_damaged_page(home: Paths) -> None:
    Store.open(Settings(home=home.home)).close()
    content = bytearray(home.database.read_bytes())
    content[100:4096] = b"\xff" * 3996
    home.database.write_bytes(content)
    with pytest.raises(IntegrityError, match="is damaged"):
        Store.open(Settings(home=home.home))


def test_open_names_a_newer_revision(home: Paths) -> None:
    Store.open(Settings(home=home.home)).close()
    with closing(sqlite3.connect(home.database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StateError, match=r"at revision 9999, which this release does not know"):
        Store.open(Settings(home=home.home))


def test_open_names_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StateError, match="can't be created"):
        Store.open(Settings(home=tmp_path / "home"))


def test_open_names_a_database_that_can_not_be_opened(home: Paths) -> None:
    home.database.mkdir()
    with pytest.raises(StateError, match=r"can't be used: unable to open database file.*check the place"):
        Store.open(Settings(home=home.home))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("secret", "is no database URL"),
        ("postgresql://user:secret@host:port/x", "is no database URL"),
        ("mysql://user:secret@host/x", "names 'mysql'.*must be sqlite or postgresql"),
    ],
)
def test_other_urls_are_named_without_their_secret(url: str, said: str) -> None:
    with pytest.raises(InvalidValueError, match=said) as caught:
        Store(url)
    assert "secret" not in str(caught.value)


def test_postgresql_without_driver_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateError, match=r"pip install 'recommendr\[postgres\]'"):
        Store("postgresql://user:secret@localhost/x")


def test_name_hides_the_password() -> None:
    pytest.importorskip("psycopg")
    assert "secret" not in Store("postgresql://user:secret@localhost/x").name


def open_and_close(home: Path) -> None:
    Store.open(Settings(home=home)).close()


def test_open_by_four_processes_at_once_migrates_once(home: Paths) -> None:
    context = multiprocessing.get_context("fork")
    openers = [context.Process(target=open_and_close, args=(home.home,)) for _ in range(4)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert [opener.exitcode for opener in openers] == [0] * 4


@pytest.mark.kill
def test_sigkill_while_migrating_leaves_a_store_that_opens(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    for number in range(20):
        home = tmp_path / str(number)
        child = context.Process(target=open_and_close, args=(home,))
        child.start()
        time.sleep(number * 0.004)
        child.kill()
        child.join()
        opened = Store.open(Settings(home=home))
        assert set(inspect(opened.engine).get_table_names()) == TABLES
        opened.close()
