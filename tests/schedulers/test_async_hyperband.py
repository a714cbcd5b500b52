from __future__ import annotations

import math
import pickle
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.schedulers import ASHAScheduler, AsyncHyperBandScheduler, TrialScheduler
from localtune.schedulers.rungs import milestones, quantile
from localtune.testing.scheduler_contract import SchedulerContract
from tests.schedulers.curve_runs import CurveRun
from tests.schedulers.fakes import FakeController, make_trial

CONTINUE, STOP, PAUSE = TrialScheduler.CONTINUE, TrialScheduler.STOP, TrialScheduler.PAUSE


def make(**kwargs: Any) -> AsyncHyperBandScheduler:
    defaults: dict[str, Any] = {"metric": "score", "mode": "max"}
    return AsyncHyperBandScheduler(**{**defaults, **kwargs})


class Reports:
    """Feeds results of trials by number."""

    def __init__(self, scheduler: AsyncHyperBandScheduler) -> None:
        self.scheduler = scheduler
        self.controller = FakeController()
        self.trials: dict[int, Any] = {}

    def add(self, number: int) -> Any:
        if number not in self.trials:
            self.trials[number] = make_trial(number)
            self.scheduler.on_trial_add(self.controller, self.trials[number])
        return self.trials[number]

    def __call__(self, number: int, time: float, score: float) -> str:
        result = {"training_iteration": time, "score": score}
        return self.scheduler.on_trial_result(self.controller, self.add(number), result)

    def complete(self, number: int, time: float, score: float) -> None:
        result = {"training_iteration": time, "score": score}
        self.scheduler.on_trial_complete(self.controller, self.add(number), result)


# -- rungs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("max_t", "grace_period", "reduction_factor", "bracket", "expected"),
    [
        (81, 1, 3, 0, [1, 3, 9, 27, 81]),
        (1000, 1, 10, 0, [1, 10, 100]),
        (243, 1, 3, 0, [1, 3, 9, 27, 81]),
        (100, 1, 4, 0, [1, 4, 16, 64]),
        (100, 1, 4, 1, [4, 16, 64]),
        (100, 1, 4, 3, [64]),
        (100, 1, 4, 4, []),
        (100, 1, 4, 9, []),
        (10, 10, 2, 0, [10]),
        (20, 3, 2, 0, [3, 6, 12]),
        (10, 1, 2.5, 0, [1, 2.5, 6.25]),
    ],
)
def test_rungs_are_where_ray_tune_puts_them(
    max_t: float, grace_period: float, reduction_factor: float, bracket: int, expected: list[float]
) -> None:
    assert milestones(max_t, grace_period, reduction_factor, bracket) == expected


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
    st.sampled_from([1.5, 2, 3, 4, 10]),
)
def test_a_quantile_is_numpys(values: list[float], reduction_factor: float) -> None:
    fraction = 1 - 1 / reduction_factor
    ours = quantile(sorted(values), fraction)
    theirs = float(np.nanpercentile(values, fraction * 100))
    assert math.isclose(ours, theirs, rel_tol=1e-9, abs_tol=1e-9)
    assert min(values) <= ours <= max(values)


def test_infinite_scores_make_no_nan() -> None:
    assert quantile([-math.inf, 1.0], 0.75) == -math.inf
    assert quantile([0.0, math.inf], 0.75) == math.inf
    assert quantile([-math.inf, -math.inf, 2.0], 0.25) == -math.inf


# -- the stopping form ----------------------------------------------------------------------------


def test_asha_is_the_same_class() -> None:
    assert ASHAScheduler is AsyncHyperBandScheduler


def test_the_cutoff_is_a_percentile_of_the_earlier_scores() -> None:
    report = Reports(make(reduction_factor=4))
    assert report(0, 1, 10.0) == CONTINUE  # the first one is never stopped
    assert report(1, 1, 9.0) == STOP  # cutoff 10
    assert report(2, 1, 9.7) == STOP  # 75 % of [9, 10] is 9.75
    assert report(3, 1, 9.85) == CONTINUE  # 75 % of [9, 9.7, 10] is 9.85: equal is enough
    assert report(4, 1, 9.8) == STOP  # 75 % of [9, 9.7, 9.85, 10] is 9.8875


def test_with_mode_min_lower_is_better() -> None:
    report = Reports(make(mode="min"))
    assert report(0, 1, 1.0) == CONTINUE
    assert report(1, 1, 1.5) == STOP
    assert report(2, 1, 0.5) == CONTINUE


def test_there_is_one_rung_per_result_the_highest_first() -> None:
    report = Reports(make())
    for number, score in ((0, 5.0), (1, 6.0)):
        report(number, 1, score)
        report(number, 4, score)
    # It leads past 1 and 4 in one step: 4 is looked at now, 1 at the next result.
    assert report(2, 5, 7.0) == CONTINUE
    assert report(2, 6, 1.0) == STOP
    assert [len(rung.scores) for rung in report.scheduler._brackets[0]] == [3, 3, 0, 0]


def test_skipped_rungs_are_never_made_up_for_without_stop_last_trials() -> None:
    report = Reports(make(stop_last_trials=False))
    for number in range(2):
        report(number, 1, 5.0)
    assert report(2, 5, 7.0) == CONTINUE
    assert report(2, 6, 1.0) == CONTINUE
    assert "t2" not in report.scheduler._brackets[0][0].scores


def test_trials_end_at_max_t_by_default() -> None:
    assert Reports(make(max_t=9))(0, 9, 1.0) == STOP
    assert Reports(make(max_t=9, stop_last_trials=False))(0, 9, 1.0) == CONTINUE


def test_the_last_result_of_a_completed_trial_counts() -> None:
    report = Reports(make())
    report.complete(0, 1, 10.0)
    assert report(1, 1, 9.0) == STOP
    # A trial without results completes, too.
    report.scheduler.on_trial_complete(report.controller, report.add(2), {})


def test_nan_is_the_worst_and_is_left_out_of_the_cutoff() -> None:
    report = Reports(make())
    assert report(0, 1, math.nan) == CONTINUE  # nobody to compare with
    assert report(1, 1, math.nan) == CONTINUE
    assert report(2, 1, -100.0) == CONTINUE  # the first number
    assert report(3, 1, math.nan) == STOP
    assert report(4, 1, -100.0) == CONTINUE  # the cutoff is -100, not NaN


@pytest.mark.parametrize(
    "result",
    [{"score": 1.0}, {"training_iteration": 100}, {"training_iteration": 100, "score": None}],
)
def test_a_result_without_time_or_metric_changes_nothing(result: dict[str, Any]) -> None:
    report = Reports(make())
    assert report.scheduler.on_trial_result(report.controller, report.add(0), result) == CONTINUE
    assert not any(rung.scores for rung in report.scheduler._brackets[0])


def test_any_key_can_be_the_time() -> None:
    scheduler = make(time_attr="epochs", grace_period=10, max_t=100)
    controller = FakeController()
    for number, (score, decision) in enumerate(((5.0, CONTINUE), (1.0, STOP))):
        trial = make_trial(number)
        scheduler.on_trial_add(controller, trial)
        early = {"epochs": 9.5, "score": -1.0, "training_iteration": 50}
        assert scheduler.on_trial_result(controller, trial, early) == CONTINUE
        late = {"epochs": 10.5, "score": score, "training_iteration": 51}
        assert scheduler.on_trial_result(controller, trial, late) == decision


def test_a_retried_trial_is_not_judged_again_in_the_same_rung() -> None:
    report = Reports(make(brackets=3))
    report(0, 1, 5.0)
    bracket = report.scheduler._bracket_of["t0"]
    report.scheduler.on_trial_error(report.controller, report.trials[0])
    report.scheduler.on_trial_add(report.controller, report.trials[0])
    assert report.scheduler._bracket_of["t0"] == bracket
    assert report(0, 1, -5.0) == CONTINUE


# -- brackets -------------------------------------------------------------------------------------


def test_brackets_are_drawn_in_proportion_to_e_to_the_number_of_rungs() -> None:
    scheduler = make(brackets=2)  # 4 and 3 rungs
    scheduler.set_search_properties(None, None, seed=3)
    for number in range(2000):
        scheduler.on_trial_add(FakeController(), make_trial(number))
    share = list(scheduler._bracket_of.values()).count(0) / 2000
    assert abs(share - math.e / (math.e + 1)) < 0.04


def test_a_bracket_without_rungs_never_stops_early() -> None:
    scheduler = make(brackets=5)
    report = Reports(scheduler)
    for number in range(10):
        scheduler._bracket_of[f"t{number}"] = 4
        assert [report(number, time, -number) for time in (1, 50, 100)] == [
            CONTINUE,
            CONTINUE,
            STOP,
        ]


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"max_t": 0}, "max_t must be a number above 0, but got 0"),
        ({"max_t": math.nan}, "max_t"),
        ({"max_t": "9"}, "max_t must be a number above 0, but got '9'"),
        ({"max_t": 5, "grace_period": 6}, "grace_period must be a number .* at most max_t, 5"),
        ({"grace_period": 0}, "grace_period"),
        ({"reduction_factor": 1}, "reduction_factor must be a number above 1, but got 1"),
        ({"brackets": 0}, "brackets must be an integer of at least 1, but got 0"),
        ({"brackets": 1.5}, "brackets"),
        ({"mode": "best"}, "mode must be 'min' or 'max', but got 'best'"),
        ({"type": "promotoin"}, "Did you mean 'promotion'"),
    ],
)
def test_bad_arguments_are_refused(kwargs: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(**kwargs)


def test_the_text_about_it_fits_one_line() -> None:
    assert make(brackets=6, max_t=20).debug_string() == (
        "ASHA (rungs at 1, 4, 16 | 4, 16 | 16 | none | none | none; 0 trials stopped)"
    )
    assert "promotion" in make(type="promotion").debug_string()


# -- as users write them --------------------------------------------------------------------------


class LoggingASHA(ASHAScheduler):
    """As written for Ray Tune."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.decisions: list[str] = []

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        if result["score"] > 1000:
            decision = TrialScheduler.STOP
        self.decisions.append(decision)
        return decision


def test_a_subclass_may_override_a_hook_and_call_super() -> None:
    scheduler = LoggingASHA(metric="score", mode="max", max_t=16)
    CurveRun(scheduler, lambda number, time: 2000 if number == 3 else -number, count=5).run()
    assert scheduler.decisions.count(STOP) == 5
    assert scheduler.decisions[:3] == [CONTINUE] * 3


@pytest.mark.parametrize("kind", ["stopping", "promotion"])
@given(data=st.data())
def test_every_run_ends_and_a_restored_scheduler_decides_the_same(
    kind: str, data: st.DataObject
) -> None:
    rng = random.Random(data.draw(st.integers(0, 2**16)))
    ends = [rng.choice([1, 3, 7, 30]) for _ in range(12)]
    scores = {
        (number, time): rng.choice([math.nan, -math.inf, *range(5)])
        for number in range(12)
        for time in range(31)
    }

    def curve(number: int, time: int) -> float | None:
        return scores[number, time] if time <= ends[number] else None

    def start() -> CurveRun:
        scheduler = make(
            type=kind,
            brackets=data_brackets,
            max_t=data_max_t,
            reduction_factor=data_factor,
            stop_last_trials=data_stops,
        )
        scheduler.set_search_properties(None, None, seed=5)
        return CurveRun(
            scheduler,
            curve,
            count=12,
            slots=data_slots,
            limit=data_limit,
            max_failures=int(data_slots % 2 == 0),
        )

    data_brackets = data.draw(st.integers(1, 3))
    data_max_t = data.draw(st.sampled_from([1, 9, 16]))
    data_factor = data.draw(st.sampled_from([2, 3, 4]))
    data_stops = data.draw(st.booleans())
    data_slots = data.draw(st.integers(1, 4))
    data_limit = data.draw(st.sampled_from([0, 1, 3, 5]))
    failing_step = data.draw(st.integers(0, 20))
    restored_step = data.draw(st.integers(0, 60))

    def run(is_restored: bool) -> list[tuple[str, int, str]]:
        fake = start()
        for step in range(10_000):
            if step == failing_step and fake.running:
                fake.fail(fake.running[0])
            if step == restored_step and is_restored:
                twin = make(type=kind)
                twin.set_state(pickle.loads(pickle.dumps(fake.scheduler.get_state())))
                fake.scheduler = twin
            if not fake.step():
                break
        assert all(trial.is_finished() for trial in fake.trials)
        assert len(fake.trials) == 12
        return fake.log

    assert run(is_restored=False) == run(is_restored=True)


def test_the_state_holds_no_trials() -> None:
    for kind in ("stopping", "promotion"):
        scheduler = make(type=kind)
        fake = CurveRun(scheduler, lambda number, time: number, count=40, slots=3)
        for _ in range(60):
            fake.step()
        assert b"experiment.trial" not in pickle.dumps(scheduler.get_state())


# -- the suite of all -----------------------------------------------------------------------------


class TestASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(max_t=20, reduction_factor=3)


class TestASHAWithBracketsAndTime(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(
            "time_total_s", max_t=20, reduction_factor=2, brackets=3, stop_last_trials=False
        )


class TestASHAWithPromotion(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return ASHAScheduler(max_t=20, reduction_factor=2, brackets=2, type="promotion")
