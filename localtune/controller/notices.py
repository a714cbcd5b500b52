"""RunNotices: tells the callbacks and the output of a run what happens."""

from __future__ import annotations

from typing import Protocol

from localtune.callback import CallbackError, CallbackList
from localtune.error import TuneError
from localtune.trial.task_error import run_error
from localtune.trial.trial import Trial


class Output(Protocol):
    """The part of a run's output that the loop calls."""

    def tick(self, trials: list[Trial]) -> None:
        """Time may have passed. Called after each turn with all trials."""

    def warn(self, message: str) -> None:
        """Tells the user something to look at."""


class RunNotices:
    """Tells what happens in a run.

    Args:
        callbacks: Each gets the hooks that it overrides.
        output: Shows the run.
    """

    def __init__(self, callbacks: CallbackList, output: Output) -> None:
        self.wants = callbacks.wants
        self.waits_for = callbacks.waits_for
        self.notify = callbacks.call
        self.log = callbacks.log
        self.tick = output.tick
        self.warn = output.warn


def error_of_callback(error: CallbackError) -> TuneError:
    """Returns the error that ends a run because a hook raised; it shows the hook's traceback."""
    import traceback

    cause = error.__cause__
    assert cause is not None
    text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    return run_error(cause, f"{error}\n\n{text}")
