"""Migrates the experiment database of an older localtune to the newest schema.

A change of the schema increases ``SCHEMA_VERSION`` and adds a step here. Its test migrates a stored
database of the old version from ``tests/storage/``. No release has written a version below
``OLDEST_VERSION``.
"""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
from collections.abc import Callable

from localtune.storage.trial_record import SET_VALUE, recorded_values

# The oldest schema version that a release has written.
OLDEST_VERSION = 4


def _add_values(connection: sqlite3.Connection) -> None:
    """Adds the column for the value of each trial; the records stay as they are."""
    connection.execute("ALTER TABLE trials ADD COLUMN value")
    connection.execute("CREATE INDEX trials_by_value ON trials (run, status, value, number)")
    for (run,) in connection.execute("SELECT number FROM runs").fetchall():
        connection.executemany(SET_VALUE, recorded_values(connection, run))


# {version: step that changes a database of this version to the next one}
_STEPS: dict[int, Callable[[sqlite3.Connection], None]] = {4: _add_values}


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Applies the missing steps in one transaction: a crash leaves the old or the new database.

    Args:
        connection: Connection to the database in autocommit mode.
        version: Schema version of the database.

    Raises:
        sqlite3.Error: if the database cannot be written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        while version in _STEPS:
            _STEPS[version](connection)
            version += 1
        connection.execute(
            "UPDATE meta SET value = ? WHERE key = 'schema_version'",
            (pickle.dumps(version, protocol=5),),
        )
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
