"""Stores the state of an experiment in one SQLite database, ``experiment.db``.

``schema`` defines its tables. An event rewrites the rows of the trials that it changed, and adds or
removes the rows of new or removed checkpoints. So its cost grows with neither the trials nor the
checkpoints. A new run leaves the rows of earlier runs unchanged, and readers load the latest run by
default. While a trial runs, the rows of its results are ahead of its own row; loading the trial
adds them. Paths are relative to the experiment's directory, so that it can be moved.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.error import StorageError, UsageError
from localtune.result import CONFIG_PREFIX, EXPERIMENT_DB_FILE
from localtune.storage.history_rows import (
    SELECT_CONFIGS,
    SELECT_RESULTS,
    HistoryRows,
    Statement,
    joined,
)
from localtune.storage.schema import PUT_META, PUT_RUN, damaged, prepare
from localtune.storage.snapshot import forget_open, known_as_open
from localtune.storage.trial_files import TrialFiles
from localtune.storage.trial_record import (
    absolute_path,
    dump,
    origin_of,
    progress_of,
    relative_path,
    take_result,
    trial_of,
    without_config,
)
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial

# Largest number of results that wait for a transaction.
_PENDING_LIMIT = 256

# The files that SQLite may open or make for the database.
DATABASE_FILES = tuple(f"{EXPERIMENT_DB_FILE}{end}" for end in ("", "-wal", "-shm", "-journal"))

_SELECT = "SELECT status, origin, progress FROM trials"
_INSERT = (
    "INSERT INTO trials (trial_id, number, run, origin, status, dirname, progress) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_ORIGIN = "UPDATE trials SET origin = ? WHERE trial_id = ?"
_UPDATE = "UPDATE trials SET status = ?, dirname = ?, progress = ? WHERE trial_id = ?"
_SET_GOAL = (
    "UPDATE runs SET metric = coalesce(?, metric), mode = coalesce(?, mode) WHERE number = ?"
)
_CLEAR_STATE = "DELETE FROM state WHERE run = ?"
_PUT_STATE = "INSERT OR REPLACE INTO state VALUES (?, ?, ?)"
_SELECT_CHECKPOINTS = (
    "SELECT number, path, result_count, metrics, files FROM checkpoints "
    "WHERE trial_id = ? ORDER BY number"
)
_PUT_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)"
_DELETE_CHECKPOINT = "DELETE FROM checkpoints WHERE trial_id = ? AND number = ?"
_DELETE_CHECKPOINTS = "DELETE FROM checkpoints WHERE trial_id = ?"


@dataclass(frozen=True)
class RunRecord:
    """Holds the record of one run of an experiment, without its trials.

    Attributes:
        number: Number of the run in the experiment, from 1.
        started: Unix time of its start; None if unknown.
        metric: Flat name of the metric that it optimises; None if unknown.
        mode: ``"min"`` or ``"max"``; None if unknown.
        counts: {status: number of trials with it}, without zeros.
    """

    number: int
    started: float | None = None
    metric: str | None = None
    mode: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def trial_count(self) -> int:
        """Number of its trials."""
        return sum(self.counts.values())


class ExperimentDB:
    """Reads and writes the state of one experiment.

    Args:
        experiment_path: Directory of the experiment; must exist.
        database_path: Path of the database, if it is outside of that directory.

    Raises:
        StorageError: if the database cannot be opened, or was written by a newer version of
            localtune.
    """

    def __init__(self, experiment_path: str, database_path: str | None = None) -> None:
        self._experiment_path = experiment_path
        self._path = os.path.join(experiment_path, EXPERIMENT_DB_FILE)  # For errors.
        self._history_rows = HistoryRows()
        self._files = TrialFiles()
        self._pending: list[Statement] = []  # Results that wait for the next transaction.
        self._syncs = False  # Whether transactions wait for the disk.
        self._revisions: dict[str, int] = {}  # {trial id: recorded revision}; 0 if missing.
        # {trial id: {number: recorded checkpoint}} of trials that were saved or loaded here.
        self._checkpoints: dict[str, dict[int, TrackedCheckpoint]] = {}
        self._is_original = database_path is None
        is_new = not os.path.lexists(self._path)
        with known_as_open(self._path) if self._is_original else contextlib.nullcontext():
            try:
                self._connection = sqlite3.connect(
                    database_path or self._path,
                    isolation_level=None,
                    check_same_thread=False,
                    timeout=30.0,
                )
            except sqlite3.Error as error:
                raise self.damaged(error) from error
            try:
                self._open(is_new=is_new)
            except BaseException as error:
                self._connection.close()
                if isinstance(error, sqlite3.Error):
                    raise self.damaged(error) from error
                raise

    def _open(self, *, is_new: bool) -> None:
        execute = self._connection.execute
        # On a file system without shared memory, SQLite keeps its older journal mode.
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        self._run, self._numbers = prepare(self._connection, self._path, is_new=is_new)

    def _meta(self, key: str, kind: type) -> Any:
        rows = self._select("SELECT value FROM meta WHERE key = ?", (key,))
        return self._unpickled(rows[0][0], kind) if rows else None

    # -- runs -----------------------------------------------------------------------------------

    @property
    def run(self) -> int:
        """Number of the run that is read and written, from 1. By default the latest."""
        return self._run

    def runs(self) -> list[RunRecord]:
        """Returns all runs, the latest last. There is always one, which may have no trials yet.

        Raises:
            StorageError: if the database is damaged.
        """
        counts: dict[int, dict[str, int]] = {}
        statement = "SELECT run, status, count(*) FROM trials GROUP BY run, status"
        for number, status, count in self._select(statement, ()):
            counts.setdefault(number, {})[status] = count
        rows = self._select("SELECT number, started, metric, mode FROM runs ORDER BY number", ())
        for number, _, metric, mode in rows:
            if not isinstance(metric, (str, NoneType)) or mode not in ("min", "max", None):
                raise self.damaged(f"the run {number} has the metric {metric!r}, mode {mode!r}")
        return [
            RunRecord(number, started, metric, mode, counts.get(number, {}))
            for number, started, metric, mode in rows
        ]

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

    def select_run(self, number: int) -> None:
        """Selects another run than the latest for reading and writing.

        Raises:
            UsageError: if the run does not exist.
        """
        runs = self.runs()
        if all(number != each.number for each in runs):
            have = "only the run 1" if len(runs) == 1 else f"the runs 1 to {runs[-1].number}"
            raise UsageError(
                f"The experiment {self._experiment_path!r} has no run {number!r}: it has {have}."
            )
        self._run = number

    @property
    def current_run(self) -> int:
        """Number of the run that a process worked on last."""
        number: int | None = self._meta("current_run", int)
        return self._run if number is None else number

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

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()
        if self._is_original:
            self._is_original = False
            forget_open(self._path)

    def get(self, key: str, kind: type = object) -> Any:
        """Returns the value of a key in the state of the run; None if it was never set.

        Args:
            key: The key.
            kind: Expected type of the value. None is always accepted.

        Raises:
            StorageError: if the database is damaged, for example if the value has another type.
        """
        statement = "SELECT value FROM state WHERE run = ? AND key = ?"
        rows = self._select(statement, (self._run, key))
        return self._unpickled(rows[0][0], (kind, NoneType)) if rows else None

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

    def save(self, trials: Collection[Trial], state: Mapping[str, Any] | None = None) -> None:
        """Writes records of trials, values of keys, and pending results in one transaction.

        The death of the process never undoes a transaction. A power failure does not undo a
        transaction with a new checkpoint or an ended trial, nor any transaction before that.

        Args:
            trials: New and recorded trials.
            state: {key: value} to set.

        Raises:
            StorageError: if the disk is full or not available; nothing is written then.
        """
        new: dict[str, int] = {}
        revisions: dict[str, int] = {}
        checkpoints: dict[str, dict[int, TrackedCheckpoint]] = {}
        statements: list[Statement] = []
        for trial in trials:
            changing = (
                trial.status.value,
                trial.dirname,
                progress_of(trial, self._experiment_path),
            )
            if trial.trial_id in self._numbers or trial.trial_id in new:
                statements.append((_UPDATE, (*changing, trial.trial_id)))
                if trial.revision != self._revisions.get(trial.trial_id, 0):
                    statements += self._history_rows.keep_config(trial)
                    statements.append((_UPDATE_ORIGIN, (origin_of(trial), trial.trial_id)))
            else:
                number = new[trial.trial_id] = len(self._numbers) + len(new)
                fixed = (trial.trial_id, number, self._run, origin_of(trial))
                statements.append((_INSERT, fixed + changing))
            revisions[trial.trial_id] = trial.revision
            checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}
            statements += self._changes(trial.trial_id, checkpoints[trial.trial_id])
        for key, value in (state or {}).items():
            statements.append((_PUT_STATE, (self._run, key, dump(value))))
        is_landmark = any(each[0] is _PUT_CHECKPOINT for each in statements) or any(
            trial.is_finished() for trial in trials
        )
        before, after = self._paths(checkpoints), _paths_of(checkpoints)
        for path in before - after:
            self._files.note_unrecorded(path)
        self._write([*self._pending, *statements], sync=is_landmark)
        for path in after - before:
            self._files.note_recorded(path)
        self._pending = []
        self._numbers.update(new)
        self._revisions.update((key, value) for key, value in revisions.items() if value)
        self._checkpoints.update(checkpoints)

    def take_over(self, copy: ExperimentDB) -> None:
        """Uses the trials that were loaded from a copy of the same database.

        Args:
            copy: The copy. The database must not have been written since it was made.
        """
        self._checkpoints.update(copy._checkpoints)

    def knows(self, trial_id: str) -> bool:
        """Tells whether a trial is recorded."""
        return trial_id in self._numbers

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

    def results(self, trial_id: str) -> Iterator[dict[str, Any]]:
        """Yields the history of a trial, oldest first, without its config."""
        for _, blob in self._select(SELECT_RESULTS, (trial_id, 0)):
            yield self._unpickled(blob, dict)

    def history(self, trial: Trial) -> Iterator[dict[str, Any]]:
        """Returns the results of a trial, oldest first, with their configs, as callbacks got them.

        Raises:
            StorageError: if the database is damaged, or the disk is full or not available.
        """
        if self._pending:
            self.save(())
        results = self._select(SELECT_RESULTS, (trial.trial_id, 0))
        configs = self._select(SELECT_CONFIGS, (trial.trial_id,))
        # The config of `trial` may have changed since the last transaction.
        rows = self._select("SELECT origin FROM trials WHERE trial_id = ?", (trial.trial_id,))
        config = self._dict(rows[0][0])[CONFIG_PREFIX] if rows else trial.config
        return joined(results, configs, config, self._dict)

    def _changes(
        self, trial_id: str, checkpoints: dict[int, TrackedCheckpoint]
    ) -> Iterator[Statement]:
        """Yields the statements that replace the recorded checkpoints of a trial by others."""
        recorded = self._checkpoints.get(trial_id)
        if recorded is None:
            recorded = {}
            if trial_id in self._numbers:
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

    def load(self) -> list[Trial]:
        """Returns the trials of the run in the order of their creation.

        Raises:
            StorageError: if the database is damaged, or contains objects of a module that is
                missing here.
        """
        rows = self._select(f"{_SELECT} WHERE run = ? ORDER BY number", (self._run,))
        return [self._trial(row) for row in rows]

    def load_by_dirname(self, dirname: str) -> Trial | None:
        """Returns the trial of any run that has a directory; None if there is none.

        Raises:
            StorageError: as :meth:`load`.
        """
        rows = self._select(f"{_SELECT} WHERE dirname = ?", (dirname,))
        return self._trial(rows[0]) if rows else None

    def _select(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self.damaged(error) from error

    def damaged(self, reason: object) -> StorageError:
        """Returns the error for a database that cannot be used."""
        return damaged(self._path, reason)

    def _dict(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = self._unpickled(data, dict)
        return found

    def _unpickled(self, data: bytes, kinds: type | tuple[type, ...] = object) -> Any:
        try:
            found = pickle.loads(data)
        except ImportError as error:
            raise StorageError(
                f"The database {self._path!r} contains an object of a module that is missing here: "
                f"{error}. Make the module importable."
            ) from error
        except Exception as error:
            raise self.damaged(error) from error
        if not isinstance(found, kinds):
            raise self.damaged(f"it contains an unexpected {type(found).__name__}")
        return found

    def _trial(self, row: tuple[Any, ...]) -> Trial:
        try:
            return self._trial_of(*row)
        except StorageError:
            raise
        except Exception as error:
            # The pickles can be loaded, but their content makes no trial.
            raise self.damaged(error) from error

    def _trial_of(self, status: str, origin_blob: bytes, progress_blob: bytes) -> Trial:
        origin, progress = self._dict(origin_blob), self._dict(progress_blob)
        trial = trial_of(status, origin, progress, self._experiment_path)
        config = {CONFIG_PREFIX: trial.config}
        rows = self._select(_SELECT_CHECKPOINTS, (trial.trial_id,))
        for number, path, result_count, metrics, files in rows:
            tracked = TrackedCheckpoint(
                Checkpoint(absolute_path(path, self._experiment_path)),
                {**self._dict(metrics), **config},
                number,
                result_count,
                self._unpickled(files, (dict, NoneType)),
            )
            # Checkpoints that were only pinned are dropped with the next new one.
            trial.checkpoints.adopt(tracked)
        self._checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}
        if not trial.is_finished():
            ahead = self._select(SELECT_RESULTS, (trial.trial_id, trial.result_count))
            for _, blob in ahead:
                take_result(trial, self._dict(blob))
        return trial


def _paths_of(checkpoints: Mapping[str, Mapping[int, TrackedCheckpoint]]) -> set[str]:
    return {each.checkpoint.path for kept in checkpoints.values() for each in kept.values()}


def has_database(experiment_path: str) -> bool:
    """Tells whether a directory has a file with the name of an experiment's database.

    Opening the file checks it.
    """
    return os.path.lexists(os.path.join(experiment_path, EXPERIMENT_DB_FILE))
