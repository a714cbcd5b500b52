from __future__ import annotations

import math
from typing import Any

import pytest

from localtune.schedulers import AsyncHyperBandScheduler, TrialScheduler
from localtune.schedulers.rungs import Rung
from localtune.trial.status import Status
from tests.schedulers.curve_runs import Curve, CurveRun

CONTINUE, STOP, PAUSE = TrialScheduler.CONTINUE, TrialScheduler.STOP, TrialScheduler.PAUSE


def make(**kwargs: Any) -> AsyncHyperBandScheduler:
    defaults: dict[str, Any] = {
        "metric": "score",
        "mode": "max",
        "type": "promotion",
        "max_t": 8,
        "reduction_factor": 2,
    }
    return AsyncHyperBandScheduler(**{**defaults, **kwargs})


def rising(number: int, time: int) -> float:
    """A later trial is a better one."""
    return number + time / 100


def falling(number: int, time: int) -> float:
    return -rising(number, time)


def run(
    curve: Curve = rising, *, count: int, slots: int = 1, limit: int = 0, **kw: Any
) -> CurveRun:
    return CurveRun(make(**kw), curve, count=count, slots=slots, limit=limit).run()


def test_the_order_of_promotions_by_hand() -> None:
    # Scores fall: trial 0 stays the best. With factor 2, the best half of a rung is promoted.
    log = run(falling, count=4).log
    assert log == [
        ("t0", 1, PAUSE),  # 1 of 1: floor(1/2) = 0
        ("t1", 1, PAUSE),  # now floor(2/2) = 1: t0 may go on
        ("t0", 2, PAUSE),  # rung 2: 0 of 1
        ("t2", 1, PAUSE),  # floor(3/2) = 1, and t0 has been promoted
        ("t3", 1, PAUSE),  # floor(4/2) = 2: t1 may go on
        ("t1", 2, PAUSE),  # floor(2/2) = 1: t0 may go on
        ("t0", 3, CONTINUE),
        ("t0", 4, PAUSE),  # none may go on, none will come: the best of the highest rung does
        ("t0", 5, CONTINUE),
        ("t0", 6, CONTINUE),
        ("t0", 7, CONTINUE),
        ("t0", 8, STOP),
    ]


def test_a_trial_that_would_be_promoted_next_goes_on_without_a_pause() -> None:
    log = run(rising, count=2).log
    # t1 is the better half of two.
    assert log[:3] == [("t0", 1, PAUSE), ("t1", 1, CONTINUE), ("t1", 2, PAUSE)]


def test_the_highest_rung_goes_first() -> None:
    scheduler = make(max_t=100)
    fake = CurveRun(scheduler, falling, count=100)
    steps = 0
    while len(scheduler._brackets[0][2].scores) < 2:
        fake.step()
        steps += 1
    promotions = [entry for entry in fake.log if entry[1] > 2]
    # As soon as a second trial is at 4, the best one of the two leaves for 8.
    fake.step()
    assert fake.log[-1][:2] == ("t0", 5), promotions


def test_a_trial_alone_runs_to_its_end() -> None:
    fake = run(count=1)
    assert fake.reached == {"t0": 8}
    assert [trial.status for trial in fake.trials] == [Status.TERMINATED]


def test_in_the_end_all_waiting_trials_are_stopped_and_the_best_one_was_trained() -> None:
    fake = run(falling, count=9, slots=3)
    assert {trial.status for trial in fake.trials} == {Status.TERMINATED}
    assert fake.reached["t0"] == 8
    assert sum(time == 8 for time in fake.reached.values()) < 9


def test_one_that_reached_the_highest_rung_first_is_enough() -> None:
    # It has gone on already: nobody else is trained to the end for its sake.
    fake = run(falling, count=16, reduction_factor=4)
    assert [number for number, time in fake.reached.items() if time == 8] == ["t0"]


def test_nan_never_is_promoted() -> None:
    fake = run(lambda number, time: math.nan, count=8, slots=2)
    assert set(fake.reached.values()) == {1}


def test_a_number_among_nan_is_promoted() -> None:
    fake = run(lambda number, time: 1.0 if number == 2 else math.nan, count=8, slots=2)
    assert fake.reached["t2"] == 8
    assert [time for name, time in fake.reached.items() if name != "t2"] == [1] * 7


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_limit_of_concurrent_trials_keeps_no_trial_away(limit: int) -> None:
    fake = run(rising, count=12, slots=2, limit=limit)
    assert len(fake.trials) == 12
    assert fake.reached["t11"] == 8


def test_under_a_limit_the_worst_one_of_the_lowest_rung_makes_room() -> None:
    fake = CurveRun(make(reduction_factor=4, max_t=16), falling, count=10, limit=3)
    for _ in range(4):
        fake.step()
    assert [name for name, _, _ in fake.log] == ["t0", "t1", "t2", "t3"]
    assert [number for number, trial in enumerate(fake.trials) if trial.is_finished()] == [2]


def test_a_trial_that_ends_early_blocks_no_other() -> None:
    # The best one ends by itself at 3.
    fake = run(lambda n, t: None if n == 0 and t > 3 else falling(n, t), count=6, slots=2)
    assert all(trial.is_finished() for trial in fake.trials)
    assert fake.reached["t0"] == 3


def test_when_the_best_one_fails_the_next_one_goes_on_in_its_place() -> None:
    fake = CurveRun(make(), falling, count=4)
    while fake.reached.get("t0") != 3:
        fake.step()
    fake.fail(fake.running[0])
    fake.run()
    assert fake.reached["t1"] == 8


def test_a_retried_trial_runs_again() -> None:
    fake = CurveRun(make(), falling, count=4, max_failures=1)
    while fake.reached.get("t0") != 3:
        fake.step()
    fake.fail(fake.running[0])
    fake.run()
    assert fake.reached["t0"] == 8


def test_trials_that_run_on_beyond_max_t_are_not_paused_there() -> None:
    fake = run(
        lambda n, t: None if t > 12 else falling(n, t), count=2, stop_last_trials=False, max_t=8
    )
    assert fake.reached["t0"] == 12
    assert all(decision is not PAUSE for _, time, decision in fake.log if time >= 8)


class Pausing(AsyncHyperBandScheduler):
    """Pauses on its own account."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: Any) -> str:
        decision = super().on_trial_result(tune_controller, trial, result)
        return PAUSE if result["training_iteration"] == 3 else decision


def test_a_trial_that_a_subclass_pauses_runs_again() -> None:
    scheduler = Pausing(metric="score", mode="max", max_t=8, reduction_factor=2, type="promotion")
    fake = CurveRun(scheduler, falling, count=4).run()
    assert ("t0", 3, PAUSE) in fake.log
    assert fake.reached["t0"] == 8


def test_the_best_of_a_rung_wait_in_the_order_of_their_scores() -> None:
    rung = Rung(1)
    for name, score in (("a", 1.0), ("b", 3.0), ("c", math.nan), ("d", 2.0), ("e", 3.0)):
        rung.record(name, score)
        rung.wait(name)
    assert list(rung.waiting()) == ["b", "e", "d", "a", "c"]
    assert list(rung.promotable(2)) == ["b", "e"]
    rung.leave("b")
    assert list(rung.promotable(2)) == ["e"]  # b keeps its place among the best
    assert list(rung.promotable(1.01)) == ["e", "d", "a"]
    assert list(rung.best()) == ["b", "e", "d", "a"]
