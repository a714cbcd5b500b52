"""HyperBandForBOHB: HyperBand for a searcher that learns from each bracket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.schedulers.base import TuneController
from localtune.schedulers.bracket import Bracket, BracketSize
from localtune.schedulers.hyperband import HyperBandScheduler
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["HyperBandForBOHB"]

# Key of the results that carries the budget to the searcher.
HYPERBAND_INFO = "hyperband_info"


class HyperBandForBOHB(HyperBandScheduler):
    """The variant of HyperBand for the searcher ``TuneBOHB``.

    After Falkner et al., "BOHB: Robust and Efficient Hyperparameter Optimization at Scale",
    ICML 2018, section 4. The bracket with the most trials comes first, so that the model learns
    early. A trial that reaches a milestone is always paused, so that the searcher gets its result
    with its budget: ``result["hyperband_info"]`` is
    ``{"budget": milestone, "reached": whether the trial has reached it}``.

    If the searcher has methods ``on_pause(trial_id)`` and ``on_unpause(trial_id)``, they are
    called when a trial pauses and goes on.

    The arguments are those of :class:`HyperBandScheduler`.
    """

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        was_waiting = self._is_waiting(trial)
        super().on_trial_add(tune_controller, trial)
        if was_waiting and not self._is_waiting(trial):
            self._tell(tune_controller, "on_unpause", trial.trial_id)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        if self._is_waiting(trial):
            self._tell(tune_controller, "on_unpause", trial.trial_id)
        super().on_trial_error(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        bracket = self._find(trial)
        budget = bracket.milestone if bracket is not None else self._max_t
        decision = super().on_trial_result(tune_controller, trial, result)
        reached = (self.time_of(result) or 0.0) >= budget
        result[HYPERBAND_INFO] = {"budget": budget, "reached": reached}
        return decision

    def _rank(self, number: int) -> tuple[int, float, int]:
        """Returns the order of a bracket: first by band, then the largest first."""
        return (number // len(self._band), 0.0, number)

    def _sizes(self) -> list[BracketSize]:
        return super()._sizes()[::-1]

    def _decide_at_milestone(
        self, tune_controller: TuneController, bracket: Bracket, trial: Trial
    ) -> str:
        self._tell(tune_controller, "on_pause", trial.trial_id)
        return self.PAUSE

    def _is_due(self, tune_controller: TuneController, bracket: Bracket) -> bool:
        # Trials pause, and so are saved, before any of them is stopped.
        return super()._is_due(tune_controller, bracket) and not any(
            trial.status is Status.RUNNING and trial.trial_id in bracket.members
            for trial in tune_controller.get_live_trials()
        )

    def _cut(self, tune_controller: TuneController, number: int, bracket: Bracket) -> list[str]:
        stopped = super()._cut(tune_controller, number, bracket)
        for trial_id in bracket.members.keys() - set(stopped):
            self._tell(tune_controller, "on_unpause", trial_id)
        return stopped

    def _is_waiting(self, trial: Trial) -> bool:
        bracket = self._find(trial)
        member = bracket.members.get(trial.trial_id) if bracket is not None else None
        return member is not None and member.is_waiting

    def _tell(self, tune_controller: TuneController, hook: str, trial_id: str) -> None:
        searcher: Any = tune_controller.search_alg
        # The searcher may be wrapped by a limiter, and by the algorithm that creates the trials.
        while searcher is not None:
            if hasattr(searcher, hook):
                getattr(searcher, hook)(trial_id)
                return
            searcher = getattr(searcher, "searcher", None)
