"""Defines the tables of the experiment's database, and checks that they are consistent.

::

    meta         key, value         schema version, current run                (value: pickle)
    runs         number             one row per fit() that started anew, from 1
                 started            Unix time, NULL if unknown
                 metric, mode       what the run optimises, NULL if unknown
    state        run, key, value    searcher, scheduler, seed, ... of a run    (value: pickle)
    trials       trial_id           one row per trial
                 number             order of creation, from 0
                 run                number of the run that created it
                 status             PENDING, RUNNING, PAUSED, TERMINATED, ERROR
                 dirname            name of its directory, "" before it has one
                 value              latest value of the run's metric; NULL without a finite one
                 origin             what rarely changes: config, names, ...    (pickle)
                 progress           the rest: last result, statistics, ...     (pickle)
    checkpoints  trial_id, number   one row per existing checkpoint
                 path               path of its directory
                 result_count       number of results in the trial's history when it was made
                 metrics            result that it belongs to                  (pickle)
                 files              sizes of its files, in bytes               (pickle)
    results      trial_id, number   one row per result, from 1
                 result             the result without its config              (pickle)
    configs      trial_id, number   one row per change of a trial's config
                 config             config of the results from this number on  (pickle)

A database with an emptied, missing or older table can still be opened, but describes another
experiment. Writing to it would make this worse, so it counts as damaged.
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from typing import Any

from localtune.error import StorageError
from localtune.result import EXPR_PARAM_FILE, EXPR_RESULT_FILE
from localtune.storage.history_rows import CONFIGS_SCHEMA, RESULTS_SCHEMA
from localtune.storage.migrations import OLDEST_VERSION, migrate
from localtune.storage.trial_record import dump
from localtune.utils.serialization import lacks_own_module, other_version

SCHEMA_VERSION = 5

_META_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    number INTEGER PRIMARY KEY,
    started REAL,
    metric TEXT,
    mode TEXT
);
CREATE TABLE IF NOT EXISTS state (
    run INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (run, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS trials (
    trial_id TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    run INTEGER NOT NULL,
    status TEXT NOT NULL,
    dirname TEXT NOT NULL,
    value,
    origin BLOB NOT NULL,
    progress BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS trials_by_dirname ON trials (dirname);
CREATE INDEX IF NOT EXISTS trials_by_value ON trials (run, status, value, number);
CREATE TABLE IF NOT EXISTS checkpoints (
    trial_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    path TEXT NOT NULL,
    result_count INTEGER NOT NULL,
    metrics BLOB NOT NULL,
    files BLOB NOT NULL,
    PRIMARY KEY (trial_id, number)
) WITHOUT ROWID;
"""


PUT_META = "INSERT OR REPLACE INTO meta VALUES (?, ?)"
PUT_RUN = "INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)"

_TABLES = ("runs", "state", "trials", "checkpoints", "results", "configs")

# Python 3.10 tells no error codes.
_DISK_IS_FULL = "database or disk is full"


def damaged(path: str, reason: object) -> StorageError:
    """Returns the error for a database that cannot be read.

    Args:
        path: The database.
        reason: The reason, as a clause, or what SQLite raised.
    """
    if isinstance(reason, sqlite3.Error) and str(reason) == _DISK_IS_FULL:
        return unwritable(path, reason)
    return StorageError(
        f"The database {path!r} cannot be read: {reason}. Restore a copy of the "
        "experiment, or start a new one under another name. The trials' directories contain the "
        "results, too."
    )


def unwritable(path: str, error: sqlite3.Error) -> StorageError:
    """Returns the error for a database that cannot be made, or opened for writing.

    Args:
        path: The database.
        error: What SQLite raised.
    """
    return StorageError(
        f"The database {path!r} cannot be written: {error}. Free space or grant access there, and "
        "try again."
    )


def unreadable(path: str, error: Exception) -> StorageError:
    """Returns the error for a pickle in a database that cannot be loaded.

    Args:
        path: The database.
        error: What loading the pickle, or using its content, raised.
    """
    if lacks_own_module(error):
        return StorageError(f"The database {path!r} cannot be read: {other_version(error)}")
    if isinstance(error, ImportError):
        return StorageError(
            f"The database {path!r} contains an object of a module that is missing here: {error}. "
            "Make the module importable."
        )
    return damaged(path, error)


def prepare(connection: sqlite3.Connection, path: str, *, is_new: bool) -> int:
    """Makes the tables of a new database, migrates an old one, and checks the tables.

    Args:
        connection: Connection in autocommit mode.
        path: Path of the database, for errors.
        is_new: Whether the file did not exist before.

    Returns:
        Number of the latest run.

    Raises:
        StorageError: if the database is damaged, or was written by a newer version of localtune.
        sqlite3.Error: if it cannot be read or written.
    """
    execute = connection.execute
    if "meta" not in _tables(connection):
        connection.executescript(_META_SCHEMA)
    version = _version(connection, path)
    if version is None:
        _check_blank(connection, path)
        connection.executescript(_SCHEMA + RESULTS_SCHEMA + CONFIGS_SCHEMA)
        execute("BEGIN IMMEDIATE")
        execute(PUT_META, ("schema_version", dump(SCHEMA_VERSION)))
        execute(PUT_RUN, (1, None, None, None))
        execute("COMMIT")
    elif version < SCHEMA_VERSION:
        try:
            migrate(connection, version)
        except sqlite3.Error:
            raise
        except Exception as error:  # A row has unexpected content.
            raise unreadable(path, error) from error
    missing = set(_TABLES) - _tables(connection)
    if missing:
        raise damaged(path, f"the table of {', '.join(sorted(missing))} is missing")
    runs: set[int] = {number for (number,) in execute("SELECT number FROM runs")}
    if not runs:
        raise damaged(path, "its table of runs is empty")
    _check_trials(connection, path, runs)
    if not is_new and not _has_rows(connection, "trials"):
        _check_without_trials(connection, path)
    return max(runs)


def _version(connection: sqlite3.Connection, path: str) -> int | None:
    """Returns the version of the tables; None if there are none yet."""
    rows = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchall()
    if not rows:
        return None
    try:
        version: Any = pickle.loads(rows[0][0])
    except Exception as error:
        raise damaged(path, error) from error
    if type(version) is not int or version < OLDEST_VERSION:
        raise damaged(path, f"its version is {version!r}")
    if version > SCHEMA_VERSION:
        raise StorageError(
            f"The database {path!r} has the schema version {version}, but this "
            f"localtune supports {SCHEMA_VERSION} at most. Use a newer localtune."
        )
    return version


def _tables(connection: sqlite3.Connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}


def _has_rows(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() is not None


def _check_blank(connection: sqlite3.Connection, path: str) -> None:
    """Checks that a database without a version is empty.

    Its maker may have been killed before it wrote the version, but not after that.
    """
    for table in _tables(connection).intersection(_TABLES):
        if _has_rows(connection, table):
            raise damaged(path, "its table meta is empty, but others are not")


def _check_trials(connection: sqlite3.Connection, path: str, runs: set[int]) -> None:
    """Checks the numbers of the trials, which are unique, and of their runs.

    The statements read the ends of indices, so that they cost the same for any number of trials.
    """

    def one(what: str) -> Any:
        return connection.execute(f"SELECT {what} FROM trials").fetchone()[0]

    count = one("count(*)")
    if count == 0:
        return
    if (one("min(number)"), one("max(number)")) != (0, count - 1):
        raise damaged(path, "its trials are not numbered from 0 without a gap")
    first, last = one("min(run)"), one("max(run)")
    unknown = {first, last, *range(first, last)} - runs
    has_trials = "SELECT 1 FROM trials WHERE run = ? LIMIT 1"
    if any(connection.execute(has_trials, (number,)).fetchone() for number in unknown):
        raise damaged(path, "it has trials of a run without a record")


def _check_without_trials(connection: sqlite3.Connection, path: str) -> None:
    """Checks that an experiment without trials has no other data of trials, either."""
    for table in ("results", "checkpoints"):
        if _has_rows(connection, table):
            raise damaged(path, f"its table of trials is empty, but that of {table} is not")
    with os.scandir(os.path.dirname(path)) as entries:
        for each in entries:
            if each.is_dir(follow_symlinks=False) and _has_results(each.path):
                raise damaged(path, f"it has no trials, but {each.path!r} is a trial's directory")


def _has_results(directory: str) -> bool:
    """Tells whether a trial has written results into a directory."""
    try:
        return os.path.isfile(os.path.join(directory, EXPR_PARAM_FILE)) and bool(
            os.path.getsize(os.path.join(directory, EXPR_RESULT_FILE))
        )
    except OSError:
        return False
