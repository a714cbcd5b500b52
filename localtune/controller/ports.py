"""Ports: the interfaces through which the loop acts.

::

                          +--> Records    the experiment's database      (Recorder)
      ExperimentLoop -----+--> Notices    callbacks, output              (RunNotices)
                          +--> Files      directories and checkpoints    (storage.TrialFiles)
                          +--> Executor   workers                        (execution.Executor)

A simulated run puts other objects in these places.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from localtune.execution.executor import Executor
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial


class Records(Protocol):
    """The record of trials and their results."""

    def is_from_before(self, trial: Trial) -> bool:
        """Returns whether a trial was on record when this session began."""

    def persist(self, trial: Trial) -> None:
        """Marks the record of a trial to be written by the next :meth:`write`.

        Raises:
            UnpicklableConfigError: if the trial is new and its config cannot be sent to a worker.
        """

    def secure(self, trial: Trial) -> None:
        """Writes the first record of a trial now, if it waits to be written.

        Raises:
            StorageError: if the disk is full or gone.
        """

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        """Stores a result, to be written when it is due.

        Args:
            trial: The trial that reported the result.
            number: Number of the result in the trial's history, from 1.
            result: The result, nested.

        Raises:
            StorageError: if the disk is full or gone.
        """

    def cut(self, trial: Trial) -> None:
        """Cuts the history of a trial, and its statistics, back to its ``result_count``.

        Raises:
            StorageError: if the disk is full or gone.
        """

    def checkpoint_paths(self, trial: Trial) -> Iterable[str]:
        """Returns the paths of a trial's checkpoints that are on record."""

    def write(self, *, sync: bool = False) -> None:
        """Writes all that waits if a record of a trial does, else the results that are due.

        Args:
            sync: Whether a power failure must not undo it either.

        Raises:
            StorageError: if the disk is full or gone.
            CallbackError: if a callback cannot return its state.
        """

    def write_all(self) -> None:
        """Writes all that waits, at the end of the run. Raises as :meth:`write`."""

    def rescue_results(self) -> None:
        """Writes the results that wait, if possible, because the run breaks off."""

    def seconds_left(self) -> float | None:
        """Returns the seconds until :meth:`write` has work, None if nothing waits."""


class Notices(Protocol):
    """The callbacks and the output of a run."""

    def wants(self, hook: str) -> bool:
        """Returns whether a callback or the output implements a hook."""

    def waits_for(self, hook: str) -> bool:
        """Returns whether a trial must wait until a hook has been called."""

    def notify(self, hook: str, **arguments: Any) -> None:
        """Calls a hook.

        Args:
            hook: Name of the hook of :class:`~localtune.callback.Callback`.
            **arguments: Arguments of the hook: ``iteration``, ``trials``, mostly ``trial``.

        Raises:
            CallbackError: if a callback raises.
        """

    def log(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any]
    ) -> None:
        """Calls ``on_trial_result`` of the callbacks that may lag; :meth:`notify` does not.

        Args:
            iteration: As for the hook.
            trials: As for the hook.
            trial: As for the hook.
            result: As for the hook.

        Raises:
            CallbackError: if a callback raises.
        """

    def tick(self, trials: list[Trial]) -> None:
        """Tells that time may have passed. Called after each turn with all trials."""

    def warn(self, message: str) -> None:
        """Warns the user."""


class Files(Protocol):
    """The directories of trials; see :class:`localtune.storage.trial_files.TrialFiles`."""

    def make(self, trial: Trial, *, is_resumed: bool) -> None:
        """Makes the directory of a trial that starts for the first time.

        Args:
            trial: The trial. Its ``dirname`` may be another one afterwards.
            is_resumed: Whether an earlier session may have made the directory already.
        """

    def prepare(self, trial: Trial) -> None:
        """Prepares the directory of a trial that starts again."""

    def damage(self, tracked: TrackedCheckpoint) -> str:
        """Returns one clause about what is wrong with a checkpoint, "" if nothing is."""

    def remove_leftovers(self, trial: Trial, recorded: Iterable[str]) -> None:
        """Removes half-written files and unrecorded checkpoints from a trial's directory.

        Args:
            trial: A trial that no worker serves.
            recorded: Paths of the checkpoints that are on record, or are about to be.
        """

    def remove_checkpoint(self, path: str) -> None:
        """Removes a checkpoint that is on record no more."""

    def write_error(self, trial: Trial, time_s: float) -> None:
        """Adds the latest error of a trial to its ``error.txt``.

        Args:
            trial: The failed trial.
            time_s: Time of the failure, in seconds since the Unix epoch.
        """


@dataclass(frozen=True, slots=True)
class Ports:
    """All ports of one run."""

    records: Records
    notices: Notices
    files: Files
    executor: Executor
