"""Decisions: what a trial does next when its step, its save or its export is done."""

from __future__ import annotations

from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.record import RunRecord
from localtune.controller.saves import Saves
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.workers import PAUSE, STOP, Phase, Worker
from localtune.trial.trial import Trial
from localtune.worker import messages


class Decisions:
    """Carries out the decision that a worker keeps about its trial.

    Args:
        record: State of the run.
        commands: Gives workers their next commands.
        cloning: Carries out clones.
        saves: Records checkpoints.
        ends: Ends trials.
        export_formats: Formats to export before a trial ends well.
    """

    def __init__(
        self,
        record: RunRecord,
        commands: WorkerCommands,
        cloning: Cloning,
        saves: Saves,
        ends: TrialEnds,
        export_formats: list[str],
    ) -> None:
        self._record = record
        self._commands = commands
        self._cloning = cloning
        self._saves = saves
        self._ends = ends
        self._export_formats = export_formats

    def carry_out(self, worker: Worker, trial: Trial) -> None:
        """Carries out the decision about a trial, which has been saved if that was due.

        Args:
            worker: Serves the trial and is at rest.
            trial: The trial.
        """
        decision, worker.decision = worker.decision, ""
        if decision == STOP:
            self._cloning.drop(trial)
            if self._export_formats:
                export = messages.Export(self._export_formats)
                self._commands.send(worker, Phase.EXPORTING, export)
            else:
                self._ends.complete(worker, trial)
            return
        if self._cloning.apply_chosen(trial, worker):
            return
        if decision == PAUSE:
            self._commands.pause(worker, trial)
        elif not self._record.clones.is_wanted(trial):
            self._commands.train(worker)

    def take_save(self, worker: Worker, trial: Trial, reply: messages.Saved) -> None:
        """Takes in a save.

        Args:
            worker: Has saved, and is at rest.
            trial: Its trial.
            reply: Its answer.
        """
        self._saves.take_in(trial, reply)
        if worker.decision == STOP:
            self._cloning.drop(trial)
        self._cloning.serve_waiting(trial)
        if worker.trial is trial and not self._record.is_ending:
            self.carry_out(worker, trial)

    def take_export(self, worker: Worker, trial: Trial, reply: messages.Exported) -> None:
        """Takes in an export, which is the last command of a trial.

        Args:
            worker: Has exported.
            trial: Its trial.
            reply: Its answer.
        """
        self._ends.complete(worker, trial)
