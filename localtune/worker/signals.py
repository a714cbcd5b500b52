"""Resets the signal handlers that processes of a run inherit from the parent."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal
from typing import Any

# Python ignores these, so that a write to a closed pipe, or to a file that grows too large, raises
# an exception and does not end the process.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")


def reset_signals() -> None:
    """Sets the handlers of all signals to those of a fresh interpreter, and blocks none.

    A process inherits ignored and blocked signals. One that ignores SIGCHLD cannot find out how its
    children end, and one that blocks SIGTERM does not end when it should.
    """
    kept = {getattr(signal, name, None) for name in _IGNORED_BY_PYTHON}
    for signum in signal.valid_signals() - kept:
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def be_deaf() -> set[int]:
    """Blocks all signals that can be blocked.

    Returns:
        The signals that were blocked before.
    """
    return set(_signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals()))


class SignalShelter:
    """Keeps signals from a process that forks others, and lets the others hear them.

    A process that the user's modules have been imported in may have handlers of them, or ignore the
    end of its children. It needs to be told of that end, and must not be ended by a signal.
    """

    def __init__(self) -> None:
        self._of_children: Any = signal.SIG_DFL
        self._blocked: set[int] = set()

    def shut_out(self) -> None:
        """Blocks all signals, and restores the default for the end of children."""
        self._of_children = signal.getsignal(signal.SIGCHLD)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._blocked = be_deaf()

    def let_in(self) -> None:
        """Undoes :meth:`shut_out`, in a forked process."""
        if self._of_children not in (None, signal.SIG_DFL):
            signal.signal(signal.SIGCHLD, self._of_children)
        # `signal.pthread_sigmask` would make an enum of each signal, in each worker.
        _signal.pthread_sigmask(signal.SIG_SETMASK, self._blocked)
