"""``localtune report``: an experiment as one HTML file."""

from __future__ import annotations

import argparse
import os
from typing import Any

from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import (
    add_command,
    add_experiment,
    add_goal,
    add_json,
    add_run,
    add_trust,
    output_path,
)
from localtune.utils.messages import say

_DEFAULT_FILE = "report.html"


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "report",
        "write an experiment as one HTML file, with charts",
        "EXPERIMENT [options]",
        [
            "localtune report sweep -o report.html",
            "localtune report sweep --metric loss --mode min --open",
        ],
    )
    add_experiment(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        default=_DEFAULT_FILE,
        help=f"default: {_DEFAULT_FILE}; replaced if it exists",
    )
    add_goal(parser)
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.trial_files import read_with_fallback
    from localtune.tools.commands.json_text import show_json
    from localtune.tools.report.write import check_metric, write_experiment
    from localtune.utils.text import format_bytes

    output = output_path(args.output)
    path = find_experiment(args.experiment, args.storage)
    experiment = read_with_fallback(path, args.run, trust=args.trust)
    experiment.set_goal(args.metric, args.mode)
    check_metric(experiment)
    write_experiment(experiment, output)
    size_bytes = os.path.getsize(output)
    if args.json:
        show_json({"file": output, "trials": len(experiment.trials), "size_bytes": size_bytes})
    else:
        say(f"Wrote {output} ({format_bytes(size_bytes)}).")
    note = experiment.problem or experiment.others()
    if note:
        say(note)
    if args.open:
        import pathlib
        import webbrowser

        webbrowser.open(pathlib.Path(output).as_uri())
    return OK
