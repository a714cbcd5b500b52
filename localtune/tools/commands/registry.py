"""The commands of ``localtune``, and the module of each.

A module of a command has two functions: ``add_parser(subparsers)`` describes the command line, and
``run(args)`` carries it out and returns the exit code. It is found by its file:

- a module of ``localtune.tools.cli`` that defines ``add_parser`` is the command of its name;
- the module ``command`` of another program in ``localtune.tools`` is the command of the program.

A module is imported when its command is used: the programs do not know each other.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from importlib import import_module
from pkgutil import ModuleInfo, iter_modules
from types import ModuleType

from localtune import tools
from localtune._version import __version__
from localtune.tools.commands.options import COMMAND, Parser

# Help lists these first, in this order; all others follow by their names.
_ORDER = (
    "check",
    "run",
    "resume",
    "retry",
    "stop",
    "slots",
    "ls",
    "show",
    "best",
    "tail",
    "report",
    "export",
    "clean",
    "migrate",
    "completion",
)


def _find_commands() -> dict[str, str]:
    """Finds the modules of commands without importing them.

    Returns:
        {command: its module}, in the order in which help lists them.
    """
    found = {}
    for program in iter_modules(tools.__path__):
        for module in iter_modules([os.path.join(path, program.name) for path in tools.__path__]):
            name = f"{tools.__name__}.{program.name}.{module.name}"
            if module.name == "command":
                found[program.name] = name
            elif program.name == "cli" and _describes_a_command(module, name):
                found[module.name] = name
    places = {name: place for place, name in enumerate(_ORDER)}
    return dict(sorted(found.items(), key=lambda each: (places.get(each[0], len(_ORDER)), each)))


def _describes_a_command(module: ModuleInfo, name: str) -> bool:
    """Whether a module defines ``add_parser`` at its top."""
    spec = module.module_finder.find_spec(module.name, None)
    source = getattr(spec.loader, "get_source", lambda name: None)(module.name) if spec else None
    if source is None:  # Only the compiled module is there.
        return hasattr(import_module(name), "add_parser")
    return "\ndef add_parser(" in source


# {command: its module}, in the order in which help lists them.
COMMANDS = _find_commands()

_EPILOG = """\
example:
  localtune run train.py:train --param 'lr=loguniform(1e-4,1e-1)' --samples 20
exit codes: 0 success, 1 trials failed, 2 usage, 130 interrupted"""


def module_of(command: str) -> ModuleType:
    """Imports the module of a command."""
    return import_module(COMMANDS[command])


def make_parser(commands: Iterable[str]) -> argparse.ArgumentParser:
    """Makes the parser of some commands; imports their modules."""
    parser = Parser(
        prog="localtune",
        description="Runs hyperparameter sweeps on one machine.",
        usage="localtune COMMAND ... | --version",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=__version__, help=argparse.SUPPRESS)
    subparsers = parser.add_subparsers(
        dest="subcommand", metavar=COMMAND, prog="localtune", required=True, parser_class=Parser
    )
    for each in commands:
        module_of(each).add_parser(subparsers)
    return parser
