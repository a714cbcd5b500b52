"""PopulationBasedTrainingReplay: trains one trial with the schedule of an earlier run."""

from __future__ import annotations

import numbers
import os
from typing import TYPE_CHECKING, Any

from localtune.result import TRAINING_ITERATION
from localtune.schedulers.base import TuneController
from localtune.schedulers.fifo import FIFOScheduler
from localtune.schedulers.policy_log import Exploit
from localtune.search.variant_generator import format_vars
from localtune.trial.experiment_tag import original_tag, perturbed_tag
from localtune.utils.json_encode import dumps
from localtune.utils.messages import get_logger

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.trial.trial import Trial

__all__ = ["PopulationBasedTrainingReplay"]

logger = get_logger(__name__)


class PopulationBasedTrainingReplay(FIFOScheduler):
    """Trains one trial with the schedule of configurations that population based training found.

    The trial begins with the configuration of the recorded trial's first ancestor. At each
    iteration at which the recorded trial got a new configuration, this trial saves a checkpoint
    and goes on from it with that configuration. Values that JSON cannot hold, such as functions,
    are taken from this run's own configuration.

    Args:
        policy_file: Path of a ``pbt_policy_<trial id>.txt`` in an experiment's directory.

    Raises:
        ValueError: if the file cannot be read, or is no such file.
    """

    clones_trials = True

    def __init__(self, policy_file: str | os.PathLike[str]) -> None:
        path = os.path.expanduser(os.fspath(policy_file))
        self._chain = _ancestry(_read(path))
        self._trial_id: str | None = None
        self._done = 0  # number of changes of the chain that the trial has made
        # (value of _done once the request has been carried out, its config as JSON)
        self._requested: tuple[int, str] | None = None

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        count = search_alg.total_samples
        if count is not None and count != 1:
            raise _only_one("would have more" if count < 0 else f"would have {count}")

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        if self._trial_id is None:
            self._trial_id = trial.trial_id
            trial.set_config(_replayed(trial.config, self._chain[0].donor_config))
        elif trial.trial_id != self._trial_id:
            raise _only_one("has a second")

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        self._settle(trial)
        iteration = result[TRAINING_ITERATION]
        due = sum(each.donor_iteration <= iteration for each in self._chain)
        if due <= self._done:
            return self.CONTINUE
        new = self._chain[due - 1].config
        config = _replayed(trial.config, new)
        changed = {(key,): value for key, value in new.items() if value != trial.config.get(key)}
        tag = perturbed_tag(original_tag(trial.experiment_tag), format_vars(changed))
        self._requested = due, dumps(config)
        tune_controller.save_trial(trial)
        tune_controller.clone_trial(trial, trial, config=config, experiment_tag=tag)
        return self.NOOP

    def debug_string(self) -> str:
        return f"PopulationBasedTrainingReplay: step {self._done} of {len(self._chain)}"

    def get_state(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("_trial_id", "_done", "_requested")}

    def _settle(self, trial: Trial) -> None:
        """Notes whether the last request was carried out; without a checkpoint it was not."""
        if self._requested is None:
            return
        done, config = self._requested
        self._requested = None
        if dumps(trial.config) == config:
            self._done = done
        else:
            logger.warning(
                "%s has no checkpoint from which to go on with its next configuration. The change "
                "is tried again after the next result.",
                trial,
            )


def _only_one(found: str) -> ValueError:
    return ValueError(
        f"PopulationBasedTrainingReplay replays one trial, but the run {found}. Use num_samples=1 "
        "and no grid."
    )


def _read(path: str) -> list[Exploit]:
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line for line in file if line.strip()]
    except OSError as error:
        raise ValueError(
            f"policy_file must be a pbt_policy_<trial id>.txt, but {path!r} cannot be read: {error}"
        ) from error
    try:
        exploits = [Exploit.from_line(line) for line in lines]
    except ValueError as error:
        raise ValueError(
            f"policy_file must be a pbt_policy_<trial id>.txt, but {path!r} is none: {error}."
        ) from error
    if not exploits:
        raise ValueError(f"policy_file must record at least one change, but {path!r} is empty.")
    return exploits


def _ancestry(exploits: list[Exploit]) -> list[Exploit]:
    """Returns the exploits that led to the last one, oldest first."""
    chain: list[Exploit] = []
    wanted = exploits[-1].tag
    for exploit in reversed(exploits):
        if exploit.tag == wanted:
            chain.append(exploit)
            wanted = exploit.donor_tag
    return chain[::-1]


def _replayed(own: dict[str, Any], logged: dict[str, Any]) -> dict[str, Any]:
    """Returns the trial's own configuration with those logged values that JSON can hold."""
    config = dict(own)
    for key, value in logged.items():
        mine = own.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            config[key] = _replayed(mine, value)
        elif isinstance(mine, tuple) and isinstance(value, list):
            config[key] = tuple(value) if _is_json(mine) else mine
        elif _is_json(mine):
            config[key] = value
    return config


def _is_json(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_json, value))
    return value is None or isinstance(value, (str, numbers.Real))
