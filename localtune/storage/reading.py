"""Reads an experiment without changing anything in it, whoever writes it at the same time.

The database is read from a copy. Of a run that a killed process left behind, the last second may
be in the trials' ``result.json`` only: readers take it from there. A trial that is on record as
running, and that no process works on, is an interrupted one.
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
from localtune.storage.reader import RunRecord, has_database
from localtune.storage.run_files import files_in, files_of
from localtune.storage.shared_copy import opened
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
        trials: The trials of the run, in the order of their creation.
        files: {name: content} of the files that the run was started with.
        owner: The process that works on the experiment, None if there is none.
        is_running: Whether the owner works on this run.
    """

    run: RunRecord
    runs: list[RunRecord]
    trials: list[Trial]
    files: dict[str, bytes]
    owner: Owner | None
    is_running: bool


def others_text(runs: Sequence[RunRecord], number: int, how: str) -> str:
    """Says of an experiment with several runs which one is read; "" if there is but one.

    Args:
        runs: All runs.
        number: The one that is read.
        how: How another one is read, for instance ``"--run"``.
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
    experiment_path: str, run: int | None = None, *, trust: bool = False
) -> ExperimentRecord:
    """Reads a run of the experiment in a directory.

    Args:
        experiment_path: The directory.
        run: Number of the run, from 1; None is the latest.
        trust: Read it though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is no readable database.
        UsageError: if there is no such run.
    """
    check_trusted(experiment_path, trust=trust)
    # Who ends between the two has written all by then.
    owner = find_owner(experiment_path)
    with opened(experiment_path, trust=trust) as db:
        if run is not None:
            db.select_run(run)
        runs = db.runs()
        is_running = owner is not None and db.run == db.current_run
        trials = db.load()
        files = files_of(db, experiment_path, trust=trust)
    if not is_running:
        for trial in trials:
            _settle(trial)
    chosen = next(each for each in runs if each.number == db.run)
    return ExperimentRecord(chosen, runs, trials, files, owner, is_running)


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
    with opened(experiment_path, trust=trust) as db:
        if run is not None:
            db.select_run(run)
        return files_of(db, experiment_path, trust=trust)


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
    """The trial whose directory this is, of any run; None if no experiment around it knows it.

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
    """What a run kept under a key, the latest run's; None if it kept nothing.

    Args:
        experiment_path: Directory of the experiment.
        key: ``"searcher"``, for instance.
        trust: Read it though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is no readable database.
    """
    with opened(experiment_path, trust=trust) as db:
        return db.get(key)


def mark_interrupted(trials: list[Trial]) -> None:
    """Says of trials that were running that they are not any more; nobody works on them."""
    for trial in trials:
        if trial.status is Status.RUNNING:
            trial.status = Status.INTERRUPTED


def results_ahead(trial: Trial) -> list[dict[str, Any]]:
    """The results in a trial's ``result.json`` that its record does not have yet.

    Only lines that the trial's own results can be are taken, and none behind another one.
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
        pass  # The trial has not come so far, or its directory is gone.
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
