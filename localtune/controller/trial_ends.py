"""TrialEnds: how a trial ends, and who is told."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.workers import Worker
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.utils.dicts import flatten_dict


class TrialEnds:
    """Ends trials.

    Args:
        record: State of the run.
        out: Receives the instructions.
        deciders: Are told of each end.
        commands: Releases workers.
        cloning: Lets the trials go on that wait for a checkpoint of a trial that ends.
    """

    def __init__(
        self,
        record: RunRecord,
        out: instructions.InstructionList,
        deciders: Deciders,
        commands: WorkerCommands,
        cloning: Cloning,
    ) -> None:
        self._record = record
        self._out = out
        self._deciders = deciders
        self._commands = commands
        self._cloning = cloning

    def complete(self, worker: Worker, trial: Trial) -> None:
        """Ends a running trial well.

        Args:
            worker: Serves the trial; it is released.
            trial: The trial.
        """
        self._commands.release(worker, "its trial is complete")
        self.end_well(trial)

    def end_well(self, trial: Trial) -> None:
        """Ends a trial well that was running until now and has no worker any more."""
        flat_result = flatten_dict(trial.last_result)
        if trial.cut_short is not None:
            # Only a save was left to do when the end of the run came.
            trial.cut_short = None
        else:
            self.finish(trial, Status.TERMINATED)
        self._deciders.complete(trial, flat_result)
        self._out.append(instructions.Notify("on_trial_complete", trial))
        self._out.append(instructions.Persist(trial))

    def remove(self, trial: Trial) -> None:
        """Ends a live trial that is not running: as if it had ended well."""
        if self._record.retry_times.pop(trial.trial_id, None) is not None:
            self._record.move(trial, Status.PENDING)
        self.finish(trial, Status.TERMINATED)
        self._deciders.remove(trial)
        self._out.append(instructions.Notify("on_trial_complete", trial))
        self._out.append(instructions.Persist(trial))

    def finish(self, trial: Trial, status: Status) -> None:
        """Ends a live trial without a notice to callbacks, searcher or scheduler.

        Args:
            trial: The trial.
            status: ``TERMINATED`` or ``ERROR``.
        """
        self._record.end(trial, status)
        # A clone that has saved nothing since keeps its result in the donor's checkpoint.
        if not trial.is_cloned:
            trial.start_point = None
            self._cloning.unpin(trial)
        self._cloning.give_up(trial)
