"""Directories of an experiment and of its trials."""

from __future__ import annotations

import contextlib
import errno
import os

from localtune.error import StorageError
from localtune.result import STORAGE_MARKER_FILE


def make_experiment_dir(path: str) -> None:
    """Creates an experiment's directory and proves that it can be written.

    Args:
        path: ``<storage path>/<experiment name>``.

    Raises:
        StorageError: if it cannot be created or written; the text names the remedy.
    """
    try:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        # Whoever may write into it can run code in the process that resumes the experiment.
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        if not os.path.isdir(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), path)
        _prove_writable(os.path.join(path, STORAGE_MARKER_FILE))
    except NotADirectoryError as error:
        raise _unusable(path, f"a part of it is a file ({error.filename})", error) from error
    except FileExistsError as error:
        raise _unusable(path, "it is a file", error) from error
    except OSError as error:
        raise _unusable(path, os.strerror(error.errno or 0), error) from error


def _prove_writable(marker: str) -> None:
    fd = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        # A full disk may still take an empty file.
        content = b"\0" * 4096
        while content:
            content = content[os.write(fd, content) :]
    finally:
        os.ftruncate(fd, 0)
        os.close(fd)


def claim_experiment_dir(storage_path: str, name: str) -> str:
    """Creates a directory that no other experiment has.

    Args:
        storage_path: Directory of the experiments; created if missing.
        name: Wanted name; gets a number if it is taken.

    Returns:
        The name that the directory got.

    Raises:
        StorageError: if it cannot be created.
    """
    candidate, number = name, 1
    while True:
        path = os.path.join(storage_path, candidate)
        try:
            os.makedirs(storage_path, exist_ok=True)
            os.mkdir(path, 0o700)
            return candidate
        except FileExistsError as error:
            if not os.path.isdir(storage_path):
                raise _unusable(path, f"{storage_path!r} is a file", error) from error
            number += 1
            candidate = f"{name}_{number}"
        except NotADirectoryError as error:
            raise _unusable(path, f"a part of it is a file ({error.filename})", error) from error
        except OSError as error:
            raise _unusable(path, os.strerror(error.errno or 0), error) from error


def _unusable(path: str, reason: str, error: OSError) -> StorageError:
    problem = StorageError(
        f"storage_path must lead to a directory that can be written, but {path!r} cannot be used: "
        f"{reason}. Choose another storage_path in RunConfig, or make room or rights there."
    )
    problem.errno = error.errno
    return problem


def make_trial_dir(experiment_path: str, dirname: str, *, is_resumed: bool = False) -> str:
    """Creates a trial's directory.

    Args:
        experiment_path: Directory of the experiment.
        dirname: Wanted name; gets a random ending if it is taken.
        is_resumed: Whether an earlier run may have come as far as making it: an empty one is
            taken then.

    Returns:
        The name that the directory got.

    Raises:
        StorageError: if it cannot be created.
    """
    name = dirname
    while True:
        try:
            os.mkdir(os.path.join(experiment_path, name))
            return name
        except FileExistsError:
            if is_resumed and not os.listdir(os.path.join(experiment_path, name)):
                return name
            name = f"{dirname}_{os.urandom(2).hex()}"
        except OSError as error:
            raise _unusable(
                os.path.join(experiment_path, name), os.strerror(error.errno or 0), error
            ) from error
