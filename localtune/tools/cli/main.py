"""The entry of the command ``localtune``.

    main(argv) --> the module of the command: add_parser(subparsers), then run(args) --> exit code

Exit codes: 0 all well; 1 trials failed, or the command did; 2 usage; 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from localtune.error import TuneError, UsageError
from localtune.tools.cli.phrases import in_options
from localtune.tools.commands.exit_codes import FAILED, INTERRUPTED, USAGE
from localtune.tools.commands.registry import COMMANDS, make_parser, module_of
from localtune.utils.files import current_directory
from localtune.utils.messages import say
from localtune.utils.text import did_you_mean

_OPTIONS = ("-h", "--help", "--version")


def main(argv: Sequence[str] | None = None) -> int:
    """Carries out a command line.

    Args:
        argv: Its arguments, without the program; None takes those of this process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = arguments[0] if arguments else ""
    _replace_missing_streams()
    try:
        args = _parsed(arguments, command)
        code: int = module_of(command).run(args)
        sys.stdout.flush()
        return code
    except SystemExit as error:  # Help, or what argparse refuses.
        return error.code if isinstance(error.code, int) else USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has gone: the interpreter must not fail over the unwritten rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except UsageError as error:
        say(f"localtune {command}: {in_options(str(error))}")
        return USAGE
    except (TuneError, OSError) as error:
        if current_directory() is None and isinstance(error, FileNotFoundError):
            say(f"localtune {command}: the working directory has been removed. Change to another.")
            return USAGE
        say(f"localtune {command}: {in_options(str(error))}")
        return FAILED
    except Exception:
        # An internal error, or one of a user's callback; say() makes its text printable.
        say(traceback.format_exc().rstrip("\n"))
        return FAILED


def _replace_missing_streams() -> None:
    """Opens the null device in the place of an output that was closed at the start."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115


def _parsed(arguments: list[str], command: str) -> argparse.Namespace:
    if not command:
        make_parser(COMMANDS).print_help(sys.stderr)
        raise SystemExit(USAGE)
    if command in _OPTIONS:
        return make_parser(COMMANDS).parse_args([command])
    if command not in COMMANDS:
        known = _OPTIONS if command.startswith("-") else COMMANDS
        hint = did_you_mean(command, known)
        raise UsageError(f"there is no such command.{hint} There are: {', '.join(COMMANDS)}.")
    # The others need not be imported.
    return make_parser([command]).parse_args(arguments)
