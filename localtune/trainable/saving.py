"""Writing checkpoints into a trial's directory, each whole or absent.

fill a staging directory -> sync it -> rename it to checkpoint_000007 -> count the index up
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from localtune.checkpoint import Checkpoint, relocated
from localtune.error import StorageError
from localtune.result import CHECKPOINT_DIR_FORMAT
from localtune.utils.files import (
    STAGING_PREFIX,
    commit_directory,
    copy_tree,
    make_staging_directory,
    remove_tree,
)

if TYPE_CHECKING:
    from localtune.experiment.trial_info import StorageContext

_CHECKPOINT_DIR_PREFIX = CHECKPOINT_DIR_FORMAT.partition("{")[0]


def write_checkpoint(storage: StorageContext, fill: Callable[[str], object]) -> str:
    """Write the next checkpoint of a trial.

    Args:
        storage: Where to; its index grows by one if, and only if, the checkpoint is written.
        fill: Called with the path of an empty directory, which it fills.

    Returns:
        Path of the checkpoint.

    Raises:
        StorageError: The trial's directory is gone.
        Exception: What ``fill`` raised; nothing of the checkpoint stays.
    """
    final = storage.checkpoint_path(storage.next_checkpoint_index)
    try:
        staging = make_staging_directory(final)
    except FileNotFoundError:
        raise StorageError(
            f"The trial's directory does not exist (any more): {storage.trial_dir}. "
            "Leave the experiment's directory alone as long as the experiment runs."
        ) from None
    try:
        fill(staging)
        commit_directory(staging, final)
    except BaseException:
        remove_tree(staging)
        raise
    storage.next_checkpoint_index += 1
    return final


def persist_checkpoint(storage: StorageContext, checkpoint: Checkpoint) -> Checkpoint:
    """Copy a user's checkpoint into a trial's directory.

    Args:
        storage: Where to; its index grows by one.
        checkpoint: What to copy; stays as it is. If it lies round the trial's directory, the
            checkpoints in there are left out.

    Returns:
        Checkpoint of the same class that refers to the copy.

    Raises:
        FileNotFoundError: There is nothing at the checkpoint's path.
        StorageError: The trial's directory is gone.
    """
    source = checkpoint.path
    if not os.path.isdir(source):
        raise FileNotFoundError(
            f"The directory of the reported checkpoint does not exist: {source}. Report it "
            "before it is removed."
        )
    trial_dir = os.path.realpath(storage.trial_dir)

    def not_own(directory: str, names: list[str]) -> list[str]:
        if os.path.realpath(directory) != trial_dir:
            return []
        return [name for name in names if _is_own(name)]

    path = write_checkpoint(storage, lambda staging: copy_tree(source, staging, ignore=not_own))
    return relocated(checkpoint, path)


def _is_own(name: str) -> bool:
    """Whether a name in a trial's directory belongs to checkpoint keeping."""
    number = name.removeprefix(_CHECKPOINT_DIR_PREFIX)
    return name.startswith(STAGING_PREFIX) or (number != name and number.isdigit())
