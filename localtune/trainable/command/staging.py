"""Staging: the directory in which a program keeps its state.

::

    stored checkpoint --copied--> {checkpoint_dir} <--written by the program
                                        |
                                        | a result with "checkpoint": true, or exit code 0
                                        v
                                  next stored checkpoint

A program that is killed while it writes leaves the stored checkpoint as it is: the next start
begins with a fresh copy of that.
"""

from __future__ import annotations

import os
import time
from typing import TypeAlias

from localtune.checkpoint import Checkpoint
from localtune.utils.copying import copy_tree
from localtune.utils.files import remove_tree

# (size, time of the last change, inode) of each file
_Stamps: TypeAlias = "dict[str, tuple[int, int, int]]"


class Staging:
    """The directory for the state of a program.

    Args:
        path: The directory; what an earlier start of the program has left is removed.
        start: Checkpoint that the program continues from; None starts from scratch.

    Attributes:
        path: As given.
        has_start: Whether the program continues from a checkpoint.
    """

    def __init__(self, path: str, start: Checkpoint | None) -> None:
        self.path = path
        self.has_start = start is not None
        remove_tree(path)
        os.mkdir(path)
        # The clock of a file server may be ahead of this machine's.
        self._clock_ahead_ns = max(os.stat(path).st_mtime_ns - time.time_ns(), 0)
        if start is not None:
            with start.as_directory() as source:
                copy_tree(source, path)
        self._stored = _stamps(path)

    @property
    def is_empty(self) -> bool:
        """Whether the program has no state."""
        return not _stamps(self.path)

    @property
    def is_stored(self) -> bool:
        """Whether the state is that of the stored checkpoint."""
        return _stamps(self.path) == self._stored

    def is_newer_than(self, time_ns: int) -> bool:
        """Tells whether the program has written to its state since a time.

        Args:
            time_ns: Nanoseconds since the Unix epoch.
        """
        time_ns += self._clock_ahead_ns
        return any(changed_ns > time_ns for _, changed_ns, _ in _stamps(self.path).values())

    def note_stored(self) -> None:
        """Notes that the present state is stored."""
        self._stored = _stamps(self.path)

    def remove(self) -> None:
        """Removes the directory."""
        remove_tree(self.path)


def _stamps(path: str) -> _Stamps:
    found: _Stamps = {}
    for directory, _, names in os.walk(path):
        for name in names:
            file = os.path.join(directory, name)
            try:
                status = os.stat(file)
            except OSError:
                continue  # Removed just now, or a link to nothing.
            found[file] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return found
