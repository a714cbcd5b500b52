"""The contract suite for schedulers finds faults."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import Phase

from localtune.schedulers import FIFOScheduler, TrialScheduler
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.testing.scheduler_problems import Problem
from localtune.trial.status import Status

END = "test_every_run_ends_and_all_trials_end"
FAILURES = "test_failures_do_not_block_other_trials"
RESTORED = "test_a_restored_scheduler_makes_the_same_decisions"


class ChoosesInTurn(FIFOScheduler):
    """Changes its mind each time."""

    def __init__(self) -> None:
        self._count = 0

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        self._count += 1
        waiting = [each for each in tune_controller.get_live_trials() if each.status == "PENDING"]
        return waiting[self._count % len(waiting)] if waiting else None


class ChoosesWhoRuns(FIFOScheduler):
    """Chooses trials that run already."""

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return next(iter(tune_controller.get_live_trials()), None)


class DecidesNothing(FIFOScheduler):
    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> Any:
        return None


class ForgetsPaused(FIFOScheduler):
    """Never lets a paused trial run again."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        return self.PAUSE

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        trial = super().choose_trial_to_run(tune_controller)
        return trial if trial is not None and trial.status is Status.PENDING else None


class StartsAnew(FIFOScheduler):
    """Lets trials begin again and again."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        if result["training_iteration"] == 2:
            tune_controller.pause_trial(trial, should_checkpoint=False)
        return self.CONTINUE


class LosesFailed(FIFOScheduler):
    """Lets no trial run after one has failed."""

    def __init__(self) -> None:
        self._is_sad = False

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        self._is_sad = True

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        return None if self._is_sad else super().choose_trial_to_run(tune_controller)


class ForgetsState(FIFOScheduler):
    """Stops each third result, and does not keep how many it has seen."""

    def __init__(self) -> None:
        self._count = 0

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        self._count += 1
        return self.STOP if self._count % 7 == 0 else self.CONTINUE

    def get_state(self) -> dict[str, Any]:
        return {}


class TripsOverTies(FIFOScheduler):
    """Raises for two equal values."""

    def __init__(self) -> None:
        self._values: set[float] = set()

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        if result["score"] in self._values:
            raise ZeroDivisionError
        self._values.add(result["score"])
        return self.CONTINUE


class TakesEveryMetric(FIFOScheduler):
    def set_search_properties(self, metric: Any, mode: Any, **spec: Any) -> bool:
        self._metric = metric
        return True


def contract_of(make: type[TrialScheduler]) -> SchedulerContract:
    class Contract(SchedulerContract):
        def make_scheduler(self) -> TrialScheduler:
            return make()

    return Contract()


@pytest.mark.parametrize(
    ("make", "test", "text"),
    [
        (ChoosesInTurn, END, "idempotent"),
        (ChoosesWhoRuns, END, "which is RUNNING"),
        (DecidesNothing, END, "must return a decision"),
        (ForgetsPaused, END, "lets 1 trials wait"),
        (StartsAnew, END, "no end after"),
        (LosesFailed, FAILURES, "trials wait"),
        (ForgetsState, RESTORED, "Its state may be incomplete"),
        (TripsOverTies, END, "ZeroDivisionError"),
        (TakesEveryMetric, "test_it_takes_the_metric_of_the_run_once", None),
    ],
)
def test_it_finds_faults(make: Any, test: str, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        getattr(contract_of(make), test)()


def test_random_runs_find_it_too() -> None:
    # To look for the smallest run that fails takes a while.
    hypothesis.settings.register_profile(
        "no shrinking", hypothesis.settings.get_profile("localtune"), phases=[Phase.generate]
    )
    hypothesis.settings.load_profile("no shrinking")
    try:
        with pytest.raises(AssertionError, match="trials wait"):
            contract_of(ForgetsPaused).test_random_runs_end_and_all_trials_end()
    finally:
        hypothesis.settings.load_profile("localtune")


def test_problems_fail_report_nan_and_leave_out_as_they_say() -> None:
    contract = contract_of(FIFOScheduler)
    problem = Problem(trials=20, failures=0.5, nans=0.5, longest=9)
    run = contract.run(problem)

    assert run.result is not None
    failed = [trial for trial in run.result.trials if trial.status is Status.ERROR]
    assert 0 < len(failed) < 20
    values = [event.value for event in run.result.events if event.what == "result"]
    assert 0 < sum(value != value for value in values) < len(values)

    run = contract.run(Problem(trials=9, missing=1.0))
    assert run.result is not None
    assert None in [event.value for event in run.result.events if event.what == "result"]
