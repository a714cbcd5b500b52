"""Directories of a trial that hold checkpoints: their names, and which ones localtune made.

A user's own directory may have such a name, too. As long as a checkpoint is not on record, or not
any more, a mark beside it says that localtune made it::

    .staging_checkpoint_000007           is filled and synced
    .staging_made_checkpoint_000007      the mark: names the inode, which a rename does not change
    checkpoint_000007                    the first one, renamed
                                         the checkpoint is on record: the mark goes
                                         it is to go: the mark comes, the record and it go

What has neither a record nor a mark is the user's. Whoever writes records sets the marks, and a
mark beside a recorded checkpoint means nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

from localtune.utils.files import STAGING_PREFIX, commit_directory, remove_tree

_NAME = re.compile(r"checkpoint_\d+")
_STAGING_NAME = re.compile(rf"{re.escape(STAGING_PREFIX)}checkpoint_\d+")
_MARK_PREFIX = f"{STAGING_PREFIX}made_"


def is_checkpoint_name(name: str) -> bool:
    """Whether checkpoints have names like this one."""
    return _NAME.fullmatch(name) is not None


def is_staging_name(name: str) -> bool:
    """Whether checkpoints that are being written have names like this one."""
    return _STAGING_NAME.fullmatch(name) is not None


def commit_checkpoint(staging: str, final: str) -> None:
    """Turns a finished staging directory into a checkpoint, and marks it as made by localtune.

    Args:
        staging: Directory with the content.
        final: Path of the checkpoint, in the same directory.

    Raises:
        FileExistsError: Something has this path already; nothing was changed.
        OSError: if the disk is full or gone.
    """
    try:
        _write_mark(final, os.stat(staging))
        commit_directory(staging, final)
    except OSError:
        note_recorded(final)
        raise


def note_recorded(path: str) -> None:
    """Takes the mark of a checkpoint away, if there is one: its record says who made it."""
    # The trial may have removed its directory, put a file in its place, or locked it.
    with contextlib.suppress(OSError):
        os.remove(_mark_of(path))


def note_unrecorded(path: str) -> None:
    """Marks a checkpoint whose record will go before it does, so that a crash leaves none behind.

    Args:
        path: The checkpoint. Nothing happens if it is gone.
    """
    # A mark that is right already stays: on a full disk a new one would be empty.
    with contextlib.suppress(OSError):
        if not _is_marked(path):
            _write_mark(path, os.lstat(path))


def remove_checkpoint(path: str) -> None:
    """Removes a checkpoint, and its mark.

    Raises:
        OSError: if it cannot be removed.
    """
    remove_tree(path)
    note_recorded(path)


def unrecorded_checkpoints(trial_dir: str) -> Iterator[str]:
    """Names of the directories that localtune made and that got no record."""
    for name in sorted(os.listdir(trial_dir)):
        made = marked_name(name)
        if is_checkpoint_name(made) and _is_marked(os.path.join(trial_dir, made)):
            yield made


def is_mark_name(name: str) -> bool:
    """Whether marks have names like this one."""
    return is_checkpoint_name(marked_name(name))


def marked_name(name: str) -> str:
    """Name of the checkpoint that a mark is for, "" if the name is not one of a mark."""
    return name.removeprefix(_MARK_PREFIX) if name.startswith(_MARK_PREFIX) else ""


def _mark_of(path: str) -> str:
    parent, name = os.path.split(path)
    return os.path.join(parent, _MARK_PREFIX + name)


def _write_mark(path: str, status: os.stat_result) -> None:
    with open(_mark_of(path), "w", encoding="ascii") as file:
        file.write(str(status.st_ino))


def _is_marked(path: str) -> bool:
    try:
        with open(_mark_of(path), encoding="ascii") as file:
            return os.lstat(path).st_ino == int(file.read())
    except (OSError, ValueError):
        return False
