"""WorkerCommands: gives a worker its next command, or takes its trial away."""

from __future__ import annotations

from localtune.clock import Clock
from localtune.controller import instructions
from localtune.controller.record import RunRecord
from localtune.controller.workers import Phase, Worker
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages

_TRAIN, _SAVE = messages.Train(), messages.Save()


class WorkerCommands:
    """Turns moves of workers into instructions, and keeps their phases.

    Args:
        record: State of the run.
        out: Receives the instructions.
        clock: Time at which commands are sent.
    """

    def __init__(self, record: RunRecord, out: instructions.InstructionList, clock: Clock) -> None:
        self._record = record
        self._out = out
        self._clock = clock

    def send(self, worker: Worker, phase: Phase, command: messages.Command) -> None:
        """Sends a command.

        Args:
            worker: Has no command in flight.
            phase: Its phase while the command is in flight.
            command: The command.
        """
        self._record.workers.note_command(worker, phase, self._clock.monotonic())
        self._out.append(instructions.Send(worker.worker_id, command))

    def train(self, worker: Worker) -> None:
        """Lets a worker run one step of its trial."""
        self.send(worker, Phase.TRAINING, _TRAIN)

    def note_training(self, worker: Worker) -> None:
        """Notes that a worker runs the first step of its trial without being told to."""
        self._record.workers.note_command(worker, Phase.TRAINING, self._clock.monotonic())

    def save(self, worker: Worker) -> None:
        """Lets a worker save its trial."""
        worker.save_wanted = False
        self.send(worker, Phase.SAVING, _SAVE)

    def pause(self, worker: Worker, trial: Trial) -> None:
        """Pauses a trial, without saving it.

        Args:
            worker: Serves the trial.
            trial: The trial. It is pending at once if its scheduler has said so before.
        """
        may_start_again = worker.is_ready
        self.release(worker, "its trial is paused")
        self._record.move(trial, Status.PAUSED)
        if may_start_again:
            self._record.move(trial, Status.PENDING)
        self._out.append(instructions.Persist(trial))

    def release(self, worker: Worker, reason: str) -> None:
        """Takes a worker from its trial: it becomes idle if it can be reused, and is stopped else.

        Args:
            worker: Serves a trial.
            reason: Why it is stopped, for the log.
        """
        record = self._record
        if record.may_reuse_workers and worker.phase is Phase.AT_REST and not record.is_ending:
            record.workers.detach(worker, Phase.IDLE)
        else:
            self.dismiss(worker, reason)

    def dismiss(self, worker: Worker, reason: str, *, force: bool = False) -> None:
        """Stops a worker, unless it is stopping already.

        Args:
            worker: The worker.
            reason: Why, for the log.
            force: Whether to kill it without asking it first.
        """
        if worker.phase is Phase.STOPPING:
            return
        self._record.workers.detach(worker, Phase.STOPPING)
        self._out.append(instructions.StopWorker(worker.worker_id, reason, force))
