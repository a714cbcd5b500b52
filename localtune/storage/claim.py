"""Who may write into an experiment's directory: the holder of its lock, once it has decided to.

    refused, or failed before it began --> the storage path is as it was
       ^
       |
    experiment_claimed: directories, lock --> keep() --> the run writes
                        (nothing else)        from here on, all stays

The directories are made before it is known whether the run can begin: without one there is no lock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from localtune.storage.experiment_db import DATABASE_FILES
from localtune.storage.locks import Hold, experiment_locked
from localtune.storage.paths import make_experiment_dir, prove_dir_writable, remove_empty_dirs
from localtune.utils.trust import GuardedDirectory


class Claim:
    """The right to write into an experiment's directory.

    Args:
        directory: The directory.
        hold: Its lock.

    Attributes:
        is_kept: Whether what is in the directory stays.
    """

    def __init__(self, directory: GuardedDirectory, hold: Hold) -> None:
        self._directory = directory
        self._hold = hold
        self.is_kept = False

    def keep(self) -> None:
        """Begins to write: what is in the directory from now on stays.

        Raises:
            StorageError: if nothing can be written there.
        """
        prove_dir_writable(self._directory.path)
        self.is_kept = self._hold.keeps_file = True

    def check_database(self) -> None:
        """Refuses a database that others could have written; before SQLite opens it, and after.

        Raises:
            UntrustedDirectoryError: if they could.
        """
        self._directory.check_files(DATABASE_FILES)

    def write(self, name: str, content: bytes) -> None:
        """Writes a file whole; only after :meth:`keep`.

        Raises:
            OSError: if it cannot be written; what it held before stays then.
        """
        self._directory.write(name, content)


@contextlib.contextmanager
def experiment_claimed(path: str, *, trust: bool = False) -> Iterator[Claim]:
    """Holds an experiment's directory, which is made if it is missing.

    Unless :meth:`Claim.keep` is called, it is afterwards as it was before, or absent again.

    Args:
        path: The directory.
        trust: Take it though another user could have written it.

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
                # Another run may have made it, and have been refused and removed it just now.
                with contextlib.suppress(FileNotFoundError):
                    directory = stack.enter_context(GuardedDirectory(path, trust=trust))
                    claim = Claim(directory, stack.enter_context(experiment_locked(path)))
            yield claim
    finally:
        if claim is None or not claim.is_kept:
            remove_empty_dirs(made)
