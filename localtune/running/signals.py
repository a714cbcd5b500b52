"""Signals that end a run in good order."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator

from localtune.controller.loop import ExperimentLoop


@contextlib.contextmanager
def signals_handled(loop: ExperimentLoop) -> Iterator[list[int]]:
    """Lets signals end the run in good order; a second Ctrl-C ends it at once.

    SIGTERM and SIGHUP, unless the program handles them, let running trials write a checkpoint
    first; the second one does not wait for it. Only the main thread handles signals. Yields a list
    to which received signals are added.
    """
    disabled = os.environ.get("TUNE_DISABLE_SIGINT_HANDLER") == "1"
    end_signals: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield end_signals
        return
    asked = False

    def on_end(signum: int, frame: object) -> None:
        end_signals.append(signum)
        if len(end_signals) == 1:
            loop.end()
        else:
            loop.interrupt()

    def on_signal(signum: int, frame: object) -> None:
        nonlocal asked
        if asked and signum == signal.SIGINT:
            raise KeyboardInterrupt
        asked = True
        loop.interrupt()

    names = [] if disabled else ["SIGINT"]
    names += ["SIGUSR1"]
    before = {}
    for name in names:
        number = getattr(signal, name, None)
        # A shell starts its background jobs with Ctrl-C ignored.
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, on_signal)
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            before[number] = signal.signal(number, on_end)
    try:
        yield end_signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
