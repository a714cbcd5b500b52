"""Uploads an experiment's working copy to its store, in a separate thread.

One pass has these steps, so that the store contains a consistent state at any moment:

    copy the database -> upload the checkpoints in the copy     files, then the marker
                      -> upload histories and other files       those that have changed
                      -> upload the copy of the database        makes the new state valid
                      -> remove checkpoints that are not in the copy

    RUNNING --pass fails: message--> AWAY --waits 1 s, 2 s, ... 60 s, pass succeeds: message--+
       ^                                                                                      |
       +--------------------------------------------------------------------------------------+

A pass follows soon after a change of the database, but at the earliest after four times the
duration of the previous pass, so that the run has most of the bandwidth. Checkpoints that retention
drops during a pass that needs them are removed after it.
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

from localtune.result import EXPERIMENT_DB_FILE
from localtune.storage.locks import LOCK_FILE
from localtune.storage.remote import (
    SYNC_FILE,
    SyncRecord,
    Version,
    read_record,
    write_record,
)
from localtune.trial.checkpoint_dirs import is_checkpoint_name, remove_checkpoint
from localtune.trial.uploaded_files import uploaded_files
from localtune.utils.files import STAGING_PREFIX
from localtune.utils.messages import get_logger
from localtune.utils.remote_fetch import COMPLETE_MARKER, OWN_PREFIX
from localtune.utils.remote_store import RemoteStore
from localtune.utils.remote_upload import Fingerprint, upload_changed, upload_checkpoint
from localtune.utils.text import format_duration

logger = get_logger(__name__)

# Prefixes of names that have a meaning only on this machine.
_LEFT_OUT = (OWN_PREFIX, STAGING_PREFIX, LOCK_FILE)

_POLL_S = 0.5
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
# Length of the rest after a pass, as a multiple of the pass.
_REST_FACTOR = 4


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Holds the settings of the upload.

    Attributes:
        period_s: Seconds between two uploads of histories while there is no new checkpoint.
        artifacts: Whether to upload all files of the trials' directories, not only histories.
        first_pause_s: Seconds until the first new attempt after a failure; doubles up to a minute.
        by_workers: Whether workers on other machines upload the checkpoints that they make, and
            the files of their directories. Those are not in the working copy.
    """

    period_s: float = 300.0
    artifacts: bool = False
    first_pause_s: float = _FIRST_PAUSE_S
    by_workers: bool = False


@dataclass
class _Uploaded:
    """Records the known content of the store.

    Attributes:
        files: {name: fingerprint of the uploaded local file}.
        checkpoints: Names of the checkpoints that are in the store, perhaps incomplete.
        whole: {name: fingerprint of the local directory} of the complete checkpoints in the store;
            None without a local directory.
    """

    files: dict[str, Fingerprint] = field(default_factory=dict)
    checkpoints: set[str] = field(default_factory=set)
    whole: dict[str, Fingerprint | None] = field(default_factory=dict)


class ExperimentSync:
    """Uploads the files of a run while it runs.

    Args:
        directory: The working copy.
        store: Directory of the experiment in the store.
        settings: Settings of the upload.
        tell: Called in the thread with each message for the user.
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
        # {checkpoint: fingerprint} of those recorded at the start. Others in the store may belong
        # to another history, so a new checkpoint of the same name must be uploaded again.
        self._fingerprints = self._recorded_fingerprints()
        self._known_checkpoints: set[str] = set()
        self._finished_count = -1
        self._is_away = False
        self._error: Exception | None = None
        self._condition = threading.Condition()
        self._closing = False
        self._abandoned = False
        self._complete = False
        self._is_last_pass = False
        self._needed: set[str] = set()  # Paths that the current pass uploads.
        self._dropped: set[str] = set()  # Needed paths to remove after it.
        self._gone: set[str] = set()  # Checkpoints of workers that are on record no more.
        self._thread = threading.Thread(target=self._run, name="localtune-sync", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        write_record(self._directory, SyncRecord(self._own, self._base))
        if self._settings.by_workers:
            # Another machine may need a checkpoint that only the working copy has.
            self._try_pass()
        self._thread.start()

    def remove_checkpoint(self, path: str) -> None:
        """Removes a checkpoint's directory, at once or after the upload that needs it.

        Raises:
            OSError: if it cannot be removed.
        """
        with self._condition:
            if self._settings.by_workers:
                self._gone.add(os.path.relpath(path, self._directory).replace(os.sep, "/"))
            if path in self._needed:
                self._dropped.add(path)
                return
        remove_checkpoint(path)

    def close(self, timeout_s: float) -> bool:
        """Uploads the rest and ends the thread.

        Args:
            timeout_s: Longest time to wait, in seconds. Ctrl-C ends the wait, too.

        Returns:
            Whether the store has everything. If not, a message has told the user what to do.
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
                f"{self._store.uri} does not have all of the experiment{reason}. All files are in "
                f"{self._directory}. To upload the rest, resume the experiment on this "
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
        """Waits until the next attempt; returns whether to make it."""
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
            # The errors of the stores' libraries have no common class.
            self._error = error
            # The content of the store is unknown now.
            self._uploaded = None
            if not self._is_away and not self._abandoned:
                self._is_away = True
                self._tell(
                    f"{self._store.uri} cannot be reached ({_text_of(error)}). The run continues; "
                    f"its files are in {self._directory} and will be uploaded later."
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
        uploaded = self._uploaded or self._store_content()
        self._uploaded = uploaded
        snapshot = os.path.join(self._directory, f"{STAGING_PREFIX}{EXPERIMENT_DB_FILE}")
        try:
            named = self._take_snapshot(snapshot)
            for name in sorted(named):
                self._check_wanted()
                fingerprint = self._fingerprint(name)
                if self._is_whole(name, fingerprint, uploaded):
                    continue
                if fingerprint is None:
                    # Other code has removed it.
                    _forget_checkpoint(snapshot, name)
                    named.discard(name)
                else:
                    self._upload_checkpoint(name, uploaded)
                    uploaded.whole[name] = self._fingerprints[name] = fingerprint
            upload_changed(self._store, self._directory, self._files(), uploaded.files)
            self._publish(snapshot)
        finally:
            for ending in ("", "-journal", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.remove(snapshot + ending)
        for name in self._unneeded(named, uploaded):
            # The marker goes first, so that a partly removed checkpoint counts as incomplete.
            uploaded.whole.pop(name, None)
            self._fingerprints.pop(name, None)
            self._store.remove(f"{name}/{COMPLETE_MARKER}")
            self._store.remove(name)
            uploaded.checkpoints.discard(name)
            with self._condition:
                self._gone.discard(name)

    def _is_whole(self, name: str, fingerprint: Fingerprint | None, uploaded: _Uploaded) -> bool:
        """Tells whether the store has a recorded checkpoint as it is."""
        if self._settings.by_workers:
            # What was not recorded at the start was uploaded before it was recorded. A copy of it
            # in the working copy comes from the store.
            return name in uploaded.whole or name not in self._fingerprints
        return name in uploaded.whole and fingerprint in (None, uploaded.whole[name])

    def _unneeded(self, named: set[str], uploaded: _Uploaded) -> list[str]:
        """Returns the checkpoints in the store that no record needs."""
        with self._condition:
            gone = set(self._gone)
        if not self._settings.by_workers:
            gone |= uploaded.checkpoints
        elif self._is_last_pass:
            # Before, a worker may be about to report what the store has beyond the record.
            gone |= self._store_content().checkpoints
        return sorted(gone - named)

    def _store_content(self) -> _Uploaded:
        """Lists the content of the store."""
        uploaded = _Uploaded()
        for name in self._store.files():
            trial, _, rest = name.partition("/")
            checkpoint, _, file = rest.partition("/")
            if not is_checkpoint_name(checkpoint) or not file:
                continue
            path = f"{trial}/{checkpoint}"
            uploaded.checkpoints.add(path)
            if file == COMPLETE_MARKER and path in self._fingerprints:
                uploaded.whole[path] = self._fingerprints[path]
        return uploaded

    def _recorded_fingerprints(self) -> dict[str, Fingerprint | None]:
        connection = self._connect()
        try:
            return {name: self._fingerprint(name) for name in _checkpoint_names(connection)}
        finally:
            connection.close()

    def _fingerprint(self, name: str) -> Fingerprint | None:
        try:
            status = os.stat(self._local(name))
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns

    def _take_snapshot(self, path: str) -> set[str]:
        """Copies the database; returns the checkpoints in the copy, which the pass keeps."""
        source = self._connect()
        try:
            target = sqlite3.connect(path)
            try:
                # The lock keeps the run from removing a checkpoint before its name is read.
                with self._condition:
                    source.backup(target)
                    # This mode keeps all content in one file.
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
        may_exist = name in uploaded.checkpoints
        uploaded.checkpoints.add(name)
        upload_checkpoint(self._store, name, self._local(name), may_exist=may_exist)

    def _files(self) -> Iterator[str]:
        """Yields the names of the files to upload, except for the database and the checkpoints."""
        for entry in os.scandir(self._directory):
            if entry.is_file():
                if not entry.name.startswith((*_LEFT_OUT, EXPERIMENT_DB_FILE)):
                    yield entry.name
            elif entry.is_dir() and not entry.name.startswith(STAGING_PREFIX):
                yield from self._files_of_trial(entry.name)

    def _files_of_trial(self, dirname: str) -> Iterator[str]:
        # Files that workers on other machines make are not here.
        artifacts = self._settings.artifacts and not self._settings.by_workers
        for name in uploaded_files(self._local(dirname), histories=True, artifacts=artifacts):
            yield f"{dirname}/{name}"

    def _publish(self, snapshot: str) -> None:
        self._own = Version(self._own.writer, self._own.number + 1)
        # Written before the upload: a later run must not take this working copy for an old one.
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
        # Another run may have resumed the experiment: do not overwrite its state.
        if self._abandoned:
            raise InterruptedError("the upload was given up")

    def _has_news(self, connection: sqlite3.Connection) -> bool:
        """Tells whether there are new checkpoints or ended trials."""
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
    """Returns the names of the recorded checkpoints in the experiment's directory."""
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
