"""What a command sends out: the answer on stdout, everything else (progress, notes, errors) on stderr.

With ``--json`` stdout holds one JSON document and nothing else, an error included; the sentence for people is on
stderr either way.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from workspace.printable import printable

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from workspace.errors import RecommendrError

Document = Mapping[str, Any]
Progress = Callable[[str, int, int], None]

# A pipe has no width: tables are laid out for a wide terminal instead of Rich's 80 columns.
_PIPE_WIDTH: Final = 120


def console(*, stderr: bool = False) -> "Console":
    """Return a Rich console on the stream as it is now.

    Args:
        stderr: Whether to write to stderr.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def answer(document: Document, render: Callable[[Document], "RenderableType"], *, as_json: bool) -> None:
    """Print the result of a command.

    Args:
        document: The result as plain data.
        render: Makes it readable in a terminal.
        as_json: Print the document itself instead.
    """
    if as_json:
        print_json(document)
    else:
        console().print(render(document))


def print_json(document: Document) -> None:
    """Print one JSON document on stdout: UTF-8 where the stream can, escapes where it can't; NaN becomes null."""
    value = _plain(document)
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value, indent=2, allow_nan=False)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Say something beside the answer, on stderr."""
    console(stderr=True).print(text, style="dim", soft_wrap=True)


def print_error(error: "RecommendrError", *, as_json: bool) -> None:
    """Print an error: the sentence on stderr, and with ``--json`` its parts as the document on stdout.

    Args:
        error: What went wrong.
        as_json: Whether the caller asked for JSON.
    """
    console(stderr=True).print(printable(str(error)), style="red", soft_wrap=True)
    if as_json:
        parts = {"type": type(error).__name__, "what": error.what, "limit": error.limit, "hint": error.hint}
        print_json({"error": parts})


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Draw one bar a stage on stderr while the block runs.

    Yields:
        The callback ``progress(stage, done, total)``; a total of 0 is a stage of unknown length.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(printable(stage), total=total or None)
            bars.update(tasks[stage], completed=done, total=total or None)

        yield advance
        for task in tasks.values():
            # A stage that was told no end of its own ends with the work.
            total = bars.tasks[task].total or 1
            bars.update(task, completed=total, total=total)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever a result holds
    """Return the value in the types JSON knows."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        # A figure that could not be estimated is null, never 0 and never the NaN that JSON does not know.
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return _plain(value.item()) if hasattr(value, "item") else _text(value)


def _text(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime | date) else str(value)
