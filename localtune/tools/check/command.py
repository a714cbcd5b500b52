"""``localtune check``: checks a trainable before a sweep."""

from __future__ import annotations

import argparse
from typing import Any

from localtune.tools.commands.exit_codes import FAILED, OK
from localtune.tools.commands.options import add_command, add_json, add_target, checked
from localtune.tools.commands.settings import CHECKS
from localtune.utils.messages import show_lines


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "check",
        "find mistakes in a trainable before a sweep",
        "TARGET | --command PROGRAM [options]",
        [
            "localtune check train.py:train --param 'lr=uniform(0,1)' --metric loss",
            "localtune check sweep.toml",
        ],
    )
    add_target(parser)
    parser.add_argument(
        "--metric",
        metavar="NAME, --mode min|max",
        type=checked(CHECKS["metric"]),
        help="the metric that the sweep optimises",
    )
    # As for run, so that the same options can be checked before. No check depends on it.
    parser.add_argument("--mode", type=checked(CHECKS["mode"]), help=argparse.SUPPRESS)
    parser.add_argument(
        "--timeout",
        metavar="TIME",
        type=checked(CHECKS["time_budget"]),
        help="limit of the whole check: seconds (50), 2m",
    )
    add_json(parser)
    parser.set_defaults(storage=None, bounds=[])


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.error import SearchSpaceError, UsageError
    from localtune.tools.check import check_trainable
    from localtune.tools.check.check import DEFAULT_TIMEOUT_S
    from localtune.tools.commands.json_text import show_json
    from localtune.tools.commands.sweep import sweep_of, trainable_in

    sweep = sweep_of(args)
    trainable = trainable_in(sweep, sweep.resources)
    try:
        report = check_trainable(
            trainable,
            sweep.param_space,
            metric=sweep.metric,
            timeout_s=DEFAULT_TIMEOUT_S if args.timeout is None else args.timeout,
        )
    except (SearchSpaceError, TypeError, ValueError) as error:
        raise UsageError(str(error)) from error
    if args.json:
        show_json(report.to_dict())
    else:
        show_lines(str(report))
    return OK if report.ok else FAILED
