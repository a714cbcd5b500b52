"""Simulated sweeps for the contract suite of schedulers, with checks during the run.

::

    Problem --> curve of each configuration --> simulate() <--> WatchedScheduler <--> the scheduler
                                                     |                 |
                                                     +---> checks <----+
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from localtune.controller.kept_state import dump, load
from localtune.error import TuneError
from localtune.execution.simulated_host import SimulatedCrash
from localtune.schedulers.base import TrialScheduler, TuneController
from localtune.trial.status import Status

if TYPE_CHECKING:
    from localtune.search.search_algorithm import SearchAlgorithm
    from localtune.testing.simulation_result import SimulationResult
    from localtune.trial.trial import Trial

METRIC = "score"
DECISIONS = (
    TrialScheduler.CONTINUE,
    TrialScheduler.PAUSE,
    TrialScheduler.STOP,
    TrialScheduler.NOOP,
)

# More results than any scheduler needs for these small problems. A run with more never ends.
_MAX_RESULTS = 4_000


@dataclass(frozen=True)
class Problem:
    """A sweep to run. The curve of a trial depends only on its configuration and ``seed``.

    Attributes:
        trials: Number of trials.
        cpus: Number of trials that run at the same time.
        limit: Limit of trials that have not ended; 0 for none.
        longest: Largest number of results after which a trial ends by itself.
        same_length: Whether all trials have ``longest`` results. Otherwise the number is random.
        failures: Share of the trials that fail at some iteration.
        fails_once: Whether such a trial fails only once. Otherwise it fails at that iteration in
            each attempt.
        retries: Number of retries of a trial.
        nans: Share of the trials that report NaN from some iteration on.
        missing: Share of the trials that leave out the metric from some iteration on.
        ties: Whether many values are equal.
        uneven: Whether the trials have steps of different duration.
        save_s: Duration of a checkpoint in seconds.
        stop_at: Iteration at which the run stops trials; None for none.
        seed: Seed of all random choices.
    """

    trials: int = 6
    cpus: int = 2
    limit: int = 0
    longest: int = 12
    same_length: bool = True
    failures: float = 0.0
    fails_once: bool = False
    retries: int = 0
    nans: float = 0.0
    missing: float = 0.0
    ties: bool = False
    uneven: bool = False
    save_s: float = 0.0
    stop_at: int | None = None
    seed: int = 0


class Curve:
    """A simulated trainable of a problem.

    Args:
        problem: The problem.
        key: Text that identifies the trial's configuration.
        failed: Keys of the configurations that have failed; all trials of a run share it.
    """

    def __init__(self, problem: Problem, key: str, failed: set[str]) -> None:
        rng = random.Random(f"{problem.seed}/{key}")
        self._problem = problem
        self._key = key
        self._failed = failed
        self._quality = rng.random()
        self._length = problem.longest if problem.same_length else rng.randint(1, problem.longest)
        self._fails_at = self._point(rng, problem.failures)
        self._crashes = rng.random() < 0.5
        self._nan_from = self._point(rng, problem.nans)
        self._missing_from = self._point(rng, problem.missing)
        self._step_s = rng.choice((0.5, 1.0, 3.0)) if problem.uneven else 1.0
        self._done = 0

    def step(self) -> dict[str, Any]:
        self._done += 1
        if self._done == self._fails_at and not (
            self._problem.fails_once and self._key in self._failed
        ):
            self._failed.add(self._key)
            if self._crashes:
                raise SimulatedCrash
            raise RuntimeError("a failure on purpose")
        result: dict[str, Any] = {
            "time_this_iter_s": self._step_s,
            "done": self._done >= self._length,
        }
        if self._done < self._missing_from:
            result[METRIC] = self._value()
        return result

    def get_state(self) -> int:
        return self._done

    def set_state(self, state: int) -> None:
        self._done = state

    def _value(self) -> float:
        if self._done >= self._nan_from:
            return math.nan
        value = self._quality * (1 - 0.8**self._done)
        return round(value, 1) if self._problem.ties else value

    def _point(self, rng: random.Random, share: float) -> float:
        """Returns the iteration of an event that only a share of the trials has, else infinity."""
        at, is_chosen = rng.randint(1, self._length), rng.random() < share
        return at if is_chosen else math.inf


@dataclass
class Run:
    """A run of a problem.

    Attributes:
        problem: The problem.
        log: (hook, trial id, answer) of each call with an answer.
        result: Result of the simulation; None if the run ended with an error.
        error: The error that ended the run, or None.
    """

    problem: Problem
    log: list[tuple[str, str, str]] = field(default_factory=list)
    result: SimulationResult | None = None
    error: TuneError | None = None


class WatchedScheduler(TrialScheduler):
    """Passes all calls on to a scheduler, and checks that it keeps the rules.

    Args:
        make: Makes the scheduler.
        log: List to which the calls with an answer are added.
        replace_at: Number of such calls after which a new scheduler with the same state replaces
            the scheduler; None for never.
    """

    def __init__(
        self,
        make: Callable[[], TrialScheduler],
        log: list[tuple[str, str, str]],
        replace_at: int | None = None,
    ) -> None:
        self._make = make
        self._inner = make()
        self._log = log
        self._replace_at = replace_at
        self._ended: set[str] = set()
        self._results = 0
        self.changes_resources = self._inner.changes_resources
        self.clones_trials = self._inner.clones_trials
        self._supports_buffered_results = self._inner.supports_buffered_results

    @property
    def metric(self) -> str | None:
        return self._inner.metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        self._properties = (metric, mode, spec)
        return self._inner.set_search_properties(metric, mode, **spec)

    def check_run(self, param_space: dict[str, Any], search_alg: SearchAlgorithm) -> None:
        self._space = (param_space, search_alg)
        self._inner.check_run(param_space, search_alg)

    def on_trial_add(self, tune_controller: TuneController, trial: Trial) -> None:
        self._inner.on_trial_add(tune_controller, trial)

    def on_trial_error(self, tune_controller: TuneController, trial: Trial) -> None:
        self._inner.on_trial_error(tune_controller, trial)

    def on_trial_result(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> str:
        assert trial.trial_id not in self._ended, f"{trial} reports a result after its end"
        assert trial.status is Status.RUNNING
        self._results += 1
        assert self._results <= _MAX_RESULTS, f"no end after {_MAX_RESULTS} results"
        self._check_resources(tune_controller)
        self._replace_if_due(tune_controller)
        decision = self._inner.on_trial_result(tune_controller, trial, result)
        assert decision in DECISIONS, f"on_trial_result must return a decision, not {decision!r}"
        self._log.append(("on_trial_result", trial.trial_id, decision))
        return decision

    def on_trial_complete(
        self, tune_controller: TuneController, trial: Trial, result: dict[str, Any]
    ) -> None:
        self._ended.add(trial.trial_id)
        self._inner.on_trial_complete(tune_controller, trial, result)

    def on_trial_remove(self, tune_controller: TuneController, trial: Trial) -> None:
        self._ended.add(trial.trial_id)
        self._inner.on_trial_remove(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        self._replace_if_due(tune_controller)
        trial = self._inner.choose_trial_to_run(tune_controller)
        again = self._inner.choose_trial_to_run(tune_controller)
        assert again is trial, f"choose_trial_to_run must be idempotent: {trial}, then {again}"
        if trial is not None:
            assert trial.status in (Status.PENDING, Status.PAUSED), (
                f"choose_trial_to_run chose {trial}, which is {trial.status}"
            )
            self._log.append(("choose_trial_to_run", trial.trial_id, ""))
        return trial

    def debug_string(self) -> str:
        return self._inner.debug_string()

    def _replace_if_due(self, controller: TuneController) -> None:
        if self._replace_at is None or len(self._log) < self._replace_at:
            return
        self._replace_at = None
        state = dump(self._inner.get_state())
        self._inner = self._make()
        metric, mode, spec = self._properties
        self._inner.set_search_properties(metric, mode, **spec)
        self._inner.check_run(*self._space)
        self._inner.set_state(load(state, controller.get_trials()))

    def _check_resources(self, controller: TuneController) -> None:
        used: dict[str, float] = {}
        for trial in controller.get_live_trials():
            if trial.status is Status.RUNNING and trial.placement_group_factory is not None:
                for name, amount in trial.placement_group_factory.required_resources.items():
                    used[name] = used.get(name, 0.0) + amount
        for name, amount in used.items():
            total = controller.total_resources.get(name, 0.0)
            assert amount <= total + 1e-6, f"trials hold {amount} of {total} {name}"
