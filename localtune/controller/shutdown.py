"""Shutdown: ends the run before all trials have ended."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.record import RunRecord
from localtune.controller.workers import STOP, Phase
from localtune.trial.status import Status


class Shutdown:
    """Ends all workers. A run that is resumed goes on with the trials that had not ended.

    Args:
        record: State of the run.
        out: Receives the instructions.
        commands: Stops workers.
        cloning: Lets trials stay as they are that are to become clones.
        exports: Whether a trial that ends well is exported.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        commands: WorkerCommands,
        cloning: Cloning,
        *,
        exports: bool = False,
    ) -> None:
        self._record = record
        self._out = out
        self._commands = commands
        self._cloning = cloning
        self._exports = exports

    def abort(self, error: BaseException) -> None:
        """Ends the run because of an error of the run itself; the first error is kept."""
        if self._record.error is None:
            self._record.error = error
        self.leave_off("the run has failed")

    def leave_off(self, reason: str) -> None:
        """Ends all workers; unfinished trials keep their status.

        Args:
            reason: Why, for the log.
        """
        record = self._record
        record.is_ending = True
        for worker in record.workers:
            if worker.phase is Phase.STOPPING:
                continue  # Its last save may be in flight since the run began to end.
            is_last_save = worker.phase is Phase.SAVING and worker.decision == STOP
            worker.ends_with_save = is_last_save and not self._exports
            self._commands.dismiss(worker, reason)
        self._cloning.drop_all()
        for trial_id in record.retry_times:
            trial = record.live[trial_id]
            record.move(trial, Status.PENDING)
            self._out.append(instructions.Persist(trial))
        record.retry_times.clear()

    def cut_short(self, reason: str) -> None:
        """Ends all workers and all trials; each trial keeps its former status as ``cut_short``.

        Args:
            reason: Why, for the log.
        """
        self.leave_off(reason)
        for trial in list(self._record.live.values()):
            trial.cut_short = trial.status
            self._record.end(trial, Status.TERMINATED)
            self._out.append(instructions.Persist(trial))
