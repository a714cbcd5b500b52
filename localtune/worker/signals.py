"""Resets the signal handlers that processes of a run inherit from the parent."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import signal

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


def hear(blocked: set[int]) -> None:
    """Undoes :func:`be_deaf`.

    Args:
        blocked: What that returned.
    """
    # `signal.pthread_sigmask` would make an enum of each signal, in each worker.
    _signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
