"""Writes localtune's files in a trial's directory, beside files of the user.

The user's code works in that directory and may make, replace or remove a file of any name.
localtune overwrites only its own files. It renames another file to a free name, and warns once.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from localtune.utils.digests import sha256
from localtune.utils.files import create_small_file, no_link, set_aside, write_file
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)

# Files for which a warning was logged: (directory of the trial, name).
_warned: set[tuple[str, str]] = set()


def set_foreign_aside(path: str) -> None:
    """Renames a file that is not localtune's from a path that localtune needs.

    Args:
        path: Path that localtune needs. An empty file stays, since it holds no data.

    Raises:
        OSError: if the file cannot be renamed.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        return
    aside = set_aside(path)
    place = os.path.split(path)
    if place not in _warned:
        _warned.add(place)
        logger.warning(
            "%s is not what localtune wrote, so it was renamed to %s. localtune keeps a file of "
            "its own under that name; choose another name for yours.",
            path,
            os.path.basename(aside),
        )


def write_own(trial: Trial, name: str, content: bytes) -> None:
    """Writes one of localtune's files; a file of the user at its path is renamed.

    A new small file is created with one write. Any other one is replaced in one step.

    Args:
        trial: The trial; its record gets the digest of the content.
        name: Name of the file in the directory of the trial.
        content: All of the content.

    Raises:
        OSError: if it cannot be written.
    """
    path = f"{trial.path}{os.sep}{name}"
    digest = sha256(content).hexdigest()
    if not _is_created(path, content):
        found = _digest_of(path)
        if found != digest:
            if found is None or found != trial.own_files.get(name):
                set_foreign_aside(path)
            write_file(path, content, sync=False)
    _note(trial, name, digest)


def _is_created(path: str, content: bytes) -> bool:
    """Creates a file and its directory, if possible with one write; returns whether it was."""
    try:
        return create_small_file(path, content)
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return create_small_file(path, content)


def read_own(trial: Trial, name: str) -> bytes:
    """Returns the content of one of localtune's files; empty if it is missing or was changed.

    Args:
        trial: The trial.
        name: Name of the file in the directory of the trial.
    """
    content = _content_of(os.path.join(trial.path, name))
    if content is None or sha256(content).hexdigest() != trial.own_files.get(name):
        return b""
    return content


def remove_own(trial: Trial, name: str) -> None:
    """Removes one of localtune's files; a file of the user at its path stays.

    Args:
        trial: The trial; its record of the file is removed, too.
        name: Name of the file in the directory of the trial.

    Raises:
        OSError: if it cannot be removed.
    """
    path = os.path.join(trial.path, name)
    files = dict(trial.own_files)
    digest = files.pop(name, None)
    trial.own_files = files
    if digest is not None and _digest_of(path) == digest:
        os.remove(path)


def prepare_logs(trial: Trial) -> None:
    """Makes the files for the output of a trial; a file of the user at such a path is renamed.

    Args:
        trial: The trial; no worker may be using it. Its record gets the identity of the files.

    Raises:
        OSError: if a file cannot be made.
    """
    for name in dict.fromkeys(each for each in trial.log_to_file if each):
        path = os.path.join(trial.path, os.path.expanduser(name))
        if os.path.dirname(path) != trial.path:
            continue  # The user chose a place elsewhere, such as /dev/stderr.
        if not _is_own_log(trial, name, path):
            set_foreign_aside(path)
        os.close(no_link(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        _note(trial, name, _identity_of(trial, os.lstat(path)))


def _note(trial: Trial, name: str, what: str) -> None:
    trial.own_files = {**trial.own_files, name: what}


def _is_own_log(trial: Trial, name: str, path: str) -> bool:
    """Tells whether a path is free, or holds the file made for the output of the trial."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(found.st_mode):
        return False
    recorded = trial.own_files.get(name)
    if recorded is None:
        return True
    identity = _identity_of(trial, found)
    # The directory of a moved or copied experiment has another inode. The log is accepted then.
    return identity == recorded or identity.partition(":")[0] != recorded.partition(":")[0]


def _identity_of(trial: Trial, file: os.stat_result) -> str:
    return f"{os.stat(trial.path).st_ino}:{file.st_ino}"


def _digest_of(path: str) -> str | None:
    content = _content_of(path)
    return None if content is None else sha256(content).hexdigest()


def _content_of(path: str) -> bytes | None:
    """Returns the content of a regular file; None for anything else."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb", opener=no_link) as file:
            return file.read()
    except OSError:
        return None
