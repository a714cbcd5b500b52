"""What schedulers of a population do: who is decided upon when, and who goes on as whom.

::

    result --not due--> continue
       |
      due --in the upper quantile--> save ------------------------> continue, or pause if others
       |                               :                            wait to run
       |                               v the checkpoint
       +--in the lower quantile--> clone a trial of the upper one, explore its configuration
       |
       +--between them--------------------------------------------> as above, without saving

With ``synch=True`` each trial pauses when it is due, and all are decided upon when all are.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localtune.result import TRAINING_ITERATION
from localtune.schedulers.explore import fill_in, values_of
from localtune.schedulers.metric_scheduler import MetricScheduler
from localtune.schedulers.policy_log import Exploit, PolicyLog
from localtune.schedulers.population import Member, Wish, quantiles
from localtune.schedulers.trial_scheduler import ControllerView
from localtune.search.variant_generator import format_vars
from localtune.trial.experiment_tag import original_tag, perturbed_tag
from localtune.trial.status import Status
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)


class PopulationScheduler(MetricScheduler):
    """Base class: lets the worst trials go on from the checkpoints of the best.

    Args:
        time_attr: Key of the results that says how far a trial is.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        mutations: {key: what it may become}.
        interval: How much the time grows between two decisions.
        burn_in: Until when nothing is decided.
        fraction: Share of the trials that count as best, and as worst.
        log: Where to write down what is done, if anywhere.
        require_attrs: Whether a result without metric or time is an error.
        synch: Whether to decide upon all trials at once.

    Raises:
        ValueError: for a number out of its range.
    """

    clones_trials = True
    # What it has learnt; all else it is given.
    _learnt: tuple[str, ...] = ("_members", "_wishes", "_next_sync", "_exploit_count", "_rng")

    def __init__(
        self,
        time_attr: str,
        metric: str | None,
        mode: str | None,
        *,
        mutations: Mapping[str, Any],
        interval: float,
        burn_in: float,
        fraction: float,
        log: PolicyLog | None,
        require_attrs: bool,
        synch: bool,
    ) -> None:
        super().__init__(time_attr, metric, mode)
        check_range("perturbation_interval", interval, 0, math.inf)
        if interval == 0:
            raise ValueError("perturbation_interval must be above 0, but got 0.")
        check_range("burn_in_period", burn_in, 0, math.inf)
        check_range("quantile_fraction", fraction, 0, 0.5)
        self._mutations = mutations
        self._interval = interval
        self._burn_in = burn_in
        self._fraction = fraction
        self._log = log
        self._require_attrs = require_attrs
        self._synch = synch
        self._warned: set[str] = set()
        self._members: dict[str, Member] = {}
        self._wishes: dict[str, Wish] = {}  # {trial id: what was asked of the controller}
        self._next_sync: float = max(interval, burn_in)
        self._exploit_count = 0

    @abstractmethod
    def _explored(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """The configuration with which a trial goes on from a donor's checkpoint."""

    # -- hooks ----------------------------------------------------------------------------------

    def on_trial_add(self, tune_controller: ControllerView, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        if trial.trial_id in self._members:
            return
        self._members[trial.trial_id] = Member(original_tag(trial.experiment_tag))
        config, missing = fill_in(trial.config, self._mutations, self._rng)
        if missing:
            trial.evaluated_params.update(missing)
            trial.set_config(config)

    def on_trial_result(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> str:
        self._settle(tune_controller, trial)
        time, score = self.time_of(result), self._signed(result)
        if time is None or score is None:
            self._miss(self._time_attr if time is None else str(self._metric))
            return self.CONTINUE
        member = self._members[trial.trial_id]
        if not self._is_due(member, time):
            return self.CONTINUE
        score = None if math.isnan(score) else score
        self._observe(trial, member, time, score)
        member.time, member.score, member.is_saved = time, score, False
        member.iteration = result.get(TRAINING_ITERATION, 0)
        if self._synch:
            return self._on_reached(tune_controller, trial)
        member.perturbed_at = time
        lower, upper = quantiles(self._members, tune_controller.get_live_trials(), self._fraction)
        if trial in upper:
            member.is_saved = True
            tune_controller.save_trial(trial)
        elif trial in lower and self._exploit(tune_controller, trial, upper):
            return self.NOOP
        if _others_wait(tune_controller, trial):
            member.is_saved = True
            return self.PAUSE
        return self.CONTINUE

    def on_trial_complete(
        self, tune_controller: ControllerView, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._leave(tune_controller, trial)

    def on_trial_remove(self, tune_controller: ControllerView, trial: Trial) -> None:
        self._leave(tune_controller, trial)

    def on_trial_error(self, tune_controller: ControllerView, trial: Trial) -> None:
        if not trial.should_retry:
            self._leave(tune_controller, trial)
            return
        self._settle(tune_controller, trial)
        # It has to come once more as far as it was.
        self._members[trial.trial_id].time = self._time_of_checkpoint(trial)

    def choose_trial_to_run(self, tune_controller: ControllerView) -> Trial | None:
        # A clone waits at the time that it was set back to.
        self._settle(tune_controller)
        # In creation order, so that of trials that are equally far the oldest runs.
        chosen, least = None, math.inf
        held = set() if tune_controller.is_stuck else self._waiting_for_donor(tune_controller)
        for trial in tune_controller.get_live_trials():
            if trial.status is not Status.PENDING and trial.status is not Status.PAUSED:
                continue
            time = self._members[trial.trial_id].time
            is_ahead = self._synch and time >= self._next_sync and not tune_controller.is_stuck
            if is_ahead or trial.trial_id in held or (chosen is not None and time >= least):
                continue
            if time <= 0:
                return trial
            chosen, least = trial, time
        return chosen

    def debug_string(self) -> str:
        count = self._exploit_count
        return f"{type(self).__name__}: {count} exploit{'' if count == 1 else 's'}"

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._learnt}

    # -- decisions ------------------------------------------------------------------------------

    def _is_due(self, member: Member, time: float) -> bool:
        if self._synch:
            return time >= self._next_sync
        return time >= self._burn_in and time - member.perturbed_at >= self._interval

    def _observe(self, trial: Trial, member: Member, time: float, score: float | None) -> None:
        """Called with each result that is decided upon; ``member`` is as it was before."""

    def _on_reached(self, view: ControllerView, trial: Trial) -> str:
        """A trial has come as far as all of them shall."""
        if not self._meet(view, trial):
            self._members[trial.trial_id].is_saved = True
            return self.PAUSE
        return self.NOOP if trial.trial_id in self._wishes else self.CONTINUE

    def _meet(self, view: ControllerView, current: Trial | None = None) -> bool:
        """Decides upon all trials, if all have come as far; returns whether they have."""
        members = self._members
        live = [trial for trial in view.get_live_trials() if trial.trial_id in members]
        times = [members[trial.trial_id].time for trial in live]
        if not live or min(times) < self._next_sync:
            return False
        lower, upper = quantiles(members, live, self._fraction)
        if current is not None and current in upper:
            # The others paused, and were saved with that.
            members[current.trial_id].is_saved = True
            view.save_trial(current)
        for trial in lower:
            self._exploit(view, trial, upper)
        for trial in live:
            members[trial.trial_id].perturbed_at = members[trial.trial_id].time
        # Nobody may be there already: it would wait for ever.
        self._next_sync += self._interval
        if self._next_sync <= max(times):
            self._next_sync = max(times) + self._interval
        return True

    def _exploit(self, view: ControllerView, trial: Trial, upper: list[Trial]) -> bool:
        """Lets a trial go on as one of the best; returns whether that can be."""
        mine = self._members[trial.trial_id]
        # Where the best scores lie behind, trials would go back there again and again for ever.
        ahead = [each for each in upper if self._members[each.trial_id].time > mine.began_at]
        donors = [donor for donor in ahead if self._can_give(view, donor)]
        if not donors:
            return False
        donor = self._rng.choice(donors)
        theirs = self._members[donor.trial_id]
        config = self._explored(trial, donor)
        tag = perturbed_tag(mine.tag, format_vars(values_of(config, self._mutations)))
        view.clone_trial(trial, donor, config=config, experiment_tag=tag)
        exploit = Exploit(
            mine.tag, theirs.tag, mine.iteration, theirs.iteration, donor.config, config
        )
        # It keeps its rank until its own next result: else the clones of one moment would fill
        # the upper quantile, and push those that nobody has surpassed into the lower one.
        after = replace(theirs, tag=mine.tag, score=mine.score, is_saved=True, began_at=theirs.time)
        self._wishes[trial.trial_id] = Wish(donor.trial_id, tag, after, exploit.plain())
        logger.info("%s goes on as %s: %s", trial, donor, tag)
        return True

    def _can_give(self, view: ControllerView, donor: Trial) -> bool:
        """Whether a trial has, or is about to have, a checkpoint of what it was scored for."""
        if view.is_saving(donor):
            return True
        member = self._members[donor.trial_id]
        if donor.resume_point is not None:
            return member.is_saved or self._time_of_checkpoint(donor) >= member.time
        if member.is_saved:
            self._warn_once(
                f"{donor} is among the best trials and has no checkpoint, so that no other one can "
                "go on from there. Population based training needs a trainable that saves: "
                "tune.report(..., checkpoint=...), or save_checkpoint() of a class."
            )
        return False

    # -- bookkeeping ----------------------------------------------------------------------------

    def _settle(self, view: ControllerView, current: Trial | None = None) -> None:
        """Sees what came of the wishes; whether a donor has a checkpoint shows only later."""
        if not self._wishes:
            return
        trials = {trial.trial_id: trial for trial in view.get_live_trials()}
        if current is not None:
            trials[current.trial_id] = current
        for trial_id, wish in list(self._wishes.items()):
            trial = trials.get(trial_id)
            if trial is not None and trial.experiment_tag == wish.experiment_tag:
                self._members[trial_id] = wish.member
                self._exploit_count += 1
                if self._log is not None:
                    directory = trial.local_experiment_path
                    exploit = _as_it_came(wish.exploit, trial)
                    self._log.write(directory, trial_id, wish.donor_id, exploit)
                del self._wishes[trial_id]
            elif trial is None or trial is current:
                # It has ended, or goes on as it was, since the donor has no checkpoint.
                del self._wishes[trial_id]

    def _leave(self, view: ControllerView, trial: Trial) -> None:
        """A trial has ended: the others do not wait for it."""
        self._settle(view, trial)
        self._members.pop(trial.trial_id, None)
        if self._synch:
            self._meet(view)

    def _waiting_for_donor(self, view: ControllerView) -> set[str]:
        """Ids of the trials whose donor is being saved: they would start as what they were."""
        if not self._wishes:
            return set()
        live = {trial.trial_id: trial for trial in view.get_live_trials()}
        return {
            trial_id
            for trial_id, wish in self._wishes.items()
            if trial_id in live
            and live[trial_id].experiment_tag != wish.experiment_tag
            and wish.donor_id in live
            and view.is_saving(live[wish.donor_id])
        }

    def _time_of_checkpoint(self, trial: Trial) -> float:
        point = trial.resume_point
        time = None if point is None else self.time_of(flatten_dict(point.tracked.metrics))
        return 0.0 if time is None else time

    def _miss(self, key: str) -> None:
        """A result lacks a key."""
        text = f"{type(self).__name__} needs {key!r} in each result, but a result lacks it."
        if self._require_attrs:
            raise RuntimeError(f"{text} Report it, or pass require_attrs=False to pass over these.")
        self._warn_once(f"{text} Such results are passed over.")

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning(message)


def _as_it_came(exploit: Exploit, trial: Trial) -> Exploit:
    """With the iteration of the checkpoint that the trial got in the end."""
    if trial.start_point is None:
        return exploit
    iteration = trial.start_point.tracked.metrics.get(TRAINING_ITERATION)
    return replace(exploit, donor_iteration=iteration) if iteration is not None else exploit


def _others_wait(view: ControllerView, trial: Trial) -> bool:
    """Whether another trial would run if this one did not."""
    return any(
        other.status is Status.PENDING or other.status is Status.PAUSED
        for other in view.get_live_trials()
        if other is not trial
    )


def check_range(name: str, value: Any, low: float, high: float) -> None:
    """Raises ValueError unless a value is a number in a range."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, but got {value!r}.")
