"""Promotion: who goes on, among trials that wait in rungs.

::

    new, retried --> queue --> (runs) --> enter a rung --> waits --> promoted --> (runs) --> ...
                                              |              |
                                              +--> promoted  +--> (stopped, when all is over)
                                                   at once
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from localtune.schedulers.rungs import Rung
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.schedulers.trial_scheduler import ControllerView
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
        self._queue: dict[str, None] = {}  # ids of those that have no result since they were added
        self._rung_of: dict[str, Rung] = {}  # of those that wait
        self._lost: set[str] = set()  # ids of those that failed or were taken away
        # Of those in the queue and in rungs. Found again in the run when it is taken up.
        self._trials: dict[str, Trial] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_trials": {}}

    def add(self, trial: Trial) -> None:
        """Takes in a trial that is new, retried, or of a run that is taken up again."""
        self._trials[trial.trial_id] = trial
        self._lost.discard(trial.trial_id)
        if trial.trial_id not in self._rung_of:
            self._queue[trial.trial_id] = None

    def take_out(self, trial_id: str, *, is_final: bool = False, is_lost: bool = False) -> None:
        """Notes that a trial waits no more.

        Args:
            trial_id: The trial.
            is_final: Whether it has ended, or failed.
            is_lost: Whether it can never be the best one any more.
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
        """Takes in a result, of which there may be many between two rungs."""

    def enter(self, view: ControllerView, trial: Trial, rung: Rung, score: float) -> bool:
        """Takes in the score of a running trial that has reached a rung.

        Returns:
            Whether it goes on at once: it is the one that would be promoted now.
        """
        trial_id = trial.trial_id
        rung.record(trial_id, score)
        rung.wait(trial_id)
        self._rung_of[trial_id] = rung
        self._trials[trial_id] = trial
        if self._find_promotable(view, entering=trial) is not trial:
            return False
        self.take_out(trial_id)
        return True

    def choose(self, view: ControllerView) -> Trial | None:
        """The trial that should run next, None if none should."""
        promotable = self._find_promotable(view)
        if promotable is not None:
            return promotable
        for trial_id in self._queue:
            trial = self._find(view, trial_id)
            if trial is not None and _can_start(trial):
                return trial
        return self._wind_up(view) if view.is_stuck else None

    # -- pieces -----------------------------------------------------------------------------------

    def _is_open(self, rung: Rung) -> bool:
        """Whether trials may be promoted out of a rung."""
        return True

    def _find_promotable(self, view: ControllerView, entering: Trial | None = None) -> Trial | None:
        for rung in filter(self._is_open, self._rungs):
            for trial_id in rung.promotable(self._reduction_factor):
                trial = self._find(view, trial_id)
                # One that is promoted already runs until its next result.
                if trial is not None and (trial is entering or _can_start(trial)):
                    return trial
        return None

    def _find(self, view: ControllerView, trial_id: str) -> Trial | None:
        if trial_id not in self._trials:
            for each in view.get_live_trials():
                if each.trial_id in self._queue or each.trial_id in self._rung_of:
                    self._trials[each.trial_id] = each
        return self._trials.get(trial_id)

    def _wind_up(self, view: ControllerView) -> Trial | None:
        """Decides when nothing runs, nobody can be promoted, and no trial can be created."""
        live = list(view.get_live_trials())
        if not all(map(_can_start, live)):
            # One has been let go a moment ago.
            return None
        for trial in live:
            # Paused by somebody else, such as a subclass.
            if trial.trial_id not in self._rung_of:
                return trial
        waiting = list(self._worst_first(view))
        if view.search_alg.is_finished():
            winner = self._find_winner(view)
            if winner is not None:
                return winner
        else:
            # Who waits counts as live: one must make room for the next, or there would be none.
            waiting = waiting[:1]
        for trial in waiting:
            view.stop_trial(trial)
        return None

    def _worst_first(self, view: ControllerView) -> Iterator[Trial]:
        for rung in reversed(self._rungs):
            for trial_id in reversed(list(rung.waiting())):
                trial = self._find(view, trial_id)
                if trial is not None and _can_start(trial):
                    yield trial

    def _find_winner(self, view: ControllerView) -> Trial | None:
        """The best trial of the highest rung that anybody reached, if it waits to go on."""
        for rung in self._rungs:
            for trial_id in rung.best():
                if trial_id in self._lost:
                    continue
                is_held = trial_id not in self._rung_of or not self._is_open(rung)
                return None if is_held else self._find(view, trial_id)
        return None


def _can_start(trial: Trial) -> bool:
    return trial.status in (Status.PAUSED, Status.PENDING)
