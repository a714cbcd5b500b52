"""What schedulers see of the controller, and the notebook for what they ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.controller.cloning import Clone
from localtune.trial.status import Status
from localtune.trial.trial import Trial

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a scheduler asked for.

    Attributes:
        kind: ``"pause"``, ``"stop"``, ``"save"`` or ``"ready"``.
        trial: Whom it is about.
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
        search_alg: Where the trials come from.
        total_resources: {resource: amount} of the machine.
        is_saving: Whether a checkpoint of a trial is on its way.
    """

    def __init__(
        self,
        trials: list[Trial],
        live_trials: dict[str, Trial],
        search_alg: SearchAlgorithm,
        total_resources: Mapping[str, float],
        is_saving: Callable[[Trial], bool],
    ) -> None:
        self._trials = trials
        self._live_trials = live_trials
        self._requests: list[Request | Clone] = []
        self._is_saving = is_saving
        self.search_alg = search_alg
        self.total_resources = total_resources
        self.is_stuck = False

    def get_trials(self) -> list[Trial]:
        return self._trials

    def get_live_trials(self) -> Any:
        return self._live_trials.values()

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        self._requests.append(Request("pause", trial, should_checkpoint))

    def stop_trial(self, trial: Trial) -> None:
        self._requests.append(Request("stop", trial))

    def save_trial(self, trial: Trial) -> None:
        self._requests.append(Request("save", trial))

    def _schedule_trial_save(self, trial: Trial, result: dict[str, Any] | None = None) -> None:
        """The name that :meth:`save_trial` has in Ray Tune."""
        self.save_trial(trial)

    def _set_trial_status(self, trial: Trial, status: str) -> None:
        """In Ray Tune, how a scheduler lets a paused trial run again."""
        if status != Status.PENDING:
            raise ValueError(
                f"A scheduler can make a paused trial PENDING, not {status}: pause, stop or choose "
                f"{trial} instead."
            )
        self._requests.append(Request("ready", trial))

    def clone_trial(
        self, trial: Trial, donor: Trial, *, config: dict[str, Any], experiment_tag: str
    ) -> None:
        self._requests.append(Clone(trial, donor, config, experiment_tag))

    def is_saving(self, trial: Trial) -> bool:
        return self._is_saving(trial) or any(
            isinstance(each, Request) and each.kind == "save" and each.trial is trial
            for each in self._requests
        )

    def take_requests(self) -> list[Request | Clone]:
        """What was asked since the last call."""
        requests, self._requests = self._requests, []
        return requests
