"""The experiment's state: one SQLite database, ``experiment.db``.

::

    meta         key, value         schema version, searcher state, ...        (value: pickle)
    trials       trial_id           one row per trial
                 number             order of creation, from 0
                 session            which fit() of the experiment created it, from 1
                 status             PENDING, RUNNING, PAUSED, TERMINATED, ERROR
                 dirname            name of its directory, "" before it has one
                 origin             what seldom changes: config, names, ...    (pickle)
                 progress           what does: last result, statistics, ...    (pickle)
    checkpoints  trial_id, number   one row per checkpoint that is kept
                 path               of its directory
                 result_count       how many results the trial's history held by then
                 metrics            result that it belongs to                  (pickle)
                 files              sizes of its files, in bytes               (pickle)
    results      trial_id, number   one row per result, from 1
                 result             without its config                         (pickle)

An event rewrites the rows of the trials that it touched, and adds or removes those of the
checkpoints that came or went, so its cost grows with neither the trials nor the checkpoints. A
new session leaves the rows of the earlier ones alone; what is loaded is the newest session. Paths
are stored relative to the experiment's directory: it can be moved.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import quote

from localtune.checkpoint import Checkpoint
from localtune.error import StorageError, TrialError
from localtune.experiment.checkpoint_history import (
    CheckpointHistory,
    StartPoint,
    TrackedCheckpoint,
)
from localtune.experiment.status import Status
from localtune.experiment.trial import Trial
from localtune.result import CONFIG_PREFIX, EXPERIMENT_DB_FILE
from localtune.storage.migrations import migrate
from localtune.utils.serialization import dumps_by_value

SCHEMA_VERSION = 2

# Results that wait for a transaction at most. They are in result.json already, and those after
# the last checkpoint, which is one, would be cut off after a crash anyway.
_PENDING_LIMIT = 256

_Statement: TypeAlias = "tuple[str, tuple[Any, ...]]"

_META_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    session INTEGER NOT NULL,
    status TEXT NOT NULL,
    dirname TEXT NOT NULL,
    origin BLOB NOT NULL,
    progress BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_by_dirname ON trials (dirname);
CREATE TABLE IF NOT EXISTS checkpoints (
    trial_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    path TEXT NOT NULL,
    result_count INTEGER NOT NULL,
    metrics BLOB NOT NULL,
    files BLOB NOT NULL,
    PRIMARY KEY (trial_id, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    trial_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (trial_id, number)
) WITHOUT ROWID;
"""

_SELECT = "SELECT status, origin, progress FROM trials"
_INSERT = (
    "INSERT INTO trials (trial_id, number, session, origin, status, dirname, progress) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_UPDATE_ORIGIN = "UPDATE trials SET origin = ? WHERE trial_id = ?"
_UPDATE = "UPDATE trials SET status = ?, dirname = ?, progress = ? WHERE trial_id = ?"
_PUT = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
_SELECT_CHECKPOINTS = (
    "SELECT number, path, result_count, metrics, files FROM checkpoints "
    "WHERE trial_id = ? ORDER BY number"
)
_PUT_CHECKPOINT = "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)"
_DELETE_CHECKPOINT = "DELETE FROM checkpoints WHERE trial_id = ? AND number = ?"
_DELETE_CHECKPOINTS = "DELETE FROM checkpoints WHERE trial_id = ?"
_PUT_RESULT = "INSERT OR REPLACE INTO results VALUES (?, ?, ?)"
_CUT_RESULTS = "DELETE FROM results WHERE trial_id = ? AND number > ?"
_SELECT_RESULTS = "SELECT result FROM results WHERE trial_id = ? ORDER BY number"

# What seldom changes in the life of a trial (its revision grows then), and what does.
_ORIGIN = (
    "trainable_name",
    "trial_id",
    "config",
    "evaluated_params",
    "experiment_tag",
    "placement_group_factory",
    "stopping_criterion",
    "checkpoint_config",
    "log_to_file",
    "seed",
)
_PROGRESS = (
    "dirname",
    "custom_trial_name",
    "max_failures",
    "num_failures",
    "metric_stats",
    "result_count",
    "next_checkpoint_index",
    "start_time",
    "run_time_s",
)


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
        self._numbers: dict[str, int] = {}  # {trial id: order of creation}
        self._pending: list[_Statement] = []  # results that wait for the next transaction
        self._syncs = False  # whether transactions wait for the disk
        self._revisions: dict[str, int] = {}  # {trial id: revision on record}, 0 if missing
        # {trial id: {number: checkpoint}} as recorded, of trials that were saved or loaded here
        self._checkpoints: dict[str, dict[int, TrackedCheckpoint]] = {}
        try:
            self._connection = sqlite3.connect(
                database_path or self._path,
                isolation_level=None,
                check_same_thread=False,
                timeout=30.0,
            )
        except sqlite3.Error as error:
            raise self._unopenable(error) from error
        try:
            self._open()
        except sqlite3.Error as error:
            self.close()
            raise self._unopenable(error) from error
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        execute = self._connection.execute
        # Not every file system can share memory: then SQLite stays with its older journal.
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_META_SCHEMA)
        version = self.get("schema_version")
        if version is not None and version > SCHEMA_VERSION:
            raise StorageError(
                f"The database {self._path!r} has the schema version {version}, and this "
                f"localtune knows {SCHEMA_VERSION} at most. Use a newer localtune."
            )
        if version is None:
            self._connection.executescript(_SCHEMA)
            self.put("schema_version", SCHEMA_VERSION)
        elif version < SCHEMA_VERSION:
            migrate(self._connection, version)
        self._session: int = self.get("session") or 1
        self._numbers.update(execute("SELECT trial_id, number FROM trials"))

    def begin_session(self) -> None:
        """Starts anew: what was recorded so far stays, but is not loaded any more.

        Raises:
            StorageError: if the disk is full or gone.
        """
        if self._numbers:
            self._session += 1
        self.put("session", self._session)

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def get(self, key: str) -> Any:
        """The value of a key, None if it was never put.

        Raises:
            StorageError: if the database is damaged.
        """
        rows = self._select("SELECT value FROM meta WHERE key = ?", (key,))
        return self._unpickled(rows[0][0]) if rows else None

    def put(self, key: str, value: Any) -> None:
        """Sets the value of a key; a killed process does not undo it.

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
        statements: list[_Statement] = []
        for trial in trials:
            changing = (trial.status.value, trial.dirname, _dump(self._progress_of(trial)))
            if trial.trial_id in self._numbers or trial.trial_id in new:
                statements.append((_UPDATE, (*changing, trial.trial_id)))
                if trial.revision != self._revisions.get(trial.trial_id, 0):
                    statements.append((_UPDATE_ORIGIN, (_dump(_origin_of(trial)), trial.trial_id)))
            else:
                number = new[trial.trial_id] = len(self._numbers) + len(new)
                fixed = (trial.trial_id, number, self._session, _dump(_origin_of(trial)))
                statements.append((_INSERT, fixed + changing))
            revisions[trial.trial_id] = trial.revision
            checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}
            statements += self._changes(trial.trial_id, checkpoints[trial.trial_id])
        for key, value in (state or {}).items():
            statements.append((_PUT, (key, _dump(value))))
        is_landmark = any(each[0] is _PUT_CHECKPOINT for each in statements) or any(
            trial.is_finished() for trial in trials
        )
        self._write([*self._pending, *statements], sync=is_landmark)
        self._pending = []
        self._numbers.update(new)
        self._revisions.update((key, value) for key, value in revisions.items() if value)
        self._checkpoints.update(checkpoints)

    def knows(self, trial_id: str) -> bool:
        """Whether a trial has been written."""
        return trial_id in self._numbers

    def add_result(self, trial: Trial, number: int, result: dict[str, Any]) -> None:
        """Adds a result to a trial's history; written with the next transaction.

        Raises:
            StorageError: if the disk is full or gone.
        """
        record = (trial.trial_id, number, _dump(_without_config(result)))
        self._pending.append((_PUT_RESULT, record))
        if len(self._pending) >= _PENDING_LIMIT:
            self.save(())

    def cut_results(self, trial: Trial, count: int) -> None:
        """Cuts a trial's history back to its first results; written with the next transaction."""
        self._pending.append((_CUT_RESULTS, (trial.trial_id, count)))

    def results(self, trial_id: str) -> Iterator[dict[str, Any]]:
        """The history of a trial, oldest first, without its config."""
        for (blob,) in self._select(_SELECT_RESULTS, (trial_id,)):
            yield self._unpickled(blob)

    def _changes(
        self, trial_id: str, checkpoints: dict[int, TrackedCheckpoint]
    ) -> Iterator[_Statement]:
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
                path = self._relative(tracked.checkpoint.path)
                metrics = _dump(_without_config(tracked.metrics))
                files = _dump(tracked.files)
                record = (trial_id, number, path, tracked.result_count, metrics, files)
                yield _PUT_CHECKPOINT, record

    def _write(self, statements: Iterable[_Statement], *, sync: bool) -> None:
        execute = self._connection.execute
        try:
            if sync is not self._syncs:
                execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
                self._syncs = sync
            execute("BEGIN IMMEDIATE")
            for statement, values in statements:
                execute(statement, values)
            execute("COMMIT")
        except sqlite3.Error as error:
            # SQLite may have rolled back by itself, and a dead disk may refuse even that.
            with contextlib.suppress(sqlite3.Error):
                execute("ROLLBACK")
            raise StorageError(
                f"The state of the experiment cannot be written to {self._experiment_path!r}: "
                f"{error}. Make room there and resume the run."
            ) from error

    def load(self) -> list[Trial]:
        """The trials of the newest session, in the order of their creation.

        Raises:
            StorageError: if the database is damaged, or holds objects of a module that is missing
                here.
        """
        rows = self._select(f"{_SELECT} WHERE session = ? ORDER BY number", (self._session,))
        return [self._trial_of(*row) for row in rows]

    def load_by_dirname(self, dirname: str) -> Trial | None:
        """The trial of any session that has a directory, None if there is none.

        Raises:
            StorageError: as :meth:`load`.
        """
        rows = self._select(f"{_SELECT} WHERE dirname = ?", (dirname,))
        return self._trial_of(*rows[0]) if rows else None

    def _select(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise self._unopenable(error) from error

    def _unopenable(self, error: Exception) -> StorageError:
        return StorageError(f"The database {self._path!r} cannot be read: {error}.")

    def _unpickled(self, data: bytes) -> Any:
        try:
            return pickle.loads(data)
        except ImportError as error:
            raise StorageError(
                f"The database {self._path!r} holds an object of a module that is missing here: "
                f"{error}. Make the module importable."
            ) from error
        except Exception as error:
            raise self._unopenable(error) from error

    def _progress_of(self, trial: Trial) -> dict[str, Any]:
        progress = {name: getattr(trial, name) for name in _PROGRESS}
        # The config is in the other column already.
        progress["last_result"] = _without_config(trial.last_result)
        progress["start_point"] = self._start_point_record(trial.start_point)
        progress["error"] = _error_record(trial.error)
        return progress

    def _relative(self, path: str) -> str:
        return os.path.relpath(path, self._experiment_path)

    def _absolute(self, path: str) -> str:
        return os.path.normpath(os.path.join(self._experiment_path, path))

    def _start_point_record(self, point: StartPoint | None) -> _StartPointRecord | None:
        if point is None:
            return None
        tracked = point.tracked
        # Somebody else's checkpoint may be anywhere; one of the experiment moves with it.
        path = tracked.checkpoint.path
        path = path if point.owner_id is None else self._relative(path)
        metrics = _without_config(tracked.metrics)
        return point.owner_id, tracked.index, path, metrics, point.kept_count

    def _start_point_of(self, record: _StartPointRecord | None) -> StartPoint | None:
        if record is None:
            return None
        owner_id, index, path, metrics, kept_count = record
        tracked = TrackedCheckpoint(Checkpoint(self._absolute(path)), metrics, index)
        return StartPoint(tracked, owner_id, kept_count)

    def _trial_of(self, status: str, origin_blob: bytes, progress_blob: bytes) -> Trial:
        origin, progress = self._unpickled(origin_blob), self._unpickled(progress_blob)
        trial = Trial(origin.pop("trainable_name"), **origin)
        trial.experiment_path = self._experiment_path
        trial.status = Status(status)
        for name in _PROGRESS:
            setattr(trial, name, progress[name])
        trial.start_point = self._start_point_of(progress["start_point"])
        trial.error = _error_of(progress["error"])
        config = {CONFIG_PREFIX: trial.config}
        trial.last_result = {**progress["last_result"], **config} if progress["last_result"] else {}
        trial.checkpoints = CheckpointHistory(trial.checkpoint_config)
        rows = self._select(_SELECT_CHECKPOINTS, (trial.trial_id,))
        for number, path, result_count, metrics, files in rows:
            tracked = TrackedCheckpoint(
                Checkpoint(self._absolute(path)),
                {**self._unpickled(metrics), **config},
                number,
                result_count,
                self._unpickled(files),
            )
            # Some may be there only because somebody needed them: the next one settles that.
            trial.checkpoints.adopt(tracked)
        self._checkpoints[trial.trial_id] = {each.index: each for each in trial.checkpoints}
        return trial


def has_database(experiment_path: str) -> bool:
    """Whether an experiment's database exists."""
    return os.path.isfile(os.path.join(experiment_path, EXPERIMENT_DB_FILE))


def load_trials(experiment_path: str) -> list[Trial]:
    """The trials of the experiment in a directory.

    Raises:
        StorageError: if there is no readable database.
    """
    with _opened(experiment_path) as db:
        return db.load()


def load_trial(trial_dir: str) -> Trial | None:
    """The trial whose directory this is, None if no experiment around it knows it.

    Raises:
        StorageError: if the experiment's database cannot be read.
    """
    experiment_path, dirname = os.path.split(trial_dir)
    if not has_database(experiment_path):
        return None
    with _opened(experiment_path) as db:
        return db.load_by_dirname(dirname)


@contextlib.contextmanager
def _opened(experiment_path: str) -> Iterator[ExperimentDB]:
    if not has_database(experiment_path):
        raise StorageError(f"{experiment_path!r} is no experiment: it has no {EXPERIMENT_DB_FILE}.")
    # A copy: looking at an experiment changes nothing in it, works where nothing can be written,
    # and does not hold up who runs it.
    with tempfile.TemporaryDirectory(prefix="localtune-read-") as directory:
        copy = os.path.join(directory, EXPERIMENT_DB_FILE)
        _copy_database(os.path.join(experiment_path, EXPERIMENT_DB_FILE), copy)
        with contextlib.closing(ExperimentDB(experiment_path, copy)) as db:
            yield db


def _copy_database(source: str, target: str) -> None:
    # Without a journal nobody writes; told so, SQLite makes none either.
    how = "mode=ro" if os.path.exists(f"{source}-wal") else "immutable=1"
    try:
        with (
            contextlib.closing(sqlite3.connect(f"file:{quote(source)}?{how}", uri=True)) as old,
            contextlib.closing(sqlite3.connect(target)) as new,
        ):
            old.backup(new)
    except sqlite3.Error:
        # Its directory may not be writable, which SQLite needs to read what was written last.
        shutil.copyfile(source, target)
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(f"{source}-wal", f"{target}-wal")


def _origin_of(trial: Trial) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in _ORIGIN}


def _without_config(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != CONFIG_PREFIX}


# (id of its owner, number, path, metrics, how many results to keep)
_StartPointRecord: TypeAlias = "tuple[str | None, int, str, dict[str, Any], int | None]"

# An error is a pickle of its own: its class may not exist where the record is read.
_ErrorRecord: TypeAlias = "tuple[bytes | None, str, str]"


def _error_record(error: BaseException | None) -> _ErrorRecord | None:
    if error is None:
        return None
    data: bytes | None = None
    with contextlib.suppress(Exception):
        data = dumps_by_value(error)
    return data, str(error), getattr(error, "traceback_text", "")


def _error_of(record: _ErrorRecord | None) -> BaseException | None:
    if record is None:
        return None
    data, text, traceback_text = record
    if data is not None:
        # Some exceptions are pickled without complaint and fail to load.
        with contextlib.suppress(Exception):
            error = pickle.loads(data)
            if isinstance(error, BaseException):
                return error
    return TrialError(text, traceback_text=traceback_text)


def _dump(value: Any) -> bytes:
    """Pickles by value what plain pickling would refuse, or would tie to ``__main__``."""
    try:
        return dumps_by_value(value)
    except Exception:
        # A record with a text in the place of, say, a lock is better than none.
        return dumps_by_value(_picklable(value))


def _picklable(value: Any) -> Any:
    """The value with each part that cannot be pickled replaced by its ``repr``."""
    if isinstance(value, dict):
        return {_picklable(key): _picklable(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_picklable, value))
    try:
        dumps_by_value(value)
    except Exception:
        return repr(value)
    return value
