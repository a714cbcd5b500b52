"""Deciders: calls the searcher, the scheduler and the stopper, and survives their exceptions."""

from __future__ import annotations

import traceback
from typing import Any

from localtune.controller.shutdown import Shutdown
from localtune.controller.view import SchedulerView
from localtune.controller.workers import CONTINUE, NOOP, PAUSE, STOP
from localtune.error import TuneError
from localtune.schedulers.base import TrialScheduler
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.suggestion import Suggestion
from localtune.stopper.base import Stopper
from localtune.trial.trial import Trial


class Deciders:
    """Calls code that may be the user's. If it raises, the run ends in good order.

    Args:
        searcher: Suggests configurations.
        scheduler: Decides after each result, and chooses the trials to run.
        stopper: The stop conditions of the run.
        view: The ``tune_controller`` that the scheduler gets.
        shutdown: Ends the run.

    Attributes:
        searcher: As given.
        scheduler: As given.
        stopper: As given.
        view: As given.
    """

    def __init__(
        self,
        searcher: SearchAlgorithm,
        scheduler: TrialScheduler,
        stopper: Stopper,
        view: SchedulerView,
        shutdown: Shutdown,
    ) -> None:
        self.searcher = searcher
        self.scheduler = scheduler
        self.stopper = stopper
        self.view = view
        self._shutdown = shutdown

    # -- what a run asks --------------------------------------------------------------------------

    def next_suggestion(self) -> Suggestion | None:
        """Asks the searcher for a configuration; None if it has none now."""
        try:
            return self.searcher.next_suggestion()
        except Exception as error:
            self._end_run("searcher", error)
            return None

    def choose_trial(self) -> Trial | None:
        """Asks the scheduler for a trial to run; None if it chooses none."""
        try:
            return self.scheduler.choose_trial_to_run(self.view)
        except Exception as error:
            self._end_run("scheduler", error)
            return None

    def meets_stop_condition(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Asks the stopper whether a trial ends with its latest result.

        Args:
            trial: The trial.
            result: Its latest result, nested.
        """
        try:
            return bool(self.stopper(trial.trial_id, result))
        except Exception as error:
            self._end_run("stopper", error)
            return False

    def decide(self, trial: Trial, flat_result: dict[str, Any]) -> str:
        """Asks the scheduler what to do with a trial; tells the searcher if the trial goes on.

        Args:
            trial: The trial.
            flat_result: Its latest result, flat.

        Returns:
            ``"CONTINUE"``, ``"PAUSE"``, ``"STOP"`` or ``"NOOP"``.
        """
        asked = "scheduler"
        try:
            decision = self.scheduler.on_trial_result(self.view, trial, flat_result)
            if decision == STOP:
                return STOP
            if decision not in (CONTINUE, PAUSE, NOOP):
                raise TuneError(
                    f"The scheduler {type(self.scheduler).__name__} must decide CONTINUE, PAUSE, "
                    f"STOP or NOOP after a result, but returned {decision!r}."
                )
            asked = "searcher"
            self.searcher.on_trial_result(trial.trial_id, flat_result)
            return str(decision)
        except Exception as error:
            self._end_run(asked, error)
            return NOOP

    def should_run_stop(self) -> bool:
        """Asks the stopper whether the whole run ends."""
        try:
            return bool(self.stopper.stop_all())
        except Exception as error:
            self._end_run("stopper", error)
            return False

    # -- what a run tells -------------------------------------------------------------------------

    def add(self, trial: Trial) -> None:
        """Tells the scheduler that a trial is new, or is retried."""
        try:
            self.scheduler.on_trial_add(self.view, trial)
        except Exception as error:
            self._end_run("scheduler", error)

    def fail(self, trial: Trial) -> None:
        """Tells the scheduler that a trial has failed."""
        try:
            self.scheduler.on_trial_error(self.view, trial)
        except Exception as error:
            self._end_run("scheduler", error)

    def complete(self, trial: Trial, flat_result: dict[str, Any]) -> None:
        """Tells the scheduler and the searcher that a running trial has ended well.

        Args:
            trial: The trial.
            flat_result: Its last result, flat.
        """
        try:
            self.scheduler.on_trial_complete(self.view, trial, flat_result)
        except Exception as error:
            self._end_run("scheduler", error)
        self.end(trial, result=flat_result)

    def remove(self, trial: Trial) -> None:
        """Tells the scheduler and the searcher that a trial has ended which was not running."""
        try:
            self.scheduler.on_trial_remove(self.view, trial)
        except Exception as error:
            self._end_run("scheduler", error)
        self.end(trial)

    def end(self, trial: Trial, **outcome: Any) -> None:
        """Tells the searcher alone that a trial has ended.

        Args:
            trial: The trial.
            **outcome: ``result`` or ``error`` of ``SearchAlgorithm.on_trial_complete``.
        """
        try:
            self.searcher.on_trial_complete(trial.trial_id, **outcome)
        except Exception as error:
            self._end_run("searcher", error)

    def _end_run(self, asked: str, error: Exception) -> None:
        if isinstance(error, TuneError):
            self._shutdown.abort(error)
            return
        problem = TuneError(
            f"The {asked} raised {type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        )
        problem.__cause__ = error
        self._shutdown.abort(problem)
