"""Kills itself (SIGKILL) at chosen moments of an erasure: one process a moment, forked before any thread is started.

Called as ``python -m tests.audit.erasure.killed HOME:MOMENT …``; a moment is the number of the durable act (a rename, a
removal, a commit) before which the process dies. Prints how many acts a whole erasure has when the moment is 0.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy.orm

from dashboard.erasing import erase_user
from tests.audit.erasure import small

acts = 0


def dying(original: Callable[..., Any], moment: int) -> Callable[..., Any]:
    def act(*args: Any, **options: Any) -> Any:
        global acts  # noqa: PLW0603 - one process, one count
        acts += 1
        if acts == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    return act


def run(home: Path, moment: int) -> None:
    for owner, name in (
        (Path, "replace"), (Path, "rename"), (Path, "unlink"), (shutil, "rmtree"),
        (sqlalchemy.orm.SessionTransaction, "commit"),
    ):  # fmt: skip
        setattr(owner, name, dying(getattr(owner, name), moment))
    erase_user(small.settings_of(home), small.PERSON, reason="ticket", clock=small.CLOCK, actor="test")


def main() -> None:
    for told in sys.argv[1:]:
        home, _, moment = told.rpartition(":")
        child = os.fork()
        if not child:
            run(Path(home), int(moment))
            print(acts, flush=True)
            os._exit(0)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
