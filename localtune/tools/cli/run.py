"""``localtune run``: a new sweep."""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

from localtune.tools.commands.options import add_command, add_shared, add_target, checked
from localtune.tools.commands.settings import CHECKS


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "run",
        "run a sweep",
        "TARGET | --command PROGRAM [options]",
        [
            "localtune run train.py:train --param 'lr=loguniform(1e-4,1e-1)' --samples 20",
            "localtune run --command 'python train.py --lr {lr}' --param 'lr=uniform(0,1)'",
        ],
    )
    add_target(parser)
    # Several options in one row of the help: it must fit the screen.
    _add(parser, "samples", "N, --seed N, --smoke", "of the space, -1: no end; seed; short try")
    _add(parser, "seed", "N")
    _add(parser, "metric", "NAME, --mode min|max", "the metric to optimise")
    _add(parser, "mode", "min|max")
    _add(parser, "scheduler", "NAME, --search NAME", "such as 'asha(max_t=9)', optuna")
    _add(parser, "search", "NAME")
    parser.add_argument(
        "--stop",
        dest="bounds",
        action="append",
        default=[],
        metavar="METRIC=BOUND",
        type=checked(CHECKS["stop"]),
        help="ends a trial: training_iteration=9",
    )
    _add(parser, "time_budget", "TIME", "of the run, 2h; --trial-timeout: of a trial")
    _add(parser, "trial_timeout", "TIME")
    _add(parser, "resources", "cpu=N,gpu=N", "per trial; --shared, --ledger DIR: see slots")
    add_shared(parser)
    _add(parser, "executor", "NAME")
    _add(parser, "max_concurrent", "N", "at once; --max-failures N; --executor NAME")
    _add(parser, "max_failures", "N")
    _add(parser, "storage", "DIR, --name NAME", "default: ~/localtune_results, and the time")
    _add(parser, "name", "NAME")
    taken = parser.add_mutually_exclusive_group()
    taken.add_argument(
        "--add",
        dest="if_exists",
        action="store_const",
        const="add",
        help="add a run to NAME; --resume: resume its run",
    )
    taken.add_argument(
        "--resume",
        dest="if_exists",
        action="store_const",
        const="resume",
        help=argparse.SUPPRESS,
    )
    _add(parser, "verbose", "0-3, --log-to-file", "what is printed, and kept; --json: in JSON")
    parser.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    for option in ("--log-to-file", "--smoke"):
        parser.add_argument(option, action="store_true", default=None, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.tools.cli.outcome import carry_out
    from localtune.tools.commands.sweep import make_small, make_tuner, sweep_of

    sweep = sweep_of(args)
    if not args.smoke:
        return carry_out(lambda: make_tuner(sweep), as_json=args.json)
    with tempfile.TemporaryDirectory(prefix="localtune-smoke-") as storage:
        make_small(sweep, storage)
        return carry_out(lambda: make_tuner(sweep), as_json=args.json, is_smoke=True)


def _add(
    parser: argparse.ArgumentParser, setting: str, metavar: str, text: str = argparse.SUPPRESS
) -> None:
    option = "--" + setting.replace("_", "-")
    parser.add_argument(option, metavar=metavar, type=checked(CHECKS[setting]), help=text)
