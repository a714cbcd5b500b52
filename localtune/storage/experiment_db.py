"""Writes the state of an experiment into one SQLite database, ``experiment.db``.

``schema`` defines its tables. An event rewrites the rows of the trials that it changed, and adds or
removes the rows of new or removed checkpoints. So its cost grows with neither the trials nor the
checkpoints. A new run leaves the rows of earlier runs unchanged. While a trial runs, the rows of
its results are ahead of its own row. Paths are relative to the experiment's directory, so that it
can be moved.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from localtune.error import StorageError
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.history_rows import HistoryRows, Statement
from localtune.storage.reader import ExperimentReader
from localtune.storage.schema import PUT_META, PUT_RUN, unreadable
from localtune.storage.snapshot import forget_open, known_as_open
from localtune.storage.trial_files import TrialFiles
from localtune.storage.trial_record import (
    SET_VALUE,
    RecordWriter,
    dump,
    recorded_values,
    relative_path,
    value_of,
    without_config,
)
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial

# Largest number of results that wait for a transaction.
_PENDING_LIMIT = 256
# Longer pickles of the state are not compared with what was written last.
_SMALL_BYTES = 4096

_INSERT = (
    "INSERT INTO trials (trial_id, number, run, origin, dirname, status, value, progress) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_ORIGIN = "UPDATE trials SET origin = ? WHERE trial_id = ?"
_UPDATE = "UPDATE trials SET status = ?, value = ?, progress = ? WHERE trial_id = ?"
_UPDATE_DIRNAME = "UPDATE trials SET dirname = ? WHERE trial_id = ?"
_SET_GOAL = (
    "UPDATE runs SET metric = coalesce(?, metric), mode = coalesce(?, mode) WHERE number = ?"
)
_CLEAR_STATE = "DELETE FROM state WHERE run = ?"
_PUT_STATE = "INSERT OR REPLACE INTO state VALUES (?, ?, ?)"
_PUT_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)"
_DELETE_CHECKPOINT = "DELETE FROM checkpoints WHERE trial_id = ? AND number = ?"
_DELETE_CHECKPOINTS = "DELETE FROM checkpoints WHERE trial_id = ?"


class ExperimentDB(ExperimentReader):
    """Reads and writes the state of one experiment.

    Args:
        experiment_path: Directory of the experiment; must exist.

    Attributes:
        owes_sync: Whether a power failure may still undo the recorded end of a trial.

    Raises:
        StorageError: if the database cannot be opened, or was written by a newer version of
            localtune.
    """

    def __init__(self, experiment_path: str) -> None:
        self._history_rows = HistoryRows()
        self._records = RecordWriter(experiment_path)
        self._files = TrialFiles()
        self._pending: list[Statement] = []  # Results that wait for the next transaction.
        self._syncs = False  # Whether transactions wait for the disk.
        self.owes_sync = False
        # {(run, key): value that was written last}, without large ones and bytes.
        self._small_state: dict[tuple[int, str], bytes] = {}
        self._dirnames: dict[str, str] = {}  # {trial id: recorded one} of unfinished trials.
        self._revisions: dict[str, int] = {}  # {trial id: recorded revision}; 0 if missing.
        path = os.path.join(experiment_path, EXPERIMENT_DB_FILE)
        is_new = not os.path.lexists(path)
        with known_as_open(path):
            super().__init__(experiment_path, path, is_new=is_new)
            rows = self._select("SELECT trial_id FROM trials", ())
            self._known = {trial_id for (trial_id,) in rows}
            self._metric = self._recorded_metric()  # The one whose values are recorded.
        self._is_open = True

    # -- runs -----------------------------------------------------------------------------------

    def begin_run(self, started: float) -> None:
        """Starts a new run. Earlier records stay and do not belong to it.

        If the latest run has no trials, the new one gets its number.

        Args:
            started: Unix time.

        Raises:
            StorageError: if the disk is full or not available.
        """
        latest = self.runs()[-1]
        number = latest.number + 1 if latest.counts else latest.number
        row = (number, started, None, None)
        self._write([(PUT_RUN, row), (_CLEAR_STATE, (number,))], sync=False)
        self._run = number
        self._small_state = {}
        self._metric = None

    def select_run(self, number: int) -> None:
        super().select_run(number)
        self._metric = self._recorded_metric()

    def start_work(self, metric: str | None, mode: str | None) -> None:
        """Records that a process now works on the selected run.

        Args:
            metric: Flat name of the metric that the run optimises; None keeps the recorded one.
            mode: ``"min"`` or ``"max"``; None keeps the recorded one.

        Raises:
            StorageError: if the disk is full or not available.
        """
        current = (PUT_META, ("current_run", dump(self._run)))
        self._write([current, (_SET_GOAL, (metric, mode, self._run))], sync=False)
        if metric not in (None, self._metric):
            self._metric = metric
            self._renew_values()

    def _recorded_metric(self) -> str | None:
        ((metric,),) = self._select("SELECT metric FROM runs WHERE number = ?", (self._run,))
        recorded: str | None = metric
        return recorded

    def _renew_values(self) -> None:
        """Records the values of another metric than before."""
        try:
            values = recorded_values(self._connection, self._run)
        except Exception as error:  # A row has unexpected content.
            raise unreadable(self._path, error) from error
        self._write([(SET_VALUE, each) for each in values], sync=False)

    def _value_of(self, trial: Trial) -> float | None:
        return value_of(trial.stats_of(self._metric)) if self._metric is not None else None

    def close(self) -> None:
        """Closes the database."""
        super().close()
        if self._is_open:
            self._is_open = False
            forget_open(self._path)

    def put(self, key: str, value: Any) -> None:
        """Sets the value of a key in the state of the run.

        The death of the process does not undo it.

        Args:
            key: The key.
            value: The value.

        Raises:
            StorageError: if the disk is full or not available.
        """
        self.save((), {key: value})

    def save(
        self,
        trials: Collection[Trial],
        state: Mapping[str, Any] | None = None,
        *,
        ends_may_wait: bool = False,
    ) -> bool:
        """Writes records of trials, values of keys, and pending results in one transaction.

        The death of the process never undoes a transaction. A power failure does not undo a
        transaction with a new checkpoint or an ended trial, nor any transaction before that.

        Args:
            trials: New and recorded trials.
            state: {key: value} to set.
            ends_may_wait: Whether a power failure may undo the end of a trial until a later
                transaction waits for the disk.

        Returns:
            Whether the transaction has waited for the disk.

        Raises:
            StorageError: if the disk is full or not available; nothing is written then.
        """
        new: set[str] = set()
        revisions: dict[str, int] = {}
        checkpoints: dict[str, dict[int, TrackedCheckpoint]] = {}
        statements: list[Statement] = []
        for trial in trials:
            changing = (
                trial.status.value,
                self._value_of(trial),
                self._records.progress_of(trial),
            )
            if trial.trial_id in self._known or trial.trial_id in new:
                statements.append((_UPDATE, (*changing, trial.trial_id)))
                # The index of these names is changed only where it must be.
                if trial.dirname != self._dirnames.get(trial.trial_id):
                    statements.append((_UPDATE_DIRNAME, (trial.dirname, trial.trial_id)))
                if trial.revision != self._revisions.get(trial.trial_id, 0):
                    statements += self._history_rows.keep_config(trial)
                    statements.append(
                        (_UPDATE_ORIGIN, (self._records.origin_of(trial), trial.trial_id))
                    )
            else:
                number = len(self._known) + len(new)
                new.add(trial.trial_id)
                origin = self._records.origin_of(trial)
                fixed = (trial.trial_id, number, self._run, origin, trial.dirname)
                statements.append((_INSERT, fixed + changing))
            revisions[trial.trial_id] = trial.revision
            checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}
            statements += self._changes(trial.trial_id, checkpoints[trial.trial_id])
        put: dict[tuple[int, str], bytes] = {}
        for key, value in (state or {}).items():
            data = dump(value)
            if self._small_state.get((self._run, key)) != data:
                # Who gives bytes knows that they are new. There may be as many as trials.
                is_kept = len(data) <= _SMALL_BYTES and not isinstance(value, bytes)
                put[self._run, key] = data if is_kept else b""
                statements.append((_PUT_STATE, (self._run, key, data)))
        has_end = self.owes_sync or any(trial.is_finished() for trial in trials)
        sync = (has_end and not ends_may_wait) or any(
            statement is _PUT_CHECKPOINT for statement, _ in statements
        )
        if sync and not statements:
            statements.append((PUT_META, ("current_run", dump(self._run))))
        before, after = self._paths(checkpoints), _paths_of(checkpoints)
        for path in before - after:
            self._files.note_unrecorded(path)
        self._write([*self._pending, *statements], sync=sync)
        self.owes_sync = has_end and not sync
        for path in after - before:
            self._files.note_recorded(path)
        self._pending = []
        for place, data in put.items():
            self._small_state.pop(place, None)
            if data:
                self._small_state[place] = data
        self._known |= new
        for trial in trials:
            if trial.is_finished():
                self._dirnames.pop(trial.trial_id, None)
            else:
                self._dirnames[trial.trial_id] = trial.dirname
        self._revisions.update((key, value) for key, value in revisions.items() if value)
        for trial in trials:
            kept = checkpoints[trial.trial_id]
            if kept or not trial.is_finished():
                self._checkpoints[trial.trial_id] = kept
            else:
                self._checkpoints.pop(trial.trial_id, None)
            if trial.is_finished():
                self._history_rows.forget(trial)
        return sync

    def take_over(self, copy: ExperimentReader) -> None:
        """Uses the trials that were loaded from a copy of the same database.

        Args:
            copy: The copy. The database must not have been written since it was made.
        """
        self._checkpoints.update(copy._checkpoints)

    def knows(self, trial_id: str) -> bool:
        """Tells whether a trial is recorded."""
        return trial_id in self._known

    def checkpoint_paths(self, trial: Trial) -> set[str]:
        """Returns the paths of the recorded checkpoints of a trial."""
        return self._paths([trial.trial_id])

    def _paths(self, trial_ids: Iterable[str]) -> set[str]:
        return _paths_of({each: self._checkpoints.get(each, {}) for each in trial_ids})

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        """Adds a result to a trial's history. The next transaction writes it.

        Args:
            trial: The trial.
            number: Number of the result in the history, from 1.
            result: The result.

        Raises:
            StorageError: if the disk is full or not available.
        """
        self._pending += self._history_rows.put(trial, number, result)
        if len(self._pending) >= _PENDING_LIMIT:
            self.save(())

    def cut_results(self, trial: Trial, count: int) -> None:
        """Cuts a trial's history back. The next transaction writes the change.

        Args:
            trial: The trial.
            count: Number of results that stay.
        """
        self._pending += self._history_rows.cut(trial, count)

    def history(self, trial: Trial) -> Iterator[dict[str, Any]]:
        if self._pending:
            self.save(())
        return super().history(trial)

    def _changes(
        self, trial_id: str, checkpoints: dict[int, TrackedCheckpoint]
    ) -> Iterator[Statement]:
        """Yields the statements that replace the recorded checkpoints of a trial by others."""
        recorded = self._checkpoints.get(trial_id)
        if recorded is None:
            recorded = {}
            if trial_id in self._known:
                yield _DELETE_CHECKPOINTS, (trial_id,)
        for number in recorded.keys() - checkpoints.keys():
            yield _DELETE_CHECKPOINT, (trial_id, number)
        for number, tracked in checkpoints.items():
            if recorded.get(number) is not tracked:
                path = relative_path(tracked.checkpoint.path, self._experiment_path)
                metrics = dump(without_config(tracked.metrics))
                files = dump(tracked.files)
                record = (trial_id, number, path, tracked.result_count, metrics, files)
                yield _PUT_CHECKPOINT, record

    def _write(self, statements: Sequence[Statement], *, sync: bool) -> None:
        if not statements:
            return
        execute = self._connection.execute
        try:
            if sync is not self._syncs:
                execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
                self._syncs = sync
            execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                execute(statement, values)
            execute("COMMIT")
        except BaseException as error:  # After Ctrl-C here, the results still wait to be written.
            # SQLite may have rolled back already, and a broken disk may refuse even that.
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise StorageError(
                f"The state of the experiment cannot be written to {self._experiment_path!r}: "
                f"{error}. Free space there and resume the run."
            ) from error


def _paths_of(checkpoints: Mapping[str, Mapping[int, TrackedCheckpoint]]) -> set[str]:
    return {each.checkpoint.path for kept in checkpoints.values() for each in kept.values()}
