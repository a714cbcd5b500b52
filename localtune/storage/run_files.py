"""What a run was started with: files beside the database, which also keeps those of each run.

The files in the experiment's directory are those of the latest run that has such files: what an
earlier run was started with is in the database alone.
"""

from __future__ import annotations

import contextlib

from localtune.result import COMMAND_FILE, TUNER_FILE
from localtune.storage.experiment_db import ExperimentDB
from localtune.utils.trust import GuardedDirectory

# Where the database keeps them, in the state of the run.
FILES_KEY = "files"


def files_in(experiment_path: str, *, trust: bool = False) -> dict[str, bytes]:
    """{name: content} of the files in an experiment's directory.

    Args:
        experiment_path: The directory.
        trust: Read it though another user could have written it.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
    """
    files: dict[str, bytes] = {}
    # What is gone, the directory itself even, holds none.
    with (
        contextlib.suppress(FileNotFoundError),
        GuardedDirectory(experiment_path, trust=trust) as guarded,
    ):
        for name in (TUNER_FILE, COMMAND_FILE):
            with contextlib.suppress(FileNotFoundError):
                files[name] = guarded.read(name)
    return files


def files_of(db: ExperimentDB, experiment_path: str, *, trust: bool = False) -> dict[str, bytes]:
    """{name: content} of what the run that is selected in a database was started with.

    Raises:
        UntrustedDirectoryError: if another user could have written the directory.
        StorageError: if the database is damaged.
    """
    kept: dict[str, bytes] | None = db.get(FILES_KEY, dict)
    if kept is not None:
        return kept
    # Earlier versions kept those of the latest run, in the directory alone.
    is_latest = db.run == db.runs()[-1].number
    return files_in(experiment_path, trust=trust) if is_latest else {}
