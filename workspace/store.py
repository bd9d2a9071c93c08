"""The operational store: one SQLAlchemy engine on SQLite (WAL) or PostgreSQL, brought up to date when opened."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from workspace.errors import IntegrityError, InvalidValueError, RecommendrError, StateError
from workspace.files import file_lock
from workspace.paths import Paths
from workspace.settings import Settings

MIGRATIONS: Final = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_MS: Final = 30_000
_WRITES: Final = "recommendr_writes"
# Any constant will do, as long as no other program takes the same advisory lock in the same database.
_POSTGRES_LOCK: Final = 7_301_554_221


class Base(DeclarativeBase):
    """Base of every table of the operational store."""


class Store:
    """Sessions on the operational store.

    Args:
        url: A ``sqlite:///…`` or ``postgresql://…`` URL.

    Raises:
        InvalidValueError: When the URL is neither.
        StateError: When the PostgreSQL driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self.engine: Final = _engine(url)
        self.is_sqlite: Final = self.engine.dialect.name == "sqlite"

    @classmethod
    def open(cls, settings: Settings) -> "Store":
        """Open the store the settings name and migrate it to the newest revision.

        Args:
            settings: Where it is.

        Returns:
            The store, ready.

        Raises:
            IntegrityError: When the file is no database, or a damaged one.
            StateError: When it can't be reached or written, or a newer release has migrated it.
        """
        paths = Paths(settings.home).ensure()
        store = cls(settings.database_url or f"sqlite:///{paths.database}")
        try:
            store.upgrade()
        except BaseException:
            store.close()
            raise
        return store

    @property
    def name(self) -> str:
        """The URL without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def upgrade(self) -> None:
        """Bring the schema to the newest revision, in one transaction; does nothing when it is there already."""
        database = self.engine.url.database
        # Two processes that switch a new SQLite file to WAL at the same time do not wait for each other.
        lock = file_lock(Path(f"{database}.lock")) if self.is_sqlite and database else nullcontext()
        with lock, self._failures_named(), self.engine.connect() as plain:
            connection = plain.execution_options(**{_WRITES: True})
            with connection.begin():
                if not self.is_sqlite:
                    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _POSTGRES_LOCK})
                self._migrate(connection)

    def _migrate(self, connection: Connection) -> None:
        config = migrations_config()
        scripts = ScriptDirectory.from_config(config)
        current = MigrationContext.configure(connection).get_current_revision()
        if current == scripts.get_current_head():
            return
        if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
            raise StateError(
                f"the database {self.name} is at revision {current}",
                "which this release does not know",
                "a newer release has migrated it: install that one, or restore a copy made before",
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    @contextmanager
    def session(self) -> Iterator[Session]:
        """Open a session that may write; commits at the end, rolls back on any error.

        On SQLite it takes the write lock at once (BEGIN IMMEDIATE), so that what it reads can't change before it
        writes. Use `reading` for long or frequent reads.

        Yields:
            A session whose objects stay usable after the commit.

        Raises:
            IntegrityError: When the database is damaged.
            StateError: When it is locked for too long, unreachable or out of space.
        """
        with self._failures_named(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection(execution_options={_WRITES: True})
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Open a session on one unchanging view that blocks nobody; whatever it changes is rolled back.

        Yields:
            A session whose objects stay usable afterwards.

        Raises:
            IntegrityError: When the database is damaged.
            StateError: When it is unreachable.
        """
        with self._failures_named(), Session(self.engine, expire_on_commit=False) as session:
            try:
                yield session
                session.expunge_all()
            finally:
                session.rollback()

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    @contextmanager
    def _failures_named(self) -> Iterator[None]:
        """Turn what the driver says about the database itself into named errors; constraint violations pass."""
        try:
            yield
        except (OperationalError, DatabaseError) as error:
            named = self._named(error)
            if named is None:
                raise
            raise named from error

    def _named(self, error: DatabaseError) -> RecommendrError | None:
        said = str(error.orig)
        if any(sign in said for sign in ("not a database", "malformed", "Could not decode to UTF-8")):
            return IntegrityError(
                f"the database {self.name} is damaged: {said}", hint="restore it from a copy, or start a new home"
            )
        if not isinstance(error, OperationalError) or "no such" in said or "syntax error" in said:
            return None
        if "locked" in said:
            return StateError(
                f"the database {self.name} stayed locked for {BUSY_TIMEOUT_MS / 1000:g} s",
                hint="wait until the other process has finished",
            )
        return StateError(
            f"the database {self.name} can't be used: {said.strip()}", hint="check the place, its rights and its space"
        )


def migrations_config() -> Config:
    """Return Alembic's configuration for the migrations shipped with this package."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _engine(url: str) -> Engine:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        # The text is not repeated: it may hold a password.
        raise InvalidValueError("database_url is no database URL", hint="write postgresql://host/name") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        engine = create_engine(parsed.set(drivername="sqlite"), connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
        event.listen(engine, "connect", _set_pragmas)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if backend != "postgresql":
        raise InvalidValueError(f"database_url names {backend!r}", "must be sqlite or postgresql")
    try:
        importlib.import_module("psycopg")
    except ImportError as error:
        raise StateError(
            "a PostgreSQL database_url needs the driver psycopg", hint="pip install 'recommendr[postgres]'"
        ) from error
    return create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True)


def _set_pragmas(connection: Any, _: ConnectionPoolEntry) -> None:  # noqa: ANN401 - a driver's connection
    # Transactions are begun by `_begin_sqlite`, since the driver's own begin is late and leaves DDL outside.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
    finally:
        cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
