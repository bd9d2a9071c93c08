"""What *Goals* shows: the tree as it stands, with what the last run of the monitor found, and the figures entered."""

import datetime as dt
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dashboard.freshness import Kept
from dashboard.loaders.kept import ask
from dashboard.loaders.watching import ground, last_run
from monitoring import goal_entries
from monitoring.goal_entries import Entry
from monitoring.goals import GoalNode, tree
from workspace.errors import SchemaError
from workspace.settings import load_settings

_TTL: Final = dt.timedelta(minutes=5)


def goals() -> Kept[tuple[GoalNode, ...]]:
    """Return the organisational objectives with every goal below them, or the last good answer."""
    run = last_run()
    # A new figure by hand, or a new run, must show at once.
    entered = goal_entries.newest(ground().store)
    key = (load_settings(), "goals", run.run_id if run else None, tuple(entered))
    return ask(key, lambda: tree(ground(), findings=run.findings if run else ()), ttl=_TTL)


def entries() -> list[Entry]:
    """Return the figures entered, the latest of each period, the newest first."""
    found = goal_entries.newest(ground().store)
    return sorted(found, key=lambda one: (one.start, one.goal), reverse=True)


def enter(new: Sequence[Entry], *, actor: str, source: str) -> int:
    """Enter figures, and return how many were taken.

    Args:
        new: The figures.
        actor: Who.
        source: ``hand``, or the name of the file.
    """
    return goal_entries.enter(ground(), new, actor=actor, source=source)


def read(name: str, text: str) -> list[Entry]:
    """Return the figures of some lines of CSV.

    Args:
        name: How errors call them.
        text: The lines, the columns' names first.

    Raises:
        SchemaError: When they can't be read as such, naming the lines.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text, encoding="utf-8")
        try:
            return goal_entries.read_csv(path)
        except SchemaError as problem:
            # Nobody knows the file it was put into.
            raise SchemaError(problem.what.replace(str(path), name), problem.limit, problem.hint) from problem
