"""The meaning of signals in the processes of a run, whatever the parent had made of them."""

from __future__ import annotations

import signal

# What the interpreter itself ignores, so that a write to a closed pipe or a file that grows too
# large is an error rather than the end.
_IGNORED_BY_PYTHON = ("SIGPIPE", "SIGXFSZ", "SIGXFZ")


def reset_signals() -> None:
    """Gives all signals of this process the meaning that they have in a fresh interpreter.

    A process inherits which signals are ignored and which are blocked: one that ignores SIGCHLD
    cannot learn how its children end, and one that blocks SIGTERM does not end when it is told to.
    """
    kept = {getattr(signal, name, None) for name in _IGNORED_BY_PYTHON}
    for signum in signal.valid_signals() - kept:
        if signal.getsignal(signum) is signal.SIG_IGN:
            signal.signal(signum, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_SETMASK, ())


def be_deaf() -> set[int]:
    """Lets no signal end this process but those that none can refuse.

    Returns:
        The signals that were blocked before.
    """
    return {int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())}
