"""How a function, which reports when it likes, is trained one iteration at a time.

A function trainable is stepped from outside: advance() runs the user's function up to its next
report and returns what it reported. Where the function runs is up to the driver. ThreadDriver:

    caller of train()                     thread of the function
    advance --- first time: start ------> run_function -> user's function
            --- later: _GO -------------> deliver returns, the user's function goes on
            <-- _Report ----------------- deliver: waits for _GO or _STOP
            <-- _End -------------------- the function returned or raised
    stop ------ _STOP ------------------> deliver raises TrialStopped, finally blocks run
            <-- join -------------------- thread ends
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from localtune.error import LocaltuneInternalError, TrialStopped

if TYPE_CHECKING:
    from localtune.trainable.function_trainable import FunctionTrainable


class FunctionDriver(Protocol):
    """Runs the function of a function trainable, from one report to the next."""

    def advance(self) -> dict[str, Any]:
        """Run the function until it reports; called by each ``step()``.

        The first call, and the first one after :meth:`stop`, starts the function from its top.

        Returns:
            What the function reported, or the closing reply once it returned.

        Raises:
            BaseException: What the function raised.
        """

    def deliver(self, result: dict[str, Any]) -> None:
        """Hand over a report; called by the function, returns when it is to go on.

        Args:
            result: Metrics of one iteration.

        Raises:
            TrialStopped: The function is to end.
        """

    def stop(self) -> None:
        """End the function, if it is running; returns when its ``finally`` blocks have run.

        Raises:
            Exception: What the function raised while it ended.
        """


class ThreadDriver:
    """Runs the function in a thread of its own, which runs only while ``advance`` waits.

    Args:
        trainable: Its ``run_function`` is run.
    """

    def __init__(self, trainable: FunctionTrainable) -> None:
        self._trainable = trainable
        self._run: _Run | None = None

    def advance(self) -> dict[str, Any]:
        if self._run is None:
            self._run = _Run(self._trainable)
        return self._run.advance()

    def deliver(self, result: dict[str, Any]) -> None:
        if self._run is None:
            raise LocaltuneInternalError("A function that does not run has reported.")
        self._run.deliver(result)

    def stop(self) -> None:
        if self._run is None:
            return
        try:
            self._run.stop()
        finally:
            self._run = None


class _Run:
    """One run of a function, from its top to its end."""

    def __init__(self, trainable: FunctionTrainable) -> None:
        self._trainable = trainable
        self._may_go_on: SimpleQueue[bool] = SimpleQueue()
        self._events: SimpleQueue[dict[str, Any] | _End] = SimpleQueue()
        # Set between a command to the function and its next event; it stays set where waiting
        # was interrupted, e.g. by Ctrl-C.
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
                self._may_go_on.put(True)
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
        self._may_go_on.put(False)
        self._thread.join()
        while not isinstance(event := self._events.get(), _End):
            continue
        self._end = event
        if event.error is not None:
            raise event.error

    # For the thread of the function.

    def deliver(self, result: dict[str, Any]) -> None:
        if self._is_stopping:
            raise TrialStopped("The trial is to end.")
        self._events.put(result)
        if not self._may_go_on.get():
            raise TrialStopped("The trial is to end.")

    def _main(self) -> None:
        end = _End()
        try:
            end.reply = self._trainable.run_function()
        except BaseException as error:
            if not (self._is_stopping and isinstance(error, TrialStopped)):
                end.error = error
        self._events.put(end)


class _End:
    """The function has returned or raised."""

    def __init__(self) -> None:
        self.reply: dict[str, Any] = {}
        self.error: BaseException | None = None
