from __future__ import annotations

import collections
from typing import Any

import pytest

from localtune.schedulers import TrialScheduler
from localtune.schedulers.hb_bohb import HyperBandForBOHB
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.curve_runs import CurveRun
from tests.schedulers.fakes import FakeController, make_trial

CONTINUE, PAUSE, STOP = "CONTINUE", "PAUSE", "STOP"


class Told:
    """A searcher that records its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []

    def on_pause(self, trial_id: str) -> None:
        self.calls.append(("pause", trial_id))

    def on_unpause(self, trial_id: str) -> None:
        self.calls.append(("unpause", trial_id))


class Wrapped:
    """What makes trials of a searcher's suggestions, or limits them."""

    def __init__(self, searcher: Any) -> None:
        self.searcher = searcher

    def is_finished(self) -> bool:
        return True


def scheduler(**options: Any) -> HyperBandForBOHB:
    defaults = {"metric": "score", "mode": "max", "max_t": 9, "reduction_factor": 3}
    return HyperBandForBOHB(**{**defaults, **options})


def started(count: int, *, depth: int = 1) -> tuple[HyperBandForBOHB, FakeController, Told]:
    """A scheduler with running trials, all in the first bracket if they are at most 9."""
    told = Told()
    search: Any = told
    for _ in range(depth):
        search = Wrapped(search)
    controller = FakeController()
    controller.search_alg = search
    bohb = scheduler()
    for number in range(count):
        trial = make_trial(number)
        controller.trials.append(trial)
        bohb.on_trial_add(controller, trial)
        trial.status = Status.RUNNING
    return bohb, controller, told


def report(
    bohb: HyperBandForBOHB, controller: FakeController, number: int, time: int, score: float
) -> Any:
    result: dict[str, Any] = {"training_iteration": time, "score": score}
    decision = bohb.on_trial_result(controller, controller.trials[number], result)
    if decision == PAUSE:
        controller.trials[number].status = Status.PAUSED
    return decision, result["hyperband_info"]


def test_the_largest_bracket_comes_first() -> None:
    bohb, _, _ = started(10)
    text = bohb.debug_string()
    assert "#0 (milestone 1, 2 halvings left, 9 trials" in text
    assert "#1 (milestone 3, 1 halvings left, 1 trials" in text


def test_brackets_of_milestone_0_are_left_out() -> None:
    bohb = scheduler(max_t=50)
    controller = FakeController()
    bohb.on_trial_add(controller, make_trial(0))
    assert "milestone 1, 3 halvings left" in bohb.debug_string()


def test_results_get_the_budget_that_they_belong_to() -> None:
    bohb, controller, _ = started(10)
    assert report(bohb, controller, 9, 1, 0) == (CONTINUE, {"budget": 3, "reached": False})
    assert report(bohb, controller, 9, 3, 0) == (PAUSE, {"budget": 3, "reached": True})
    assert report(bohb, controller, 0, 1, 0) == (PAUSE, {"budget": 1, "reached": True})


def test_the_last_to_arrive_is_paused_too_and_then_the_bracket_is_cut_down() -> None:
    bohb, controller, told = started(9)
    decisions = [report(bohb, controller, number, 1, number)[0] for number in range(9)]
    assert decisions == [PAUSE] * 9
    assert told.calls == [("pause", f"t{number}") for number in range(9)]
    assert not controller.stops
    told.calls.clear()
    assert bohb.choose_trial_to_run(controller) is controller.trials[6]
    assert controller.stops == controller.trials[:6]
    assert sorted(told.calls) == [("unpause", "t6"), ("unpause", "t7"), ("unpause", "t8")]
    assert bohb.choose_trial_to_run(controller) is controller.trials[6]
    assert len(told.calls) == 3


def test_a_bracket_waits_until_its_trials_are_saved() -> None:
    bohb, controller, _ = started(2)
    report(bohb, controller, 0, 1, 0)
    report(bohb, controller, 1, 1, 1)
    controller.trials[1].status = Status.RUNNING
    assert bohb.choose_trial_to_run(controller) is None
    controller.trials[1].status = Status.PAUSED
    assert bohb.choose_trial_to_run(controller) is not None


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_wrapped_searcher_is_notified(depth: int) -> None:
    bohb, controller, told = started(1, depth=depth)
    report(bohb, controller, 0, 1, 0)
    assert told.calls == [("pause", "t0")]


def test_a_trial_that_fails_while_it_is_saved_is_no_longer_paused_for_the_searcher() -> None:
    bohb, controller, told = started(2)
    report(bohb, controller, 0, 1, 0)
    bohb.on_trial_error(controller, controller.trials[0])
    bohb.on_trial_add(controller, controller.trials[0])
    assert told.calls == [("pause", "t0"), ("unpause", "t0")]


def test_a_trial_that_is_repeated_by_a_resumed_run_is_no_longer_paused_for_the_searcher() -> None:
    bohb, controller, told = started(2)
    report(bohb, controller, 0, 1, 0)
    again = scheduler()
    again.set_state(bohb.get_state())
    again.on_trial_add(controller, controller.trials[0])
    assert told.calls == [("pause", "t0")]
    lost = Trial("fake", trial_id="t0")
    again.on_trial_add(controller, lost)
    assert told.calls == [("pause", "t0"), ("unpause", "t0")]


@pytest.mark.parametrize("slots", [1, 4])
def test_a_whole_band_runs_with_a_searcher_that_wants_to_know_nothing(slots: int) -> None:
    run = CurveRun(scheduler(), lambda number, time: number * 37 % 101, count=17, slots=slots).run()
    reached = [run.reached[f"t{number}"] for number in range(17)]
    assert collections.Counter(reached[:9]) == {9: 1, 3: 2, 1: 6}
    assert collections.Counter(reached[9:14]) == {9: 2, 3: 3}
    assert collections.Counter(reached[14:]) == {9: 3}


def test_a_concurrency_limit_below_the_size_of_a_bracket_blocks_no_trial() -> None:
    run = CurveRun(scheduler(), lambda number, time: number, count=12, slots=2, limit=4).run()
    assert len(run.trials) == 12
    assert all(trial.is_finished() for trial in run.trials)


def test_the_largest_bracket_of_a_band_runs_first() -> None:
    bohb, controller, _ = started(17)
    for trial in controller.trials:
        trial.status = Status.PENDING
    for number in range(3):
        # It has done more of its work than the next bracket, which has done nothing.
        trial = controller.trials[number]
        trial.status = Status.RUNNING
        bohb.on_trial_result(controller, trial, {"training_iteration": 1, "score": number})
        trial.status = Status.PAUSED
    assert bohb.choose_trial_to_run(controller) is controller.trials[3]


# -- the suite of all -----------------------------------------------------------------------------


class Model(BasicVariantGenerator):
    """A searcher in place of BOHB that records pauses and returns of trials."""

    def __init__(self) -> None:
        super().__init__()
        self.paused: set[str] = set()

    def on_pause(self, trial_id: str) -> None:
        self.paused.add(trial_id)

    def on_unpause(self, trial_id: str) -> None:
        self.paused.discard(trial_id)


class TestHyperBandForBOHB(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandForBOHB(max_t=9)

    def make_search_alg(self) -> Any:
        return Model()
