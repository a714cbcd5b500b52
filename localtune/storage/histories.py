"""The histories of trials, for those who read an experiment: what the database says.

The files of a trial count only where the database has nothing: behind the last result on record,
for a trial of an experiment that an old version of localtune wrote, and for one without an
experiment around it.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

from localtune.error import StorageError
from localtune.result import TRIAL_ID
from localtune.storage.experiment_db import ExperimentDB, has_database
from localtune.storage.reading import opened
from localtune.trial.history_files import iter_results, read_results
from localtune.trial.trial import Trial
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


def histories(
    trials: Iterable[Trial], *, trust: bool = False
) -> Iterator[tuple[Trial, list[dict[str, Any]]]]:
    """The trials, each with all its results, oldest first and with their configs.

    Args:
        trials: Of any experiments; those of one should come together.
        trust: Read the experiment though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if its database cannot be read.
    """
    for path, some in itertools.groupby(trials, lambda trial: trial.experiment_path):
        with contextlib.ExitStack() as stack:
            db = stack.enter_context(opened(path, trust=trust)) if has_database(path) else None
            for trial in some:
                yield trial, _history(trial, db)


def results_in(trial_dir: str, *, trust: bool = False) -> list[dict[str, Any]]:
    """All results of the trial in a directory, oldest first, with their configs.

    Args:
        trial_dir: The directory. Without the database of an experiment that knows it, the trial's
            own files are read.
        trust: Read the experiment though another user could have written it.

    Raises:
        StorageError: if these are damaged.
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


def recorded_history(db: ExperimentDB, trial: Trial) -> Iterator[dict[str, Any]]:
    """The results of a trial; from its files those that the database should have and does not.

    Raises:
        StorageError: if the database is damaged.
    """
    number = 0
    for number, result in enumerate(db.history(trial), 1):  # noqa: B007
        yield result
    if number < trial.result_count and trial.dirname:
        yield from itertools.islice(_of_files(trial), number, trial.result_count)


def _history(trial: Trial, db: ExperimentDB | None) -> list[dict[str, Any]]:
    if db is None:
        return read_results(trial.path) if trial.dirname else []
    return list(recorded_history(db, trial))


def _of_files(trial: Trial) -> Iterator[dict[str, Any]]:
    """What the files of a trial hold of it, up to what is damaged or of somebody else."""
    if not os.path.isdir(trial.path):
        return
    with contextlib.suppress(Exception):
        for result in iter_results(trial.path):
            if result.get(TRIAL_ID) != trial.trial_id:
                return
            yield result
