"""``localtune run``: a new sweep."""

from __future__ import annotations

import argparse
import tempfile
from typing import Any

from localtune.cli.options import add_command, add_json, checked
from localtune.cli.settings import CHECKS, parameter


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "run",
        "run a sweep",
        "TARGET [options]",
        [
            "localtune run train.py:train --param 'lr=loguniform(1e-4,1e-1)' \\",
            "    --samples 20 --metric loss --mode min --scheduler asha",
            "localtune run sweep.toml --smoke",
        ],
    )
    parser.add_argument(
        "target", metavar="TARGET", help="module:trainable, file.py:trainable, or a .toml or .yaml"
    )
    parser.add_argument(
        "--param",
        dest="params",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        type=checked(parameter),
        help="a value, or a domain such as uniform(0,1)",
    )
    _add(parser, "samples", "N", "how often the space is sampled; -1: no end")
    _add(parser, "metric", "NAME", "what to optimise")
    _add(parser, "mode", "min|max", "which way")
    _add(parser, "scheduler", "NAME", "such as asha, or 'asha(max_t=100)'")
    _add(parser, "search", "NAME", "such as optuna; default: random")
    parser.add_argument(
        "--stop",
        dest="bounds",
        action="append",
        default=[],
        metavar="METRIC=BOUND",
        type=checked(CHECKS["stop"]),
        help="ends a trial, such as training_iteration=9",
    )
    _add(parser, "resources", "cpu=N,gpu=N", "of each trial; default: cpu=1")
    _add(parser, "storage", "DIR", "default: ~/localtune_results")
    _add(parser, "name", "NAME", "of the experiment; default: trainable and time")
    _add(parser, "seed", "N", "makes the run repeatable")
    _add(parser, "max_concurrent", "N", "how many trials run at once")
    _add(parser, "max_failures", "N", "how often a trial is retried; -1: no end")
    _add(parser, "time_budget", "TIME", "of the whole run: seconds, 30m, 2h, 1d")
    parser.add_argument(
        "--log-to-file", action="store_true", default=None, help="keep the output for 'tail'"
    )
    _add(parser, "verbose", "0-3", "how much is shown; default: 1")
    parser.add_argument(
        "--smoke", action="store_true", help="2 trials, 1 iteration, nothing is kept"
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.cli.outcome import carry_out
    from localtune.cli.sweep import make_small, make_tuner, sweep_of

    sweep = sweep_of(args)
    if not args.smoke:
        return carry_out(lambda: make_tuner(sweep), as_json=args.json)
    with tempfile.TemporaryDirectory(prefix="localtune-smoke-") as storage:
        make_small(sweep, storage)
        return carry_out(lambda: make_tuner(sweep), as_json=args.json, needs_results=True)


def _add(parser: argparse.ArgumentParser, setting: str, metavar: str, text: str) -> None:
    option = "--" + setting.replace("_", "-")
    parser.add_argument(option, metavar=metavar, type=checked(CHECKS[setting]), help=text)
