"""The commands of ``localtune``, and the module of each.

A module of a command has two functions: ``add_parser(subparsers)`` describes the command line, and
``run(args)`` carries it out and returns the exit code. A module is imported when its command is
used: the programs in ``localtune.tools`` do not know each other.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib import import_module
from types import ModuleType

from localtune._version import __version__
from localtune.tools.commands.options import COMMAND, Parser

# {command: its module}, in the order in which help lists them.
COMMANDS = {
    "check": "localtune.tools.check.command",
    "run": "localtune.tools.cli.run",
    "resume": "localtune.tools.cli.resume",
    "retry": "localtune.tools.cli.retry",
    "stop": "localtune.tools.cli.stop",
    "ls": "localtune.tools.cli.ls",
    "show": "localtune.tools.cli.show",
    "best": "localtune.tools.cli.best",
    "tail": "localtune.tools.cli.tail",
    "report": "localtune.tools.report.command",
    "export": "localtune.tools.cli.export",
    "clean": "localtune.tools.cli.clean",
    "completion": "localtune.tools.cli.completion",
}

_EPILOG = """\
examples:
  localtune run train.py:train --param 'lr=loguniform(1e-4,1e-1)' --samples 20
  localtune ls
exit codes: 0 all well, 1 trials failed, 2 usage, 130 interrupted"""


def module_of(command: str) -> ModuleType:
    """Imports the module of a command."""
    return import_module(COMMANDS[command])


def make_parser(commands: Iterable[str]) -> argparse.ArgumentParser:
    """Makes the parser of some commands; imports their modules."""
    parser = Parser(
        prog="localtune",
        description="Hyperparameter sweeps on one machine.",
        usage="localtune COMMAND ...",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "--version", action="version", version=__version__, help="print the version"
    )
    subparsers = parser.add_subparsers(
        dest="command", metavar=COMMAND, prog="localtune", required=True, parser_class=Parser
    )
    for each in commands:
        module_of(each).add_parser(subparsers)
    return parser
