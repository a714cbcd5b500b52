"""Handles SIGTERM in a worker, and in processes that user code forks."""

from __future__ import annotations

import os
import signal
import threading

from localtune.error import TrialStopped


def unwind_on_sigterm() -> None:
    """Makes SIGTERM raise TrialStopped in this process; it ends forked children as usual.

    Children must not inherit a handler of Python. A child that is about to block in native code, as
    a process of a pool that waits for work, would note the signal and then wait for ever. A process
    that joins the child would wait, too.
    """
    signal.signal(signal.SIGTERM, _unwind)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=_hold_sigterm,
            after_in_parent=_release_sigterm,
            after_in_child=_die_of_sigterm,
        )


def _unwind(signum: int, frame: object) -> None:
    raise TrialStopped("The worker was told to end (SIGTERM).")


class _Mask(threading.local):
    """The signals that were blocked in this thread before a fork."""

    before: frozenset[int] = frozenset()


_mask = _Mask()


def _hold_sigterm() -> None:
    # The interpreter drops signals that arrive while a child is being made.
    _mask.before = frozenset(signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}))


def _release_sigterm() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _mask.before)


def _die_of_sigterm() -> None:
    if signal.getsignal(signal.SIGTERM) is _unwind:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _release_sigterm()
