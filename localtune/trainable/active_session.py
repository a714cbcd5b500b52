"""Which function is running, and what reporting from it means.

user's function      Session                       FunctionDriver           whoever trains
report(metrics) ---> check, copy, --deliver(raw)-> (blocks until ...) ----> result
                     write checkpoint              ... the next train <---- train
                <--- return, or TrialStopped <---- or stop <--------------- stop
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any

from localtune.error import TrialStopped
from localtune.result import CHECKPOINT_DIR_NAME, SHOULD_CHECKPOINT, TIMESTAMP
from localtune.trainable.saving import persist_checkpoint
from localtune.trial.plain_data import clean_metrics
from localtune.utils.messages import warn

if TYPE_CHECKING:
    from types import TracebackType

    from localtune.checkpoint import Checkpoint
    from localtune.trainable.drivers import FunctionDriver
    from localtune.trial.trial_info import StorageContext, TrialInfo


class Session:
    """What the running function of one trial may ask for and report.

    As a context manager it makes itself the current session of the thread.

    Args:
        driver: Takes the results.
        storage: Where checkpoints go.
        trial_info: The trial, or None if there is none.
        checkpoint: State to go on from, or None.
    """

    def __init__(
        self,
        driver: FunctionDriver,
        storage: StorageContext,
        trial_info: TrialInfo | None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.driver = driver
        self.storage = storage
        self.trial_info = trial_info
        # What get_checkpoint() returns, and what the latest report came with.
        self.checkpoint = checkpoint
        self.reported_checkpoint = checkpoint
        self._outer: Session | None = None
        self._turn = threading.RLock()
        self._is_reporting = False
        self._is_stopped = False

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Hand over a result; returns when the function is to go on.

        Args:
            metrics: Metrics of one iteration; left as they are.
            checkpoint: State to keep, or None.

        Raises:
            TrialStopped: The trial ends here.
        """
        # Threads of the user's function take turns.
        with self._turn:
            if self._is_stopped:
                # A finally block reports once more: nobody would take note of a checkpoint.
                raise TrialStopped("The trial has ended, and user code went on.")
            if self._is_reporting:
                raise RuntimeError(
                    "report() was called in the middle of another report(), e.g. from a signal "
                    "handler. Set a flag there and report from the training loop."
                )
            self._is_reporting = True
            try:
                self.driver.deliver(self._make_result(metrics, checkpoint))
            except TrialStopped:
                self._is_stopped = True
                raise
            finally:
                self._is_reporting = False

    def _make_result(
        self, metrics: dict[str, Any], checkpoint: Checkpoint | None
    ) -> dict[str, Any]:
        result = clean_metrics(metrics)
        if checkpoint is not None:
            checkpoint = persist_checkpoint(self.storage, checkpoint)
            self.checkpoint = checkpoint
        self.reported_checkpoint = checkpoint
        result[TIMESTAMP] = int(time.time())
        result[CHECKPOINT_DIR_NAME] = os.path.basename(checkpoint.path) if checkpoint else None
        result[SHOULD_CHECKPOINT] = checkpoint is not None
        return result

    def __enter__(self) -> Session:
        self._outer = getattr(_of_thread, "session", None)
        _of_thread.session = self
        _running.append(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        _running.remove(self)
        _of_thread.session = self._outer


_of_thread = threading.local()
_running: list[Session] = []
_warned: set[str] = set()


def current_session() -> Session | None:
    """Find the session that the calling code belongs to.

    Returns:
        The session of the thread; else, for threads that a function started, the only one that
        is running in this process; else None.
    """
    session: Session | None = getattr(_of_thread, "session", None)
    if session is not None or len(_running) != 1:
        return session
    # No function has started the main thread: it trains the one that runs in another thread.
    return None if threading.current_thread() is threading.main_thread() else _running[0]


def session_or_warning(function_name: str) -> Session | None:
    """Find the current session for a public function.

    Args:
        function_name: Name of the public function.

    Returns:
        The session; None, and a warning the first time for each function, outside of one.
    """
    session = current_session()
    if session is None and function_name not in _warned:
        _warned.add(function_name)
        warn(
            f"`{function_name}` has an effect only in a function that is run as a trial, and in "
            "threads that it starts. (A Trainable class returns its metrics from step(), and "
            "has trial_id, trial_name and logdir.)",
            UserWarning,
            stacklevel=3,
        )
    return session
