"""Parts of the parsers of all commands: short help, near misses, checked values."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from localtune.error import UsageError
from localtune.tools.commands.checks import positive
from localtune.tools.commands.settings import CHECKS, parameter
from localtune.utils.text import near_miss, printable_lines

# Stands for the name of a command.
COMMAND = "COMMAND"

# A terminal of the usual size, less the prompt that follows.
_HELP_WIDTH = 79
_HELP_COLUMN = 35


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help without empty headings: a command's help fits a terminal of 80 x 24."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_HELP_COLUMN, width=_HELP_WIDTH)

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            # Before Python 3.13 the indentation of the commands is forgotten.
            self._action_max_length += self._indent_increment

    def start_section(self, heading: str | None) -> None:
        super().start_section(None)

    def format_help(self) -> str:
        text = super().format_help()
        # Without blank lines between sections, and the heading of the commands; only examples
        # stand apart.
        lines = [line for line in text.splitlines() if line.strip() not in ("", COMMAND)]
        if "examples:" in lines:
            lines.insert(lines.index("examples:"), "")
        return "\n".join([*lines[:1], "", *lines[1:]]) + "\n"


class Parser(argparse.ArgumentParser):
    """A parser whose errors suggest the nearest option."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", Formatter)
        super().__init__(allow_abbrev=False, add_help=False, **options)
        self.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        found, rest = super().parse_known_args(args, namespace)
        for each in rest:
            if each.startswith("-") and each != "-":
                name = each.partition("=")[0]
                guess = near_miss(name, self._option_string_actions)
                hint = f" Did you mean {guess}?" if guess else ""
                self.error(f"there is no option {name}.{hint}")
        if rest:
            self.error(f"there is one argument too many: {rest[0]!r}.")
        return found, rest

    def _print_message(self, message: str, file: Any = None) -> None:
        # It repeats what was typed, or what a script has put together.
        super()._print_message(printable_lines(message), file)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nSee {self.prog} --help\n")


def checked(check: Callable[[str], Any]) -> Callable[[str], Any]:
    """Makes the ``type`` of an option from a check: its UsageError becomes the parser's error."""

    def convert(value: str) -> Any:
        try:
            return check(value)
        except UsageError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def add_command(
    subparsers: Any, name: str, summary: str, usage: str, examples: Sequence[str]
) -> argparse.ArgumentParser:
    """Adds a command.

    Args:
        subparsers: Of the main parser.
        name: Name of the command.
        summary: What it does, in some words.
        usage: Its arguments, without the name.
        examples: Command lines that can be typed.
    """
    lines = "\n".join(f"  {each}" for each in examples)
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        usage=f"localtune {name} {usage}",
        epilog=f"examples:\n{lines}",
    )
    return parser


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Adds ``EXPERIMENT`` and what goes with reading one."""
    parser.add_argument(
        "experiment", metavar="EXPERIMENT", help="its path, its name in --storage, or the start"
    )
    add_storage(parser)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Adds ``TARGET``, the options of a program in its place, and ``--param``."""
    parser.add_argument(
        "target", metavar="TARGET", nargs="?", help="file.py:function, module:function, or .toml"
    )
    _add_program(parser)
    parser.add_argument(
        "--param",
        dest="params",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=checked(parameter),
        help="a value, or a domain such as uniform(0,1)",
    )


def _add_program(parser: argparse.ArgumentParser) -> None:
    """Adds ``--command`` and what goes with it, in few rows of the help."""

    def add(setting: str, metavar: str | None = None, text: str = argparse.SUPPRESS) -> None:
        option = "--" + setting.replace("_", "-")
        if metavar is None:
            parser.add_argument(option, action="store_true", default=None, help=text)
        else:
            parser.add_argument(option, metavar=metavar, type=checked(CHECKS[setting]), help=text)

    add("command", "'PROGRAM --lr={lr}'", "a program in place of TARGET; goes with:")
    add("results", "HOW, --pattern REGEX", "any, stdout, file, final, report; any text")
    add("pattern", "REGEX")
    add("params_by", "HOW, --shell", "args, env, file; --cwd DIR: where it works")
    add("shell")
    add("cwd", "DIR")
    add("lockstep", text="it waits; --grace TIME: time to end in")
    add("grace", "TIME")


def add_goal(parser: argparse.ArgumentParser) -> None:
    """Adds ``--metric`` and ``--mode``, which replace those of the run."""
    parser.add_argument("--metric", metavar="NAME", help="default: as in the run")
    parser.add_argument(
        "--mode", metavar="min|max", type=checked(CHECKS["mode"]), help="default: as in the run"
    )


def output_path(text: str) -> str:
    """Returns the absolute path of a file to write.

    Raises:
        UsageError: for a directory, or a file in a directory that does not exist.
    """
    path = os.path.abspath(os.path.expanduser(text))
    if os.path.isdir(path) or not os.path.isdir(os.path.dirname(path)):
        raise UsageError(f"--output must be a file in a directory that exists, but got {path!r}.")
    return path


def add_storage(parser: argparse.ArgumentParser) -> None:
    """Adds ``--storage``."""
    parser.add_argument("--storage", metavar="DIR", help="default: ~/localtune_results")


def add_run(parser: argparse.ArgumentParser) -> None:
    """Adds ``--run``."""
    parser.add_argument(
        "--run",
        metavar="N",
        type=checked(positive),
        help="number of the run, from 1; default: the latest",
    )


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Adds ``--trust``."""
    parser.add_argument(
        "--trust", action="store_true", help="read files that another user could have written"
    )


def add_shared(parser: argparse.ArgumentParser) -> None:
    """Adds ``--shared`` and ``--ledger``, which the help of another option names."""
    taken = parser.add_mutually_exclusive_group()
    taken.add_argument("--shared", action="store_true", default=None, help=argparse.SUPPRESS)
    taken.add_argument(
        "--ledger",
        dest="shared",
        metavar="DIR",
        type=checked(CHECKS["shared"]),
        help=argparse.SUPPRESS,
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json``."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
