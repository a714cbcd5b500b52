"""Brings an experiment database of an older localtune to the newest schema."""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
from collections.abc import Callable
from typing import Any

from localtune.result import TRAINING_ITERATION
from localtune.storage.history_rows import CONFIGS_SCHEMA


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Migrates step by step, in one transaction: a crash leaves the old database or the new one.

    Args:
        connection: Of the database, in autocommit mode.
        version: Its schema version.

    Raises:
        sqlite3.Error: if the database cannot be written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        while version in _STEPS:
            _STEPS[version](connection)
            version += 1
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'", (_dump(version),)
        )
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _count_results(connection: sqlite3.Connection) -> None:
    """1 to 2: results have rows, histories are cut by numbers, checkpoints know their files."""
    connection.execute("ALTER TABLE checkpoints ADD COLUMN result_count INTEGER NOT NULL DEFAULT 0")
    connection.execute(
        "ALTER TABLE checkpoints ADD COLUMN files BLOB NOT NULL DEFAULT x'80054e2e'"  # None
    )
    connection.execute(
        "CREATE TABLE results (trial_id TEXT NOT NULL, number INTEGER NOT NULL, "
        "result BLOB NOT NULL, PRIMARY KEY (trial_id, number)) WITHOUT ROWID"
    )
    # Until then each result was one iteration.
    checkpoints = connection.execute("SELECT trial_id, number, metrics FROM checkpoints").fetchall()
    for trial_id, number, metrics in checkpoints:
        connection.execute(
            "UPDATE checkpoints SET result_count = ? WHERE trial_id = ? AND number = ?",
            (pickle.loads(metrics).get(TRAINING_ITERATION, 0), trial_id, number),
        )
    trials = connection.execute("SELECT trial_id, origin, progress FROM trials").fetchall()
    for trial_id, origin_blob, progress_blob in trials:
        origin, progress = pickle.loads(origin_blob), pickle.loads(progress_blob)
        path = origin.pop("restore_path", None)
        origin["seed"] = 0
        progress["result_count"] = progress["last_result"].get(TRAINING_ITERATION, 0)
        progress["start_point"] = None if path is None else (None, -1, path, {}, None)
        connection.execute(
            "UPDATE trials SET origin = ?, progress = ? WHERE trial_id = ?",
            (_dump(origin), _dump(progress), trial_id),
        )


def _give_runs_a_table(connection: sqlite3.Connection) -> None:
    """2 to 3: sessions are runs, and each run has a state of its own."""
    execute = connection.execute
    execute("ALTER TABLE trials RENAME COLUMN session TO run")
    execute("CREATE TABLE runs (number INTEGER PRIMARY KEY, started REAL, metric TEXT, mode TEXT)")
    execute(
        "CREATE TABLE state (run INTEGER NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, "
        "PRIMARY KEY (run, key)) WITHOUT ROWID"
    )
    row = execute("SELECT value FROM meta WHERE key = 'session'").fetchone()
    latest = pickle.loads(row[0]) if row is not None else 1
    (newest,) = execute("SELECT max(run) FROM trials").fetchone()
    latest = max(latest, newest or 1)
    execute("INSERT INTO runs SELECT DISTINCT run, NULL, NULL, NULL FROM trials")
    execute("INSERT OR IGNORE INTO runs VALUES (?, NULL, NULL, NULL)", (latest,))
    # Each run wrote over the state of the one before.
    execute(
        "INSERT INTO state SELECT ?, key, value FROM meta "
        "WHERE key NOT IN ('schema_version', 'session')",
        (latest,),
    )
    execute("DELETE FROM meta WHERE key <> 'schema_version'")


def _give_configs_a_table(connection: sqlite3.Connection) -> None:
    """3 to 4: a config that changes in the life of a trial is kept."""
    connection.execute(CONFIGS_SCHEMA)


def _dump(value: Any) -> bytes:
    return pickle.dumps(value, protocol=5)


_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {
    1: _count_results,
    2: _give_runs_a_table,
    3: _give_configs_a_table,
}
