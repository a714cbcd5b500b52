"""Cloning: lets trials go on from the checkpoints of other trials."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.clone_table import Clone, Released
from localtune.controller.commands import WorkerCommands
from localtune.controller.record import RunRecord
from localtune.controller.workers import Phase, Worker
from localtune.trial.trial import Trial


class Cloning:
    """Carries out clones: now, when the donor has been saved, or not at all.

    Args:
        record: State of the run.
        out: Receives the instructions.
        commands: Pauses trials, and lets them go on.
    """

    def __init__(
        self, record: RunRecord, out: instructions.InstructionList, commands: WorkerCommands
    ) -> None:
        self._record = record
        self._out = out
        self._commands = commands

    def serve(self, clone: Clone) -> None:
        """Carries out a clone; docs/controller.md lists what happens in each phase."""
        clones, trial = self._record.clones, clone.trial
        worker = self._record.workers.of_trial(trial)
        if worker is not None and worker.phase is Phase.EXPORTING:
            return
        self.drop(trial)
        if self._record.is_saving(clone.donor):
            clones.wait(clone)
        elif clone.donor.resume_point is not None:
            clones.choose(clone)
            if worker is None or not worker.defers_requests:
                self.apply_chosen(trial, worker)

    def apply_chosen(self, trial: Trial, worker: Worker | None) -> bool:
        """Makes a trial the clone that it is to become, if the donor's checkpoint is chosen.

        Args:
            trial: The trial.
            worker: Serves the trial, which is taken from it; None if no worker does.

        Returns:
            Whether the trial has become a clone.
        """
        clones = self._record.clones
        if not clones.is_chosen(trial):
            return False
        if worker is not None:
            self._commands.pause(worker, trial)
        released = clones.apply(trial)
        self._out.append(instructions.Persist(trial))
        self._delete(released)
        return True

    def drop(self, trial: Trial) -> None:
        """Lets a trial stay as it is, if it is to become a clone."""
        self._delete(self._record.clones.give_up(trial))

    def drop_all(self) -> None:
        """Lets all trials stay as they are that are to become clones."""
        for trial in self._record.clones.wanted():
            self.drop(trial)

    def serve_waiting(self, donor: Trial) -> None:
        """Lets the trials go on that waited for a donor, which has been saved or has ended."""
        workers = self._record.workers
        for clone in self._record.clones.take_waiting(donor):
            self.serve(clone)
            worker = workers.of_trial(clone.trial)
            is_held = worker is not None and worker.phase is Phase.AT_REST
            if worker is not None and is_held and clone.trial is not donor:
                self._commands.train(worker)

    def give_up(self, trial: Trial) -> None:
        """Ends all waiting of a trial that has failed or ended, and of the trials that wait for it.

        Args:
            trial: Is in no clone any more, neither as the clone nor as the donor.
        """
        self.drop(trial)
        self.serve_waiting(trial)

    def unpin(self, trial: Trial) -> None:
        """Releases the donor's checkpoint that is pinned for a trial, if one is."""
        self._delete(self._record.clones.unpin(trial))

    def _delete(self, released: Released) -> None:
        owner, gone = released
        if owner is not None and gone:
            self._out.append(instructions.Persist(owner))
            self._out.extend(instructions.DeleteCheckpoint(each) for each in gone)
