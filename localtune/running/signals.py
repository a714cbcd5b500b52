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
    """Signals end the run in good order; a second Ctrl-C at once. In the main thread only.

    SIGTERM and SIGHUP, unless the program has said what they do, let running trials write a
    checkpoint first, and the second one does not wait for that. Yields a list to which they are
    added.
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
        # A shell starts its background jobs with Ctrl-C ignored: it is meant for others.
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
