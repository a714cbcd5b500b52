"""Replies: which part takes in a worker's answer, and what an answer leads to that none can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from localtune.controller import trial_errors
from localtune.controller.commands import WorkerCommands
from localtune.controller.decisions import Decisions
from localtune.controller.failures import Failures
from localtune.controller.readiness import Readiness
from localtune.controller.record import RunRecord
from localtune.controller.results import Results
from localtune.controller.saves import Saves
from localtune.controller.trial_ends import TrialEnds
from localtune.controller.workers import Phase, Worker
from localtune.error import LocaltuneInternalError
from localtune.trial.trial import Trial
from localtune.worker import messages


class Replies:
    """Hands each answer to the part that takes it in.

    Args:
        record: State of the run.
        commands: Stops workers.
        readiness: Takes in answers to Construct, Reset and Restore.
        results: Takes in answers to Train.
        decisions: Takes in answers to Save and Export.
        saves: Records the checkpoint of a worker that is stopping.
        ends: Ends a trial whose last save that was.
        failures: Takes in exceptions, and answers that cannot be taken in.
    """

    def __init__(
        self,
        record: RunRecord,
        commands: WorkerCommands,
        readiness: Readiness,
        results: Results,
        decisions: Decisions,
        saves: Saves,
        ends: TrialEnds,
        failures: Failures,
    ) -> None:
        self._record = record
        self._commands = commands
        self._saves = saves
        self._ends = ends
        self._failures = failures
        self._takers: dict[type[messages.Reply], Callable[[Worker, Trial, Any], None]] = {
            messages.Trained: results.take_in,
            messages.Saved: decisions.take_save,
            messages.Ready: readiness.take_ready,
            messages.ResetDone: readiness.take_reset,
            messages.Restored: readiness.take_restored,
            messages.Exported: decisions.take_export,
            messages.Failed: failures.take_reply,
        }

    def take_in(self, worker: Worker, reply: messages.Reply) -> None:
        """Takes in an answer. One that raises here fails the worker's trial.

        Args:
            worker: Has answered; no command of it is in flight any more.
            reply: The answer.

        Raises:
            Exception: what was raised here, if no trial can fail by it.
        """
        trial, answered = worker.trial, worker.phase
        if trial is None:
            self._take_last(worker, reply)
            return
        worker.phase = Phase.AT_REST
        taker = self._takers.get(type(reply))
        if taker is None:
            return
        try:
            taker(worker, trial, reply)
        except Exception as fault:
            is_served = worker.trial is trial and not self._record.is_ending
            if not is_served or isinstance(fault, LocaltuneInternalError):
                raise
            self._commands.dismiss(worker, "its answer could not be taken in")
            reason = f"the answer of its {answered.value} could not be taken in"
            self._failures.fail(worker, trial, trial_errors.error_of_fault(fault, trial, reason))

    def _take_last(self, worker: Worker, reply: messages.Reply) -> None:
        """Takes in the answer of a worker without a trial: only a save of its former one counts."""
        is_stopping = worker.phase is Phase.STOPPING
        if not is_stopping or worker.former is None or not isinstance(reply, messages.Saved):
            return
        self._saves.take_in(worker.former, reply)
        if worker.ends_with_save:
            self._ends.end_well(worker.former)
