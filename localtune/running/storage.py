"""RunStorage: the experiment's directory as one run uses it.

enter   lock; look at what is there         nothing is written, all can be refused
  |
begin   marker, files, database             what says that there is a run
  |
exit    upload the rest, close, let go      without begin(), all is as it was
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from localtune.result import COMMAND_FILE, TUNER_FILE
from localtune.running.experiment import Experiment
from localtune.running.options import RunOptions
from localtune.running.resume import Found
from localtune.running.taken import check_taken, identity_of, warn_of_changes, warn_of_taken
from localtune.storage.claim import Claim, experiment_claimed
from localtune.storage.experiment_db import ExperimentDB, has_database
from localtune.storage.remote import prove_writable, publish_files
from localtune.storage.run_files import FILES_KEY, files_of
from localtune.storage.shared_copy import copied
from localtune.trial.checkpoint_dirs import remove_checkpoint
from localtune.utils.remote_fetch import remember_store

if TYPE_CHECKING:
    from localtune.storage.sync import ExperimentSync

Goal: TypeAlias = "tuple[str | None, str | None]"


class RunStorage:
    """Where a run reads what there is, and keeps what it does.

    Args:
        experiment: What is run.
        options: How it is run.

    A context manager; holds the experiment's lock.
    """

    def __init__(self, experiment: Experiment, options: RunOptions) -> None:
        self._experiment = experiment
        self._options = options
        self._stack = contextlib.ExitStack()
        self._db: ExperimentDB | None = None
        self._sync: ExperimentSync | None = None
        self._is_latest = True

    def __enter__(self) -> RunStorage:
        with contextlib.ExitStack() as stack:
            self._experiment.attach()
            path = self._experiment.path
            self._claim: Claim = stack.enter_context(
                experiment_claimed(path, trust=self._options.trust)
            )
            if has_database(path):
                # A copy: SQLite would mend what a killed run has left, and a run that is refused
                # changes nothing.
                self._db = stack.enter_context(copied(path, trust=self._options.trust))
                if self._options.run is not None:
                    self._is_latest = self._options.run == self._db.run
                    self._db.select_run(self._options.run)
            check_taken(self._experiment, self._options.start, self._db)
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
    def earlier(self) -> ExperimentDB | None:
        """What the run goes on with, None if it begins anew, for lack of such a thing as well."""
        return self._db if self._options.resume is not None else None

    def begin(self, found: Found, notes: Mapping[str, Any], goal: Goal, now: float) -> ExperimentDB:
        """Begins to write: from here on the experiment is this run's.

        Args:
            found: The trials that the run goes on with.
            notes: {key: value} to keep with the run's state.
            goal: Metric and mode of the run, None for what is not known.
            now: Unix time.

        Returns:
            Where the run keeps its state.

        Raises:
            StorageError: if it cannot be written.
        """
        experiment, start = self._experiment, self._options.start
        path, remote = experiment.path, experiment.remote
        if remote is not None:
            prove_writable(remote)
        self._claim.keep()
        if remote is not None:
            remember_store(path, remote)
        # Those in the directory are the latest run's.
        files = start.files if self._is_latest else {}
        for name, content in files.items():
            self._claim.write(name, content)
        is_new = self.earlier is None
        if is_new:
            warn_of_taken(experiment, start, self._db)
        elif self._db is not None:
            warn_of_changes(experiment, start, self._db, goal)
        start.is_own = True
        db = self._opened(self._stack)
        if self._db is not None:
            db.select_run(self._db.run)
            db.take_over(self._db)
        kept = {} if is_new else files_of(db, path, trust=self._options.trust)
        if is_new:
            db.begin_run(now)
        db.start_work(*goal)
        found.mend(db)
        kept |= start.files
        db.save(found.trials, {**notes, **identity_of(experiment), FILES_KEY: kept})
        if is_new:
            self._remove_stale()
        if remote is not None:
            publish_files(remote, path, files)
            self._start_sync()
        return db

    def _opened(self, stack: contextlib.ExitStack) -> ExperimentDB:
        self._claim.check_database()
        db = stack.enter_context(contextlib.closing(ExperimentDB(self._experiment.path)))
        self._claim.check_database()
        return db

    def _remove_stale(self) -> None:
        """Removes what an earlier run was started with, where this one brings nothing such."""
        for name in {TUNER_FILE, COMMAND_FILE} - self._options.start.files.keys():
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(self._experiment.path, name))
            if self._experiment.remote is not None:
                self._experiment.remote.remove(name)

    @property
    def remove_checkpoint(self) -> Callable[[str], None]:
        """Removes a checkpoint's directory, once nobody needs it."""
        return self._sync.remove_checkpoint if self._sync is not None else remove_checkpoint

    def _start_sync(self) -> None:
        """Uploads what the run writes from now on."""
        from localtune.storage.sync import ExperimentSync, SyncSettings

        config, remote = self._experiment.sync_config, self._experiment.remote
        assert remote is not None
        settings = SyncSettings(config.sync_period, config.sync_artifacts)
        self._sync = ExperimentSync(self._experiment.path, remote, settings)
        self._sync.start()
        self._stack.callback(self._sync.close, config.sync_timeout)
