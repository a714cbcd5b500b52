"""HyperBandForBOHB: HyperBand for a searcher that learns from each bracket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.schedulers.bracket import Bracket, BracketSize
from localtune.schedulers.hyperband import HyperBandScheduler
from localtune.schedulers.trial_scheduler import ControllerView
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["HyperBandForBOHB"]

# Key of the result that the searcher gets.
HYPERBAND_INFO = "hyperband_info"


class HyperBandForBOHB(HyperBandScheduler):
    """HyperBand as BOHB wants it, to be used with ``TuneBOHB``.

    After Falkner et al., "BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
    ICML 2018, section 4. The bracket with the most trials comes first, so that the model learns
    early. A trial that reaches a milestone is always paused, so that the searcher gets its result
    with the budget that it belongs to: ``result["hyperband_info"]`` is
    ``{"budget": milestone, "reached": whether the trial came so far}``.

    A searcher that has methods ``on_pause(trial_id)`` and ``on_unpause(trial_id)`` is told who is
    paused and who goes on; one without them works, too.

    The arguments are those of :class:`HyperBandScheduler`.
    """

    def on_trial_add(self, tune_controller: ControllerView, trial: Trial) -> None:
        was_waiting = self._is_waiting(trial)
        super().on_trial_add(tune_controller, trial)
        if was_waiting and not self._is_waiting(trial):
            self._tell(tune_controller, "on_unpause", trial.trial_id)

    def on_trial_error(self, tune_controller: ControllerView, trial: Trial) -> None:
        if self._is_waiting(trial):
            self._tell(tune_controller, "on_unpause", trial.trial_id)
        super().on_trial_error(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> str:
        bracket = self._find(trial)
        budget = bracket.milestone if bracket is not None else self._max_t
        decision = super().on_trial_result(tune_controller, trial, result)
        reached = (self.time_of(result) or 0.0) >= budget
        result[HYPERBAND_INFO] = {"budget": budget, "reached": reached}
        return decision

    def _rank(self, number: int) -> tuple[int, float, int]:
        """Earlier bands first; within one the largest bracket: the model learns from it."""
        return (number // len(self._band), 0.0, number)

    def _sizes(self) -> list[BracketSize]:
        return super()._sizes()[::-1]

    def _decide_at_milestone(
        self, tune_controller: ControllerView, bracket: Bracket, trial: Trial
    ) -> str:
        self._tell(tune_controller, "on_pause", trial.trial_id)
        return self.PAUSE

    def _is_due(self, tune_controller: ControllerView, bracket: Bracket) -> bool:
        # Those who are stopped shall have been saved before.
        return super()._is_due(tune_controller, bracket) and not any(
            trial.status is Status.RUNNING and trial.trial_id in bracket.members
            for trial in tune_controller.get_live_trials()
        )

    def _cut(self, tune_controller: ControllerView, number: int, bracket: Bracket) -> list[str]:
        stopped = super()._cut(tune_controller, number, bracket)
        for trial_id in bracket.members.keys() - set(stopped):
            self._tell(tune_controller, "on_unpause", trial_id)
        return stopped

    def _is_waiting(self, trial: Trial) -> bool:
        bracket = self._find(trial)
        member = bracket.members.get(trial.trial_id) if bracket is not None else None
        return member is not None and member.is_waiting

    def _tell(self, tune_controller: ControllerView, hook: str, trial_id: str) -> None:
        searcher: Any = tune_controller.search_alg
        # It may be within a limiter, within what makes trials of its suggestions.
        while searcher is not None:
            if hasattr(searcher, hook):
                getattr(searcher, hook)(trial_id)
                return
            searcher = getattr(searcher, "searcher", None)
