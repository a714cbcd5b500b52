"""Directories that this process removes after use, and that no message may therefore name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

_ROOTS: set[str] = set()


@contextlib.contextmanager
def temporary_directory(prefix: str) -> Iterator[str]:
    """Makes a directory, yields its path, and removes it with all that is in it.

    Args:
        prefix: Beginning of its name.
    """
    with tempfile.TemporaryDirectory(prefix=prefix) as directory:
        root = os.path.realpath(directory)
        _ROOTS.add(root)
        try:
            yield root
        finally:
            _ROOTS.discard(root)


def is_temporary(path: str) -> bool:
    """Returns whether a path is in a directory of :func:`temporary_directory`."""
    return any(path == root or path.startswith(root + os.sep) for root in _ROOTS)


def files_text(path: str) -> str:
    """Returns the last paragraph of an error, which says where a trial's files are.

    Args:
        path: Directory of the trial.

    Returns:
        "" if the directory is removed when the run has ended.
    """
    return "" if is_temporary(path) else f"\n\nIts files are in {path}"
