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
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from localtune.result import EXPERIMENT_DB_FILE, TRIAL_FILES
from localtune.storage.locks import LOCK_FILE
from localtune.storage.remote import (
    SYNC_FILE,
    SyncRecord,
    Version,
    read_record,
    write_record,
)
from localtune.trial.checkpoint_dirs import is_checkpoint_name, remove_checkpoint
from localtune.utils.files import STAGING_PREFIX, file_sizes
from localtune.utils.messages import get_logger
from localtune.utils.remote_fetch import COMPLETE_MARKER, OWN_PREFIX
from localtune.utils.remote_store import RemoteStore
from localtune.utils.text import format_duration

logger = get_logger(__name__)

# Starts of the names that mean something on this machine only.
_LEFT_OUT = (OWN_PREFIX, STAGING_PREFIX, LOCK_FILE)
_EVENT_FILE_PREFIX = "events.out.tfevents"

_POLL_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# A pass that took this long is followed by this many times as long without one.
_REST_FACTOR = 4


# Tells a file or directory from an earlier one of the same name: size or inode, time of change.
_Look: TypeAlias = "tuple[int, int]"


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
        whole: {name: what the local directory looked like} of those that are there with all
            their files; None where there was no local directory.
    """

    files: dict[str, _Look] = field(default_factory=dict)
    checkpoints: set[str] = field(default_factory=set)
    whole: dict[str, _Look | None] = field(default_factory=dict)


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
        # What is in the store and not on record at the start may be of another history than the
        # run's: it has to be uploaded again if the run makes a checkpoint of that name.
        self._looks = self._recorded_looks()
        self._known_checkpoints: set[str] = set()
        self._finished_count = -1
        self._is_away = False
        self._error: Exception | None = None
        self._condition = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._complete = False
        self._is_last_pass = False
        self._needed: set[str] = set()  # paths that the pass in progress uploads
        self._dropped: set[str] = set()  # of these, those to remove after it
        self._thread = threading.Thread(target=self._run, name="localtune-sync", daemon=True)

    def start(self) -> None:
        """Begins to sync."""
        write_record(self._directory, SyncRecord(self._own, self._base))
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
        remove_checkpoint(path)

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
        last_change = -1
        next_at = synced_at = time.monotonic()
        pause_s = self._settings.first_pause_s
        connection = self._connect()
        try:
            while True:
                with self._condition:
                    self._condition.wait_for(lambda: self._closing, min(_POLL_S, pause_s))
                    closing = self._closing
                    if self._abandoned:
                        return
                now = time.monotonic()
                if closing:
                    if self._is_away and not self._rest_while_away(next_at - now):
                        return
                elif now < next_at:
                    continue
                change = connection.execute("PRAGMA data_version").fetchone()[0]
                is_due = now - synced_at >= self._settings.period_s or (
                    change != last_change and self._has_news(connection)
                )
                if not (closing or is_due or self._is_away):
                    continue
                started = time.monotonic()
                if self._try_pass():
                    pause_s = self._settings.first_pause_s
                    last_change, synced_at = change, time.monotonic()
                    next_at = synced_at + _REST_FACTOR * (synced_at - started)
                    if self._complete:
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
        self._is_last_pass = self._closing
        try:
            self._pass()
            if self._is_last_pass:
                self._write_record(SyncRecord(self._own, self._base, finished=True))
                self._complete = True
        except Exception as error:
            # There is no common class: each store raises what its library raises.
            self._error = error
            # What is there is not certain any more.
            self._uploaded = None
            if not self._is_away and not self._abandoned:
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
                remove_checkpoint(path)
            except OSError as error:
                logger.warning("The checkpoint %s cannot be removed: %s", path, error)

    # -- one pass -------------------------------------------------------------------------------

    def _pass(self) -> None:
        uploaded = self._uploaded or self._look()
        self._uploaded = uploaded
        snapshot = os.path.join(self._directory, f"{STAGING_PREFIX}{EXPERIMENT_DB_FILE}")
        try:
            named = self._take_snapshot(snapshot)
            for name in sorted(named):
                self._check_wanted()
                look = self._look_of_directory(name)
                if name in uploaded.whole and look in (None, uploaded.whole[name]):
                    continue
                if look is None:
                    # It has gone without our knowledge.
                    _forget_checkpoint(snapshot, name)
                    named.discard(name)
                else:
                    self._upload_checkpoint(name, uploaded)
                    uploaded.whole[name] = self._looks[name] = look
            self._upload_files(uploaded)
            self._publish(snapshot)
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(snapshot + ending)
        for name in sorted(uploaded.checkpoints - named):
            # First the marker: what is removed by halves is not taken for whole.
            uploaded.whole.pop(name, None)
            self._looks.pop(name, None)
            self._store.remove(f"{name}/{COMPLETE_MARKER}")
            self._store.remove(name)
            uploaded.checkpoints.discard(name)

    def _look(self) -> _Uploaded:
        """Finds out what the store holds."""
        uploaded = _Uploaded()
        for name in self._store.files():
            trial, _, rest = name.partition("/")
            checkpoint, _, file = rest.partition("/")
            if not is_checkpoint_name(checkpoint) or not file:
                continue
            path = f"{trial}/{checkpoint}"
            uploaded.checkpoints.add(path)
            if file == COMPLETE_MARKER and path in self._looks:
                uploaded.whole[path] = self._looks[path]
        return uploaded

    def _recorded_looks(self) -> dict[str, _Look | None]:
        connection = self._connect()
        try:
            return {name: self._look_of_directory(name) for name in _checkpoint_names(connection)}
        finally:
            connection.close()

    def _look_of_directory(self, name: str) -> _Look | None:
        try:
            status = os.stat(self._local(name))
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

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
                    self._finished_count = _finished_count(target)
            finally:
                target.close()
        finally:
            source.close()
        self._known_checkpoints = set(named)
        return named

    def _upload_checkpoint(self, name: str, uploaded: _Uploaded) -> None:
        directory = self._local(name)
        sizes = {path.replace(os.sep, "/"): size for path, size in file_sizes(directory).items()}
        self._store.put(
            {f"{name}/{file}": os.path.join(directory, *file.split("/")) for file in sizes}
        )
        if name in uploaded.checkpoints:
            for file in self._store.files(name).keys() - sizes.keys() - {COMPLETE_MARKER}:
                self._store.remove(f"{name}/{file}")
        uploaded.checkpoints.add(name)
        self._store.write(f"{name}/{COMPLETE_MARKER}", json.dumps(sizes).encode())

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
                if not entry.name.startswith((*_LEFT_OUT, EXPERIMENT_DB_FILE)):
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
                is_history = name in TRIAL_FILES or name.startswith(_EVENT_FILE_PREFIX)
                if self._settings.artifacts or (is_history and directory == top):
                    path = os.path.relpath(os.path.join(directory, name), self._directory)
                    yield path.replace(os.sep, "/")

    def _publish(self, snapshot: str) -> None:
        self._own = Version(self._own.writer, self._own.number + 1)
        # Before the store has it: then nobody takes this working copy for an old one.
        self._write_record(SyncRecord(self._own, self._base))
        self._store.put_whole(EXPERIMENT_DB_FILE, snapshot)
        self._store.write(SYNC_FILE, json.dumps(vars(self._own)).encode())
        self._base = self._own
        self._write_record(SyncRecord(self._own, self._base))

    def _write_record(self, record: SyncRecord) -> None:
        with self._condition:
            self._check_wanted()
            write_record(self._directory, record)

    def _check_wanted(self) -> None:
        # Another run may have taken up the experiment: it must not find its state overwritten.
        if self._abandoned:
            raise InterruptedError("the upload was given up")

    def _has_news(self, connection: sqlite3.Connection) -> bool:
        """Whether checkpoints have come, or trials have ended."""
        finished = _finished_count(connection)
        return (
            finished != self._finished_count
            or not _checkpoint_names(connection) <= self._known_checkpoints
        )

    def _connect(self) -> sqlite3.Connection:
        path = os.path.join(self._directory, EXPERIMENT_DB_FILE)
        return sqlite3.connect(path, timeout=30.0, isolation_level=None, check_same_thread=False)

    def _local(self, name: str) -> str:
        return os.path.join(self._directory, *name.split("/"))


def _checkpoint_names(connection: sqlite3.Connection) -> set[str]:
    """Names of the experiment's own checkpoints on record."""
    rows = connection.execute("SELECT path FROM checkpoints").fetchall()
    names = (os.path.normpath(path).replace(os.sep, "/") for (path,) in rows)
    return {name for name in names if not name.startswith("../")}


def _finished_count(connection: sqlite3.Connection) -> int:
    statement = "SELECT COUNT(*) FROM trials WHERE status IN ('TERMINATED', 'ERROR')"
    count: int = connection.execute(statement).fetchone()[0]
    return count


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
