"""TrialFiles: the parent's hand on the directory and the checkpoints of a trial.

::

      make / prepare         before a worker starts          damage      of a checkpoint
      note_unrecorded   -->  [the record is written]  -->    note_recorded | remove_checkpoint
      remove_leftovers       after a worker has ended        write_error

The worker fills the directory; the parent calls nothing but this object for the rest. Another
place than the local disk is another class with these methods.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from localtune.storage.checkpoints import find_damage, remove_leftovers
from localtune.storage.failures import write_error
from localtune.storage.paths import make_trial_dir
from localtune.trial import checkpoint_dirs
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.own_files import prepare_logs
from localtune.trial.trial import Trial


class TrialFiles:
    """Keeps the directories of trials on a disk of this machine.

    Args:
        remove_checkpoint: Removes the directory of a checkpoint; raises OSError if it cannot.
    """

    def __init__(
        self, remove_checkpoint: Callable[[str], None] = checkpoint_dirs.remove_checkpoint
    ) -> None:
        self._remove_checkpoint = remove_checkpoint

    # -- directories ------------------------------------------------------------------------------

    def make(self, trial: Trial, *, is_resumed: bool) -> None:
        """Makes the directory of a trial that starts for the first time.

        Args:
            trial: Its ``dirname`` is the name that is wanted, and afterwards the one that it got.
            is_resumed: Whether an earlier session may have made the directory already.

        Raises:
            StorageError: if the directory cannot be made.
            OSError: if a file in it cannot be made.
        """
        trial.dirname = make_trial_dir(trial.experiment_path, trial.dirname, is_resumed=is_resumed)
        prepare_logs(trial)

    def prepare(self, trial: Trial) -> None:
        """Prepares the directory of a trial that starts again.

        Raises:
            OSError: if the directory, or a file in it, cannot be made.
        """
        os.makedirs(trial.path, exist_ok=True)
        prepare_logs(trial)

    def exists(self, trial: Trial) -> bool:
        """Returns whether a trial has a directory."""
        return bool(trial.dirname) and os.path.isdir(trial.path)

    def remove_leftovers(self, trial: Trial, recorded: Iterable[str]) -> None:
        """Removes half-written files and unrecorded checkpoints from a trial's directory.

        Args:
            trial: No worker serves it.
            recorded: Paths of the checkpoints that are on record, or are about to be.

        Raises:
            FileNotFoundError: if the directory is gone.
            OSError: if a file cannot be removed.
        """
        remove_leftovers(trial.path, recorded)

    def write_error(self, trial: Trial, time_s: float) -> None:
        """Adds the latest error of a trial to its ``error.txt``.

        Args:
            trial: It has failed.
            time_s: When it failed, in seconds since the Unix epoch.

        Raises:
            OSError: if a file cannot be written.
        """
        assert trial.kept_error is not None
        write_error(trial, trial.num_failures, time_s, trial.kept_error)

    # -- checkpoints ------------------------------------------------------------------------------

    def damage(self, tracked: TrackedCheckpoint) -> str:
        """Returns one clause about what is wrong with a checkpoint, "" if nothing is."""
        return find_damage(tracked.checkpoint.path, tracked.files)

    def note_unrecorded(self, path: str) -> None:
        """Notes that the record of a checkpoint is about to be removed."""
        checkpoint_dirs.note_unrecorded(path)

    def note_recorded(self, path: str) -> None:
        """Notes that a checkpoint is on record."""
        checkpoint_dirs.note_recorded(path)

    def remove_checkpoint(self, path: str) -> None:
        """Removes a checkpoint that is on record no more.

        Raises:
            OSError: if it cannot be removed.
        """
        self._remove_checkpoint(path)
