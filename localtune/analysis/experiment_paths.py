"""Finds the directories of experiments."""

from __future__ import annotations

import os

from localtune.config.run import DEFAULT_STORAGE_PATH
from localtune.error import UsageError
from localtune.result import EXPERIMENT_DB_FILE, STORAGE_MARKER_FILE, TUNER_FILE
from localtune.utils.remote_store import is_uri, local_path
from localtune.utils.text import count, did_you_mean


def storage_directory(storage: str | None) -> str:
    """Returns the absolute path of the directory that holds experiments.

    Args:
        storage: The directory, None for the default.

    Raises:
        UsageError: for a URI.
    """
    if storage is not None and is_uri(storage):
        raise UsageError(
            f"storage must be a directory of this machine, but got {storage!r}. An experiment "
            "in a store is named by its own URI."
        )
    return os.path.abspath(local_path(storage or DEFAULT_STORAGE_PATH))


def experiments_in(storage: str) -> list[str]:
    """Returns the paths of the experiments in a storage directory, sorted.

    Raises:
        UsageError: if there is no such directory.
    """
    try:
        names = sorted(os.listdir(storage))
    except OSError as error:
        raise UsageError(f"The storage {storage!r} cannot be read: {error.strerror}.") from None
    return [path for name in names if is_experiment(path := os.path.join(storage, name))]


def folders_with_experiments(storage: str) -> list[str]:
    """Returns the folders of a storage directory that hold experiments themselves, sorted.

    Links are left out.

    Args:
        storage: The directory; it need not exist.
    """
    try:
        with os.scandir(storage) as entries:
            folders = [each.path for each in entries if each.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    found = []
    for path in sorted(folders):
        try:
            if not is_experiment(path) and experiments_in(path):
                found.append(path)
        except UsageError:  # Another user's.
            continue
    return found


def is_experiment(path: str) -> bool:
    """Tells whether a directory is that of an experiment, even of one without trials."""
    return any(
        os.path.isfile(os.path.join(path, name)) for name in (EXPERIMENT_DB_FILE, TUNER_FILE)
    )


def is_complete_experiment(path: str) -> bool:
    """Tells whether a directory, which is not a link, has all files of an experiment."""
    files = (os.path.join(path, name) for name in (EXPERIMENT_DB_FILE, STORAGE_MARKER_FILE))
    return not os.path.islink(path) and all(
        os.path.isfile(each) and not os.path.islink(each) for each in files
    )


def find_experiment(experiment: str, storage: str | None) -> str:
    """Finds the directory of an experiment.

    Args:
        experiment: Its name in the storage or the start of it, its path, or its URI.
        storage: Directory of experiments, None for the default.

    Raises:
        UsageError: if there is none, or more than one name starts so. The message suggests a name.
    """
    if is_uri(experiment):
        from localtune.storage.remote import attach_path

        attached = attach_path(experiment)
        if not is_experiment(attached):
            raise UsageError(f"There is no experiment at {experiment!r}.")
        return attached
    directory = storage_directory(storage)
    by_name = os.path.join(directory, experiment)
    by_path = os.path.abspath(local_path(experiment))
    for path in (by_name, by_path) if storage is not None else (by_path, by_name):
        if is_experiment(path):
            return path
    known = [os.path.basename(path) for path in _known_in(directory)]
    begun = [name for name in known if experiment and name.startswith(experiment)]
    if len(begun) == 1:
        return os.path.join(directory, begun[0])
    if begun:
        raise UsageError(
            f"{experiment!r} is the start of {count(len(begun), 'experiment')} in {directory!r}: "
            f"{', '.join(begun[:5])}. Write more of it."
        )
    hint = did_you_mean(experiment, known)
    looked = (
        f"{by_path!r} is none"
        if by_path == by_name
        else f"neither {by_path!r} nor {by_name!r} is one"
    )
    raise UsageError(
        f"There is no experiment {experiment!r}: {looked}.{hint} "
        f"'localtune ls {directory}' lists those that there are."
    )


def _known_in(directory: str) -> list[str]:
    return experiments_in(directory) if os.path.isdir(directory) else []
