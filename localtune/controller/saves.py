"""Saves: when a trial is saved, and what its record keeps of its checkpoints."""

from __future__ import annotations

from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.config.checkpoint import CheckpointConfig
from localtune.controller import instructions
from localtune.controller.clone_table import result_of_start
from localtune.controller.cloning import Cloning
from localtune.controller.record import RunRecord
from localtune.result import CONFIG_PREFIX, DONE, SHOULD_CHECKPOINT, TRAINING_ITERATION
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.trial import Trial
from localtune.worker import messages


class Saves:
    """Keeps the checkpoints of trials on record.

    Args:
        record: State of the run.
        out: Receives the instructions.
        cloning: Releases the checkpoint that a trial started from.
        checkpoint_config: With ``checkpoint_at_end`` resolved to a bool.

    Attributes:
        at_end: Whether a trial is saved when it ends.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        cloning: Cloning,
        checkpoint_config: CheckpointConfig,
    ) -> None:
        self._record = record
        self._out = out
        self._cloning = cloning
        self.at_end = bool(checkpoint_config.checkpoint_at_end)
        self._frequency = checkpoint_config.checkpoint_frequency or 0

    def is_due(self, result: dict[str, Any], *, is_duplicate: bool = False) -> bool:
        """Returns whether a trial is saved after a result.

        Args:
            result: Its latest result.
            is_duplicate: Whether it repeats the result before, because a function has returned.
        """
        if self.at_end and result.get(DONE):
            return True
        if is_duplicate:
            return False
        if result.get(SHOULD_CHECKPOINT):
            return True
        return self._frequency > 0 and result.get(TRAINING_ITERATION, 0) % self._frequency == 0

    def take_in(self, trial: Trial, reply: messages.Saved) -> None:
        """Records a checkpoint that a worker has committed.

        Args:
            trial: The trial that was saved. It may have ended since.
            reply: The worker's answer; without a path, there is no new checkpoint.
        """
        trial.next_checkpoint_index = reply.next_index
        if reply.path is not None:
            self._register(trial, reply.path, reply)
        if self._is_announced(trial):
            self._out.append(instructions.Notify("on_trial_save", trial))

    def drop_resume_point(self, trial: Trial) -> None:
        """Forgets a trial's latest checkpoint, which is damaged: the one before takes its place."""
        point = trial.resume_point
        if point is None:
            return
        if trial.start_point is not None:
            trial.start_point = None
            self._cloning.unpin(trial)
        else:
            trial.checkpoints.forget(point.tracked)
        before = trial.resume_point
        trial.result_count = before.result_count if before is not None else 0
        trial.last_result = result_of_start(trial) if before is not None else {}

    def _is_announced(self, trial: Trial) -> bool:
        """Returns whether callbacks hear of a trial's saves: they do until its end is notified."""
        return trial.trial_id in self._record.live or trial.cut_short is not None

    def _register(self, trial: Trial, path: str, reply: messages.Saved) -> None:
        point = trial.resume_point
        if point is not None and point.tracked.checkpoint.path == path:
            # A function that has not reported a new checkpoint since.
            return
        checkpoint = Checkpoint.from_directory(path)
        metrics = {**reply.metrics, CONFIG_PREFIX: trial.config}
        # A function's checkpoint may belong to an earlier iteration than its last result.
        reached = trial.last_result.get(TRAINING_ITERATION, 0)
        done_since = max(reached - metrics.get(TRAINING_ITERATION, reached), 0)
        tracked = TrackedCheckpoint(
            checkpoint,
            metrics,
            index=reply.next_index - 1,
            result_count=max(trial.result_count - done_since, 0),
            files=reply.files,
        )
        if self._is_announced(trial):
            self._out.append(
                instructions.Notify("on_checkpoint", trial, {"checkpoint": checkpoint})
            )
        gone = trial.checkpoints.register(tracked)
        trial.start_point = None
        self._cloning.unpin(trial)
        # The record must neither name a directory that is gone nor miss one that exists.
        self._out.append(instructions.Persist(trial))
        self._out.extend(instructions.DeleteCheckpoint(each) for each in gone)
