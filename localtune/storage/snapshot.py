"""Copies a database that another process may be writing, without leaving files beside it.

SQLite's way of reading a database with a write-ahead log makes or changes files beside it. This
module copies plain files, in this order::

    start of the log --> database --> log --> start of the log, again

A page that moves from the log to the database meanwhile is also in the copy of the log, which takes
precedence. If the log was restarted meanwhile, its start has changed, and everything is copied
again. A database that nobody writes need not be copied.
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

# Size of a log's header. It contains random numbers, which change when the log is restarted.
_LOG_HEADER_BYTES = 32
# {end of a file's name: size of its header}. Each transaction changes the header of the index if
# there is a log, or else that of the database.
_HEADERS = {"": 100, "-wal": _LOG_HEADER_BYTES, "-shm": 96, "-journal": 28}
# Position and value of the byte that tells whether a database has a log.
_MODE_BYTE = 18
_HAS_LOG = b"\x02"
_TRIES = 20

# When a process closes a file, the system releases all of its locks on that file, even those of
# other descriptors. So a database that this process writes must be read through SQLite.
_guard = threading.RLock()
_open_here: Counter[str] = Counter()


@contextlib.contextmanager
def known_as_open(path: str) -> Iterator[None]:
    """Records that this process opens a database for writing.

    The record stays until :func:`forget_open`, unless the ``with`` block raises an error.
    """
    with _guard:
        _open_here[os.path.realpath(path)] += 1
        try:
            yield
        except BaseException:
            forget_open(path)
            raise


def forget_open(path: str) -> None:
    """Removes the record of :func:`known_as_open` after the database was closed."""
    with _guard:
        _open_here[os.path.realpath(path)] -= 1


def state_of(source: str) -> object:
    """Returns a value that changes whenever the content of a database changes.

    Args:
        source: The database.

    Returns:
        The value; None if it cannot be computed, because this process writes the database.

    Raises:
        OSError: if a file cannot be read.
    """
    with _guard:
        if _open_here[os.path.realpath(source)] > 0:
            return None
        return [_file_state(f"{source}{end}", size) for end, size in _HEADERS.items()]


def _file_state(path: str, header_bytes: int) -> object:
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            place = found.st_dev, found.st_ino, found.st_size
            return place, found.st_mtime_ns, found.st_ctime_ns, file.read(header_bytes)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def held_still(source: str) -> Iterator[bool]:
    """Tells whether nobody writes a database, so that it can be read without a copy.

    It has no log then: the last one to close a database moves the log into it. Afterwards,
    :func:`state_of` tells whether that is still so. This process does not begin to write the
    database within the ``with`` block.

    Args:
        source: The database.
    """
    with _guard:
        is_open = _open_here[os.path.realpath(source)] > 0
        logs = (f"{source}{end}" for end in _HEADERS if end)
        yield not is_open and not any(map(_has_content, logs))


def _has_content(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except FileNotFoundError:
        return False


def copy_database(source: str, target: str) -> None:
    """Copies a database in the state of some moment during this call.

    Args:
        source: The database; no files beside it are made, changed or removed.
        target: A file that does not exist, in a directory of the caller.

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
            # Another process restarts the log faster than files are copied.
            _copy_by_sqlite(source, target)
            return
    try:
        _copy_by_sqlite(source, target)
    except sqlite3.Error:
        # The writer was killed. SQLite rolls the copy back when it opens it.
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
    """Copies a database and the file that belongs to it; returns whether they match."""
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
