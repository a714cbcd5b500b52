from __future__ import annotations

import math
import pickle
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.schedulers import MedianStoppingRule, TrialScheduler
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.trial.status import Status
from tests.schedulers.curve_runs import CurveRun
from tests.schedulers.fakes import FakeController, make_trial

CONTINUE, STOP, PAUSE = TrialScheduler.CONTINUE, TrialScheduler.STOP, TrialScheduler.PAUSE


def make(**kwargs: Any) -> MedianStoppingRule:
    defaults: dict[str, Any] = {
        "time_attr": "training_iteration",
        "metric": "score",
        "mode": "max",
        "grace_period": 0,
        "min_samples_required": 1,
    }
    return MedianStoppingRule(**{**defaults, **kwargs})


class Reports:
    """Feeds results of running trials by number."""

    def __init__(self, scheduler: MedianStoppingRule, count: int = 5) -> None:
        self.scheduler = scheduler
        self.controller = FakeController()
        self.controller.trials = [make_trial(number, Status.RUNNING) for number in range(count)]
        for trial in self.controller.trials:
            scheduler.on_trial_add(self.controller, trial)

    def __call__(self, number: int, time: float, score: float) -> str:
        result = {"training_iteration": time, "score": score}
        return self.scheduler.on_trial_result(
            self.controller, self.controller.trials[number], result
        )


def test_the_rule_by_hand() -> None:
    report = Reports(make(min_samples_required=2))
    for time, scores in ((1, (1.0, 4.0)), (2, (3.0, 8.0))):
        for number, score in enumerate(scores):
            report(number, time, score)
    # Means up to 1: 1 and 4; the median is 2.5.
    assert report(2, 1, 2.4) == STOP
    assert report(3, 1, 2.5) == CONTINUE  # medians of 1, 2.4 and 4: equal is not worse
    # Means up to 2 of 0 and 1, who have come so far: 2 and 6; the median is 4.
    assert report(3, 2, 3.9) == STOP
    assert report(4, 2, 4.0) == CONTINUE  # among 2, 3.2, 6


def test_the_best_result_so_far_decides() -> None:
    report = Reports(make())
    for time in (1, 2):
        report(0, time, 5.0)
    assert report(1, 1, 6.0) == CONTINUE
    assert report(1, 2, -100.0) == CONTINUE


def test_with_mode_min_lower_is_better() -> None:
    report = Reports(make(mode="min"))
    report(0, 1, 5.0)
    assert report(1, 1, 5.1) == STOP
    assert report(2, 1, 4.0) == CONTINUE


def test_the_result_that_ends_a_trial_counts() -> None:
    report = Reports(make())
    report(0, 1, 1.0)
    first = report.controller.trials[0]
    last = {"training_iteration": 2, "score": 9.0, "done": True}
    report.scheduler.on_trial_complete(report.controller, first, last)
    first.status = Status.TERMINATED
    assert report(1, 1, 1.5) == CONTINUE
    assert report(1, 2, 4.0) == STOP  # the mean of the other one is 5
    report.scheduler.on_trial_complete(report.controller, first, {})


def test_results_before_the_grace_period_do_not_count() -> None:
    report = Reports(make(grace_period=3))
    for time, score in ((1, 100.0), (2, 100.0), (3, 1.0)):
        assert report(0, time, score) == CONTINUE
    assert report(1, 2, -5.0) == CONTINUE
    assert report(1, 3, 2.0) == CONTINUE  # the mean of the other one is 1, not 67
    assert report(2, 3, 0.0) == STOP


def test_a_peer_without_results_in_the_window_is_left_out() -> None:
    report = Reports(make())
    report(0, 10, 5.0)  # nothing up to 1
    assert report(1, 1, -5.0) == CONTINUE
    report(2, 1, 0.0)
    assert report(3, 1, -6.0) == STOP  # against -5 and 0


def test_with_too_few_peers_no_trial_is_stopped() -> None:
    report = Reports(make(min_samples_required=2))
    report(0, 1, 5.0)
    assert report(1, 1, -5.0) == CONTINUE
    assert report(2, 1, -6.0) == STOP


def test_peers_that_are_behind_do_not_count() -> None:
    report = Reports(make())
    report(0, 1, 5.0)
    assert report(1, 2, -5.0) == CONTINUE


def test_completed_peers_count() -> None:
    report = Reports(make())
    report(0, 1, 5.0)
    trial = report.controller.trials[0]
    trial.status = Status.TERMINATED
    report.scheduler.on_trial_complete(
        report.controller, trial, {"training_iteration": 1, "score": 5.0}
    )
    assert report(1, 1, 4.0) == STOP


def test_nan_is_the_worst() -> None:
    report = Reports(make())
    assert report(0, 1, math.nan) == CONTINUE
    assert report(1, 1, math.nan) == CONTINUE  # not worse than the other one
    assert report(2, 1, -1e300) == CONTINUE
    report(3, 1, 0.0)
    report(4, 1, 0.0)
    assert report(0, 1, math.nan) == STOP


def test_infinite_and_huge_values_make_no_nan() -> None:
    report = Reports(make())
    report(0, 1, math.inf)
    report(0, 2, -math.inf)
    report(1, 1, 1e308)
    report(1, 2, 1e308)
    report(1, 3, 1e308)
    assert report(2, 3, 1e307) == STOP


@pytest.mark.parametrize("result", [{"score": 1.0}, {"training_iteration": 100}])
def test_a_result_without_time_or_metric_changes_nothing(result: dict[str, Any]) -> None:
    report = Reports(make())
    report(0, 1, 5.0)
    assert (
        report.scheduler.on_trial_result(report.controller, report.controller.trials[1], result)
        == CONTINUE
    )


def test_a_trial_that_went_back_does_its_results_again() -> None:
    report = Reports(make())
    for time, score in ((1, 4.0), (2, 100.0)):
        report(0, time, score)
    report(0, 2, 4.0)
    assert report(1, 2, 4.0) == CONTINUE


# -- pauses ---------------------------------------------------------------------------------------


def test_with_too_few_peers_a_trial_pauses_for_a_waiting_one() -> None:
    report = Reports(make(min_samples_required=3, min_time_slice=5), count=2)
    report.controller.trials[1].status = Status.PENDING
    assert [report(0, time, 1.0) for time in (4, 5, 6, 11, 12)] == [
        CONTINUE,
        CONTINUE,
        PAUSE,
        CONTINUE,
        PAUSE,
    ]


def test_no_trial_pauses_when_no_trial_waits() -> None:
    report = Reports(make(min_samples_required=3), count=2)
    assert report(0, 1, 1.0) == CONTINUE
    report.controller.trials[1].status = Status.TERMINATED
    assert report(0, 2, 1.0) == CONTINUE


def test_paused_trials_take_turns() -> None:
    fake = CurveRun(
        make(min_samples_required=9),
        lambda number, time: 1.0 if time <= 3 else None,
        count=3,
    ).run()
    assert [name for name, _, _ in fake.log] == ["t0", "t1", "t2"] * 3


def test_a_softly_stopped_trial_is_paused_once_and_then_runs_to_its_end() -> None:
    fake = CurveRun(
        make(hard_stop=False),
        lambda number, time: -number if time <= 5 else None,
        count=4,
        slots=2,
    ).run()
    pauses = [name for name, _, decision in fake.log if decision == PAUSE]
    assert {"t2", "t3"} <= set(pauses)
    assert STOP not in [decision for _, _, decision in fake.log]
    assert set(fake.reached.values()) == {5}


def test_a_hard_stop_ends_the_worse_ones() -> None:
    fake = CurveRun(
        make(), lambda number, time: -number if time <= 5 else None, count=4, slots=2
    ).run()
    assert fake.reached["t0"] == 5
    assert fake.reached["t2"] == 1


@given(
    seed=st.integers(0, 2**16),
    slots=st.integers(1, 4),
    hard=st.booleans(),
    slice_=st.sampled_from([0, 2]),
)
def test_every_run_ends_and_a_restored_scheduler_decides_the_same(
    seed: int, slots: int, hard: bool, slice_: float
) -> None:
    rng = random.Random(seed)
    scores = [[rng.choice([math.nan, -math.inf, 1, 2, 3]) for _ in range(11)] for _ in range(10)]
    ends = [rng.randint(0, 10) for _ in range(10)]
    middle = rng.randrange(40)

    def once(is_restored: bool) -> list[tuple[str, int, str]]:
        fake = CurveRun(
            make(hard_stop=hard, min_time_slice=slice_, min_samples_required=2, grace_period=2),
            lambda number, time: scores[number][time] if time <= ends[number] else None,
            count=10,
            slots=slots,
            max_failures=int(seed % 2 == 0),
        )
        for _ in range(middle):
            fake.step()
        if fake.running:
            fake.fail(fake.running[0])
        if is_restored:
            twin = make()
            twin.set_state(pickle.loads(pickle.dumps(fake.scheduler.get_state())))
            fake.scheduler = twin
        fake.run()
        assert all(trial.is_finished() for trial in fake.trials)
        return fake.log

    assert once(False) == once(True)


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"grace_period": -1}, "grace_period must be a number at least 0, but got -1"),
        ({"min_time_slice": math.nan}, "min_time_slice"),
        (
            {"min_samples_required": -1},
            "min_samples_required must be a number at least 0",
        ),
        ({"mode": "best"}, "mode must be"),
    ],
)
def test_bad_arguments_are_refused(kwargs: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(**kwargs)


# -- the suite of all -----------------------------------------------------------------------------


class TestMedian(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return MedianStoppingRule(grace_period=3, min_samples_required=2)


class TestMedianSoft(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return MedianStoppingRule(
            grace_period=2, min_samples_required=2, min_time_slice=2, hard_stop=False
        )
