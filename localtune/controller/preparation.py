"""Prepares the directory and history of a trial before its start; tidies them at its end."""

from __future__ import annotations

from localtune.controller.controller import Controller
from localtune.controller.instructions import PrepareTrial
from localtune.controller.ports import Ports
from localtune.trial.trial import Trial
from localtune.utils.messages import get_logger

logger = get_logger(__name__)


class TrialPreparation:
    """Prepares the directories of trials, and tidies them up.

    Args:
        controller: It is told of damaged checkpoints.
        ports: The files and records of the run.
    """

    def __init__(self, controller: Controller, ports: Ports) -> None:
        self._controller = controller
        self._files = ports.files
        self._records = ports.records
        self._notices = ports.notices

    def prepare(self, instruction: PrepareTrial) -> None:
        """Makes the trial's directory, and cuts its history back to where it goes on from.

        Raises:
            OSError: if the directory cannot be made or cleaned.
            StorageError: if the disk is full or gone.
        """
        trial = instruction.trial
        if instruction.is_first:
            # A crash must not leave a directory of which there is no record.
            self._records.secure(trial)
            self._files.make(trial, is_resumed=self._records.is_from_before(trial))
            return
        self._files.prepare(trial)
        is_damaged = self._drop_damaged(trial)
        if is_damaged or not instruction.is_known:
            self._remove_leftovers(trial)
            self._records.cut(trial)

    def tidy(self, trial: Trial) -> None:
        """Removes the half-written files of a worker that has ended, as far as that is possible."""
        try:
            self._remove_leftovers(trial)
        except FileNotFoundError:
            pass  # The trial itself may have removed its directory.
        except OSError as error:
            logger.warning("What %s left half-written cannot be removed: %s", trial, error)

    def _drop_damaged(self, trial: Trial) -> bool:
        """Drops the checkpoints that are damaged; returns whether there were any."""
        has_dropped = False
        while (point := trial.resume_point) is not None:
            damage = self._files.damage(point.tracked)
            if not damage:
                break
            self._controller.drop_resume_point(trial)
            has_dropped = True
            self._notices.warn(
                f"{trial}: the checkpoint {point.tracked.checkpoint.path} is damaged ({damage}); "
                "it goes on from the one before, or from scratch if there is none."
            )
        return has_dropped

    def _remove_leftovers(self, trial: Trial) -> None:
        # A new checkpoint may not be on record yet, and one that goes may still be.
        paths = [each.checkpoint.path for each in trial.checkpoints]
        self._files.remove_leftovers(trial, [*paths, *self._records.checkpoint_paths(trial)])
