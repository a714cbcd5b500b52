"""``localtune retry``: tries the failed trials of a run again."""

from __future__ import annotations

import argparse
from typing import Any

from localtune.tools.cli.resuming import add_arguments, go_on
from localtune.tools.commands.options import add_command


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "retry",
        "run the failed trials of a run again",
        "EXPERIMENT [TARGET] [options]",
        ["localtune retry sweep", "localtune retry sweep train.py:train --restart"],
    )
    add_arguments(parser)
    parser.add_argument(
        "--restart",
        action="store_true",
        help="start failed trials again, without their checkpoints",
    )


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    return go_on(args, resume_errored=not args.restart, restart_errored=args.restart)
