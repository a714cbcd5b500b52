"""What the contract suite for schedulers runs: sweeps of a made-up training, closely watched.

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
from localtune.schedulers.trial_scheduler import TrialScheduler, TuneController
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

# No scheduler needs so many results for the small problems here: one that does never ends.
_MAX_RESULTS = 4_000


@dataclass(frozen=True)
class Problem:
    """A sweep to run. The curve of a trial depends on its configuration and ``seed`` alone.

    Attributes:
        trials: How many trials there are.
        cpus: How many run at the same time.
        limit: How many may be alive at the same time; 0 is no limit.
        longest: Trials end by themselves after 1 to so many results.
        same_length: Whether all have ``longest`` results.
        failures: Share of the trials that fail somewhere.
        fails_once: Whether they do so once only, else whenever they come to that point.
        retries: How often a trial is retried.
        nans: Share of the trials that report NaN from somewhere on.
        missing: Share of the trials that leave out the metric from somewhere on.
        ties: Whether many values are equal.
        uneven: Whether some trials take longer for a step than others.
        save_s: Seconds that a checkpoint takes.
        stop_at: Iteration at which trials are stopped from outside; None is never.
        seed: Everything random depends on it.
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
    """The training of one trial: a simulated trainable.

    Args:
        problem: Says what may happen.
        key: Tells its configuration from others.
        failed: {key} of those that have failed; shared by all trials of a run.
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
        """Where something happens that happens to a share of the trials."""
        at, is_chosen = rng.randint(1, self._length), rng.random() < share
        return at if is_chosen else math.inf


@dataclass
class Run:
    """A problem that was run.

    Attributes:
        problem: What was run.
        log: (hook, trial id, answer) of each call that answers something.
        result: What happened, None if the run ended with an error.
        error: What ended the run.
    """

    problem: Problem
    log: list[tuple[str, str, str]] = field(default_factory=list)
    result: SimulationResult | None = None
    error: TuneError | None = None


class WatchedScheduler(TrialScheduler):
    """Passes all calls on to a scheduler, and sees that it keeps the rules.

    Args:
        make: Makes the scheduler.
        log: Where calls with an answer are noted.
        replace_at: At which of these calls a new scheduler, with the state of the one before,
            takes its place; None is never.
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
        assert trial.trial_id not in self._ended, f"{trial} has ended, and reports a result"
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

    def _replace_if_due(self, view: TuneController) -> None:
        if self._replace_at is None or len(self._log) < self._replace_at:
            return
        self._replace_at = None
        state = dump(self._inner.get_state())
        self._inner = self._make()
        metric, mode, spec = self._properties
        self._inner.set_search_properties(metric, mode, **spec)
        self._inner.check_run(*self._space)
        self._inner.set_state(load(state, view.get_trials()))

    def _check_resources(self, view: TuneController) -> None:
        used: dict[str, float] = {}
        for trial in view.get_live_trials():
            if trial.status is Status.RUNNING and trial.placement_group_factory is not None:
                for name, amount in trial.placement_group_factory.required_resources.items():
                    used[name] = used.get(name, 0.0) + amount
        for name, amount in used.items():
            there_is = view.total_resources.get(name, 0.0)
            assert amount <= there_is + 1e-6, f"trials hold {amount} of {there_is} {name}"
