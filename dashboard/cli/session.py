"""What a command works in: the settings, the log with its transaction id, the opened recommender."""

import datetime as dt
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from workspace.errors import InvalidValueError, StateError

if TYPE_CHECKING:
    from recommender.engine import Recommender
    from workspace.paths import Paths
    from workspace.settings import Settings


ACTOR: Final = "cli"
running: Final[ContextVar[str]] = ContextVar("recommendr_command", default="")
"""Words of the command that runs, without its arguments."""


@contextmanager
def workspace(home: Path | None, *, create: bool = False) -> Iterator["Settings"]:
    """Open the workspace folder: settings read, logging on, one transaction id for the whole command.

    Args:
        home: The folder; None takes it from the settings.
        create: Whether the folder may be made when it does not exist.

    Raises:
        StateError: When there is no such folder, or a file bears its name.
    """
    # Loaded after usearch, pyarrow crashes the process when it meets a time zone.
    import pyarrow as pa  # noqa: F401

    from workspace import logs
    from workspace.paths import Paths
    from workspace.settings import load_settings

    settings = load_settings(home)
    if settings.home.exists() and not settings.home.is_dir():
        raise StateError(f"{settings.home} is a file", "the workspace must be a folder", "choose another --home")
    # A mistyped --home must not leave an empty workspace behind.
    if not create and not settings.home.is_dir():
        hint = f"run `recommendr init --home {settings.home}`"
        raise StateError(f"there is no workspace at {settings.home}", hint=hint)
    # The encoder's own bars would cross ours.
    os.environ.setdefault("TQDM_DISABLE", "1")
    paths = Paths(settings.home).ensure()
    logs.configure(paths, settings.log_level, service=ACTOR)
    with logs.transaction(), _recorded(paths):
        yield settings


@contextmanager
def _recorded(paths: "Paths") -> Iterator[None]:
    """Leave the command's duration and outcome behind for Prometheus; a run that can't is a run all the same."""
    from telemetry.textfile import record_run
    from workspace.errors import RecommendrError

    start, code = time.perf_counter(), 0
    try:
        yield
    except typer.Exit as ended:
        code = ended.exit_code
        raise
    except BaseException as error:
        code = error.exit_code if isinstance(error, RecommendrError) else 1
        raise
    finally:
        with suppress(RecommendrError, OSError):
            record_run(paths, running.get(), time.perf_counter() - start, code)


@contextmanager
def open_recommender(home: Path | None) -> Iterator["Recommender"]:
    """Open the recommender over the current catalogue and index.

    Raises:
        StateError: When nothing is imported or built yet.
    """
    with workspace(home) as settings:
        from recommender.engine import Recommender

        yield Recommender.open(settings)


def parse_day(text: str | None) -> dt.date | None:
    """Read a day.

    Raises:
        InvalidValueError: When the text is no date.

    Example:
        >>> parse_day("2016-05-01")
        datetime.date(2016, 5, 1)
    """
    if text is None:
        return None
    try:
        return dt.date.fromisoformat(text)
    except ValueError as error:
        hint = "write it as 2016-05-01"
        raise InvalidValueError(f"--on == {text!r}", "must be a day of the calendar", hint) from error
