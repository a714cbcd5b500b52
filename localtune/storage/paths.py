"""Makes the directories of an experiment and of its trials."""

from __future__ import annotations

import contextlib
import errno
import os

from localtune.error import StorageError
from localtune.result import STORAGE_MARKER_FILE
from localtune.utils.files import STAGING_PREFIX, write_file


def check_experiment_dir(path: str) -> None:
    """Checks whether an experiment's directory could be made and written, without writing anything.

    Args:
        path: ``<storage path>/<experiment name>``.

    Raises:
        StorageError: if not; the message names the remedy.
    """
    try:
        place = _nearest_existing(path)
        if not os.path.isdir(place):
            raise _is_a_file(path, place)
        if not _may_write(place):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), place)
        if hasattr(os, "statvfs"):
            system = os.statvfs(place)
            if system.f_flag & os.ST_RDONLY:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS), place)
            # Some file systems report 0 of 0 blocks.
            free = system.f_bavail if os.geteuid() else system.f_bfree
            if system.f_blocks and not free:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), place)
    except OSError as error:
        raise _storage_error(path, error) from error


def make_experiment_dir(path: str) -> list[str]:
    """Makes an experiment's directory and the missing ones around it.

    Args:
        path: ``<storage path>/<experiment name>``.

    Returns:
        The new directories, the outermost first.

    Raises:
        StorageError: if it cannot be made; the message names the remedy.
    """
    made: list[str] = []
    try:
        missing = [path]
        while (parent := os.path.dirname(missing[-1])) not in ("", missing[-1]):
            if os.path.lexists(parent):
                break
            missing.append(parent)
        for each in reversed(missing):
            try:
                # A user who may write into it could run code in the process that resumes the
                # experiment.
                os.mkdir(each, 0o700 if each == path else 0o755)
                made.append(each)
            except FileExistsError:
                if not os.path.isdir(each):
                    raise
        return made
    except OSError as error:
        remove_empty_dirs(made)
        raise _storage_error(path, error) from error


def remove_empty_dirs(made: list[str]) -> None:
    """Removes the directories that :func:`make_experiment_dir` made, unless they have content."""
    with contextlib.suppress(OSError):
        for each in reversed(made):
            os.rmdir(each)


def prove_dir_writable(path: str) -> None:
    """Writes the marker of an experiment's directory, and thereby checks that it can be written.

    Raises:
        StorageError: if it cannot; the message names the remedy.
    """
    marker = os.path.join(path, STORAGE_MARKER_FILE)
    try:
        # A full disk may still accept an empty file.
        probe = os.path.join(path, f"{STAGING_PREFIX}{os.urandom(4).hex()}")
        write_file(probe, b"\0" * 4096, sync=False)
        os.remove(probe)
        write_file(marker, b"", sync=False)
    except OSError as error:
        raise _storage_error(path, error) from error


def _nearest_existing(path: str) -> str:
    """Returns the path, or the innermost existing directory above it."""
    while True:
        try:
            os.lstat(path)
            return path
        except (FileNotFoundError, NotADirectoryError):
            parent = os.path.dirname(path) or "."
            if parent == path:
                raise
            path = parent


def _may_write(directory: str) -> bool:
    effective = os.access in os.supports_effective_ids
    return os.access(directory, os.W_OK | os.X_OK, effective_ids=effective)


def _is_a_file(path: str, place: str) -> OSError:
    kind = FileExistsError if place == path else NotADirectoryError
    code = errno.EEXIST if place == path else errno.ENOTDIR
    return kind(code, os.strerror(code), place)


def _storage_error(path: str, error: OSError) -> StorageError:
    if isinstance(error, NotADirectoryError):
        reason = f"a part of it is a file ({_nearest_existing(path)})"
    elif isinstance(error, FileExistsError):
        is_inner = error.filename in (None, path)
        reason = "it is a file" if is_inner else f"a part of it is a file ({error.filename})"
    else:
        reason = os.strerror(error.errno or 0)
    return _unusable(path, reason, error)


def _unusable(path: str, reason: str, error: OSError) -> StorageError:
    problem = StorageError(
        f"storage_path must be a directory that can be written, but {path!r} cannot be used: "
        f"{reason}. Choose another storage_path in RunConfig, or free space or grant access there."
    )
    problem.errno = error.errno
    return problem


def make_trial_dir(experiment_path: str, dirname: str, *, is_resumed: bool = False) -> str:
    """Makes a trial's directory.

    Args:
        experiment_path: Directory of the experiment.
        dirname: Wanted name; a random suffix is added if it is in use.
        is_resumed: Whether an earlier run may have made the directory. An existing empty directory
            is used then.

    Returns:
        The name of the directory.

    Raises:
        StorageError: if it cannot be made.
    """
    name = dirname
    while True:
        try:
            os.mkdir(os.path.join(experiment_path, name), 0o755)
            return name
        except FileExistsError:
            if is_resumed and not os.listdir(os.path.join(experiment_path, name)):
                return name
            name = f"{dirname}_{os.urandom(2).hex()}"
        except OSError as error:
            raise _unusable(
                os.path.join(experiment_path, name), os.strerror(error.errno or 0), error
            ) from error
