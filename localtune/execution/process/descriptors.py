"""Descriptors: how many workers a process can serve, and the limit on open files that it takes.

::

      open files now | kept free for everything else | so many for each worker
      -----------------------------------------------------------------------> soft limit --> hard

The soft limit is raised when the workers need it, up to the hard limit, which bounds the number of
workers. The limit is reset when the last run has ended. Workers start with the user's limit.
"""

from __future__ import annotations

import threading

from localtune.utils import open_files
from localtune.utils.open_files import PER_WORKER

# The ends of pipes of workers that start, the database, templates, files of callbacks and of the
# rest of the program.
_RESERVE = 64


class _RaisedLimit:
    """The soft limit of this process, which several runs may raise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holders: set[Descriptors] = set()
        self._before: int | None = None  # None: it is not raised
        self._raised_to = 0

    def raise_to(self, holder: Descriptors, count: int) -> None:
        with self._lock:
            limits = open_files.limits()
            if limits is None or count <= (self._before or limits[0]):
                return
            self._holders.add(holder)
            wanted = min(max(count, 2 * limits[0]), limits[1])
            if count > limits[0] and wanted > limits[0] and open_files.set_soft_limit(wanted):
                self._before = limits[0] if self._before is None else self._before
                self._raised_to = wanted

    def give_back(self, holder: Descriptors) -> None:
        with self._lock:
            self._holders.discard(holder)
            if self._holders or self._before is None:
                return
            limits = open_files.limits()
            # Other code may have set it meanwhile.
            if limits is not None and limits[0] == self._raised_to:
                open_files.set_soft_limit(self._before)
            self._before = None

    def before(self) -> int | None:
        """Returns the user's soft limit; None on platforms without one."""
        with self._lock:
            limits = open_files.limits()
            if self._before is not None:
                return self._before
            return None if limits is None else limits[0]


_raised = _RaisedLimit()


def users_limit() -> int | None:
    """Returns the soft limit of this process before a run raised it. Workers get it."""
    return _raised.before()


class Descriptors:
    """The descriptors of the process that one run takes."""

    def __init__(self) -> None:
        self._open_before = open_files.open_count()

    def most_workers(self) -> tuple[int | None, str]:
        """Returns the most workers at one time (None is no limit), and the reason for the limit."""
        limits = open_files.limits()
        if limits is None:
            return None, ""
        count = max((limits[1] - self._open_before - _RESERVE) // PER_WORKER, 1)
        why = (
            f"this process may have no more than {limits[1]} files open, of which it had "
            f"{self._open_before} open before and keeps {_RESERVE} for everything else; each trial "
            f"that runs takes {PER_WORKER}, and one runs in any case. Raise the hard limit "
            "(ulimit -Hn, LimitNOFILE of systemd, --ulimit nofile of containers)"
        )
        return count, why

    def make_room(self, workers: int) -> None:
        """Raises the soft limit if so many workers need that."""
        _raised.raise_to(self, self._open_before + _RESERVE + workers * PER_WORKER)

    def close(self) -> None:
        """Puts the soft limit back, unless another run needs it still."""
        _raised.give_back(self)
