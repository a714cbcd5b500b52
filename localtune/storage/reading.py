"""Reads an experiment without changing it, also while a run writes it.

The database is read from a copy if a process writes it. If the process of a run was killed, the
results of the last second may be in the trials' ``result.json`` only; they are read from there. A
trial that is recorded as running, but that no process works on, was interrupted.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from localtune.result import EXPR_RESULT_FILE, TRIAL_ID
from localtune.storage.owner import Owner, find_owner
from localtune.storage.reader import ExperimentReader, RunRecord, has_database
from localtune.storage.recorded_trial import RecordedTrial
from localtune.storage.run_files import files_in, files_of
from localtune.storage.shared_copy import opened, read_once
from localtune.storage.trial_record import take_result
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.files import no_link
from localtune.utils.trust import check_trusted


@dataclass
class ExperimentRecord:
    """One run of an experiment as it is on record.

    Attributes:
        run: The run.
        runs: All runs of the experiment, the latest last.
        trials: The trials of the run, in the order of their creation; of a run of which only the
            best were asked for, those and the unfinished ones.
        numbers: Their numbers in the run, from 0.
        files: {name: content} of the files that the run was started with.
        owner: The process that works on the experiment, None if there is none.
        is_running: Whether the owner works on this run.
    """

    run: RunRecord
    runs: list[RunRecord]
    trials: list[Trial]
    numbers: list[int]
    files: dict[str, bytes]
    owner: Owner | None
    is_running: bool


def others_text(runs: Sequence[RunRecord], number: int, how: str) -> str:
    """Returns a sentence on the other runs of an experiment, "" if there are none.

    Args:
        runs: All runs.
        number: Number of the run that is read.
        how: The option that selects another run, for instance ``"--run"``.
    """
    if len(runs) == 1:
        return ""
    latest = ", the latest" if number == runs[-1].number else ""
    other = next(run.number for run in reversed(runs) if run.number != number)
    return (
        f"The experiment has {len(runs)} runs; this is run {number}{latest}. Read another one with "
        f"{how}{other}."
    )


def read_experiment(
    experiment_path: str, run: int | None = None, *, trust: bool = False, best: int | None = None
) -> ExperimentRecord:
    """Reads a run of the experiment in a directory.

    Args:
        experiment_path: The directory.
        run: Number of the run, from 1; None is the latest.
        trust: Read it though another user could have written it.
        best: Number of ended trials to read, the best by the run's goal, besides all unfinished
            ones; the cost does not grow with the other trials. None reads all trials; all are read
            also if the run's goal is not known.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is no readable database.
        UsageError: if there is no such run.
    """

    def read(db: ExperimentReader) -> ExperimentRecord:
        if run is not None:
            db.select_run(run)
        runs = db.runs()
        chosen = next(each for each in runs if each.number == db.run)
        is_running = owner is not None and db.run == db.current_run
        if best is not None and chosen.mode is not None:
            trials = db.load_best(chosen.mode, best)
        else:
            trials = dict(enumerate(db.load()))
        files = files_of(db, experiment_path, trust=trust)
        return ExperimentRecord(
            chosen, runs, list(trials.values()), list(trials), files, owner, is_running
        )

    check_trusted(experiment_path, trust=trust)
    # An owner that ends between the two calls has written all its results by then.
    owner = find_owner(experiment_path)
    found = read_once(experiment_path, read, trust=trust)
    if not found.is_running:
        for trial in found.trials:
            # Most trials have ended, and need not be asked.
            if type(trial) is not RecordedTrial:
                _settle(trial)
    return found


def read_files(
    experiment_path: str, run: int | None = None, *, trust: bool = False
) -> dict[str, bytes]:
    """Returns {name: content} of the files that a run was started with.

    Args:
        experiment_path: Directory of the experiment.
        run: Number of the run, from 1; None is the latest.
        trust: Read it though another user could have written it.

    Raises:
        Exception: as :func:`read_experiment`.
    """
    if not has_database(experiment_path):
        return files_in(experiment_path, trust=trust)

    def read(db: ExperimentReader) -> dict[str, bytes]:
        if run is not None:
            db.select_run(run)
        return files_of(db, experiment_path, trust=trust)

    return read_once(experiment_path, read, trust=trust)


def load_trials(
    experiment_path: str, run: int | None = None, *, trust: bool = False
) -> list[Trial]:
    """Returns the trials that :func:`read_experiment` finds.

    Args:
        experiment_path: Directory of the experiment.
        run: Number of the run, from 1; None is the latest.
        trust: Read it though another user could have written it.
    """
    return read_experiment(experiment_path, run, trust=trust).trials


def load_trial(trial_dir: str, *, trust: bool = False) -> Trial | None:
    """Returns the trial of a directory, of any run; None if no experiment has recorded it.

    Args:
        trial_dir: The directory.
        trust: Read the experiment though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if the experiment's database cannot be read.
    """
    experiment_path, dirname = os.path.split(trial_dir)
    if not has_database(experiment_path):
        return None
    check_trusted(experiment_path, trust=trust)
    owner = find_owner(experiment_path)
    with opened(experiment_path, trust=trust) as db:
        trial = db.load_by_dirname(dirname)
    if trial is not None and owner is None:
        _settle(trial)
    return trial


def read_state(experiment_path: str, key: str, *, trust: bool = False) -> Any:
    """Returns a part of the latest run's state; None if the run has stored none.

    Args:
        experiment_path: Directory of the experiment.
        key: Name of the part, ``"searcher"`` for instance.
        trust: Read it though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is no readable database.
    """
    return read_once(experiment_path, lambda db: db.get(key), trust=trust)


def mark_interrupted(trials: list[Trial]) -> None:
    """Marks running trials as interrupted, because no process works on them."""
    for trial in trials:
        if trial.status is Status.RUNNING:
            trial.status = Status.INTERRUPTED


def results_ahead(trial: Trial) -> list[dict[str, Any]]:
    """Returns the results in a trial's ``result.json`` that its record does not have yet.

    Reading ends at the first line that cannot be a result of this trial.
    """
    found: list[dict[str, Any]] = []
    try:
        with open(os.path.join(trial.path, EXPR_RESULT_FILE), "rb", opener=no_link) as file:
            for line in itertools.islice(file, trial.result_count, None):
                result = _parsed(line)
                if result is None or result.get(TRIAL_ID) != trial.trial_id:
                    break
                found.append(result)
    except OSError:
        pass  # The trial has no result yet, or its directory is gone.
    return found


def _settle(trial: Trial) -> None:
    if trial.is_finished():
        return
    if trial.dirname:
        for result in results_ahead(trial):
            take_result(trial, result)
    mark_interrupted([trial])


def _parsed(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        result = json.loads(line)
    except ValueError:
        return None
    return result if isinstance(result, dict) else None
