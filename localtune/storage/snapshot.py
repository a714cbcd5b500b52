"""Copies a database that somebody may be writing, and leaves no trace beside it.

SQLite's own way to read a database with a write-ahead log makes or changes files beside it. Here
plain files are copied, in this order::

    start of the log --> database --> log --> start of the log, again

A page that moves from the log to the database meanwhile is in the copy of the log, too, where it
counts. If the log was begun anew meanwhile, its start has changed, and all is copied again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote

# Size of the header of a log; it holds random numbers, which change when the log is begun anew.
_LOG_HEADER_BYTES = 32
# {end of a file's name: size of the header that changes with each transaction}. With a log, that
# is the header of the index, and without one it is that of the database.
_HEADERS = {"": 100, "-wal": _LOG_HEADER_BYTES, "-shm": 96, "-journal": 28}
# Where the header of a database says that it has a log, and how.
_MODE_BYTE = 18
_HAS_LOG = b"\x02"
_TRIES = 20

# The system gives up all locks of a process on a file when the process closes the file, whoever
# in it opened it: a database that this process writes must be read through SQLite.
_guard = threading.RLock()
_open_here: Counter[str] = Counter()


@contextlib.contextmanager
def known_as_open(path: str) -> Iterator[None]:
    """Notes, while SQLite opens a database for writing and afterwards, that this process has it.

    It stays noted until :func:`forget_open`, unless opening it fails.
    """
    with _guard:
        _open_here[os.path.realpath(path)] += 1
        try:
            yield
        except BaseException:
            forget_open(path)
            raise


def forget_open(path: str) -> None:
    """Notes that a database that this process had open is closed."""
    with _guard:
        _open_here[os.path.realpath(path)] -= 1


def state_of(source: str) -> object:
    """What is the same again only if a database holds the same as before.

    Args:
        source: The database.

    Returns:
        The state; None if that cannot be known, for this process writes the database.

    Raises:
        OSError: if a file cannot be read.
    """
    with _guard:
        if _open_here[os.path.realpath(source)] > 0:
            return None
        return [_look_at(f"{source}{end}", size) for end, size in _HEADERS.items()]


def _look_at(path: str, header_bytes: int) -> object:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            place = found.st_dev, found.st_ino, found.st_size
            return place, found.st_mtime_ns, found.st_ctime_ns, file.read(header_bytes)
    except FileNotFoundError:
        return None


def copy_database(source: str, target: str) -> None:
    """Copies a database as of some moment during this call.

    Args:
        source: The database; nothing beside it is made, changed or removed.
        target: A file that does not exist, in a directory of the caller's.

    Raises:
        OSError: if a file cannot be read or written.
        sqlite3.Error: if the database is damaged.
    """
    with _guard:
        if _open_here[os.path.realpath(source)] > 0:
            _copy_by_sqlite(source, target)
            return
        if _has_log(source):
            for _ in range(_TRIES):
                if _copy_files(source, target, "-wal"):
                    return
            # Whoever writes does so faster than files are copied.
            _copy_by_sqlite(source, target)
            return
    try:
        _copy_by_sqlite(source, target)
    except sqlite3.Error:
        # Whoever wrote it was killed: the copy is what is brought back to its last whole state.
        _copy_files(source, target, "-journal")


def _has_log(path: str) -> bool:
    with open(path, "rb") as file:
        file.seek(_MODE_BYTE)
        return file.read(1) == _HAS_LOG


def _copy_by_sqlite(source: str, target: str) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{quote(source)}?mode=ro", uri=True)) as old,
        contextlib.closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def _copy_files(source: str, target: str, suffix: str) -> bool:
    """Copies a database with the file that goes with it; whether the copies belong together."""
    log, log_copy = f"{source}{suffix}", f"{target}{suffix}"
    before = _start_of(log)
    shutil.copyfile(source, target)
    try:
        shutil.copyfile(log, log_copy)
    except FileNotFoundError:
        with contextlib.suppress(FileNotFoundError):
            os.remove(log_copy)
    return _start_of(log) == before


def _start_of(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_LOG_HEADER_BYTES)
    except FileNotFoundError:
        return b""
