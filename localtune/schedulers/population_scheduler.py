"""PopulationScheduler: bad trials go on from the checkpoints of good ones.

::

    result --not due--> continue
       |
      due --in the upper quantile--> save ------------------------> continue, or pause if others
       |                               :                            wait to run
       |                               v the checkpoint
       +--in the lower quantile--> clone a trial of the upper one, explore its configuration
       |
       +--between them--------------------------------------------> as above, without saving

With ``synch=True`` each trial pauses when it is due. When all trials are due, the scheduler decides
on all of them at once.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from localtune.result import TRAINING_ITERATION
from localtune.schedulers.base import TuneController
from localtune.schedulers.explore import fill_in, values_of
from localtune.schedulers.metric_scheduler import MetricScheduler, check_range, is_another_waiting
from localtune.schedulers.policy_log import Exploit, PolicyLog
from localtune.schedulers.population import CloneRequest, Member, quantiles, start_of
from localtune.search.variant_generator import format_vars
from localtune.trial.experiment_tag import original_tag, perturbed_tag
from localtune.trial.status import Status
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

logger = get_logger(__name__)


class PopulationScheduler(MetricScheduler):
    """Base class of schedulers that let the worst trials go on from the best trials' checkpoints.

    Args:
        time_attr: Key of the results that measures a trial's time.
        metric: Metric to optimise; None takes the one of the run.
        mode: ``"min"`` or ``"max"``; None takes the one of the run.
        mutations: {key: mutation}; see ``explore.py``.
        interval: Time between two decisions on a trial.
        burn_in: Time before the first decision on a trial.
        fraction: Share of the trials in each quantile, from 0 to 0.5.
        log: Records the exploits; None for no record.
        require_attrs: Whether a result without metric or time is an error.
        synch: Whether to decide on all trials at once.

    Raises:
        ValueError: for a number out of its range.
    """

    clones_trials = True
    # The attributes that get_state saves. All others come from the constructor.
    _learnt: tuple[str, ...] = (
        "_members",
        "_clone_requests",
        "_next_sync",
        "_exploit_count",
        "_rng",
    )

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
        self._trials: dict[str, Trial] = {}  # {trial id: trial} of those that have not ended
        self._clone_requests: dict[str, CloneRequest] = {}  # {trial id: request}
        self._next_sync: float = max(interval, burn_in)
        self._exploit_count = 0

    @abstractmethod
    def _explore(self, trial: Trial, donor: Trial) -> dict[str, Any]:
        """Returns the configuration with which a trial goes on from a donor's checkpoint."""

    # -- hooks ----------------------------------------------------------------------------------

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        super().on_trial_add(tune_controller, trial)
        self._trials[trial.trial_id] = trial
        if trial.trial_id in self._members:
            return
        self._members[trial.trial_id] = Member(original_tag(trial.experiment_tag))
        config, missing = fill_in(trial.config, self._mutations, self._rng)
        if missing:
            trial.evaluated_params.update(missing)
            trial.set_config(config)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        self._settle(tune_controller, trial)
        time, score = self.time_of(result), self._signed(result)
        if time is None or score is None:
            self._on_missing_key(self._time_attr if time is None else str(self._metric))
            return self.CONTINUE
        member = self._members[trial.trial_id]
        if not self._is_due(member, time):
            return self.CONTINUE
        score = None if math.isnan(score) else score
        self._observe(trial, member, time, score)
        member.time, member.score, member.is_saved = time, score, False
        member.iteration = result.get(TRAINING_ITERATION, 0)
        if self._synch:
            return self._on_sync_time(tune_controller, trial)
        member.perturbed_at = time
        lower, upper = quantiles(self._members, tune_controller.get_live_trials(), self._fraction)
        if trial in upper:
            member.is_saved = True
            tune_controller.save_trial(trial)
        elif trial in lower and self._exploit(tune_controller, trial, upper):
            return self.NOOP
        if is_another_waiting(tune_controller, trial):
            member.is_saved = True
            return self.PAUSE
        return self.CONTINUE

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._leave(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._leave(tune_controller, trial)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        if not trial.should_retry:
            self._leave(tune_controller, trial)
            return
        self._settle(tune_controller, trial)
        # The retry begins at the time of the checkpoint.
        self._members[trial.trial_id].time = self._checkpoint_time(trial) or 0.0

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        # Carried-out requests change the times that are compared below.
        self._settle(tune_controller)
        # The trial with the lowest time; of several, the one that was created first.
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
        """Takes in a result that is due; ``member`` is still as before the result."""

    def _on_sync_time(self, controller: TuneController, trial: Trial) -> str:
        """Returns the decision on a trial that has reached the time of the next common decision."""
        if not self._decide_on_all(controller, trial):
            self._members[trial.trial_id].is_saved = True
            return self.PAUSE
        return self.NOOP if trial.trial_id in self._clone_requests else self.CONTINUE

    def _decide_on_all(self, controller: TuneController, current: Trial | None = None) -> bool:
        """Decides on all trials if all have reached the common time; returns whether they have."""
        members = self._members
        live = [trial for trial in controller.get_live_trials() if trial.trial_id in members]
        times = [members[trial.trial_id].time for trial in live]
        if not live or min(times) < self._next_sync:
            return False
        lower, upper = quantiles(members, live, self._fraction)
        if current is not None and current in upper:
            # The other trials are paused, and were saved when they paused.
            members[current.trial_id].is_saved = True
            controller.save_trial(current)
        for trial in lower:
            self._exploit(controller, trial, upper)
        for trial in live:
            members[trial.trial_id].perturbed_at = members[trial.trial_id].time
        # The next common time must be ahead of every trial. Otherwise a trial would wait forever.
        self._next_sync += self._interval
        if self._next_sync <= max(times):
            self._next_sync = max(times) + self._interval
        return True

    def _exploit(self, controller: TuneController, trial: Trial, upper: list[Trial]) -> bool:
        """Requests that a trial goes on from one of the best; returns whether one can be used."""
        mine = self._members[trial.trial_id]
        # A donor must be ahead of the trial's last start. Otherwise a trial could return to the
        # same time forever.
        ahead = [each for each in upper if self._members[each.trial_id].time > mine.began_at]
        donors = [donor for donor in ahead if self._has_checkpoint_to_give(controller, donor)]
        if not donors:
            return False
        donor = self._rng.choice(donors)
        theirs = self._members[donor.trial_id]
        config = self._explore(trial, donor)
        tag = perturbed_tag(mine.tag, format_vars(values_of(config, self._mutations)))
        controller.clone_trial(trial, donor, config=config, experiment_tag=tag)
        exploit = Exploit(
            mine.tag, theirs.tag, mine.iteration, theirs.iteration, donor.config, config
        )
        # The trial keeps its score until its next result. With the donor's score, clones would
        # fill the upper quantile and push good trials into the lower one.
        after = replace(theirs, tag=mine.tag, score=mine.score, is_saved=True, began_at=theirs.time)
        self._clone_requests[trial.trial_id] = CloneRequest(
            donor.trial_id, start_of(trial), after, exploit.plain()
        )
        logger.info("%s goes on as %s: %s", trial, donor, tag)
        return True

    def _has_checkpoint_to_give(self, controller: TuneController, donor: Trial) -> bool:
        """Returns whether a checkpoint of a donor's last due result exists or is being saved."""
        if controller.is_saving(donor):
            return True
        member = self._members[donor.trial_id]
        if donor.resume_point is not None:
            return member.is_saved or (self._checkpoint_time(donor) or 0.0) >= member.time
        if member.is_saved:
            self._warn_once(
                f"{donor} is among the best trials but has no checkpoint, so no other trial can go "
                "on from it. Population based training needs a trainable that saves checkpoints: "
                "call tune.report(..., checkpoint=...), or define save_checkpoint() in a class."
            )
        return False

    # -- bookkeeping ----------------------------------------------------------------------------

    def _settle(self, controller: TuneController, current: Trial | None = None) -> None:
        """Drops the clone requests that have been carried out, or never will be.

        The record of a trial changes only here: a donor's checkpoint may fail after the request.

        Args:
            controller: The run.
            current: A trial that has reported a result or ended, if any.
        """
        if not self._clone_requests:
            return
        for trial_id, request in list(self._clone_requests.items()):
            trial = self._live_trial(controller, trial_id)
            if trial is not None and request.is_carried_out(trial):
                self._members[trial_id] = request.member
                self._exploit_count += 1
                if self._log is not None:
                    directory = trial.local_experiment_path
                    exploit = _with_actual_iteration(request.exploit, trial)
                    self._log.write(directory, trial_id, request.donor_id, exploit)
                del self._clone_requests[trial_id]
            elif trial is None or trial is current:
                # The trial has ended, or goes on unchanged because the donor has no checkpoint.
                del self._clone_requests[trial_id]

    def _leave(self, controller: TuneController, trial: Trial) -> None:
        """Forgets a trial that has ended, so that the others do not wait for it."""
        self._settle(controller, trial)
        self._members.pop(trial.trial_id, None)
        self._trials.pop(trial.trial_id, None)
        if self._synch:
            self._decide_on_all(controller)

    def _waiting_for_donor(self, controller: TuneController) -> set[str]:
        """Returns the ids of the trials whose donor is being saved.

        Such a trial would start unchanged if it started now.
        """
        if not self._clone_requests:
            return set()
        return {
            trial_id
            for trial_id, request in self._clone_requests.items()
            if (trial := self._live_trial(controller, trial_id)) is not None
            and not request.is_carried_out(trial)
            and (donor := self._live_trial(controller, request.donor_id)) is not None
            and controller.is_saving(donor)
        }

    def _live_trial(self, controller: TuneController, trial_id: str) -> Trial | None:
        """Returns a trial by its id; None if it has ended."""
        if trial_id not in self._trials:
            # It has ended, or this scheduler was restored.
            self._trials = {trial.trial_id: trial for trial in controller.get_live_trials()}
        return self._trials.get(trial_id)

    def _on_missing_key(self, key: str) -> None:
        """Raises an error, or warns once, because a result has no such key."""
        text = f"{type(self).__name__} needs {key!r} in each result, but a result has none."
        if self._require_attrs:
            raise RuntimeError(
                f"{text} Report it, or pass require_attrs=False to skip such results."
            )
        self._warn_once(f"{text} Such results are skipped.")

    def _warn_once(self, message: str) -> None:
        if message not in self._warned:
            self._warned.add(message)
            logger.warning(message)


def _with_actual_iteration(exploit: Exploit, trial: Trial) -> Exploit:
    """Returns an exploit with the iteration of the checkpoint that the trial really got."""
    if trial.start_point is None:
        return exploit
    iteration = trial.start_point.tracked.metrics.get(TRAINING_ITERATION)
    return replace(exploit, donor_iteration=iteration) if iteration is not None else exploit
