"""Copies of experiments' databases, which several readers share.

::

    a result of a grid ---.
    another one ----------+-- DatabaseReader -- copy, made anew when the database has changed
    the analysis ---------'

A database that nobody writes is read without a copy by :func:`read_once`.

There is one reader for each experiment; it lives as long as an object refers to it. A program that
asks for the histories of 1,000 trials one by one copies a large database once, not 1,000 times.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from localtune.error import StorageError
from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.reader import DATABASE_FILES, ExperimentReader, has_database
from localtune.storage.schema import damaged
from localtune.storage.snapshot import copy_database, held_still, state_of
from localtune.utils.private_dir import COPY_PREFIX, PrivateDir
from localtune.utils.trust import GuardedDirectory

T = TypeVar("T")

_readers: weakref.WeakValueDictionary[str, DatabaseReader] = weakref.WeakValueDictionary()
_guard = threading.Lock()


def reader_of(experiment_path: str) -> DatabaseReader:
    """Returns the reader of an experiment's database.

    Args:
        experiment_path: Directory of the experiment; there need be no database yet.

    Returns:
        The existing reader, if there is one.
    """
    with _guard:
        reader = _readers.get(experiment_path)
        if reader is None:
            reader = _readers[experiment_path] = DatabaseReader(experiment_path)
        return reader


@contextlib.contextmanager
def opened(experiment_path: str, *, trust: bool = False) -> Iterator[ExperimentReader]:
    """Opens an experiment's database for reading, in a copy.

    Args:
        experiment_path: Directory of the experiment.
        trust: Whether to read an experiment that other users could have written.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is none, or it cannot be read.
    """
    with reader_of(experiment_path).opened(trust=trust) as db:
        yield db


def read_once(
    experiment_path: str, read: Callable[[ExperimentReader], T], *, trust: bool = False
) -> T:
    """Reads an experiment's database: as it is if nobody writes it, else in a copy.

    Args:
        experiment_path: Directory of the experiment.
        read: Gets the opened database. It may be called twice: a database that has changed
            meanwhile is read again, in a copy.
        trust: Whether to read an experiment that other users could have written.

    Returns:
        What ``read`` has returned.

    Raises:
        UntrustedDirectoryError: if another user could have written it.
        StorageError: if there is none, or it cannot be read.
    """
    source = os.path.join(experiment_path, EXPERIMENT_DB_FILE)
    # Errors are told of the copy, which nobody changes.
    with contextlib.suppress(StorageError, OSError, sqlite3.Error), held_still(source) as is_still:
        if is_still:
            with GuardedDirectory(experiment_path, trust=trust) as guarded:
                guarded.check_files(DATABASE_FILES)
                before = state_of(source)
                db = ExperimentReader(experiment_path, source, is_fixed=True)
                with contextlib.closing(db):
                    found = read(db)
                # Checked again, because the database was read by its path.
                guarded.check_files(DATABASE_FILES)
                if state_of(source) == before:
                    return found
    with opened(experiment_path, trust=trust) as db:
        return read(db)


class DatabaseReader:
    """Reads an experiment's database; use :func:`reader_of`.

    Args:
        experiment_path: Directory of the experiment.
    """

    def __init__(self, experiment_path: str) -> None:
        self._experiment_path = experiment_path
        self._lock = threading.Lock()
        self._copy: _Copy | None = None

    @contextlib.contextmanager
    def opened(self, *, trust: bool = False) -> Iterator[ExperimentReader]:
        """Opens a copy of the database as it is now. Changes to the copy are lost.

        Args:
            trust: Read it though another user could have written it.

        Raises:
            UntrustedDirectoryError: if another user could have written it.
            StorageError: if there is none, or it cannot be read.
        """
        path = self._experiment_path
        if not has_database(path):
            raise StorageError(f"{path!r} is no experiment: it has no {EXPERIMENT_DB_FILE}.")
        copy = self._current(trust)
        try:
            with contextlib.closing(ExperimentReader(path, copy.path)) as db:
                yield db
        finally:
            # A traceback of an error in the block holds this frame, and must not hold a copy.
            del copy, self

    def _current(self, trust: bool) -> _Copy:
        source = os.path.join(self._experiment_path, EXPERIMENT_DB_FILE)
        try:
            with self._lock, GuardedDirectory(self._experiment_path, trust=trust) as guarded:
                # Also if there is a copy: its content comes from these files.
                guarded.check_files(DATABASE_FILES)
                state = state_of(source)
                if self._copy is None or not self._copy.is_of(state):
                    self._copy = None
                    copy = _Copy(state)
                    copy_database(source, copy.path)
                    # Checked again, because the database was copied by its path.
                    guarded.check_files(DATABASE_FILES)
                    self._copy = copy
                return self._copy
        except StorageError:
            raise
        except (OSError, sqlite3.Error) as error:
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageError(
                    f"There is no room in {tempfile.gettempdir()!r} for a copy of the database "
                    f"{source!r}: {error}. Make room there, or set TMPDIR to another directory."
                ) from error
            raise damaged(source, error) from error

    def __reduce__(self) -> tuple[Any, ...]:
        # A pickled reader reads the same database.
        return reader_of, (self._experiment_path,)


class _Copy:
    """A copy in a directory of its own, which is removed with it.

    Args:
        state: State of the database before it is copied; None if it is not known.
    """

    def __init__(self, state: object) -> None:
        directory = PrivateDir(COPY_PREFIX)
        self.path = os.path.join(directory.path, EXPERIMENT_DB_FILE)
        self._state = state
        self._pid = os.getpid()
        # Also called when the object is collected.
        self.remove = weakref.finalize(self, _remove, directory, self._pid)

    def is_of(self, state: object) -> bool:
        """Returns whether the database still has the state that was copied."""
        # The parent process may remove its copy at any time.
        return state is not None and state == self._state and self._pid == os.getpid()


def _remove(directory: PrivateDir, pid: int) -> None:
    if os.getpid() == pid:
        directory.remove()
