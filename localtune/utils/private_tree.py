"""Removes a private directory, also if a part of it stands on another file system.

The guard loads it when everything else has ended, so it is small.
"""

from __future__ import annotations

import contextlib
import os
import shutil

# Link in a private directory to another one, which is removed with it.
ELSEWHERE = ".elsewhere"


def remove_private(path: str) -> None:
    """Removes a directory, and the one that it has elsewhere.

    Args:
        path: ``path`` of a :class:`~localtune.utils.private_dir.PrivateDir`.
    """
    with contextlib.suppress(OSError):
        shutil.rmtree(os.readlink(os.path.join(path, ELSEWHERE)), ignore_errors=True)
    shutil.rmtree(path, ignore_errors=True)
