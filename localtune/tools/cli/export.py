"""``localtune export``: an experiment as one file for other tools."""

from __future__ import annotations

import argparse
import os
from typing import Any

from localtune.tools.commands.checks import one_of
from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import (
    add_command,
    add_experiment,
    add_json,
    add_run,
    add_trust,
    checked,
    output_path,
)
from localtune.tools.commands.settings import CHECKS
from localtune.utils.messages import say

_FORMATS = ("csv", "json", "parquet", "optuna")


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "export",
        "write an experiment to a file for other tools",
        "EXPERIMENT --to FORMAT -o FILE [options]",
        [
            "localtune export sweep --to csv -o trials.csv",
            "localtune export sweep --to optuna -o study.db",
            "optuna-dashboard sqlite:///study.db",
        ],
    )
    add_experiment(parser)
    parser.add_argument(
        "--to",
        metavar="FORMAT",
        required=True,
        type=checked(one_of(*_FORMATS)),
        help="csv, json, parquet, optuna (SQLite)",
    )
    parser.add_argument("-o", "--output", metavar="FILE", required=True, help="the file to write")
    parser.add_argument(
        "--rows",
        metavar="trials|results",
        default="trials",
        type=checked(one_of("trials", "results")),
        help="one row per trial, or one per result",
    )
    parser.add_argument(
        "--metric", metavar="NAME, --mode min|max", help="of the study; default: as in the run"
    )
    parser.add_argument(
        "--mode", metavar="min|max", type=checked(CHECKS["mode"]), help=argparse.SUPPRESS
    )
    parser.add_argument("--force", action="store_true", help="replace a file that exists")
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.reader import read_saved
    from localtune.error import UsageError
    from localtune.tools.commands.json_text import show_json
    from localtune.utils.text import count

    output = output_path(args.output)
    # A study may stand beside others in a file.
    if os.path.exists(output) and not args.force and args.to != "optuna":
        raise UsageError(f"{output!r} exists: choose another file, or replace it with --force.")
    saved = read_saved(find_experiment(args.experiment, args.storage), args.run, trust=args.trust)
    if args.to == "optuna":
        from localtune.integration.optuna_study import export_study

        saved.set_goal(args.metric, args.mode)
        written = export_study(saved, output, replace=args.force)
    else:
        from localtune.tools.cli.export_table import export_table

        written = export_table(saved, output, args.to, args.rows)
    if args.json:
        show_json({"file": output, "format": args.to, "rows": written})
    else:
        say(f"Wrote {count(written, 'row')} to {output}.")
    if saved.others():
        say(saved.others())
    return OK
