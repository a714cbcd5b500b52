"""``localtune show``: an experiment, or one of its trials."""

from __future__ import annotations

import argparse
import math
import os
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.tools.commands.checks import positive
from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import (
    add_command,
    add_experiment,
    add_json,
    add_run,
    add_trust,
    checked,
)
from localtune.utils.messages import say, show, show_lines

if TYPE_CHECKING:
    from localtune.analysis.reader import SavedExperiment
    from localtune.trial.trial import Trial

# (number in the run, trial)
_Row: TypeAlias = "tuple[int, Trial]"


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "show",
        "show an experiment, or one of its trials",
        "EXPERIMENT [TRIAL] [options]",
        [
            "localtune show train_2025-01-31",
            "localtune show ./results/sweep 3 --json",
            "localtune show sweep --top 20",
        ],
    )
    add_experiment(parser)
    parser.add_argument(
        "trial", metavar="TRIAL", nargs="?", help="its id, number or directory, or the start"
    )
    parser.add_argument(
        "--top",
        metavar="N",
        type=checked(positive),
        help="only the best N trials by the goal of the run, the best first",
    )
    add_run(parser)
    add_trust(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.analysis.experiment_paths import find_experiment
    from localtune.analysis.reader import find_trial, read_saved
    from localtune.error import UsageError
    from localtune.tools.cli.ls import record_of
    from localtune.tools.commands.json_text import show_json

    if args.top is not None and args.trial is not None:
        raise UsageError("--top shows trials of an experiment: leave out TRIAL.")
    path = find_experiment(args.experiment, args.storage)
    saved = read_saved(path, args.run, trust=args.trust, best=args.top)
    rows = list(zip(saved.numbers, saved.trials, strict=True))
    if args.top is not None:
        rows = _top(saved, rows, args.top)
    if args.trial is not None:
        trial = find_trial(saved, args.trial)
        if args.json:
            show_json(trial_record(trial))
        else:
            print_trial(trial)
    elif args.json:
        trials = [trial_record(trial) for _, trial in rows]
        show_json({**record_of(saved), "trials": trials, "counts": saved.counts()})
    else:
        _print_experiment(saved, rows)
    if saved.others():
        say(saved.others())
    return OK


def trial_record(trial: Trial) -> dict[str, Any]:
    """Returns a trial as JSON shows it."""
    from localtune.trainable.command.program_record import program_in

    error = trial.get_error()
    latest = trial.checkpoint
    program = program_in(trial.path)
    return {
        "trial_id": trial.trial_id,
        "name": str(trial),
        "status": trial.status.value,
        "path": trial.path if trial.dirname else None,
        "command": program.line_with_parameters if program is not None else None,
        "config": trial.config,
        "result": trial.last_result,
        "results": trial.result_count,
        "failures": trial.num_failures,
        "error": str(error) if error is not None else None,
        "checkpoint": latest.path if latest is not None else None,
    }


def _top(saved: SavedExperiment, rows: list[_Row], number: int) -> list[_Row]:
    """Returns the rows of the best trials, the best first."""
    from localtune.error import UsageError

    metric, mode = saved.metric, saved.mode
    if metric is None or mode is None:
        raise UsageError("What is best is not known of this run: leave out --top.")
    sign = 1 if mode == "min" else -1
    valued = (
        (sign * stats.last, row) for row in rows if (stats := row[1].stats_of(metric)) is not None
    )
    ranked = sorted((each for each in valued if math.isfinite(each[0])), key=lambda each: each[0])
    return [row for _, row in ranked[:number]]


def _print_experiment(saved: SavedExperiment, rows: list[_Row]) -> None:
    from localtune.utils.text import one_line

    counts = ", ".join(f"{number} {status}" for status, number in saved.counts().items())
    owner = f" ({saved.owner})" if saved.owner is not None else ""
    show(f"path    {saved.path}")
    show(f"state   {saved.state.value}{owner}")
    if len(saved.runs) > 1:
        show(f"run     {saved.run} of {len(saved.runs)}")
    show(f"trials  {saved.trial_count}{': ' if counts else ''}{counts}")
    if saved.metric is not None:
        best = saved.best()
        value = f", best {one_line(best[1])} in {best[0].trial_id}" if best is not None else ""
        show(f"metric  {saved.metric} ({saved.mode}){value}")
    if rows:
        show()
        _print_trials(saved, rows)


def _print_trials(saved: SavedExperiment, trials: list[_Row]) -> None:
    from localtune.analysis.metric_help import user_metrics
    from localtune.tools.commands.table import print_table
    from localtune.utils.dicts import flatten_dict, unflattened_lookup
    from localtune.utils.text import format_duration, one_line

    metrics = [saved.metric] if saved.metric is not None else user_metrics(saved.trials)[:2]
    params = sorted({key for _, trial in trials for key in trial.evaluated_params})
    rows = []
    for number, trial in trials:
        config = flatten_dict(trial.config)
        cells = [str(number), trial.trial_id, trial.status.value, str(trial.result_count)]
        for metric in metrics:
            value = unflattened_lookup(metric, trial.last_result, default=None)
            cells.append("" if value is None else one_line(value))
        cells.append(format_duration(trial.run_time_s))
        for key in params:
            cells.append(one_line(config[key]) if key in config else "")
        rows.append(cells)
    titles = ["#", "TRIAL", "STATUS", "RESULTS", *metrics, "TIME", *params]
    print_table(titles, rows, numbers="# RESULTS")


def print_trial(trial: Trial) -> None:
    """Prints the record of a trial."""
    from localtune.result import CONFIG_PREFIX
    from localtune.trainable.command.program_record import program_in
    from localtune.utils.dicts import flatten_dict
    from localtune.utils.text import count, format_duration

    show(f"trial        {trial.trial_id}  {trial}")
    show(f"status       {trial.status.value}")
    show(f"directory    {trial.path if trial.dirname else '(none yet)'}")
    show(f"results      {trial.result_count}, in {format_duration(trial.run_time_s)}")
    program = program_in(trial.path)
    if program is not None:
        show(f"command      {program.line_with_parameters}")
    if trial.checkpoint is not None:
        show(f"checkpoint   {trial.checkpoint.path}")
    _print_dict("config", flatten_dict(trial.config))
    result = {key: value for key, value in trial.last_result.items() if key != CONFIG_PREFIX}
    _print_dict("last result", flatten_dict(result))
    error = trial.get_error()
    if error is not None:
        text = getattr(error, "traceback_text", "") or str(error)
        show()
        show(f"failed {count(trial.num_failures, 'time')}; the last failure:")
        show_lines("\n".join(f"  {line}" for line in text.rstrip().splitlines()))
        if trial.error_file is not None and os.path.exists(trial.error_file):
            show(f"all of them: {trial.error_file}")
    elif trial.num_failures:
        show()
        show(f"failed {count(trial.num_failures, 'time')}, and was retried: {trial.error_file}")


def _print_dict(title: str, values: dict[str, Any]) -> None:
    from localtune.utils.text import one_line

    show()
    show(title)
    shown = {one_line(key): one_line(value, None) for key, value in values.items()}
    width = max(map(len, shown), default=0)
    for key, text in shown.items():
        show(f"  {key:<{width}}  {text}")
