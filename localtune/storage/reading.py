"""Reads an experiment without changing anything in it, whoever writes it at the same time."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from urllib.parse import quote

from localtune.error import StorageError
from localtune.experiment.trial import Trial
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.experiment_db import ExperimentDB, has_database


def load_trials(experiment_path: str, run: int | None = None) -> list[Trial]:
    """The trials of the experiment in a directory.

    Args:
        experiment_path: The directory.
        run: Number of the run that is read, from 1; None is the latest.

    Raises:
        StorageError: if there is no readable database, or no such run.
    """
    with opened(experiment_path) as db:
        if run is not None:
            db.go_on_with_run(run)
        return db.load()


def load_trial(trial_dir: str) -> Trial | None:
    """The trial whose directory this is, None if no experiment around it knows it.

    Raises:
        StorageError: if the experiment's database cannot be read.
    """
    experiment_path, dirname = os.path.split(trial_dir)
    if not has_database(experiment_path):
        return None
    with opened(experiment_path) as db:
        return db.load_by_dirname(dirname)


@contextlib.contextmanager
def opened(experiment_path: str) -> Iterator[ExperimentDB]:
    """An experiment's database, to look at: what is written to it is lost.

    Raises:
        StorageError: if there is none, or it cannot be read.
    """
    if not has_database(experiment_path):
        raise StorageError(f"{experiment_path!r} is no experiment: it has no {EXPERIMENT_DB_FILE}.")
    # A copy: looking at an experiment changes nothing in it, works where nothing can be written,
    # and does not hold up who runs it.
    with tempfile.TemporaryDirectory(prefix="localtune-read-") as directory:
        copy = os.path.join(directory, EXPERIMENT_DB_FILE)
        _copy_database(os.path.join(experiment_path, EXPERIMENT_DB_FILE), copy)
        with contextlib.closing(ExperimentDB(experiment_path, copy)) as db:
            yield db


def _copy_database(source: str, target: str) -> None:
    # Without a journal nobody writes; told so, SQLite makes none either.
    how = "mode=ro" if os.path.exists(f"{source}-wal") else "immutable=1"
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{quote(source)}?{how}", uri=True)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error:
        # Its directory may not be writable, which SQLite needs to read what was written last.
        shutil.copyfile(source, target)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{source}-wal", f"{target}-wal")
