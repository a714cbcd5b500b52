"""The experiment's state: one SQLite database, ``experiment.db``.

::

    meta     key, value             schema version, searcher state, ...        (value: pickle)
    trials   trial_id               one row per trial
             number                 order of creation, from 0
             session                which fit() of the experiment created it, from 1
             status                 PENDING, RUNNING, PAUSED, TERMINATED, ERROR
             origin                 what never changes: config, names, ...     (pickle)
             progress               what does: results, checkpoints, ...       (pickle)

An event rewrites the rows of the trials that it touched and nothing else, so its cost does not
grow with the number of trials. A new session leaves the rows of the earlier ones alone; what is
loaded is the newest session. Paths are stored relative to the experiment's directory: it can be
moved.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Iterable
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.error import StorageError, TrialError
from localtune.experiment.checkpoint_history import CheckpointHistory, TrackedCheckpoint
from localtune.experiment.status import Status
from localtune.experiment.trial import Trial
from localtune.result import CONFIG_PREFIX, EXPERIMENT_DB_FILE

SCHEMA_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    session INTEGER NOT NULL,
    status TEXT NOT NULL,
    origin BLOB NOT NULL,
    progress BLOB NOT NULL
);
"""

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
    "restore_path",
)
_PROGRESS = (
    "dirname",
    "custom_trial_name",
    "max_failures",
    "num_failures",
    "metric_stats",
    "next_checkpoint_index",
    "start_time",
    "run_time_s",
)


class ExperimentDB:
    """Reads and writes the state of one experiment.

    Args:
        experiment_path: Directory of the experiment; must exist.

    Raises:
        StorageError: if the database cannot be opened, or is of a newer version of localtune.
    """

    def __init__(self, experiment_path: str) -> None:
        self._experiment_path = experiment_path
        path = os.path.join(experiment_path, EXPERIMENT_DB_FILE)
        try:
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=30.0
            )
            # Not every file system can share memory: then SQLite stays with its older journal.
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise StorageError(f"The database {path!r} cannot be opened: {error}") from error
        self._numbers: dict[str, int] = {
            trial_id: number
            for trial_id, number in self._connection.execute("SELECT trial_id, number FROM trials")
        }
        version = self.get("schema_version")
        self._session: int = self.get("session") or 1
        if version is None:
            self.put("schema_version", SCHEMA_VERSION)
        elif version > SCHEMA_VERSION:
            self.close()
            raise StorageError(
                f"The database {path!r} has the schema version {version}, and this localtune "
                f"knows {SCHEMA_VERSION} at most. Use a newer localtune."
            )

    def begin_session(self) -> None:
        """Starts anew: what was recorded so far stays, but is not loaded any more."""
        if self._numbers:
            self._session += 1
        self.put("session", self._session)

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def get(self, key: str) -> Any:
        """The value of a key, None if it was never put."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return pickle.loads(row[0]) if row is not None else None

    def put(self, key: str, value: Any) -> None:
        """Sets the value of a key; it is durable when this returns."""
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, _dump(value)))

    def save(self, trials: Iterable[Trial], state: dict[str, Any] | None = None) -> None:
        """Writes the records of trials, and values of keys, in one transaction.

        Args:
            trials: New ones and known ones.
            state: {key: value} to put.

        Raises:
            StorageError: if the disk is full or gone; nothing is written then.
        """
        execute = self._connection.execute
        try:
            execute("BEGIN")
            for trial in trials:
                number = self._numbers.get(trial.trial_id)
                if number is None:
                    number = self._numbers[trial.trial_id] = len(self._numbers)
                    row = (trial.trial_id, number, self._session, trial.status.value)
                    blobs = (_dump(_origin_of(trial)), _dump(self._progress_of(trial)))
                    execute("INSERT INTO trials VALUES (?, ?, ?, ?, ?, ?)", row + blobs)
                else:
                    execute(
                        "UPDATE trials SET status = ?, progress = ? WHERE trial_id = ?",
                        (trial.status.value, _dump(self._progress_of(trial)), trial.trial_id),
                    )
            for key, value in (state or {}).items():
                execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, _dump(value)))
            execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise StorageError(
                f"The state of the experiment cannot be written to {self._experiment_path!r}: "
                f"{error}. Make room there and resume the run."
            ) from error

    def load(self) -> list[Trial]:
        """The trials of the newest session, in the order of their creation."""
        rows = self._connection.execute(
            "SELECT status, origin, progress FROM trials WHERE session = ? ORDER BY number",
            (self._session,),
        )
        return [self._trial_of(*row) for row in rows]

    def _progress_of(self, trial: Trial) -> dict[str, Any]:
        progress = {name: getattr(trial, name) for name in _PROGRESS}
        # The config is in the other column already.
        progress["last_result"] = _without_config(trial.last_result)
        progress["error"] = _portable_error(trial.error)
        progress["checkpoints"] = [
            (
                os.path.relpath(tracked.checkpoint.path, self._experiment_path),
                tracked.index,
                _without_config(tracked.metrics),
            )
            for tracked in trial.checkpoints.kept
        ]
        return progress

    def _trial_of(self, status: str, origin_blob: bytes, progress_blob: bytes) -> Trial:
        origin, progress = pickle.loads(origin_blob), pickle.loads(progress_blob)
        trial = Trial(origin.pop("trainable_name"), **origin)
        trial.experiment_path = self._experiment_path
        trial.status = Status(status)
        for name in _PROGRESS:
            setattr(trial, name, progress[name])
        trial.error = progress["error"]
        config = {CONFIG_PREFIX: trial.config}
        trial.last_result = {**progress["last_result"], **config} if progress["last_result"] else {}
        trial.checkpoints = CheckpointHistory(trial.checkpoint_config)
        for relative_path, index, metrics in progress["checkpoints"]:
            path = os.path.normpath(os.path.join(self._experiment_path, relative_path))
            tracked = TrackedCheckpoint(Checkpoint(path), {**metrics, **config}, index)
            trial.checkpoints.register(tracked)
        return trial


def has_database(experiment_path: str) -> bool:
    """Whether an experiment's database exists."""
    return os.path.isfile(os.path.join(experiment_path, EXPERIMENT_DB_FILE))


def load_trials(experiment_path: str) -> list[Trial]:
    """The trials of the experiment in a directory.

    Raises:
        StorageError: if there is no readable database.
    """
    if not has_database(experiment_path):
        raise StorageError(
            f"{experiment_path!r} is no experiment: it has no {EXPERIMENT_DB_FILE}."
        )
    db = ExperimentDB(experiment_path)
    try:
        return db.load()
    finally:
        db.close()


def _origin_of(trial: Trial) -> dict[str, Any]:
    return {name: getattr(trial, name) for name in _ORIGIN}


def _without_config(result: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != CONFIG_PREFIX}


def _portable_error(error: BaseException | None) -> BaseException | None:
    """The error itself, or one of the same text where it cannot be pickled."""
    if error is None:
        return None
    try:
        pickle.loads(_dump(error))
    except Exception:
        return TrialError(str(error), traceback_text=getattr(error, "traceback_text", ""))
    return error


def _dump(value: Any) -> bytes:
    """Pickles by value what plain pickling would refuse, or would tie to ``__main__``."""
    import cloudpickle

    return bytes(cloudpickle.dumps(value))
