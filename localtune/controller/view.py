"""What schedulers see of the controller, and the notebook for what they ask of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.experiment.trial import Trial

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm


@dataclass(frozen=True, slots=True)
class Request:
    """Something that a scheduler asked for.

    Attributes:
        kind: ``"pause"`` or ``"stop"``.
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
    """

    def __init__(
        self, trials: list[Trial], live_trials: dict[str, Trial], search_alg: SearchAlgorithm
    ) -> None:
        self._trials = trials
        self._live_trials = live_trials
        self._requests: list[Request] = []
        self.search_alg = search_alg

    def get_trials(self) -> list[Trial]:
        return self._trials

    def get_live_trials(self) -> Any:
        return self._live_trials.values()

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        self._requests.append(Request("pause", trial, should_checkpoint))

    def stop_trial(self, trial: Trial) -> None:
        self._requests.append(Request("stop", trial))

    def take_requests(self) -> list[Request]:
        """What was asked since the last call."""
        requests, self._requests = self._requests, []
        return requests
