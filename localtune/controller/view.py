"""SchedulerView: what schedulers see of the controller, and the list of their requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.controller.clone_table import Clone
from localtune.controller.waiting import WaitingTrials
from localtune.trial.status import Status
from localtune.trial.trial import Trial

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a scheduler about one trial.

    Attributes:
        kind: ``"pause"``, ``"stop"``, ``"save"`` or ``"ready"``.
        trial: The trial.
        should_checkpoint: For a pause, whether to save first.
    """

    kind: str
    trial: Trial
    should_checkpoint: bool = True


class SchedulerView:
    """The object that schedulers get as ``tune_controller``.

    Args:
        trials: All trials; grows while the run goes on.
        live_trials: {id: trial} of those that have not ended.
        waiting: Those of them that wait to run.
        search_alg: The searcher that suggests the trials.
        resources: Returns the {resource: amount} that trials share.
        is_saving: Tells whether a save of a trial is in flight or due.

    Attributes:
        requests: The requests that wait, oldest first. The controller removes those that it
            carries out.
        is_stuck: Whether the run stands still; see
            :class:`~localtune.schedulers.base.TuneController`.
    """

    def __init__(
        self,
        trials: list[Trial],
        live_trials: dict[str, Trial],
        waiting: WaitingTrials,
        search_alg: SearchAlgorithm,
        resources: Callable[[], Mapping[str, float]],
        is_saving: Callable[[Trial], bool],
    ) -> None:
        self._trials = trials
        self._live_trials = live_trials
        self._waiting = waiting
        self.requests: list[Request | Clone] = []
        self._is_saving = is_saving
        self.search_alg = search_alg
        self._resources = resources
        self.is_stuck = False

    @property
    def total_resources(self) -> Mapping[str, float]:
        return self._resources()

    def get_trials(self) -> list[Trial]:
        return self._trials

    def get_live_trials(self) -> Any:
        return self._live_trials.values()

    def next_waiting_trial(self) -> Trial | None:
        return self._waiting.next()

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        self.requests.append(Request("pause", trial, should_checkpoint))

    def stop_trial(self, trial: Trial) -> None:
        self.requests.append(Request("stop", trial))

    def save_trial(self, trial: Trial) -> None:
        self.requests.append(Request("save", trial))

    def _schedule_trial_save(self, trial: Trial, result: dict[str, Any] | None = None) -> None:
        """Does what :meth:`save_trial` does, by its name in Ray Tune."""
        self.save_trial(trial)

    def _set_trial_status(self, trial: Trial, status: str) -> None:
        """Lets a paused trial run again, by the method's name in Ray Tune."""
        if status != Status.PENDING:
            raise ValueError(
                f"A scheduler can make a paused trial PENDING, not {status}: pause, stop or choose "
                f"{trial} instead."
            )
        self.requests.append(Request("ready", trial))

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        self.requests.append(Clone(trial, donor, config, experiment_tag))

    def is_saving(self, trial: Trial) -> bool:
        return self._is_saving(trial) or any(
            isinstance(each, Request) and each.kind == "save" and each.trial is trial
            for each in self.requests
        )
