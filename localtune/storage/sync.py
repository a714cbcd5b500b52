"""ExperimentSync: carries an experiment's working copy to its store, in a thread of its own.

One pass, in this order, so that what the store holds is a whole state at any moment:

    copy the database -> upload the checkpoints that it names   files, then the marker
                      -> upload histories and other files       those that have changed
                      -> upload the copy of the database        from here on it counts
                      -> remove checkpoints that it does not name

    RUNNING --pass fails: said once--> AWAY --waits 1 s, 2 s, ... 60 s, pass works: said once--+
       ^                                                                                       |
       +---------------------------------------------------------------------------------------+

A pass is made soon after the database has changed, but at least four times as long after the one
before as that took: the run has most of the line. Checkpoints that retention drops while a pass
needs them are removed after it.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from localtune.result import (
    EXPERIMENT_DB_FILE,
    EXPR_ERROR_FILE,
    EXPR_ERROR_PICKLE_FILE,
    EXPR_PARAM_FILE,
    EXPR_PARAM_PICKLE_FILE,
    EXPR_PROGRESS_FILE,
    EXPR_RESULT_FILE,
)
from localtune.storage.remote import (
    SYNC_FILE,
    SyncRecord,
    Version,
    is_checkpoint_name,
    read_record,
    write_record,
)
from localtune.utils.files import STAGING_PREFIX, file_sizes, remove_tree
from localtune.utils.remote_fetch import COMPLETE_MARKER, OWN_PREFIX
from localtune.utils.remote_store import RemoteStore
from localtune.utils.text import format_duration

logger = logging.getLogger(__name__)

_HISTORY_FILES = frozenset(
    [
        EXPR_RESULT_FILE,
        EXPR_PROGRESS_FILE,
        EXPR_PARAM_FILE,
        EXPR_PARAM_PICKLE_FILE,
        EXPR_ERROR_FILE,
        EXPR_ERROR_PICKLE_FILE,
    ]
)
_EVENT_FILE_PREFIX = "events.out.tfevents"

_POLL_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# A pass that took this long is followed by this many times as long without one.
_REST_FACTOR = 4


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """How an experiment is synced.

    Attributes:
        period_s: Seconds between two uploads of histories while there is no new checkpoint.
        artifacts: Whether all files of the trials' directories are uploaded, not just histories.
        first_pause_s: Seconds until the first new try after a failure; doubles up to a minute.
    """

    period_s: float = 300.0
    artifacts: bool = False
    first_pause_s: float = _FIRST_PAUSE_S


@dataclass
class _Uploaded:
    """What the store is known to hold.

    Attributes:
        files: {name: what the local file looked like when it was uploaded}.
        checkpoints: Names of those that are there, or may be there in part.
        whole: Names of those that are there with all their files.
    """

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    checkpoints: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)


class ExperimentSync:
    """Uploads what a run writes, while it runs.

    Args:
        directory: The working copy.
        store: Its place in the store.
        settings: See :class:`SyncSettings`.
        tell: Called with each message for the user; from the thread.
    """

    def __init__(
        self,
        directory: str,
        store: RemoteStore,
        settings: SyncSettings,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._directory = directory
        self._store = store
        self._settings = settings
        self._tell = tell or logger.warning
        record = read_record(directory)
        self._base = record.base
        self._own = Version(os.urandom(8).hex(), 0)
        self._uploaded: _Uploaded | None = None
        self._known_checkpoints: set[str] = set()
        self._is_away = False
        self._error: Exception | None = None
        self._condition = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._complete = False
        self._needed: set[str] = set()  # paths that the pass in progress uploads
        self._dropped: set[str] = set()  # of these, those to remove after it
        self._thread = threading.Thread(target=self._run, name="localtune-sync", daemon=True)

    def start(self) -> None:
        """Begins to sync."""
        self._thread.start()

    def remove_checkpoint(self, path: str) -> None:
        """Removes a checkpoint's directory: now, or after the upload that needs it.

        Raises:
            OSError: if it cannot be removed.
        """
        with self._condition:
            if path in self._needed:
                self._dropped.add(path)
                return
        remove_tree(path)

    def close(self, timeout_s: float) -> bool:
        """Uploads the rest and ends.

        Args:
            timeout_s: Seconds after which it is given up. Ctrl-C gives up, too.

        Returns:
            Whether the store has everything. If not, the user has been told what to do.
        """
        with self._condition:
            self._closing = True
            if self._is_away:
                self._tell(
                    f"Waiting up to {format_duration(timeout_s)} for {self._store.uri} "
                    "(SyncConfig.sync_timeout). Press Ctrl-C to wait no longer."
                )
            self._condition.notify_all()
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(timeout_s)
        with self._condition:
            self._abandoned = True
            self._condition.notify_all()
        if not self._complete:
            reason = f" ({_text_of(self._error)})" if self._error is not None else ""
            self._tell(
                f"{self._store.uri} does not have all of the experiment{reason}. Everything is in "
                f"{self._directory}. To upload the rest, take the experiment up again on this "
                f"machine: Tuner.restore({self._store.uri!r}, trainable).fit()"
            )
        return self._complete

    # -- the thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        change, last_change = 0, -1
        next_at = synced_at = time.monotonic()
        pause_s = self._settings.first_pause_s
        connection = self._connect()
        try:
            while True:
                with self._condition:
                    self._condition.wait_for(lambda: self._closing, min(_POLL_S, pause_s))
                    closing, abandoned = self._closing, self._abandoned
                if abandoned:
                    return
                now = time.monotonic()
                change = connection.execute("PRAGMA data_version").fetchone()[0]
                is_due = now - synced_at >= self._settings.period_s or (
                    change != last_change and self._has_new_checkpoints(connection)
                )
                if not closing and (now < next_at or not is_due):
                    continue
                if closing and self._is_away and not self._rest_while_away(next_at - now):
                    return
                started = time.monotonic()
                if self._try_pass():
                    pause_s = self._settings.first_pause_s
                    last_change, synced_at = change, time.monotonic()
                    next_at = synced_at + _REST_FACTOR * (synced_at - started)
                    if closing:
                        self._complete = True
                        return
                else:
                    next_at = time.monotonic() + pause_s
                    pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
        finally:
            connection.close()

    def _rest_while_away(self, seconds: float) -> bool:
        """Waits until the next try; returns whether there is to be one."""
        with self._condition:
            self._condition.wait_for(lambda: self._abandoned, max(seconds, 0.0))
            return not self._abandoned

    def _try_pass(self) -> bool:
        try:
            self._pass()
        except Exception as error:
            # There is no common class: each store raises what its library raises.
            self._error = error
            # What is there is not certain any more.
            self._uploaded = None
            if not self._is_away:
                self._is_away = True
                self._tell(
                    f"{self._store.uri} cannot be reached ({_text_of(error)}). The run goes on; "
                    f"its files are in {self._directory} and are uploaded later."
                )
            return False
        finally:
            self._remove_dropped()
        self._error = None
        if self._is_away:
            self._is_away = False
            self._tell(f"{self._store.uri} can be reached again, and has the run's state.")
        return True

    def _remove_dropped(self) -> None:
        with self._condition:
            self._needed = set()
            dropped, self._dropped = self._dropped, set()
        for path in dropped:
            try:
                remove_tree(path)
            except OSError as error:
                logger.warning("The checkpoint %s cannot be removed: %s", path, error)

    # -- one pass -------------------------------------------------------------------------------

    def _pass(self) -> None:
        uploaded = self._uploaded or self._look()
        self._uploaded = uploaded
        snapshot = os.path.join(self._directory, f"{STAGING_PREFIX}{EXPERIMENT_DB_FILE}")
        try:
            named = self._take_snapshot(snapshot)
            for name in sorted(named - uploaded.whole):
                if self._abandoned:
                    raise InterruptedError("the upload was given up")
                if not self._upload_checkpoint(name, uploaded):
                    _forget_checkpoint(snapshot, name)
                    named.discard(name)
            self._upload_files(uploaded)
            self._publish(snapshot)
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(snapshot + ending)
        for name in sorted(uploaded.checkpoints - named):
            # First the marker: what is removed by halves is not taken for whole.
            uploaded.whole.discard(name)
            self._store.remove(f"{name}/{COMPLETE_MARKER}")
            self._store.remove(name)
            uploaded.checkpoints.discard(name)

    def _look(self) -> _Uploaded:
        """Finds out what the store holds."""
        uploaded = _Uploaded()
        recorded = self._recorded_checkpoints() if self._own.number == 0 else None
        for name in self._store.files():
            trial, _, rest = name.partition("/")
            checkpoint, _, file = rest.partition("/")
            if not is_checkpoint_name(checkpoint) or not file:
                continue
            path = f"{trial}/{checkpoint}"
            uploaded.checkpoints.add(path)
            # At first, what is there and not on record may be of another history than this one.
            if file == COMPLETE_MARKER and (recorded is None or path in recorded):
                uploaded.whole.add(path)
        return uploaded

    def _recorded_checkpoints(self) -> set[str]:
        connection = self._connect()
        try:
            return _checkpoint_names(connection)
        finally:
            connection.close()

    def _take_snapshot(self, path: str) -> set[str]:
        """Copies the database, and keeps the checkpoints that the copy names; returns them."""
        source = self._connect()
        try:
            target = sqlite3.connect(path)
            try:
                # Under the lock: nobody removes a checkpoint between the copy and the reading.
                with self._condition:
                    source.backup(target)
                    # One file, whatever journal the database has.
                    target.execute("PRAGMA journal_mode=DELETE")
                    named = _checkpoint_names(target)
                    self._needed = {self._local(name) for name in named}
            finally:
                target.close()
        finally:
            source.close()
        self._known_checkpoints = set(named)
        return named

    def _upload_checkpoint(self, name: str, uploaded: _Uploaded) -> bool:
        """Uploads a checkpoint; returns whether there is one."""
        directory = self._local(name)
        if not os.path.isdir(directory):
            return False
        sizes = {path.replace(os.sep, "/"): size for path, size in file_sizes(directory).items()}
        if name in uploaded.checkpoints:
            self._store.remove(name)
        uploaded.checkpoints.add(name)
        self._store.put(
            {f"{name}/{file}": os.path.join(directory, *file.split("/")) for file in sizes}
        )
        self._store.write(f"{name}/{COMPLETE_MARKER}", json.dumps(sizes).encode())
        uploaded.whole.add(name)
        return True

    def _upload_files(self, uploaded: _Uploaded) -> None:
        changed: dict[str, tuple[int, int]] = {}
        for name in self._files():
            with contextlib.suppress(FileNotFoundError):
                status = os.stat(self._local(name))
                look = (status.st_size, status.st_mtime_ns)
                if uploaded.files.get(name) != look:
                    changed[name] = look
        self._store.put({name: self._local(name) for name in changed})
        uploaded.files.update(changed)

    def _files(self) -> Iterator[str]:
        """Names of the files to upload, apart from the database and the checkpoints."""
        for entry in os.scandir(self._directory):
            if entry.is_file():
                if not entry.name.startswith((OWN_PREFIX, STAGING_PREFIX, EXPERIMENT_DB_FILE)):
                    yield entry.name
            elif entry.is_dir() and not entry.name.startswith(STAGING_PREFIX):
                yield from self._files_of_trial(entry.name)

    def _files_of_trial(self, dirname: str) -> Iterator[str]:
        top = self._local(dirname)
        for directory, subdirectories, names in os.walk(top):
            if directory == top:
                subdirectories[:] = [
                    name
                    for name in subdirectories
                    if self._settings.artifacts
                    and not is_checkpoint_name(name)
                    and not name.startswith(STAGING_PREFIX)
                ]
            for name in names:
                if name.startswith(STAGING_PREFIX):
                    continue
                is_history = name in _HISTORY_FILES or name.startswith(_EVENT_FILE_PREFIX)
                if self._settings.artifacts or (is_history and directory == top):
                    path = os.path.relpath(os.path.join(directory, name), self._directory)
                    yield path.replace(os.sep, "/")

    def _publish(self, snapshot: str) -> None:
        self._own = Version(self._own.writer, self._own.number + 1)
        # Before the store has it: then nobody takes this working copy for an old one.
        write_record(self._directory, SyncRecord(self._own, self._base))
        self._store.put_whole(EXPERIMENT_DB_FILE, snapshot)
        self._store.write(SYNC_FILE, json.dumps(vars(self._own)).encode())
        self._base = self._own
        write_record(self._directory, SyncRecord(self._own, self._base))

    def _has_new_checkpoints(self, connection: sqlite3.Connection) -> bool:
        names = _checkpoint_names(connection)
        return not names <= self._known_checkpoints

    def _connect(self) -> sqlite3.Connection:
        path = os.path.join(self._directory, EXPERIMENT_DB_FILE)
        return sqlite3.connect(
            path, timeout=30.0, isolation_level=None, check_same_thread=False
        )

    def _local(self, name: str) -> str:
        return os.path.join(self._directory, *name.split("/"))


def _checkpoint_names(connection: sqlite3.Connection) -> set[str]:
    """Names of the experiment's own checkpoints on record."""
    rows = connection.execute("SELECT path FROM checkpoints").fetchall()
    names = (os.path.normpath(path).replace(os.sep, "/") for (path,) in rows)
    return {name for name in names if not name.startswith("../")}


def _forget_checkpoint(snapshot: str, name: str) -> None:
    connection = sqlite3.connect(snapshot)
    try:
        path = name.replace("/", os.sep)
        connection.execute("DELETE FROM checkpoints WHERE path = ?", (path,))
        connection.commit()
    finally:
        connection.close()


def _text_of(error: Exception | None) -> str:
    return f"{type(error).__name__}: {error}"
