"""Files that many trials append to, a bounded number of them open at once."""

from __future__ import annotations

import os
from collections import OrderedDict

# A process may have 1,024 open files on many systems; workers need some.
MAX_OPEN_FILES = 64


class TrialFiles:
    """Append-only files by trial. Each line is one write: a killed process leaves no half line.

    Args:
        name: Name of the file in each trial's directory.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._fds: OrderedDict[str, int] = OrderedDict()  # {trial id: descriptor}, oldest first

    def append(self, trial_id: str, trial_dir: str, text: str) -> None:
        """Writes ``text`` to the end of a trial's file, which is created if it is missing.

        Raises:
            OSError: if that fails; the file may have a part of the text then.
        """
        fd = self._fds.get(trial_id)
        if fd is None:
            fd = self.open(trial_id, trial_dir)
        else:
            self._fds.move_to_end(trial_id)
        data = text.encode("utf-8", errors="backslashreplace")
        while data:
            data = data[os.write(fd, data) :]

    def open(self, trial_id: str, trial_dir: str) -> int:
        """Opens a trial's file afresh: it may have been replaced since it was last open."""
        self.close(trial_id)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        fd = os.open(os.path.join(trial_dir, self._name), flags, 0o666)
        self._fds[trial_id] = fd
        if len(self._fds) > MAX_OPEN_FILES:
            _, oldest = self._fds.popitem(last=False)
            os.close(oldest)
        return fd

    def close(self, trial_id: str) -> None:
        """Closes a trial's file if it is open."""
        fd = self._fds.pop(trial_id, None)
        if fd is not None:
            os.close(fd)

    def close_all(self) -> None:
        """Closes all files."""
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
