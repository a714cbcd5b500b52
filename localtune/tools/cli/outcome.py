"""Runs a Tuner for a command, and reports the outcome."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from localtune.error import MissingMetricError, UsageError
from localtune.tools.commands.exit_codes import FAILED, INTERRUPTED, OK
from localtune.tools.commands.json_text import show_json
from localtune.utils.messages import say
from localtune.utils.text import count

if TYPE_CHECKING:
    from localtune.analysis.result_grid import ResultGrid
    from localtune.tuner import Tuner


def carry_out(
    make_tuner: Callable[[], Tuner], *, as_json: bool = False, is_smoke: bool = False
) -> int:
    """Makes a Tuner and runs it.

    Args:
        make_tuner: Makes the Tuner; imports the user's code.
        as_json: Print the outcome as JSON. All other output goes to stderr then.
        is_smoke: Whether nothing is kept: errors are shown here, and a trial without any result
            has failed.

    Returns:
        The exit code.

    Raises:
        UsageError: for a sweep that cannot be run.
        TuneError: if the run itself failed.
    """
    with _stdout_to_stderr() if as_json else contextlib.nullcontext():
        tuner = make_tuner()
        try:
            grid = tuner.fit()
        except MissingMetricError:
            raise
        except ValueError as error:
            raise UsageError(str(error)) from error
    was_interrupted = tuner.was_interrupted
    if as_json:
        show_json(summary(grid, was_interrupted))
    if was_interrupted:
        return INTERRUPTED
    if is_smoke:
        return _judge_smoke(grid)
    return FAILED if _are_programs_silent(grid) or grid.num_errors else OK


def _are_programs_silent(grid: ResultGrid) -> bool:
    """Tells of programs that were stopped without a result; returns whether all trials were."""
    from localtune.trainable.command.program_record import program_in
    from localtune.trial.status import Status

    trials = [each for each in grid._experiment_analysis.trials if each.dirname]
    silent = [
        each
        for each in trials
        if each.status is Status.TERMINATED and not each.result_count and program_in(each.path)
    ]
    if silent:
        say(
            f"{count(len(silent), 'trial')} ended without a result of its program, such as "
            f"{silent[0]}. The program may keep its output back: let it flush each line."
        )
    return bool(silent) and len(silent) == len(trials)


def _judge_smoke(grid: ResultGrid) -> int:
    for error in grid.errors:
        # Its file will be gone in a moment.
        say(getattr(error, "traceback_text", "") or str(error))
        return FAILED
    without = sum(not trial.result_count for trial in grid._experiment_analysis.trials)
    if without or not len(grid):
        say(f"{count(without, 'trial')} ended without a result: call tune.report(...).")
        return FAILED
    say("The smoke run went well; its files are removed.")
    return OK


def summary(grid: ResultGrid, was_interrupted: bool) -> dict[str, Any]:
    """Returns the outcome of a run as JSON shows it.

    Args:
        grid: Results of the run.
        was_interrupted: Whether the user ended the run early.
    """
    analysis = grid._experiment_analysis
    metric, mode = analysis.default_metric, analysis.default_mode
    best = None
    if metric is not None and mode is not None:
        best = analysis.find_best_trial(metric, mode, "last", filter_nan_and_inf=True)
    return {
        "experiment": grid.experiment_path,
        "interrupted": was_interrupted,
        "trials": dict(Counter(trial.status.value for trial in analysis.trials)),
        "metric": metric,
        "mode": mode,
        "best": None
        if best is None
        else {"trial_id": best.trial_id, "config": best.config, "result": best.last_result},
    }


@contextlib.contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Sends what this process and its workers print to stderr: stdout holds JSON alone."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
