"""RunStorage: one run's use of the experiment's directory.

enter   lock; read the earlier run          nothing is written; the run can be refused
  |
begin   marker, files, database             the directory belongs to this run
  |
exit    upload the rest, close, unlock      without begin(), nothing has changed
"""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

from localtune.config.spec import RunSpec
from localtune.result import COMMAND_FILE, TUNER_FILE
from localtune.running.directory import ExperimentDirectory
from localtune.running.resume import Found
from localtune.running.taken import check_taken, identity_of, warn_of_changes, warn_of_taken
from localtune.storage.claim import Claim, experiment_claimed
from localtune.storage.experiment_db import ExperimentDB
from localtune.storage.reader import ExperimentReader, has_database
from localtune.storage.remote import prove_writable, publish_files
from localtune.storage.run_files import FILES_KEY, files_of
from localtune.storage.shared_copy import opened
from localtune.storage.trial_files import TrialFiles
from localtune.utils.remote_fetch import remember_store

if TYPE_CHECKING:
    from localtune.storage.sync import ExperimentSync

Goal: TypeAlias = "tuple[str | None, str | None]"


class RunStorage:
    """Reads the earlier run of an experiment's directory, and stores a new one.

    Args:
        spec: The specification of the run.
        directory: The directory, and how the run uses it.
        by_workers: Whether the machines of the workers upload to remote storage what workers write.

    A context manager; holds the experiment's lock.
    """

    def __init__(
        self, spec: RunSpec, directory: ExperimentDirectory, *, by_workers: bool = False
    ) -> None:
        self._spec = spec
        self._directory = directory
        self._by_workers = by_workers
        self._stack = contextlib.ExitStack()
        self._db: ExperimentReader | None = None
        self._sync: ExperimentSync | None = None
        self._is_latest = True

    def __enter__(self) -> RunStorage:
        with contextlib.ExitStack() as stack:
            directory = self._directory
            directory.attach()
            path = directory.path
            self._claim: Claim = stack.enter_context(
                experiment_claimed(path, trust=directory.trust)
            )
            if has_database(path):
                # A copy: SQLite would repair the files of a killed run, and a run that is refused
                # changes nothing.
                self._db = stack.enter_context(opened(path, trust=directory.trust))
                if directory.run is not None:
                    self._is_latest = directory.run == self._db.run
                    self._db.select_run(directory.run)
            check_taken(self._spec, directory, self._db)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @property
    def earlier(self) -> ExperimentReader | None:
        """The record of the run that this one goes on with; None for a new run."""
        return self._db if self._directory.resume is not None else None

    def begin(self, found: Found, goal: Goal, now: float) -> ExperimentDB:
        """Begins to write. From now on the directory belongs to this run.

        Args:
            found: The trials that the run goes on with.
            goal: Metric and mode of the run; None for an unknown one.
            now: Unix time.

        Returns:
            The database for the state of the run.

        Raises:
            StorageError: if the directory cannot be written.
        """
        spec, directory = self._spec, self._directory
        path, remote = directory.path, directory.remote
        if remote is not None:
            prove_writable(remote)
        self._claim.keep()
        if remote is not None:
            remember_store(path, remote)
        # The files in the directory belong to the latest run.
        files = directory.files if self._is_latest else {}
        for name, content in files.items():
            self._claim.write(name, content)
        is_new = self.earlier is None
        if is_new:
            warn_of_taken(directory, self._db)
        elif self._db is not None:
            warn_of_changes(spec, directory, self._db, goal)
        directory.is_own = True
        db = self._opened(self._stack)
        if self._db is not None:
            db.select_run(self._db.run)
            db.take_over(self._db)
        kept = {} if is_new else files_of(db, path, trust=directory.trust)
        if is_new:
            db.begin_run(now)
        db.start_work(*goal)
        found.mend(db, self.files)
        kept |= directory.files
        db.save(found.trials, {**found.notes, **identity_of(spec), FILES_KEY: kept})
        if is_new:
            self._remove_stale()
        if remote is not None:
            publish_files(remote, path, files)
            self._start_sync()
        return db

    def _opened(self, stack: contextlib.ExitStack) -> ExperimentDB:
        self._claim.check_database()
        db = stack.enter_context(contextlib.closing(ExperimentDB(self._directory.path)))
        self._claim.check_database()
        return db

    def _remove_stale(self) -> None:
        """Removes the files of an earlier run's start that this run has not replaced."""
        for name in {TUNER_FILE, COMMAND_FILE} - self._directory.files.keys():
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._directory.path, name))
            if self._directory.remote is not None:
                self._directory.remote.remove(name)

    @property
    def files(self) -> TrialFiles:
        """The directories of the trials. Checkpoints are also removed from the remote store."""
        return TrialFiles(self._sync.remove_checkpoint) if self._sync is not None else TrialFiles()

    def _start_sync(self) -> None:
        """Starts the upload of the files that the run writes."""
        from localtune.storage.sync import ExperimentSync, SyncSettings

        config, remote = self._spec.sync_config, self._directory.remote
        assert remote is not None
        settings = SyncSettings(
            config.sync_period, config.sync_artifacts, by_workers=self._by_workers
        )
        self._sync = ExperimentSync(self._directory.path, remote, settings)
        self._sync.start()
        self._stack.callback(self._sync.close, config.sync_timeout)
