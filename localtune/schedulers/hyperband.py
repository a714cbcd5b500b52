"""HyperBandScheduler: brackets of trials that are halved at milestones.

::

      trial --> open bracket          a result of a member
                  |                     below the milestone: the trial goes on
                  v                     otherwise: the trial is paused
      all members have reached the milestone, and no further trial can join
                  |
                  +-- halvings left:    the best go on to the next milestone, the others stop
                  +-- no halvings left: all stop

No trial waits forever. A bracket does not wait for members that end, fail or are stopped. It does
not wait for further trials when the search algorithm has finished, or when the run is stuck.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localtune.old_names.arguments import old_arguments_of_class
from localtune.result import TRAINING_ITERATION
from localtune.schedulers.base import TuneController
from localtune.schedulers.bracket import Bracket, BracketSize, band_sizes
from localtune.schedulers.metric_scheduler import MetricScheduler, check_number
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["HyperBandScheduler"]

_WAITS_TO_RUN = (Status.PENDING, Status.PAUSED)


@old_arguments_of_class("TrialScheduler")
class HyperBandScheduler(MetricScheduler):
    """Stops bad trials early, with several trade-offs between many short and few long trials.

    After Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization",
    JMLR 18 (2018), section 3. Trials are paused, so the trainable should save checkpoints. A
    paused trial without a checkpoint starts from scratch. Ask for as many trials as a band takes,
    143 with the defaults, or for an unlimited number.

    Args:
        time_attr: Key of the results that measures a trial's time: a number that grows.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        max_t: Time, in units of ``time_attr``, at which a trial is stopped; at least 1.
        reduction_factor: One in ``reduction_factor`` trials is kept at each comparison; above 1.
        stop_last_trials: Whether trials that survive all comparisons are stopped at the last
            milestone. Otherwise they run to their own end.

    Raises:
        ValueError: for an argument out of its range.

    Example:
        >>> HyperBandScheduler(metric="loss", mode="min", max_t=9).debug_string()
        'HyperBand: 0 brackets'
    """

    _supports_buffered_results = False

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 81,
        reduction_factor: float = 3,
        stop_last_trials: bool = True,
    ) -> None:
        super().__init__(time_attr, metric, mode)
        check_number("max_t", max_t, lambda value: value >= 1, "at least 1")
        check_number("reduction_factor", reduction_factor, lambda value: value > 1, "above 1")
        self._max_t = max_t
        self._factor = reduction_factor
        self._stops_last = stop_last_trials
        self._brackets: dict[int, Bracket] = {}  # {number: bracket}, without ended ones
        self._band = self._sizes()
        self._made = 0  # number of brackets so far, and number of the next one
        self._bracket_of: dict[str, int] = {}  # {trial id: number of the bracket}

    # -- hooks ----------------------------------------------------------------------------------

    @property
    def max_iterations(self) -> int | None:
        return int(self._max_t) if self._time_attr == TRAINING_ITERATION else None

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        bracket = self._find(trial)
        if bracket is not None and trial.trial_id in bracket.members:
            member = bracket.members[trial.trial_id]
            member.is_waiting = member.is_waiting and self._has_kept(trial, member.time)
            return
        if bracket is None or not bracket.readmit(trial.trial_id):
            number, bracket = self._open_bracket()
            bracket.admit(trial.trial_id)
            self._bracket_of[trial.trial_id] = number

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        bracket = self._find(trial)
        if bracket is None or trial.trial_id not in bracket.members:
            # A stop of the trial has been requested already.
            return self.STOP
        time = self._needed(result, self._time_attr, self.time_of(result))
        score = self.score_of(result)
        if time >= bracket.milestone and bracket.halvings:
            # Only a result that is compared needs a score.
            score = self._needed(result, self._metric, score)
        bracket.record(trial.trial_id, time, score)
        if time < bracket.milestone or not (bracket.halvings or self._stops_last):
            return self.CONTINUE
        bracket.members[trial.trial_id].is_waiting = True
        return self._decide_at_milestone(tune_controller, bracket, trial)

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._leave(trial)
        self._settle(tune_controller)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._leave(trial)
        self._settle(tune_controller)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        # The other members are compared later, once it is known whether the trial is retried.
        bracket = self._find(trial)
        if bracket is not None and trial.trial_id in bracket.members:
            bracket.remove(trial.trial_id, may_return=True)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        self._settle(tune_controller)
        trial = self._next_trial(tune_controller)
        if trial is None and tune_controller.is_stuck:
            self._settle_stuck(tune_controller)
            trial = self._next_trial(tune_controller)
        return trial

    def debug_string(self) -> str:
        parts = [f"{type(self).__name__.removesuffix('Scheduler')}: {len(self._brackets)} brackets"]
        for number, bracket in self._brackets.items():
            waiting = sum(member.is_waiting for member in bracket.members.values())
            parts.append(
                f"#{number} (milestone {bracket.milestone:g}, {bracket.halvings} halvings left, "
                f"{len(bracket.members)} trials, {waiting} of them waiting)"
            )
        return "; ".join(parts)

    # -- brackets -------------------------------------------------------------------------------

    def _sizes(self) -> list[BracketSize]:
        """Returns the brackets of a band, in the order in which they are filled."""
        return band_sizes(self._max_t, self._factor)

    def _find(self, trial: Trial) -> Bracket | None:
        return self._brackets.get(self._bracket_of.get(trial.trial_id, -1))

    def _open_bracket(self) -> tuple[int, Bracket]:
        """Returns the number of the bracket that takes new trials, and the bracket."""
        last = self._made - 1
        if last not in self._brackets or self._brackets[last].is_complete:
            size = self._band[self._made % len(self._band)]
            last, self._made = self._made, self._made + 1
            self._brackets[last] = Bracket(size, self._max_t, self._factor)
        return last, self._brackets[last]

    def _leave(self, trial: Trial) -> None:
        bracket = self._find(trial)
        if bracket is not None:
            if trial.trial_id in bracket.members:
                bracket.remove(trial.trial_id)
            del self._bracket_of[trial.trial_id]

    def _drop(self, number: int) -> None:
        del self._brackets[number]
        self._bracket_of = {
            trial_id: own for trial_id, own in self._bracket_of.items() if own != number
        }

    # -- comparisons ----------------------------------------------------------------------------

    def _decide_at_milestone(
        self, tune_controller: TuneController, bracket: Bracket, trial: Trial
    ) -> str:
        """Returns the decision on a trial that has reached the milestone of its bracket."""
        number = self._bracket_of[trial.trial_id]
        stopped: list[str] = []
        while self._is_due(tune_controller, bracket):
            stopped += self._cut(tune_controller, number, bracket)
        self._stop(tune_controller, [each for each in stopped if each != trial.trial_id])
        if trial.trial_id in stopped:
            return self.STOP
        return self.PAUSE if bracket.members[trial.trial_id].is_waiting else self.CONTINUE

    def _is_due(self, tune_controller: TuneController, bracket: Bracket) -> bool:
        return bracket.all_wait and (
            bracket.is_complete or tune_controller.search_alg.is_finished()
        )

    def _settle(self, tune_controller: TuneController) -> None:
        """Cuts the brackets that have become due because a trial left, or no more will join."""
        for number, bracket in list(self._brackets.items()):
            while self._is_due(tune_controller, bracket):
                self._stop(tune_controller, self._cut(tune_controller, number, bracket))
            if number not in self._brackets:
                continue
            if not bracket.members and bracket.is_complete:
                self._drop(number)

    def _settle_stuck(self, tune_controller: TuneController) -> None:
        """Cuts the brackets whose members all wait, although further trials could still join."""
        live = {trial.trial_id: trial for trial in tune_controller.get_live_trials()}
        if any(trial.status is Status.RUNNING for trial in live.values()):
            return
        for number, bracket in list(self._brackets.items()):
            for trial_id in bracket.members.keys() - live.keys():
                bracket.remove(trial_id)
            if bracket.all_wait:
                self._stop(tune_controller, self._cut(tune_controller, number, bracket))

    def _cut(self, tune_controller: TuneController, number: int, bracket: Bracket) -> list[str]:
        """Halves a bracket, or ends it after its last halving; returns the ids to stop."""
        if bracket.halvings:
            stopped = bracket.halve()
            if bracket.halvings or self._stops_last:
                bracket.hold_members_ahead()
            return stopped
        stopped = list(bracket.members)
        bracket.members.clear()
        self._drop(number)
        return stopped

    def _stop(self, tune_controller: TuneController, trial_ids: Iterable[str]) -> None:
        wanted = set(trial_ids)
        if wanted:
            for trial in list(tune_controller.get_live_trials()):
                if trial.trial_id in wanted:
                    tune_controller.stop_trial(trial)

    # -- helpers --------------------------------------------------------------------------------

    def _next_trial(self, tune_controller: TuneController) -> Trial | None:
        """Returns the first trial that need not wait, of the bracket with the lowest rank."""
        best: tuple[tuple[int, float, int], Trial] | None = None
        ranks = {number: self._rank(number) for number in self._brackets}
        for trial in tune_controller.get_live_trials():
            if trial.status not in _WAITS_TO_RUN:
                continue
            number = self._bracket_of.get(trial.trial_id, -1)
            bracket = self._brackets.get(number)
            member = bracket.members.get(trial.trial_id) if bracket is not None else None
            if member is None or member.is_waiting:
                continue
            if best is None or ranks[number] < best[0]:
                best = ranks[number], trial
        return best[1] if best is not None else None

    def _rank(self, number: int) -> tuple[int, float, int]:
        """Returns the order of a bracket: first by band, then by the share of work done."""
        return (number // len(self._band), self._brackets[number].share_done, number)

    def _has_kept(self, trial: Trial, time: float) -> bool:
        """Returns whether a trial of a resumed run will go on at or after a time."""
        if trial.status is Status.PAUSED:
            return True
        kept = self._checkpoint_time(trial)
        return kept is not None and kept >= time

    def _needed(self, result: dict[str, Any], key: str | None, value: float | None) -> float:
        if value is None:
            raise KeyError(
                f"{type(self).__name__} needs {key!r} in each result, but a trial reported only "
                f"{', '.join(sorted(map(repr, result)))}."
            )
        return value
