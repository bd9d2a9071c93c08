"""How the command line ends: exit codes and errors, for every command in one place."""

import os
import signal
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import typer
from typer.core import TyperGroup

from dashboard.cli.output import print_error
from dashboard.cli.session import running
from workspace.errors import InputError, RecommendrError

PROGRAM: Final = "recommendr"
DEBUG: Final = "--debug"
JSON: Final = "--json"
EXIT_INTERNAL: Final = 70
EXIT_INTERRUPTED: Final = 128 + signal.SIGINT


class UsageError(InputError):
    """The command was not called as it can be called."""


class InternalError(RecommendrError):
    """An error nobody foresaw: a defect of this program."""

    exit_code = EXIT_INTERNAL


class ErrorGroup(TyperGroup):
    """The root command: turns every error into one sentence (and one JSON document) and an exit code.

    0 done · 1 a check failed (``evaluate --min-precision``, ``index verify``) · 2 named error · 70 defect ·
    130 interrupted.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,  # noqa: ANN401 - handed on to the group as it came
    ) -> Any:  # noqa: ANN401 - the signature is Typer's
        """Run the command line and exit; ``standalone_mode`` false returns the exit code instead."""
        given = list(sys.argv[1:] if args is None else args)
        program = prog_name or PROGRAM
        debug = DEBUG in given
        # Anything may fail, anywhere in the line --debug was put: it belongs to no command.
        given = [argument for argument in given if argument != DEBUG]
        running.set(self._words(given))
        try:
            result = super().main(given, program, complete_var, False, windows_expand_args, **extra)
            code = result if isinstance(result, int) else 0
        except BrokenPipeError:
            # The reader has gone (`| head`): say nothing, and keep the interpreter from flushing into the void.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            code = 0
        except (KeyboardInterrupt, typer.Abort):
            code = EXIT_INTERRUPTED
        except Exception as error:  # noqa: BLE001 - nobody may meet a traceback unasked
            if debug:
                traceback.print_exc()
            named = _named(error, program)
            print_error(named, as_json=JSON in given)
            code = named.exit_code
        if standalone_mode:
            sys.exit(code)
        return code

    def _words(self, given: Sequence[str]) -> str:
        """Return the words that name the command, without options and arguments."""
        words: list[str] = []
        commands: Mapping[str, Any] = self.commands
        for argument in given:
            if argument in commands:
                words.append(argument)
                commands = getattr(commands[argument], "commands", {})
            elif words and not argument.startswith("-"):
                break
        return " ".join(words)


def helped(about: str) -> typer.Typer:
    """Return a group of commands that shows its help, and ends well, when no command of it is named.

    Args:
        about: What the group is for, in a sentence.
    """
    group = typer.Typer(help=about)

    @group.callback(invoke_without_command=True)
    def root(context: typer.Context) -> None:
        if context.invoked_subcommand is None:
            typer.echo(context.get_help())

    return group


def _named(error: Exception, program: str) -> RecommendrError:
    """Return the error as one that says what, the limit and the cure."""
    if isinstance(error, RecommendrError):
        return error
    if isinstance(error, typer.TyperException):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else program
        return UsageError(error.format_message().rstrip("."), hint=f"see `{command} --help`")
    if isinstance(error, MemoryError):
        return InternalError("the memory of this machine is used up", hint="use fewer films or users, or free some")
    if isinstance(error, OSError) and error.filename is not None:
        return UsageError(f"{error.filename}: {error.strerror}", hint="check that the path exists and may be used")
    text = f"{type(error).__name__}: {error}".rstrip(": ")
    return InternalError(f"this is a defect: {text}", hint=f"run again with {DEBUG} and report the traceback")
