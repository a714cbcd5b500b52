"""Names the directories of a trial's checkpoints, and marks those that localtune made.

A user's own directory may have such a name, too. Before a checkpoint has a record, and while it is
being removed, a mark beside it shows that localtune made it::

    .staging_checkpoint_000007           is filled and synced
    .staging_made_checkpoint_000007      the mark: contains the inode, which a rename preserves
    checkpoint_000007                    the staging directory, renamed
                                         the checkpoint gets a record: the mark is removed
                                         removal: first the mark is written, then the record and
                                         the directory are removed

A directory with neither a record nor a mark belongs to the user. The process that writes records
also sets the marks. A mark beside a recorded checkpoint has no meaning.
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
    """Tells whether a name has the form of a checkpoint's name."""
    return _NAME.fullmatch(name) is not None


def is_staging_name(name: str) -> bool:
    """Tells whether a name has the form of a checkpoint's name while it is written."""
    return _STAGING_NAME.fullmatch(name) is not None


def commit_checkpoint(staging: str, final: str) -> None:
    """Renames a finished staging directory to a checkpoint, and marks it as made by localtune.

    Args:
        staging: Directory with the content.
        final: Path of the checkpoint, in the same directory.

    Raises:
        FileExistsError: if the path is in use; nothing is changed then.
        OSError: if the mark cannot be written or the directory cannot be renamed.
    """
    try:
        _write_mark(final, os.stat(staging))
        commit_directory(staging, final)
    except OSError:
        note_recorded(final)
        raise


def note_recorded(path: str) -> None:
    """Removes the mark of a checkpoint, if there is one, since its record replaces the mark."""
    # The trial may have removed its directory, put a file in its place, or locked it.
    with contextlib.suppress(OSError):
        os.remove(_mark_of(path))


def note_unrecorded(path: str) -> None:
    """Marks a checkpoint before its record is removed, so that a crash leaves no unowned directory.

    Args:
        path: The checkpoint. Nothing happens if it does not exist.
    """
    # A correct mark is not rewritten: on a full disk the new one would be empty.
    with contextlib.suppress(OSError):
        if not _is_marked(path):
            _write_mark(path, os.lstat(path))


def remove_checkpoint(path: str) -> None:
    """Removes a checkpoint and its mark.

    Raises:
        OSError: if the checkpoint cannot be removed.
    """
    remove_tree(path)
    note_recorded(path)


def unrecorded_checkpoints(trial_dir: str) -> Iterator[str]:
    """Yields the names of checkpoints that localtune made but did not record."""
    for name in sorted(os.listdir(trial_dir)):
        made = marked_name(name)
        if is_checkpoint_name(made) and _is_marked(os.path.join(trial_dir, made)):
            yield made


def is_mark_name(name: str) -> bool:
    """Tells whether a name has the form of a mark's name."""
    return is_checkpoint_name(marked_name(name))


def marked_name(name: str) -> str:
    """Returns the name of the checkpoint that a mark belongs to; "" if the name is not a mark's."""
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
