"""Removes a private directory, also if a part of it stands on another file system.

The guard loads it when everything else has ended, and mostly finds the directory removed.
"""

from __future__ import annotations

import contextlib
import os

# Link in a private directory to another one, which is removed with it.
ELSEWHERE = ".elsewhere"


def remove_private(path: str) -> None:
    """Removes a directory, and the one that it has elsewhere.

    Args:
        path: ``path`` of a :class:`~localtune.utils.private_dir.PrivateDir`.
    """
    if not os.path.lexists(path):
        return
    import shutil

    with contextlib.suppress(OSError):
        shutil.rmtree(os.readlink(os.path.join(path, ELSEWHERE)), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)
