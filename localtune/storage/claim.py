"""Grants the right to write into an experiment's directory.

    refused, or failed before it began --> the storage path is as it was
       ^
       |
    experiment_claimed: directories, lock --> keep() --> the run writes
                        (nothing else)        from here on, all files stay

A lock needs a directory, so the directories are made before the run is known to be able to start.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from localtune.storage.locks import Hold, experiment_locked
from localtune.storage.paths import make_experiment_dir, prove_dir_writable, remove_empty_dirs
from localtune.storage.reader import DATABASE_FILES
from localtune.utils.trust import GuardedDirectory


class Claim:
    """Represents the right to write into an experiment's directory.

    Args:
        directory: The directory.
        hold: The held lock of the directory.

    Attributes:
        is_kept: Whether the content of the directory stays.
    """

    def __init__(self, directory: GuardedDirectory, hold: Hold) -> None:
        self._directory = directory
        self._hold = hold
        self.is_kept = False

    def keep(self) -> None:
        """Starts writing: the content of the directory stays from now on.

        Raises:
            StorageError: if files cannot be written there.
        """
        prove_dir_writable(self._directory.path)
        self.is_kept = self._hold.keeps_file = True

    def check_database(self) -> None:
        """Refuses a database that other users could have written.

        Call it before and after SQLite opens the database.

        Raises:
            UntrustedDirectoryError: if another user could have written it.
        """
        self._directory.check_files(DATABASE_FILES)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file in one step; allowed only after :meth:`keep`.

        Args:
            name: Name of the file, without a path.
            content: All of the content.

        Raises:
            OSError: if it cannot be written; the old content stays then.
        """
        self._directory.write(name, content)


@contextlib.contextmanager
def experiment_claimed(path: str, *, trust: bool = False) -> Iterator[Claim]:
    """Holds the directory of an experiment, which is made if missing.

    Without a call of :meth:`Claim.keep`, the directory is restored to its former state at the end.

    Args:
        path: The directory.
        trust: Whether to accept a directory that other users could have written.

    Raises:
        StorageError: if it cannot be made, or is not trusted.
        ExperimentInUseError: if another run holds it.
    """
    made: list[str] = []
    claim: Claim | None = None
    try:
        with contextlib.ExitStack() as stack:
            while claim is None:
                made += make_experiment_dir(path)
                # Another run that made the directory may have failed and removed it just now.
                with contextlib.suppress(FileNotFoundError):
                    directory = stack.enter_context(GuardedDirectory(path, trust=trust))
                    claim = Claim(directory, stack.enter_context(experiment_locked(path)))
            yield claim
    finally:
        if claim is None or not claim.is_kept:
            remove_empty_dirs(made)
