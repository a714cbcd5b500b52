"""Reads an experiment whose database is damaged, from the files of its trials."""

from __future__ import annotations

import json
import os
from typing import Any

from localtune.analysis.reader import ExperimentState, SavedExperiment, read_saved
from localtune.error import StorageError, TrialError, UntrustedDirectoryError
from localtune.result import (
    CONFIG_PREFIX,
    DONE,
    EXPR_ERROR_FILE,
    EXPR_PARAM_FILE,
    TIME_TOTAL_S,
    TRIAL_ID,
)
from localtune.storage.owner import find_owner
from localtune.storage.run_files import files_in
from localtune.trial.history_files import has_results_file, iter_results
from localtune.trial.metric_analysis import metric_stats_of
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.utils.files import no_link


def read_with_fallback(
    path: str, run: int | None = None, *, trust: bool = False
) -> SavedExperiment:
    """Reads an experiment; if its database is damaged, from the files of its trials.

    Args:
        path: Its directory.
        run: Number of the run, from 1; None is the latest.
        trust: Read it though another user could have written it.

    Raises:
        StorageError: if another user could have written it, or if nothing of it can be read.
    """
    try:
        return read_saved(path, run, trust=trust)
    except UntrustedDirectoryError:
        raise
    except StorageError as error:
        trials = [
            _trial_in(path, name)
            for name in sorted(os.listdir(path))
            if _is_trial(os.path.join(path, name))
        ]
        if not trials:
            raise
        problem = f"{error} Shown is what the trials' files hold."
        owner = find_owner(path)
        state = ExperimentState.UNREADABLE if owner is None else ExperimentState.RUNNING
        saved = SavedExperiment(path, state, owner, trials, problem=problem)
        saved.take_files(files_in(path, trust=trust))
        return saved


def _is_trial(path: str) -> bool:
    return os.path.isfile(os.path.join(path, EXPR_PARAM_FILE)) or has_results_file(path)


def _results_in(directory: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = []
    try:
        for result in iter_results(directory):
            results.append(result)
    except (StorageError, OSError):
        pass  # What was read before that is as good as ever.
    return results


def _take_results(trial: Trial, results: list[dict[str, Any]]) -> None:
    trial.last_result = results[-1]
    trial.result_count = len(results)
    trial.metric_stats = metric_stats_of(flatten_dict(each) for each in results)
    total_s = results[-1].get(TIME_TOTAL_S)
    trial.run_time_s = float(total_s) if isinstance(total_s, (int, float)) else 0.0


def _trial_in(experiment_path: str, name: str) -> Trial:
    """Returns the record of a trial, as far as its files tell it."""
    directory = os.path.join(experiment_path, name)
    results = _results_in(directory)
    last = results[-1] if results else {}
    config = _json_dict(os.path.join(directory, EXPR_PARAM_FILE)) or last.get(CONFIG_PREFIX)
    trial_id = last.get(TRIAL_ID)
    trial = Trial(
        name.partition("_")[0],
        trial_id=trial_id if isinstance(trial_id, str) else name,
        config=config if isinstance(config, dict) else {},
        experiment_path=experiment_path,
    )
    trial.dirname = name
    if results:
        _take_results(trial, results)
    error = _text(os.path.join(directory, EXPR_ERROR_FILE))
    if last.get(DONE):
        trial.status = Status.TERMINATED
    elif error:
        trial.status, trial.num_failures = Status.ERROR, 1
        trial.error = TrialError(error, traceback_text=error)
    return trial


def _json_dict(path: str) -> dict[str, Any] | None:
    try:
        found = json.loads(_text(path))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace", opener=no_link) as file:
            return file.read()
    except OSError:
        return ""
