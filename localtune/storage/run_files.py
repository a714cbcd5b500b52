"""Reads the files with the arguments of a run; the database keeps copies for each run.

The files in the experiment's directory belong to the latest run that has such files. The files of
earlier runs are only in the database.
"""

from __future__ import annotations

import contextlib

from localtune.result import COMMAND_FILE, TUNER_FILE
from localtune.storage.reader import ExperimentReader
from localtune.utils.trust import GuardedDirectory

# Key of the copies in the state of the run.
FILES_KEY = "files"


def files_in(experiment_path: str, *, trust: bool = False) -> dict[str, bytes]:
    """Returns {name: content} of the files in an experiment's directory.

    Args:
        experiment_path: The directory.
        trust: Whether to read a directory that other users could have written.

    Raises:
        UntrustedDirectoryError: if another user could have written the directory.
    """
    files: dict[str, bytes] = {}
    # A missing directory has no files.
    with (
        contextlib.suppress(FileNotFoundError),
        GuardedDirectory(experiment_path, trust=trust) as guarded,
    ):
        for name in (TUNER_FILE, COMMAND_FILE):
            with contextlib.suppress(FileNotFoundError):
                files[name] = guarded.read(name)
    return files


def files_of(
    db: ExperimentReader, experiment_path: str, *, trust: bool = False
) -> dict[str, bytes]:
    """Returns {name: content} of the files of the run that is selected in a database.

    Args:
        db: The database.
        experiment_path: Directory of the experiment.
        trust: Whether to read a directory that other users could have written.

    Raises:
        UntrustedDirectoryError: if another user could have written the directory.
        StorageError: if the database is damaged.
    """
    kept: dict[str, bytes] | None = db.get(FILES_KEY, dict)
    if kept is not None:
        return kept
    # A run that was killed at its start has files only in the directory.
    is_latest = db.run == db.runs()[-1].number
    return files_in(experiment_path, trust=trust) if is_latest else {}
