"""``localtune best``: the best trial of an experiment."""

from __future__ import annotations

import argparse
from typing import Any

from localtune.tools.commands.checks import one_of
from localtune.tools.commands.exit_codes import FAILED, OK
from localtune.tools.commands.options import (
    add_command,
    add_experiment,
    add_goal,
    add_json,
    add_run,
    add_trust,
    checked,
)
from localtune.utils.messages import say, show

# The values of localtune.trial.metric_analysis.SCOPES; that module is not needed for help.
_SCOPES = ("last", "all", "avg", "last-5-avg", "last-10-avg")


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "best",
        "show the best trial of an experiment",
        "EXPERIMENT [options]",
        [
            "localtune best sweep",
            "localtune best sweep --metric loss --mode min --json | jq .config",
        ],
    )
    add_experiment(parser)
    add_goal(parser)
    parser.add_argument(
        "--scope",
        metavar="SCOPE",
        default="last",
        type=checked(one_of(*_SCOPES)),
        help="last, all, avg, last-5-avg, last-10-avg",
    )
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.metric_help import explain_no_best
    from localtune.analysis.reader import read_saved
    from localtune.error import UsageError
    from localtune.tools.cli.show import print_trial, trial_record
    from localtune.tools.commands.json_text import show_json

    path = find_experiment(args.experiment, args.storage)
    # The database has the trials in the order of their last values by the goal of the run.
    is_of_run = (args.metric, args.mode, args.scope) == (None, None, "last")
    saved = read_saved(path, args.run, trust=args.trust, best=1 if is_of_run else None)
    saved.set_goal(args.metric, args.mode)
    metric, mode = saved.metric, saved.mode
    if metric is not None and mode is None:
        raise UsageError(
            f"The mode is missing: add --mode min or --mode max, for the metric {metric!r}."
        )
    if metric is None or mode is None:
        raise UsageError("What is best is not known of this run: add --metric NAME --mode min|max.")
    best = saved.analysis().find_best_trial(metric, mode, args.scope, True)
    if best is None:
        if saved.is_partial:
            saved = read_saved(path, args.run, trust=args.trust)
        say(explain_no_best(saved.trials, metric, only_finite=True))
        return FAILED
    stats = best.stats_of(metric)
    assert stats is not None
    value = stats.value(args.scope, mode)
    if args.json:
        show_json({"metric": metric, "mode": mode, "value": value, **trial_record(best)})
    else:
        show(f"best         {metric} = {value:g} ({mode}, {args.scope})")
        print_trial(best)
    if saved.others():
        say(saved.others())
    return OK
