"""Checkpoint directories after a crash: which are damaged, and what nobody has on record."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from localtune.result import CHECKPOINT_DIR_FORMAT
from localtune.utils.files import STAGING_PREFIX, remove_tree
from localtune.utils.remote_fetch import is_remote_checkpoint

_PREFIX = CHECKPOINT_DIR_FORMAT.partition("{")[0]


def find_damage(path: str, files: Mapping[str, int] | None) -> str:
    """What is wrong with a checkpoint's directory.

    Args:
        path: The directory.
        files: {path within it: size in bytes} when it was written; None if that is not known.

    Returns:
        One clause for a person, "" if nothing is wrong.
    """
    if not os.path.isdir(path):
        # The worker fetches it when it restores from it.
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
    """Removes what a crash left in a trial's directory: half checkpoints, and unrecorded ones.

    Args:
        trial_dir: Directory of the trial.
        known: Paths of the checkpoints on record.

    Returns:
        Names of what was removed.
    """
    names = {os.path.basename(path) for path in known}
    removed = []
    for name in sorted(os.listdir(trial_dir)):
        number = name.removeprefix(_PREFIX)
        is_checkpoint = number != name and number.isdigit()
        if name.startswith(STAGING_PREFIX) or (is_checkpoint and name not in names):
            path = os.path.join(trial_dir, name)
            if os.path.isdir(path) and not os.path.islink(path):
                remove_tree(path)
            else:
                os.remove(path)
            removed.append(name)
    return removed
