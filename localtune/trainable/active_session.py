"""Connects the running function of a trial with the code that trains it.

user's function      Session                       FunctionDriver           caller of train()
report(metrics) ---> check, copy, --deliver(raw)-> (blocks until ...) ----> result
                     write checkpoint              ... the next train <---- train
                <--- return, or TrialStopped <---- or stop <--------------- stop
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol

from localtune.error import TrialStopped
from localtune.result import CHANNEL_VARIABLE, CHECKPOINT_DIR_NAME, SHOULD_CHECKPOINT, TIMESTAMP
from localtune.trainable.saving import persist_checkpoint
from localtune.trial.plain_data import clean_metrics
from localtune.utils.messages import warn

if TYPE_CHECKING:
    from types import TracebackType

    from localtune.checkpoint import Checkpoint
    from localtune.trainable.drivers import FunctionDriver
    from localtune.trial.trial_info import StorageContext, TrialInfo


class Session:
    """Serves the running function of one trial: it takes reports and gives facts.

    As a context manager it becomes the current session of the thread.

    Args:
        driver: Driver that takes the results.
        storage: Place for checkpoints.
        trial_info: Facts about the trial; None without a trial.
        checkpoint: State to continue from, or None.
        metric: Flat name of the metric that the run optimises; None if it has none.
    """

    def __init__(
        self,
        driver: FunctionDriver,
        storage: StorageContext,
        trial_info: TrialInfo | None,
        checkpoint: Checkpoint | None = None,
        metric: str | None = None,
    ) -> None:
        self.driver = driver
        self.storage = storage
        self.trial_info = trial_info
        self.metric = metric
        # The result of get_checkpoint(), and the checkpoint of the latest report.
        self.checkpoint = checkpoint
        self.reported_checkpoint = checkpoint
        # Whether the latest report did not have the checkpoint, which was stored after it.
        self.has_late_checkpoint = False
        # Whether it has written a checkpoint, or has begun to.
        self.has_stored = False
        self._outer: Session | None = None
        self._turn = threading.RLock()
        self._is_reporting = False
        self._is_stopped = False

    def store(self, checkpoint: Checkpoint) -> Checkpoint:
        """Copies a checkpoint into the trial's directory; returns the copy.

        The trial has it on record with the next report, or with the end of the function.
        """
        self.has_stored = True
        self.checkpoint = self.reported_checkpoint = persist_checkpoint(self.storage, checkpoint)
        self.has_late_checkpoint = True
        return self.checkpoint

    def check_stop(self) -> None:
        """Raises TrialStopped if the trial must end, although its function does not report."""
        self.driver.check_stop()

    def report(
        self,
        metrics: dict[str, Any],
        checkpoint: Checkpoint | None,
        *,
        is_stored: bool = False,
    ) -> None:
        """Passes on a result; returns when the function may continue.

        Args:
            metrics: Metrics of one iteration; not changed.
            checkpoint: State to keep, or None.
            is_stored: Whether ``checkpoint`` is what :meth:`store` returned.

        Raises:
            TrialStopped: if the trial ends here.
        """
        # Several threads of the user's function may report.
        with self._turn:
            if self._is_stopped:
                # A finally block reports again, but no process records its results.
                raise TrialStopped("The trial has ended, but user code continued.")
            if self._is_reporting:
                raise RuntimeError(
                    "report() was called in the middle of another report(), e.g. from a signal "
                    "handler. Set a flag there and report from the training loop."
                )
            self._is_reporting = True
            try:
                self.driver.deliver(self._make_result(metrics, checkpoint, is_stored))
            except TrialStopped:
                self._is_stopped = True
                raise
            finally:
                self._is_reporting = False

    def _make_result(
        self, metrics: dict[str, Any], checkpoint: Checkpoint | None, is_stored: bool
    ) -> dict[str, Any]:
        result = clean_metrics(metrics)
        if checkpoint is not None and not is_stored:
            checkpoint = self.store(checkpoint)
        self.has_late_checkpoint = False
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


class ActiveSession(Protocol):
    """Describes what the functions that users call need of a session."""

    @property
    def storage(self) -> StorageContext:
        """Directories of the trial."""

    @property
    def trial_info(self) -> TrialInfo | None:
        """Facts about the trial; None without one."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Checkpoint to continue from, or the latest one that was reported."""

    def report(self, metrics: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        """Passes on a result; returns when user code may continue.

        Args:
            metrics: Metrics of one iteration.
            checkpoint: State to keep, or None.
        """


def current_session() -> Session | None:
    """Returns the session of the function that the calling code belongs to.

    Returns:
        The session of the thread. For a thread that a user's function started, the only session
        that runs in this process. Otherwise None.
    """
    session: Session | None = getattr(_of_thread, "session", None)
    if session is not None or len(_running) != 1:
        return session
    # The main thread was not started by a function: it trains the one in another thread.
    return None if threading.current_thread() is threading.main_thread() else _running[0]


def session_or_warning(function_name: str, stacklevel: int = 3) -> ActiveSession | None:
    """Returns the session of a function, or of the program that this process runs, or warns.

    Args:
        function_name: Name of the public function.
        stacklevel: Number of the caller whose line the warning shows.

    Returns:
        The session. Without one, None; the first call for each function also warns.
    """
    session = current_session() or _program_session()
    if session is None and function_name not in _warned:
        _warned.add(function_name)
        warn(
            f"`{function_name}` has an effect only in a function that is run as a trial, in "
            "threads that it starts, and in a program that is run as a trial. (A Trainable class "
            "returns its metrics from step(), and has trial_id, trial_name and logdir.)",
            UserWarning,
            stacklevel=stacklevel,
        )
    return session


def _program_session() -> ActiveSession | None:
    if CHANNEL_VARIABLE not in os.environ:
        return None
    from localtune.trainable.command.program_session import program_session

    return program_session()
