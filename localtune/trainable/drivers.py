"""Trains a function, which reports at any time, one iteration at a time.

advance() runs the user's function up to its next report and returns the reported metrics. The
driver decides where the function runs. ThreadDriver:

    caller of train()                     thread of the function
    advance --- first time: start ------> run_function -> user's function
            --- later: _GO -------------> deliver returns, the user's function continues
            <-- _Report ----------------- deliver: waits for _GO or _STOP
            <-- _End -------------------- the function returned or raised
    stop ------ _STOP ------------------> deliver raises TrialStopped, finally blocks run
            <-- join -------------------- thread ends
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import Any, Protocol

from localtune.error import LocaltuneInternalError, TrialStopped


class DrivenFunction(Protocol):
    """Describes the part of a function trainable that its driver needs."""

    @property
    def trial_id(self) -> str:
        """Id of the trial."""

    def run_function(self) -> dict[str, Any]:
        """Runs the user's function and returns the closing reply."""


class FunctionDriver(Protocol):
    """Runs the function of a function trainable from one report to the next."""

    def advance(self) -> dict[str, Any]:
        """Runs the function until it reports. Each ``step()`` calls this method.

        The first call, and the first one after :meth:`stop`, starts the function from its
        beginning.

        Returns:
            The reported metrics, or the closing reply after the function has returned.

        Raises:
            BaseException: any error of the function.
        """

    def deliver(self, result: dict[str, Any]) -> None:
        """Passes on a report. The function calls this method, which returns when it may continue.

        Args:
            result: Metrics of one iteration.

        Raises:
            TrialStopped: if the function must end.
        """

    def check_stop(self) -> None:
        """Raises TrialStopped if the function must end. The function calls this method."""

    def stop(self) -> None:
        """Ends the function if it is running; returns when its ``finally`` blocks have run.

        Raises:
            Exception: any error that the function raised while it ended.
        """


class ThreadDriver:
    """Runs the function in a separate thread, which runs only while ``advance`` waits.

    Args:
        trainable: Trainable whose ``run_function`` is run.
    """

    def __init__(self, trainable: DrivenFunction) -> None:
        self._trainable = trainable
        self._run: _Run | None = None

    def advance(self) -> dict[str, Any]:
        if self._run is None:
            self._run = _Run(self._trainable)
        return self._run.advance()

    def deliver(self, result: dict[str, Any]) -> None:
        if self._run is None:
            raise LocaltuneInternalError("A function reported although it is not running.")
        self._run.deliver(result)

    def check_stop(self) -> None:
        if self._run is not None:
            self._run.check_stop()

    def stop(self) -> None:
        if self._run is None:
            return
        try:
            self._run.stop()
        finally:
            self._run = None


class _Run:
    """Represents one run of a function from its beginning to its end."""

    def __init__(self, trainable: DrivenFunction) -> None:
        self._trainable = trainable
        self._may_continue: SimpleQueue[bool] = SimpleQueue()
        self._events: SimpleQueue[dict[str, Any] | _End] = SimpleQueue()
        # True between a command to the function and its next event, also after the wait was
        # interrupted, for example by Ctrl-C.
        self._is_awaited = False
        self._is_stopping = False
        self._end: _End | None = None
        self._thread = threading.Thread(
            target=self._main, name=f"localtune-{trainable.trial_id}", daemon=True
        )

    # For the caller of train().

    def advance(self) -> dict[str, Any]:
        if self._end is not None:
            raise RuntimeError("The function has ended. Call reset() or restore() to run it again.")
        if not self._is_awaited:
            self._is_awaited = True
            if self._thread.ident is None:
                self._thread.start()
            else:
                self._may_continue.put(True)
        event = self._events.get()
        self._is_awaited = False
        if not isinstance(event, _End):
            return event
        self._end = event
        self._thread.join()
        if event.error is not None:
            raise event.error
        return event.reply

    def stop(self) -> None:
        if self._end is not None or self._thread.ident is None:
            return
        self._is_stopping = True
        self._may_continue.put(False)
        self._thread.join()
        while not isinstance(event := self._events.get(), _End):
            continue
        self._end = event
        if event.error is not None:
            raise event.error

    # For the thread of the function.

    def check_stop(self) -> None:
        if self._is_stopping:
            raise TrialStopped("The trial must end.")

    def deliver(self, result: dict[str, Any]) -> None:
        self.check_stop()
        self._events.put(result)
        if not self._may_continue.get():
            raise TrialStopped("The trial must end.")

    def _main(self) -> None:
        end = _End()
        try:
            end.reply = self._trainable.run_function()
        except BaseException as error:
            if not (self._is_stopping and isinstance(error, TrialStopped)):
                end.error = error
        self._events.put(end)


class _End:
    """Holds the reply or the error with which the function ended."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = {}
        self.error: BaseException | None = None
