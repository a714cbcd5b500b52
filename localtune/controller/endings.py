"""Endings: when the run ends before all trials have ended."""

from __future__ import annotations

from localtune.clock import Clock
from localtune.controller.deciders import Deciders
from localtune.controller.record import RunRecord
from localtune.controller.requests import Requests
from localtune.controller.shutdown import Shutdown
from localtune.controller.view import Request
from localtune.controller.workers import PAUSE


class Endings:
    """Ends the run: at its time budget, by its stop conditions, or because it is told to.

    Args:
        record: State of the run.
        deciders: Are asked for the stop conditions of the run.
        requests: Pauses the trials of a run that is wound down.
        shutdown: Ends the run.
        clock: For the times below.
        time_budget_s: Seconds from the first check to the end; None is no limit.
        can_save: Whether trials can be saved.

    Attributes:
        deadline: End of the time budget by the clock, in seconds; None without one.
        is_stopper_spent: Whether the stop conditions have ended the run.
        is_winding_down: Whether running trials are saved so that the run can end.
        saved_until: When a run that is wound down ends at the latest, by the clock, in seconds.
    """

    def __init__(
        self,
        record: RunRecord,
        deciders: Deciders,
        requests: Requests,
        shutdown: Shutdown,
        clock: Clock,
        *,
        time_budget_s: float | None = None,
        can_save: bool = True,
    ) -> None:
        self.deadline: float | None = None
        self.is_stopper_spent = False
        self.is_winding_down = False
        self.saved_until = 0.0
        self._record = record
        self._deciders = deciders
        self._requests = requests
        self._shutdown = shutdown
        self._clock = clock
        self._time_budget_s = time_budget_s
        self._can_save = can_save

    def check(self) -> None:
        """Ends the run if its time is up or its stop conditions are met; starts its time."""
        if self.deadline is None and self._time_budget_s:
            self.deadline = self._clock.monotonic() + self._time_budget_s
        if self._record.is_ending:
            return
        is_late = self.deadline is not None and self._clock.monotonic() >= self.deadline
        if not is_late:
            self.is_stopper_spent = self._deciders.should_run_stop()
        if is_late or self.is_stopper_spent:
            self._shutdown.cut_short("the run's stop conditions are met")

    def interrupt(self) -> None:
        """Ends the run at once; unfinished trials keep their status."""
        self._shutdown.leave_off("the run was interrupted")

    def abort(self, error: BaseException) -> None:
        """Ends the run at once because of an error of the run itself."""
        self._shutdown.abort(error)

    def wind_down(self, grace_s: float) -> None:
        """Saves the running trials, and ends the run then; at once if nothing can be saved.

        Args:
            grace_s: Seconds after which the run ends even if saves are in flight.
        """
        if not self._can_save:
            self._shutdown.leave_off("the run was told to end")
            return
        self.is_winding_down = True
        self.saved_until = self._clock.monotonic() + grace_s
        for worker in self._record.workers:
            if worker.trial is not None:
                is_paused_anyway = worker.pause_wanted or worker.decision == PAUSE
                self._requests.carry_out(Request("pause", worker.trial))
                # When the run is resumed, the trial does not wait for its scheduler.
                worker.is_ready = worker.is_ready or not is_paused_anyway

    def check_winding_down(self) -> None:
        """Ends a run that is wound down when all trials are saved or the time is up."""
        is_late = self._clock.monotonic() >= self.saved_until
        if is_late or not self._record.workers.serving_count:
            self._shutdown.leave_off("the run was told to end")

    def close(self) -> None:
        """Tells the searcher, whose state has been kept, that unfinished trials do not go on.

        The same searcher may serve another run.
        """
        for trial in self._record.trials:
            if trial.trial_id in self._record.live or trial.cut_short is not None:
                self._deciders.end(trial)
