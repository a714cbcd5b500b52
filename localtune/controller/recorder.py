"""Recorder: writes what happens in a run into the experiment's database, in few transactions.

::

      Persist --> with all that belongs to the same event, at once
      Record  --> with the next of these; else INTERVAL_S after the transaction before

Another process can read a result within a second of its report, and a trial that reports a
thousand times a second costs no thousand transactions.

A transaction with a new checkpoint waits for the disk. So does one with the end of a trial, unless
that has just been done: then a transaction soon after it waits for the disk, for all ends since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from localtune.clock import Clock
from localtune.controller.kept_state import KeptState
from localtune.error import StorageError
from localtune.result import CONFIG_PREFIX
from localtune.storage.experiment_db import ExperimentDB
from localtune.trial.metric_analysis import metric_stats_of
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger
from localtune.worker.assignment import pickled_config

logger = get_logger(__name__)

# Results wait so long for a transaction, counted from the one before.
INTERVAL_S = 0.5
# Between two waits for the disk because of ended trials. Where a wait is long, the next one is
# later, so that waiting takes this share of the time, but not later than the last limit.
SYNC_INTERVAL_S = 0.1
_SYNC_SHARE = 0.1
_MOST_SYNC_INTERVAL_S = 1.0


class Recorder:
    """Groups what is to be written.

    Args:
        db: What is written to.
        kept: State of what decides; written together with the trials.
        trials: The trials that the session begins with. Those among them that an earlier session
            wrote are on record already.
        clock: For the time that results wait.
        results_may_wait: Whether the run can come back while trials compute: if it cannot,
            results are written at once.
        real_time: Whether the clock moves by itself. Without it, results wait for the next record
            of a trial, however long that takes.
    """

    def __init__(
        self,
        db: ExperimentDB,
        kept: KeptState,
        clock: Clock,
        trials: Iterable[Trial] = (),
        *,
        results_may_wait: bool = True,
        real_time: bool = True,
    ) -> None:
        self._db = db
        self._kept = kept
        self._clock = clock
        self._has_deadline = real_time
        self._interval_s = INTERVAL_S if results_may_wait else 0.0
        self._from_before = {each.trial_id for each in trials if db.knows(each.trial_id)}
        self._unsaved: dict[str, Trial] = {}
        self._has_results = False
        self._next_writing = self._next_sync = clock.monotonic()
        self._ends_may_wait = results_may_wait and real_time

    def is_from_before(self, trial: Trial) -> bool:
        """Returns whether a trial was on record when this session began."""
        return trial.trial_id in self._from_before

    def persist(self, trial: Trial) -> None:
        """Has the record of a trial written by the next :meth:`write`.

        Raises:
            UnpicklableConfigError: if the trial is new and its config cannot be sent to a worker.
        """
        if not (trial.trial_id in self._unsaved or self._db.knows(trial.trial_id)):
            pickled_config(trial)
        self._unsaved[trial.trial_id] = trial

    def secure(self, trial: Trial) -> None:
        """Writes the first record of a trial now, if it waits to be written.

        Raises:
            StorageError: if the disk is full or gone.
            CallbackError: if a callback cannot tell its state.
        """
        if trial.trial_id in self._unsaved and not self._db.knows(trial.trial_id):
            self.write()

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        """Has a result written when it is due.

        Args:
            trial: The trial that reported the result.
            number: Number of the result in the trial's history, from 1.
            result: The result, nested.

        Raises:
            StorageError: if the disk is full or gone.
        """
        self._db.add_result(trial, number, result)
        self._has_results = True

    def cut(self, trial: Trial) -> None:
        """Cuts the history of a trial, and its statistics, back to its ``result_count``.

        Raises:
            StorageError: if the disk is full or gone.
        """
        self._db.cut_results(trial, trial.result_count)
        self._db.save(())
        config = {CONFIG_PREFIX: trial.config}
        trial.metric_stats = metric_stats_of(
            flatten_dict({**result, **config}) for result in self._db.results(trial.trial_id)
        )

    def checkpoint_paths(self, trial: Trial) -> set[str]:
        """Returns the paths of a trial's checkpoints that are on record."""
        return self._db.checkpoint_paths(trial)

    def seconds_left(self) -> float | None:
        """Time until results must be written, or ends be on the disk; None without any."""
        times = []
        if self._has_results and self._has_deadline:
            times.append(self._next_writing)
        if self._db.owes_sync:
            times.append(self._next_sync)
        return max(min(times) - self._clock.monotonic(), 0.0) if times else None

    def write(self, *, sync: bool = False) -> None:
        """Writes all that waits if a record of a trial does, else the results that are due.

        Args:
            sync: Whether all ends of trials must be on the disk afterwards.

        Raises:
            StorageError: if the disk is full or gone.
            CallbackError: if a callback cannot return its state.
        """
        if self._unsaved:
            trials = list(self._unsaved.values())
            changed = any(
                trial.is_finished() or not self._db.knows(trial.trial_id) for trial in trials
            )
            self._save(trials, self._kept.due(trials_changed=changed), sync=sync)
            # Only now, because the record is incomplete if the writing fails.
            self._unsaved = {}
            self._note_writing()
        elif self._db.owes_sync and (sync or self._clock.monotonic() >= self._next_sync):
            self._save((), {}, sync=True)
            self._note_writing()
        elif (
            self._has_results
            and self._has_deadline
            and self._clock.monotonic() >= self._next_writing
        ):
            # A failed writing is not repeated in each turn.
            self._next_writing = self._clock.monotonic() + self._interval_s
            self._db.save(())
            self._note_writing()

    def _save(self, trials: Collection[Trial], state: dict[str, Any], *, sync: bool) -> None:
        started = self._clock.monotonic()
        may_wait = self._ends_may_wait and not sync and started < self._next_sync
        if self._db.save(trials, state, ends_may_wait=may_wait):
            ended = self._clock.monotonic()
            pause_s = (ended - started) / _SYNC_SHARE
            self._next_sync = ended + min(max(pause_s, SYNC_INTERVAL_S), _MOST_SYNC_INTERVAL_S)

    def write_all(self) -> None:
        """Writes what may have waited, because the run is over.

        Raises:
            StorageError: if the disk is full or gone.
            CallbackError: if a callback cannot tell its state.
        """
        trials = list(self._unsaved.values())
        self._db.save(trials, self._kept.due(trials_changed=True, force=True))
        self._unsaved = {}
        self._note_writing()

    def rescue_results(self) -> None:
        """Writes the results that wait, if it can be done: the run ends in the midst of things."""
        if self._has_results or self._db.owes_sync:
            try:
                self._db.save(())
            except StorageError as error:
                logger.warning("The last results are in the trials' files only: %s", error)

    def _note_writing(self) -> None:
        self._has_results = False
        self._next_writing = self._clock.monotonic() + self._interval_s
