"""What the command line says of its runs, as a file for the textfile collector of Prometheus's node exporter.

A command ends before anybody could scrape it: it leaves its last duration and exit code behind instead.
"""

import re
from typing import Final

from workspace.clock import Clock, SystemClock
from workspace.files import file_lock, write_text
from workspace.paths import Paths

FILE: Final = "recommendr.prom"
DURATION: Final = "recommendr_command_last_duration_seconds"
EXIT_CODE: Final = "recommendr_command_last_exit_code"
ENDED_AT: Final = "recommendr_command_last_run_timestamp_seconds"
_LABEL: Final = "command"
_FIGURES: Final = (
    (DURATION, "Seconds the last run of a command took."),
    (EXIT_CODE, "Exit code of the last run of a command."),
    (ENDED_AT, "When the last run of a command ended, in seconds since 1970."),
)
_MOST_COMMANDS: Final = 200
_COMMAND: Final = re.compile(r"[a-z][a-z0-9 -]{0,79}")
_LINE: Final = re.compile(rf'(\w+){{{_LABEL}="({_COMMAND.pattern})"}} ([0-9.e+-]+)')


def record_run(paths: Paths, command: str, seconds: float, exit_code: int, clock: Clock | None = None) -> None:
    """Note how the run of a command went; the other commands keep their figures.

    Args:
        paths: The workspace.
        command: Its words without arguments, for example ``index build``; anything else is not noted.
        seconds: How long it took.
        exit_code: How it ended.
        clock: When it ended.

    Raises:
        StateError: When the file can't be written.
    """
    if not _COMMAND.fullmatch(command):
        return
    path = paths.system / FILE
    with file_lock(paths.system / f".{FILE}.lock"):
        runs: dict[str, dict[str, float]] = {}
        if path.exists():
            for name, known, value in _LINE.findall(path.read_text(encoding="utf-8", errors="replace")):
                runs.setdefault(known, {})[name] = _number(value)
        at = (clock or SystemClock()).now().timestamp()
        runs[command] = {DURATION: seconds, EXIT_CODE: exit_code, ENDED_AT: at}
        newest = sorted(runs, key=lambda known: -runs[known].get(ENDED_AT, 0.0))[:_MOST_COMMANDS]
        write_text(path, _text({known: runs[known] for known in sorted(newest)}))


def _text(runs: dict[str, dict[str, float]]) -> str:
    lines = []
    for name, meaning in _FIGURES:
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} gauge"]
        lines += [
            f'{name}{{{_LABEL}="{command}"}} {figures[name]!r}' for command, figures in runs.items() if name in figures
        ]
    return "\n".join(lines) + "\n"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
