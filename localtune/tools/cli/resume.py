"""``localtune resume``: goes on with a run that was interrupted."""

from __future__ import annotations

import argparse
from typing import Any

from localtune.tools.cli.resuming import add_arguments, go_on
from localtune.tools.commands.options import add_command


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "resume",
        "resume a run that was interrupted",
        "EXPERIMENT [TARGET] [options]",
        ["localtune resume sweep", "localtune resume sweep train.py:train"],
    )
    add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    return go_on(args)
