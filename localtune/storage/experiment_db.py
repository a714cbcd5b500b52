"""The experiment's state: one SQLite database, ``experiment.db``; its tables are in ``schema``.

An event rewrites the rows of the trials that it touched, and adds or removes those of the
checkpoints that came or went, so its cost grows with neither the trials nor the checkpoints. A
new run leaves the rows of the earlier ones alone; what is loaded is the latest run unless another
is asked for. While a trial runs, the rows of its results are ahead of its own row: who loads it
takes them in. Paths are stored relative to the experiment's directory: it can be moved.
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
from localtune.trial.checkpoint_dirs import note_recorded, note_unrecorded
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial

# Results that wait for a transaction at most, however short a time they have waited.
_PENDING_LIMIT = 256

# All that SQLite may open for it, or make beside it.
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
    """What is on record of one run of an experiment, beside its trials.

    Attributes:
        number: Counts the runs of the experiment from 1.
        started: Unix time at which it began, None if it is not known.
        metric: Flat name of the metric that it optimises, None if it is not known.
        mode: ``"min"`` or ``"max"``, likewise.
        counts: {status: how many of its trials have it}, without those that none has.
    """

    number: int
    started: float | None = None
    metric: str | None = None
    mode: str | None = None
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def trial_count(self) -> int:
        """How many trials it has."""
        return sum(self.counts.values())


class ExperimentDB:
    """Reads and writes the state of one experiment.

    Args:
        experiment_path: Directory of the experiment; must exist.
        database_path: The database, if it is not in there.

    Raises:
        StorageError: if the database cannot be opened, or is of a newer version of localtune.
    """

    def __init__(self, experiment_path: str, database_path: str | None = None) -> None:
        self._experiment_path = experiment_path
        self._path = os.path.join(experiment_path, EXPERIMENT_DB_FILE)  # in errors
        self._history_rows = HistoryRows()
        self._pending: list[Statement] = []  # results that wait for the next transaction
        self._syncs = False  # whether transactions wait for the disk
        self._revisions: dict[str, int] = {}  # {trial id: revision on record}, 0 if missing
        # {trial id: {number: checkpoint}} as recorded, of trials that were saved or loaded here
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
        # Not every file system can share memory: then SQLite stays with its older journal.
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        self._run, self._numbers = prepare(self._connection, self._path, is_new=is_new)

    def _meta(self, key: str, kind: type) -> Any:
        rows = self._select("SELECT value FROM meta WHERE key = ?", (key,))
        return self._unpickled(rows[0][0], kind) if rows else None

    # -- runs -----------------------------------------------------------------------------------

    @property
    def run(self) -> int:
        """Number of the run that is read and written, from 1: the latest, unless changed."""
        return self._run

    def runs(self) -> list[RunRecord]:
        """All runs, the latest last; there is always one, which may have no trials yet.

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
        """Starts anew: what was recorded so far stays, and is no part of the new run.

        A latest run that has no trials gives up its number.

        Args:
            started: Unix time.

        Raises:
            StorageError: if the disk is full or gone.
        """
        latest = self.runs()[-1]
        number = latest.number + 1 if latest.counts else latest.number
        row = (number, started, None, None)
        self._write([(PUT_RUN, row), (_CLEAR_STATE, (number,))], sync=False)
        self._run = number

    def select_run(self, number: int) -> None:
        """Reads and writes another run than the latest.

        Raises:
            UsageError: if there is no such run.
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
        """Number of the run that was worked on last."""
        number: int | None = self._meta("current_run", int)
        return self._run if number is None else number

    def start_work(self, metric: str | None, mode: str | None) -> None:
        """Notes that the run is worked on from now on, and what it optimises, if that is known.

        Raises:
            StorageError: if the disk is full or gone.
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
        """The value of a key in the state of the run, None if it was never put.

        Args:
            key: The key.
            kind: What the value is, unless it is None.

        Raises:
            StorageError: if the database is damaged; the value is of another kind, for instance.
        """
        statement = "SELECT value FROM state WHERE run = ? AND key = ?"
        rows = self._select(statement, (self._run, key))
        return self._unpickled(rows[0][0], (kind, NoneType)) if rows else None

    def put(self, key: str, value: Any) -> None:
        """Sets the value of a key in the state of the run; a killed process does not undo it.

        Raises:
            StorageError: if the disk is full or gone.
        """
        self.save((), {key: value})

    def save(self, trials: Collection[Trial], state: Mapping[str, Any] | None = None) -> None:
        """Writes the records of trials, values of keys, and pending results, in one transaction.

        A killed process undoes nothing of it; a power failure nothing of one with a new checkpoint
        or a trial that has ended, nor of what was written before that.

        Args:
            trials: New ones and known ones.
            state: {key: value} to put.

        Raises:
            StorageError: if the disk is full or gone; nothing is written then.
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
            note_unrecorded(path)
        self._write([*self._pending, *statements], sync=is_landmark)
        for path in after - before:
            note_recorded(path)
        self._pending = []
        self._numbers.update(new)
        self._revisions.update((key, value) for key, value in revisions.items() if value)
        self._checkpoints.update(checkpoints)

    def take_over(self, copy: ExperimentDB) -> None:
        """Goes on where a copy of the same database was read: from the trials that it has loaded.

        Args:
            copy: Nobody has written to the database since it was copied.
        """
        self._checkpoints.update(copy._checkpoints)

    def knows(self, trial_id: str) -> bool:
        """Whether a trial has been written."""
        return trial_id in self._numbers

    def checkpoint_paths(self, trial: Trial) -> set[str]:
        """Paths of the checkpoints of a trial that are on record."""
        return self._paths([trial.trial_id])

    def _paths(self, trial_ids: Iterable[str]) -> set[str]:
        return _paths_of({each: self._checkpoints.get(each, {}) for each in trial_ids})

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        """Adds a result to a trial's history; written with the next transaction.

        Raises:
            StorageError: if the disk is full or gone.
        """
        self._pending += self._history_rows.put(trial, number, result)
        if len(self._pending) >= _PENDING_LIMIT:
            self.save(())

    def cut_results(self, trial: Trial, count: int) -> None:
        """Cuts a trial's history back to its first results; written with the next transaction."""
        self._pending += self._history_rows.cut(trial, count)

    def results(self, trial_id: str) -> Iterator[dict[str, Any]]:
        """The history of a trial, oldest first, without its config."""
        for _, blob in self._select(SELECT_RESULTS, (trial_id, 0)):
            yield self._unpickled(blob, dict)

    def history(self, trial: Trial) -> Iterator[dict[str, Any]]:
        """The results of a trial, oldest first, with their configs, as callbacks got them.

        Raises:
            StorageError: if the database is damaged, or the disk full or gone.
        """
        if self._pending:
            self.save(())
        results = self._select(SELECT_RESULTS, (trial.trial_id, 0))
        configs = self._select(SELECT_CONFIGS, (trial.trial_id,))
        # That of the trial itself may have been changed since.
        rows = self._select("SELECT origin FROM trials WHERE trial_id = ?", (trial.trial_id,))
        config = self._dict(rows[0][0])[CONFIG_PREFIX] if rows else trial.config
        return joined(results, configs, config, self._dict)

    def _changes(
        self, trial_id: str, checkpoints: dict[int, TrackedCheckpoint]
    ) -> Iterator[Statement]:
        """What makes the recorded checkpoints of a trial these."""
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
        except BaseException as error:  # Ctrl-C may come here, and what waits is written after it.
            # SQLite may have rolled back by itself, and a dead disk may refuse even that.
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            if not isinstance(error, sqlite3.Error):
                raise
            raise StorageError(
                f"The state of the experiment cannot be written to {self._experiment_path!r}: "
                f"{error}. Make room there and resume the run."
            ) from error

    def load(self) -> list[Trial]:
        """The trials of the run, in the order of their creation.

        Raises:
            StorageError: if the database is damaged, or holds objects of a module that is missing
                here.
        """
        rows = self._select(f"{_SELECT} WHERE run = ? ORDER BY number", (self._run,))
        return [self._trial(row) for row in rows]

    def load_by_dirname(self, dirname: str) -> Trial | None:
        """The trial of any run that has a directory, None if there is none.

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
        """The error that says why the database cannot be used."""
        return damaged(self._path, reason)

    def _dict(self, data: bytes) -> dict[str, Any]:
        found: dict[str, Any] = self._unpickled(data, dict)
        return found

    def _unpickled(self, data: bytes, kinds: type | tuple[type, ...] = object) -> Any:
        try:
            found = pickle.loads(data)
        except ImportError as error:
            raise StorageError(
                f"The database {self._path!r} holds an object of a module that is missing here: "
                f"{error}. Make the module importable."
            ) from error
        except Exception as error:
            raise self.damaged(error) from error
        if not isinstance(found, kinds):
            raise self.damaged(f"it holds {type(found).__name__} where it should not")
        return found

    def _trial(self, row: tuple[Any, ...]) -> Trial:
        try:
            return self._trial_of(*row)
        except StorageError:
            raise
        except Exception as error:
            # What is there can be loaded, and is not what a trial is made of.
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
            # Some may be there only because somebody needed them: the next one settles that.
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
    """Whether something has the name of an experiment's database; who opens it judges it."""
    return os.path.lexists(os.path.join(experiment_path, EXPERIMENT_DB_FILE))
