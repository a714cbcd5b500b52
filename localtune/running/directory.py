"""ExperimentDirectory: the directory of an experiment, and how a run uses it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from localtune.config.resume import ResumeConfig
from localtune.config.run import RunConfig
from localtune.storage.paths import check_experiment_dir
from localtune.storage.remote import attach, needs_store, remote_version, working_storage_path
from localtune.utils.remote_fetch import with_retries
from localtune.utils.remote_store import RemoteStore, open_store


@dataclass
class ExperimentDirectory:
    """The directory of an experiment, and how a run uses it.

    Attributes:
        path: The directory.
        remote: The experiment's place in its remote storage, None without one.
        files: {name: content} of files that a run writes to it when it begins.
        resume: How to go on with an earlier run; None begins a new run.
        run: Number of the run that goes on, from 1; None is the latest.
        trust: Whether to read a directory that another user could have written.
        is_own: Whether the existing experiment belongs to the caller. Then the name is not taken.
            A run sets it when it begins.
    """

    path: str
    remote: RemoteStore | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    resume: ResumeConfig | None = None
    run: int | None = None
    trust: bool = False
    is_own: bool = False

    @property
    def remote_path(self) -> str:
        """URI of the experiment's place in its remote storage; without one, its directory."""
        return self.remote.uri if self.remote is not None else self.path

    def check(self) -> None:
        """Checks that the directory can be written; writes nothing.

        Raises:
            StorageError: if it cannot be written, or if the remote storage cannot be reached.
        """
        check_experiment_dir(self.path)
        remote = self.remote
        if remote is not None:
            with_retries(lambda: remote_version(remote), remote)

    def attach(self) -> None:
        """Downloads the experiment from its remote storage, if there is one, to the directory.

        Raises:
            StorageError: if the remote storage cannot be reached.
        """
        if self.remote is not None:
            attach(self.remote, self.path)


def directory_of(config: RunConfig) -> ExperimentDirectory:
    """Returns the directory of a named experiment.

    Args:
        config: The config of the run, with a name.

    Raises:
        StorageError: for an unknown kind of remote storage.
        ExtraMissingError: for remote storage whose package is not installed.
    """
    assert config.name is not None and isinstance(config.storage_path, str)
    path, filesystem = config.storage_path, config.storage_filesystem
    remote: RemoteStore | None = None
    if needs_store(path, filesystem):
        remote = open_store(path, filesystem).child(config.name)
        path = working_storage_path(path, filesystem)
    return ExperimentDirectory(os.path.join(path, config.name), remote)
