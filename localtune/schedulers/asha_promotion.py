"""Promotion: chooses the next trial among those that wait in rungs.

::

    new, retried --> queue --> (runs) --> enter a rung --> waits --> promoted --> (runs) --> ...
                                              |              |
                                              +--> promoted  +--> (stopped, at the end of the run)
                                                   at once
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from localtune.schedulers.rungs import Rung
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.schedulers.base import TuneController
    from localtune.trial.trial import Trial


class Promotion:
    """The promotion form of successive halving.

    Args:
        brackets: Rungs of each bracket, in rising order.
        reduction_factor: The best 1/``reduction_factor`` of a rung are promoted.
    """

    def __init__(self, brackets: Sequence[Sequence[Rung]], reduction_factor: float) -> None:
        self._reduction_factor = reduction_factor
        rungs = [rung for bracket in brackets for rung in bracket]
        self._rungs = sorted(rungs, key=lambda rung: rung.milestone, reverse=True)
        self._queue: dict[str, None] = {}  # ids of trials without a result since they were added
        self._rung_of: dict[str, Rung] = {}  # {id of a waiting trial: its rung}
        self._lost: set[str] = set()  # ids of trials that failed or were removed
        # The trials in the queue and in rungs, by id. A resumed run fills it anew.
        self._trials: dict[str, Trial] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trials": {}}

    def add(self, trial: Trial) -> None:
        """Takes in a new or retried trial, or a trial of a resumed run."""
        self._trials[trial.trial_id] = trial
        self._lost.discard(trial.trial_id)
        if trial.trial_id not in self._rung_of:
            self._queue[trial.trial_id] = None

    def take_out(self, trial_id: str, *, is_final: bool = False, is_lost: bool = False) -> None:
        """Removes a trial from the queue and from its rung's waiting trials.

        Args:
            trial_id: Id of the trial.
            is_final: Whether the trial has ended or failed.
            is_lost: Whether the trial can no longer be the best one.
        """
        self._queue.pop(trial_id, None)
        rung = self._rung_of.pop(trial_id, None)
        if rung is not None:
            rung.leave(trial_id)
        if is_final:
            self._trials.pop(trial_id, None)
        if is_lost:
            self._lost.add(trial_id)

    def observe(self, trial_id: str, time: float, score: float) -> None:
        """Takes in a result; there may be many between two rungs.

        Args:
            trial_id: Id of the trial.
            time: Time of the result.
            score: Score of the result, higher is better; may be NaN.
        """

    def enter(self, controller: TuneController, trial: Trial, rung: Rung, score: float) -> bool:
        """Records the score of a running trial that has reached a rung.

        Args:
            controller: The run.
            trial: The trial.
            rung: The rung that it has reached.
            score: Its score there, higher is better; may be NaN.

        Returns:
            Whether the trial is the next one to promote, and so goes on at once.
        """
        trial_id = trial.trial_id
        rung.record(trial_id, score)
        rung.wait(trial_id)
        self._rung_of[trial_id] = rung
        self._trials[trial_id] = trial
        if self._find_promotable(controller, entering=trial) is not trial:
            return False
        self.take_out(trial_id)
        return True

    def choose(self, controller: TuneController) -> Trial | None:
        """Returns the trial that should run next; None if none should."""
        promotable = self._find_promotable(controller)
        if promotable is not None:
            return promotable
        for trial_id in self._queue:
            trial = self._find(controller, trial_id)
            if trial is not None and _can_start(trial):
                return trial
        return self._wind_up(controller) if controller.is_stuck else None

    # -- pieces -----------------------------------------------------------------------------------

    def _is_open(self, rung: Rung) -> bool:
        """Returns whether trials of a rung may be promoted."""
        return True

    def _find_promotable(
        self, controller: TuneController, entering: Trial | None = None
    ) -> Trial | None:
        for rung in filter(self._is_open, self._rungs):
            for trial_id in rung.promotable(self._reduction_factor):
                trial = self._find(controller, trial_id)
                # A promoted trial stays among the waiting trials until its next result.
                if trial is not None and (trial is entering or _can_start(trial)):
                    return trial
        return None

    def _find(self, controller: TuneController, trial_id: str) -> Trial | None:
        if trial_id not in self._trials:
            for each in controller.get_live_trials():
                if each.trial_id in self._queue or each.trial_id in self._rung_of:
                    self._trials[each.trial_id] = each
        return self._trials.get(trial_id)

    def _wind_up(self, controller: TuneController) -> Trial | None:
        """Decides when no trial runs, none can be promoted, and none can be created.

        Returns:
            The trial that goes on. The others are stopped.
        """
        live = list(controller.get_live_trials())
        if not all(map(_can_start, live)):
            # A trial is about to start.
            return None
        for trial in live:
            # Something else has paused it, such as a subclass.
            if trial.trial_id not in self._rung_of:
                return trial
        waiting = list(self._worst_first(controller))
        if controller.search_alg.is_finished():
            winner = self._find_winner(controller)
            if winner is not None:
                return winner
        else:
            # Waiting trials count as live. One of them must make room for a new trial.
            waiting = waiting[:1]
        for trial in waiting:
            controller.stop_trial(trial)
        return None

    def _worst_first(self, controller: TuneController) -> Iterator[Trial]:
        for rung in reversed(self._rungs):
            for trial_id in reversed(list(rung.waiting())):
                trial = self._find(controller, trial_id)
                if trial is not None and _can_start(trial):
                    yield trial

    def _find_winner(self, controller: TuneController) -> Trial | None:
        """Returns the best trial of the highest rung with a score, if the trial waits to go on."""
        for rung in self._rungs:
            for trial_id in rung.best():
                if trial_id in self._lost:
                    continue
                is_held = trial_id not in self._rung_of or not self._is_open(rung)
                return None if is_held else self._find(controller, trial_id)
        return None


def _can_start(trial: Trial) -> bool:
    return trial.status in (Status.PAUSED, Status.PENDING)
