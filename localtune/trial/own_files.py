"""Files that localtune keeps in a trial's directory, beside files of the user's own.

The user's code works in there, and may make, replace or remove a file of any name. Nothing that
localtune did not make is overwritten: it is set aside, under a name that is free, and the user is
told once.
"""

from __future__ import annotations

import hashlib
import os
import stat
from typing import TYPE_CHECKING

from localtune.utils.files import no_link, set_aside, write_file
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)

# Files after the first one that are set aside without a word: (directory of the trial, name).
_told: set[tuple[str, str]] = set()


def make_room(path: str) -> None:
    """Sets aside what somebody else put where a file of localtune's belongs.

    Args:
        path: Where the file belongs. An empty file is left: there is nothing to lose in it.

    Raises:
        OSError: if it cannot be renamed.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISREG(found.st_mode) and found.st_size == 0:
        return
    aside = set_aside(path)
    place = os.path.split(path)
    if place not in _told:
        _told.add(place)
        logger.warning(
            "%s is not what localtune wrote: it is now %s. localtune keeps a file of its own under "
            "that name; choose another one for yours.",
            path,
            os.path.basename(aside),
        )


def write_own(trial: Trial, name: str, content: bytes) -> None:
    """Writes a file of localtune's as a whole; what the user has there is set aside.

    Args:
        trial: The trial; its record says afterwards what was written.
        name: Of the file, in the directory of the trial.
        content: All of it.

    Raises:
        OSError: if it cannot be written.
    """
    os.makedirs(trial.path, exist_ok=True)
    path = os.path.join(trial.path, name)
    digest = hashlib.sha256(content).hexdigest()
    found = _digest_of(path)
    if found == digest:
        trial.own_files[name] = digest
        return
    if found is None or found != trial.own_files.get(name):
        make_room(path)
    write_file(path, content, sync=False)
    trial.own_files[name] = digest


def read_own(trial: Trial, name: str) -> bytes:
    """What a file of localtune's holds; nothing if it is missing or not what was written.

    Args:
        trial: The trial.
        name: Of the file.
    """
    content = _content_of(os.path.join(trial.path, name))
    if content is None or hashlib.sha256(content).hexdigest() != trial.own_files.get(name):
        return b""
    return content


def remove_own(trial: Trial, name: str) -> None:
    """Removes a file of localtune's; one of the user's stays.

    Raises:
        OSError: if it cannot be removed.
    """
    path = os.path.join(trial.path, name)
    digest = trial.own_files.pop(name, None)
    if digest is not None and _digest_of(path) == digest:
        os.remove(path)


def prepare_logs(trial: Trial) -> None:
    """Makes the files for what a trial prints; what is not such a file of its own is set aside.

    Args:
        trial: The trial; no worker has it. Its record says afterwards which files these are.

    Raises:
        OSError: if a file cannot be made.
    """
    for name in dict.fromkeys(each for each in trial.log_to_file if each):
        path = os.path.join(trial.path, os.path.expanduser(name))
        if os.path.dirname(path) != trial.path:
            continue  # Elsewhere, such as /dev/stderr, it is what the user named.
        if not _is_own_log(trial, name, path):
            make_room(path)
        os.close(no_link(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND))
        trial.own_files[name] = _place_of(trial, os.lstat(path))


def _is_own_log(trial: Trial, name: str, path: str) -> bool:
    """Whether what is at a path is the file that was made for what the trial prints."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return True
    if not stat.S_ISREG(found.st_mode):
        return False
    # Earlier versions did not note it.
    recorded = trial.own_files.get(name)
    if recorded is None:
        return True
    place = _place_of(trial, found)
    # An experiment that was moved or copied has other directories, too.
    return place == recorded or place.partition(":")[0] != recorded.partition(":")[0]


def _place_of(trial: Trial, file: os.stat_result) -> str:
    return f"{os.stat(trial.path).st_ino}:{file.st_ino}"


def _digest_of(path: str) -> str | None:
    content = _content_of(path)
    return None if content is None else hashlib.sha256(content).hexdigest()


def _content_of(path: str) -> bytes | None:
    """What a plain file holds; None for anything else."""
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
        with open(path, "rb", opener=no_link) as file:
            return file.read()
    except OSError:
        return None
