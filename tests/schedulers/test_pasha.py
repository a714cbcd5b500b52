from __future__ import annotations

import math
import pickle
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.schedulers import PASHAScheduler, TrialScheduler
from localtune.schedulers.pasha import Noise, is_order_kept, noise_between
from localtune.testing.scheduler_contract import SchedulerContract
from tests.schedulers.curve_runs import Curve, CurveRun


def make(**kwargs: Any) -> PASHAScheduler:
    defaults: dict[str, Any] = {
        "metric": "score",
        "mode": "max",
        "max_t": 27,
        "reduction_factor": 3,
    }
    return PASHAScheduler(**{**defaults, **kwargs})


def run(curve: Curve, *, count: int = 27, slots: int = 2, **kwargs: Any) -> CurveRun:
    return CurveRun(make(**kwargs), curve, count=count, slots=slots).run()


def settled(number: int, time: int) -> float:
    return number + time / 100


def swapping(number: int, time: int) -> float:
    """Trials change their order from rung to rung."""
    rank = 27 - number if time in (1, 2, 9) else number
    return rank + time / 100


def test_with_a_stable_order_no_trial_goes_beyond_the_second_rung() -> None:
    fake = run(settled)
    assert max(fake.reached.values()) == 3
    assert all(trial.is_finished() for trial in fake.trials)


def test_while_the_order_changes_the_maximum_grows() -> None:
    fake = run(swapping)
    assert max(fake.reached.values()) == 27


def test_a_large_epsilon_takes_all_orders_for_equal() -> None:
    assert max(run(swapping, epsilon=100.0).reached.values()) == 3
    assert max(run(swapping, epsilon=0.0).reached.values()) == 27


def test_an_order_that_differs_by_noise_prolongs_nothing() -> None:
    def noisy(number: int, time: int) -> float:
        # All trials are alike but for noise, which no curve can be told apart from.
        return random.Random(1000 * number + time).uniform(-0.01, 0.01)

    # The second rung is at 16: curves cross often enough before it.
    sizes: dict[str, Any] = {"grace_period": 8, "reduction_factor": 2, "max_t": 128, "count": 40}
    assert max(run(noisy, **sizes, epsilon=0.0).reached.values()) == 128
    assert max(run(noisy, **sizes, noise_percentile=100).reached.values()) == 16


def test_with_one_rung_only_it_is_asha() -> None:
    fake = run(settled, max_t=2, count=3)
    assert max(fake.reached.values()) == 2


@pytest.mark.parametrize(
    ("above", "below", "epsilon", "expected"),
    [
        ([], [], 0.0, True),
        ([1], [5], 0.0, True),
        ([3, 2, 1], [30, 20, 10], 0.0, True),
        ([3, 2, 1], [30, 10, 20], 0.0, False),
        ([3, 2, 1], [30, 10, 20], 9.0, False),
        ([3, 2, 1], [30, 10, 20], 10.0, True),
        # Each place counts for itself: 10 stands where 30 stood.
        ([3, 2, 1], [10, 20, 30], 10.0, False),
        ([3, 2], [5, 5], 0.0, True),
        ([math.nan, 1], [math.nan, 2], 0.0, True),
        ([math.nan, 1], [2, math.nan], 1e9, False),
    ],
)
def test_orders_by_hand(
    above: list[float], below: list[float], epsilon: float, expected: bool
) -> None:
    one = {str(number): score for number, score in enumerate(above)}
    other = {str(number): score for number, score in enumerate(below)}
    assert is_order_kept(one, other, epsilon) is expected


def test_a_trial_that_skipped_the_lower_rung_is_left_out_of_the_order() -> None:
    assert is_order_kept({"a": 1, "b": 2, "c": 9}, {"a": 1, "b": 2}, 0.0)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 1, 1], [2, 2, 2], None),
        ([1, 1, 1], [2, 0, 0], None),  # crossed once
        ([1, 1, 1], [2, 0, 4], 3),
        ([1, 1, 1, 1], [2, 1, 0, 1.5], 0.5),  # equal in between is no crossing
        ([1, 1, math.nan, 1], [2, 0, 0, 4], 3),
        ([1, 1], [2, 0], None),
        ([], [1, 2, 3], None),
    ],
)
def test_curves_by_hand(one: list[float], other: list[float], expected: float | None) -> None:
    assert noise_between(dict(enumerate(one)), dict(enumerate(other))) == expected


def test_epsilon_is_a_percentile_of_the_differences() -> None:
    noise = Noise(50)
    curves = {"a": (1, -1, 0), "b": (-1, 1, 1), "c": (0, 0, 3), "d": (0, 0, -1)}
    for name, scores in curves.items():
        for time, score in enumerate(scores):
            noise.observe(name, time, score)
    assert noise.estimate("a", {"a": 0}) is None
    assert noise.estimate("b", {"a": 0, "b": 0}) is None  # they crossed once
    assert noise.estimate("c", {"a": 0, "b": 0, "c": 0}) == 2.0  # c and b crossed twice
    assert noise.estimate("d", {"a": 0, "b": 0, "c": 0, "d": 0}) == 1.5  # d and a: 1
    noise.start_rung()
    assert noise.estimate("c", {"c": 0}) is None


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"epsilon": -1}, "epsilon must be None or a number from 0 on, but got -1"),
        ({"epsilon": math.nan}, "epsilon"),
        ({"noise_percentile": 101}, "noise_percentile must be from 0 to 100, but got 101"),
        ({"max_t": 0}, "max_t"),
    ],
)
def test_bad_arguments_are_refused(kwargs: Any, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(**kwargs)


@given(seed=st.integers(0, 2**16), slots=st.integers(1, 4), limit=st.sampled_from([0, 2, 5]))
def test_every_run_ends_and_a_restored_scheduler_decides_the_same(
    seed: int, slots: int, limit: int
) -> None:
    rng = random.Random(seed)
    scores = [[rng.choice([math.nan, 1, 2, 3]) for _ in range(28)] for _ in range(15)]
    ends = [rng.choice([2, 5, 27]) for _ in range(15)]
    middle = rng.randrange(40)

    def once(is_restored: bool) -> list[tuple[str, int, str]]:
        fake = CurveRun(
            make(),
            lambda number, time: scores[number][time] if time <= ends[number] else None,
            count=15,
            slots=slots,
            limit=limit,
        )
        for _ in range(middle):
            fake.step()
        if is_restored:
            twin = make()
            twin.set_state(pickle.loads(pickle.dumps(fake.scheduler.get_state())))
            fake.scheduler = twin
        fake.run()
        assert all(trial.is_finished() for trial in fake.trials)
        return fake.log

    assert once(False) == once(True)


# -- the suite of all -----------------------------------------------------------------------------


class TestPASHA(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return PASHAScheduler(max_t=20, reduction_factor=2)
