"""Finds damaged checkpoints, and removes incomplete and unrecorded ones after a crash."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from localtune.result import TRIAL_FILES
from localtune.trial.checkpoint_dirs import (
    is_mark_name,
    is_staging_name,
    marked_name,
    unrecorded_checkpoints,
)
from localtune.utils.claims import claimed
from localtune.utils.files import STAGING_PREFIX, remove_tree
from localtune.utils.remote_fetch import is_remote_checkpoint

# Staging files of a trial's files, which a killed process may leave.
_STAGING_FILE = re.compile(
    rf"{re.escape(STAGING_PREFIX)}\d+_[0-9a-f]+_({'|'.join(map(re.escape, TRIAL_FILES))})"
)


def find_damage(path: str, files: Mapping[str, int] | None) -> str:
    """Describes the damage of a checkpoint's directory.

    Args:
        path: The directory.
        files: {path within it: size in bytes} when it was written; None if unknown.

    Returns:
        A clause for the user; "" without damage.
    """
    if not os.path.isdir(path):
        # The worker fetches the checkpoint before it restores from it.
        return "" if is_remote_checkpoint(path) else "its directory is missing"
    for name, size in (files or {}).items():
        try:
            found = os.path.getsize(os.path.join(path, name))
        except OSError:
            return f"its file {name!r} is missing"
        if found != size:
            return f"its file {name!r} has {found} bytes, and had {size}"
    return ""


def remove_leftovers(trial_dir: str, known: Iterable[str]) -> list[str]:
    """Removes incomplete and unrecorded checkpoints that a crash left in a trial's directory.

    Files that localtune did not make stay.

    Args:
        trial_dir: Directory of the trial.
        known: Paths of the checkpoints that are recorded or will be. Their marks stay, too: if the
            record is never written, only the mark identifies the checkpoint.

    Returns:
        Names of the removed checkpoints, complete or not.
    """
    kept = {os.path.basename(path) for path in known}
    removed = []
    for name in unrecorded_checkpoints(trial_dir):
        if name not in kept:
            remove_tree(os.path.join(trial_dir, name))
            removed.append(name)
    for name in sorted(os.listdir(trial_dir)):
        path = os.path.join(trial_dir, name)
        is_stale_mark = is_mark_name(name) and marked_name(name) not in kept
        if is_stale_mark or _STAGING_FILE.fullmatch(name):
            os.remove(path)
        elif is_staging_name(name) and not os.path.islink(path) and _remove_staging(path):
            removed.append(name)
    return removed


def _remove_staging(path: str) -> bool:
    """Removes an incomplete checkpoint unless another process is fetching it from a store."""
    parent, name = os.path.split(path)
    final = os.path.join(parent, name.removeprefix(STAGING_PREFIX))
    if not is_remote_checkpoint(final):
        remove_tree(path)
        return True
    with claimed(final, wait=False) as is_ours:
        if is_ours:
            remove_tree(path)
    return is_ours
