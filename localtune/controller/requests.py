"""Requests: carries out what schedulers ask for; docs/controller.md lists all cases."""

from __future__ import annotations

from localtune.controller.clone_table import Clone
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.record import RunRecord
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.view import Request
from localtune.controller.workers import PAUSE, STOP, Phase, Worker
from localtune.result import DONE
from localtune.trial.status import Status
from localtune.trial.trial import Trial


class Requests:
    """Carries out requests in the order in which they were made.

    Args:
        record: State of the run.
        waiting: The list to which the scheduler's view adds requests.
        commands: Pauses and saves trials.
        cloning: Carries out clones.
        ends: Ends trials.

    Attributes:
        waiting: As given; empty after :meth:`serve`.
    """

    def __init__(
        self,
        record: RunRecord,
        waiting: list[Request | Clone],
        commands: WorkerCommands,
        cloning: Cloning,
        ends: TrialEnds,
    ) -> None:
        self.waiting = waiting
        self._record = record
        self._commands = commands
        self._cloning = cloning
        self._ends = ends

    def serve(self) -> None:
        """Carries out the requests that wait, and those that are made meanwhile.

        Requests about trials that have ended are dropped, and all when the run is ending.
        """
        while self.waiting:
            request = self.waiting.pop(0)
            if request.trial.trial_id not in self._record.live or self._record.is_ending:
                continue
            if isinstance(request, Clone):
                self._cloning.serve(request)
            else:
                self.carry_out(request)

    def carry_out(self, request: Request) -> None:
        """Carries out one request about a live trial."""
        trial = request.trial
        worker = self._record.workers.of_trial(trial)
        if worker is None:
            self._carry_out_without_worker(request.kind, trial)
        elif worker.phase is Phase.EXPORTING:
            return
        elif request.kind == "ready":
            worker.is_ready = worker.pause_wanted or worker.decision == PAUSE
        elif worker.defers_requests:
            self._defer(request, worker)
        elif request.kind == "stop":
            self._ends.complete(worker, trial)
        elif request.kind == "pause" and not request.should_checkpoint:
            self._commands.pause(worker, trial)
        elif worker.phase is Phase.AT_REST:
            worker.decision = PAUSE if request.kind == "pause" else worker.decision
            self._commands.save(worker)
        elif request.kind == "pause":
            worker.pause_wanted = True
        elif request.kind == "save":
            worker.save_wanted = True

    def _carry_out_without_worker(self, kind: str, trial: Trial) -> None:
        if kind == "stop":
            self._ends.remove(trial)
        elif kind == "ready" and trial.status is Status.PAUSED:
            self._record.move(trial, Status.PENDING)

    def _defer(self, request: Request, worker: Worker) -> None:
        """Notes a request until the save is done that is in flight or may be due."""
        if request.kind == "stop":
            worker.decision = STOP
            worker.is_unwanted = True
            if worker.is_deciding:
                request.trial.last_result[DONE] = True
        elif request.kind == "pause" and worker.decision != STOP:
            worker.decision = PAUSE
            worker.save_wanted |= worker.is_deciding and request.should_checkpoint
        elif request.kind == "save":
            worker.save_wanted |= worker.is_deciding
