"""Reads the histories of trials from the database.

The files of a trial serve only if the database has no results of it: after the last recorded
result, and for a trial without an experiment.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

from localtune.error import StorageError
from localtune.result import TRIAL_ID
from localtune.storage.reader import ExperimentReader, has_database
from localtune.storage.shared_copy import opened
from localtune.trial.history_files import iter_results, read_results
from localtune.trial.trial import Trial
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


def histories(
    trials: Iterable[Trial], *, trust: bool = False
) -> Iterator[tuple[Trial, list[dict[str, Any]]]]:
    """Yields trials with all of their results, oldest first and with their configs.

    Args:
        trials: Trials of any experiments. Trials of one experiment should be adjacent, since its
            database is opened once per group.
        trust: Whether to read an experiment that other users could have written.

    Raises:
        UntrustedDirectoryError: if another user could have written the experiment.
        StorageError: if its database cannot be read.
    """
    for path, group in itertools.groupby(trials, lambda trial: trial.experiment_path):
        with contextlib.ExitStack() as stack:
            db = stack.enter_context(opened(path, trust=trust)) if has_database(path) else None
            for trial in group:
                yield trial, _history(trial, db)


def results_in(trial_dir: str, *, trust: bool = False) -> list[dict[str, Any]]:
    """Returns all results of the trial in a directory, oldest first, with their configs.

    Args:
        trial_dir: The directory. If no experiment's database has a trial with this directory, the
            trial's files are read.
        trust: Whether to read an experiment that other users could have written.

    Raises:
        StorageError: if the files are damaged.
    """
    experiment_path, dirname = os.path.split(trial_dir)
    if has_database(experiment_path):
        try:
            with opened(experiment_path, trust=trust) as db:
                trial = db.load_by_dirname(dirname)
                if trial is not None:
                    return _history(trial, db)
        except StorageError as error:
            logger.warning("%s is read from its own files. %s", trial_dir, error)
    return read_results(trial_dir)


def recorded_history(db: ExperimentReader, trial: Trial) -> Iterator[dict[str, Any]]:
    """Yields the results of a trial; those that the database has lost come from the trial's files.

    Args:
        db: Database of the trial's experiment.
        trial: The trial.

    Raises:
        StorageError: if the database is damaged.
    """
    number = 0
    for number, result in enumerate(db.history(trial), 1):  # noqa: B007
        yield result
    if number < trial.result_count and trial.dirname:
        yield from itertools.islice(_of_files(trial), number, trial.result_count)


def _history(trial: Trial, db: ExperimentReader | None) -> list[dict[str, Any]]:
    if db is None:
        return read_results(trial.path) if trial.dirname else []
    return list(recorded_history(db, trial))


def _of_files(trial: Trial) -> Iterator[dict[str, Any]]:
    """Yields the results in the files of a trial, up to damage or a result of another trial."""
    if not os.path.isdir(trial.path):
        return
    with contextlib.suppress(Exception):
        for result in iter_results(trial.path):
            if result.get(TRIAL_ID) != trial.trial_id:
                return
            yield result
