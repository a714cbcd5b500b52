"""Removes an experiment, and nothing else.

The directory of an experiment is removed if it is not a link, has the database and the marker of an
experiment, belongs to this user, holds no other experiment, and no process runs it. It is renamed
while its lock is held, and removed afterwards. So another process sees all of it or nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from localtune.analysis.experiment_paths import is_complete_experiment, is_experiment
from localtune.error import ExperimentInUseError, UntrustedDirectoryError
from localtune.storage.locks import experiment_locked
from localtune.storage.owner import find_owner
from localtune.utils.files import remove_tree
from localtune.utils.trust import check_trusted


@dataclass(frozen=True)
class RemovalCandidate:
    """An experiment that a user may want to remove.

    Attributes:
        path: Its directory.
        size_bytes: Size of all its files.
        changed: Unix time of the latest change of any of its files.
        problem: Reason why it must not be removed, "" if it may be.
    """

    path: str
    size_bytes: int
    changed: float
    problem: str


def examine(path: str) -> RemovalCandidate:
    """Returns the size of an experiment and whether it may be removed; changes nothing."""
    size, changed, problem = 0, 0.0, ""
    if not is_complete_experiment(path):
        problem = "it does not have the files of an experiment, or is a link"
        return RemovalCandidate(path, size, changed, problem)
    for directory, folders, files in os.walk(path):
        if directory != path and is_experiment(directory):
            problem = f"it holds another experiment, {directory}"
        for name in [*folders, *files]:
            try:
                status = os.lstat(os.path.join(directory, name))
            except OSError:
                continue  # It was removed meanwhile.
            size += status.st_size if name in files else 0
            changed = max(changed, status.st_mtime)
    try:
        check_trusted(path)
    except UntrustedDirectoryError:
        problem = "another user could have written it"
    else:
        owner = find_owner(path)
        if owner is not None:
            problem = f"{owner} is running it"
    return RemovalCandidate(path, size, changed, problem)


def remove_experiment(path: str) -> str:
    """Removes an experiment.

    Args:
        path: Its directory, in which :func:`examine` has found no problem.

    Returns:
        Reason why it could not be removed, "" if it was.
    """
    aside = f"{path}.removing-{os.urandom(4).hex()}"
    try:
        with experiment_locked(path):
            if not is_complete_experiment(path):
                return "it changed just now"
            os.rename(path, aside)
        remove_tree(aside)
    except ExperimentInUseError:
        return "it is being run"
    except OSError as error:
        return f"{error.strerror or error}"
    return ""
