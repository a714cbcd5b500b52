"""Readiness: what a worker does first for a trial: it restores a checkpoint, or trains."""

from __future__ import annotations

from typing import Any

from localtune.controller import instructions
from localtune.controller.clone_table import result_of_start
from localtune.controller.commands import WorkerCommands
from localtune.controller.record import RunRecord
from localtune.controller.workers import Phase, Worker
from localtune.result import CONFIG_PREFIX
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages


class Readiness:
    """Takes in the answers of workers that were started, were reset, or have restored.

    Args:
        record: State of the run.
        out: Receives the instructions.
        commands: Gives workers their next commands.
    """

    def __init__(
        self, record: RunRecord, out: instructions.InstructionList, commands: WorkerCommands
    ) -> None:
        self._record = record
        self._out = out
        self._commands = commands

    def take_ready(self, worker: Worker, trial: Trial, reply: messages.Ready) -> None:
        """Takes in that a new worker is ready.

        Args:
            worker: The worker.
            trial: Its trial.
            reply: Its answer.
        """
        self._begin(worker, trial, reply.metrics, trains=reply.trains)

    def take_reset(self, worker: Worker, trial: Trial, reply: messages.ResetDone) -> None:
        """Takes in that a worker was reset, or refused it: then the trial waits for another one.

        Args:
            worker: The worker.
            trial: The trial that it was to serve.
            reply: Its answer.
        """
        if reply.accepted:
            self._begin(worker, trial, reply.metrics, trains=reply.trains)
            return
        if self._record.may_reuse_workers:
            self._record.may_reuse_workers = False
            self._out.warn_once(
                f"reuse_actors=True has no effect: {trial.trainable_name} refuses to be reset "
                "(its reset_config does not return True). Each trial gets a worker of its own."
            )
        self._commands.dismiss(worker, "it refused to be reset")
        self._record.move(trial, Status.PENDING)

    def take_restored(self, worker: Worker, trial: Trial, reply: messages.Restored) -> None:
        """Takes in that a worker has loaded its trial's checkpoint.

        Args:
            worker: The worker.
            trial: Its trial.
            reply: Its answer.
        """
        trial.last_result = result_of_start(trial)
        self._out.append(instructions.Notify("on_trial_restore", trial))
        self._commands.train(worker)

    def _begin(
        self, worker: Worker, trial: Trial, metrics: dict[str, Any], *, trains: bool = False
    ) -> None:
        if not trial.last_result:
            trial.last_result = {**metrics, CONFIG_PREFIX: trial.config}
        self._out.append(instructions.Notify("on_trial_start", trial))
        point = trial.resume_point
        if trains:
            self._commands.note_training(worker)
            return
        if point is None:
            self._commands.train(worker)
            return
        # The worker has the config, and its values may be of classes that only it can load.
        kept = {key: it for key, it in point.tracked.metrics.items() if key != CONFIG_PREFIX}
        restore = messages.Restore(point.tracked.checkpoint.path, kept)
        self._commands.send(worker, Phase.RESTORING, restore)
