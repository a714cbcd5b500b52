from __future__ import annotations

import collections
import math
import pickle
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localtune.checkpoint import Checkpoint
from localtune.schedulers import TrialScheduler
from localtune.schedulers.hb_bohb import HyperBandForBOHB
from localtune.schedulers.hyperband import HyperBandScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.testing.scheduler_contract import SchedulerContract
from localtune.trial.checkpoint_history import TrackedCheckpoint
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.schedulers.curve_runs import CurveRun
from tests.schedulers.fakes import FakeController, make_trial

CONTINUE, PAUSE, STOP = "CONTINUE", "PAUSE", "STOP"


def scheduler(**options: object) -> HyperBandScheduler:
    defaults = {"metric": "score", "mode": "max", "max_t": 9, "reduction_factor": 3}
    return HyperBandScheduler(**{**defaults, **options})  # type: ignore[arg-type]


class Hands:
    """A scheduler and its trials, with hooks called by hand. All trials are there from the start.

    With ``max_t`` 9 and ``reduction_factor`` 3, trials 0 to 2 are in the bracket that is never cut
    down (milestone 9), 3 to 7 in the next (milestones 3, 9), 8 to 16 in the last (1, 3, 9).
    """

    def __init__(self, count: int = 17, *, finished: bool = True, **options: object) -> None:
        self.scheduler = scheduler(**options)
        self.controller = FakeController(count)
        for number in range(count):
            self.controller.search_alg.next_suggestion()
            self.add(number)
        if not finished:
            self.controller.search_alg = BasicVariantGenerator()
            self.controller.search_alg.setup({}, -1)

    def add(self, number: int) -> Trial:
        trial = make_trial(number)
        self.controller.trials.append(trial)
        self.scheduler.on_trial_add(self.controller, trial)
        return trial

    def report(self, number: int, time: float, score: float = 0.0) -> str:
        trial = self.controller.trials[number]
        trial.status = Status.RUNNING
        result = {"training_iteration": time, "score": score}
        decision = self.scheduler.on_trial_result(self.controller, trial, result)
        if decision == PAUSE:
            trial.status = Status.PAUSED
        elif decision == STOP:
            trial.status = Status.TERMINATED
            self.scheduler.on_trial_complete(self.controller, trial, result)
        return decision

    def fail(self, number: int, *, is_retried: bool = False) -> None:
        trial = self.controller.trials[number]
        self.scheduler.on_trial_error(self.controller, trial)
        trial.status = Status.PENDING if is_retried else Status.ERROR
        if is_retried:
            self.scheduler.on_trial_add(self.controller, trial)

    def complete(self, number: int) -> None:
        trial = self.controller.trials[number]
        trial.status = Status.TERMINATED
        self.scheduler.on_trial_complete(
            self.controller, trial, {"score": 99, "training_iteration": 1}
        )

    def take_stops(self) -> list[int]:
        """Carries out the requests to stop; returns the numbers of the trials."""
        stops, self.controller.stops = self.controller.stops, []
        for trial in stops:
            trial.status = Status.TERMINATED
            self.scheduler.on_trial_remove(self.controller, trial)
        return sorted(self.controller.trials.index(trial) for trial in stops)

    def choose(self) -> int | None:
        chosen = self.scheduler.choose_trial_to_run(self.controller)
        assert self.scheduler.choose_trial_to_run(self.controller) is chosen
        return None if chosen is None else self.controller.trials.index(chosen)

    def may_run(self) -> list[int]:
        """Who is chosen, if each one that is chosen starts."""
        numbers = []
        while (number := self.choose()) is not None:
            numbers.append(number)
            self.controller.trials[number].status = Status.RUNNING
        return numbers


# -- by hand ------------------------------------------------------------------------------------


def test_a_trial_goes_on_below_the_milestone_and_is_paused_at_it() -> None:
    hands = Hands()
    assert [hands.report(3, time) for time in (1, 2, 3)] == [CONTINUE, CONTINUE, PAUSE]
    assert hands.report(8, 1) == PAUSE
    assert hands.report(4, 5) == PAUSE  # a large step


def test_the_last_to_arrive_goes_on_if_it_is_among_the_best() -> None:
    hands = Hands()
    assert [hands.report(number, 3, score=-number) for number in (7, 6, 5, 4)] == [PAUSE] * 4
    assert hands.report(3, 3, score=-3) == CONTINUE
    assert hands.take_stops() == [5, 6, 7]
    assert hands.controller.trials[3].status is Status.RUNNING
    assert 4 in hands.may_run()


def test_the_last_to_arrive_is_stopped_if_it_is_not() -> None:
    hands = Hands()
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=1)
    assert hands.report(7, 3, score=0) == STOP
    assert len(hands.take_stops()) == 2


def test_lower_is_better_with_mode_min() -> None:
    hands = Hands(mode="min")
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    assert hands.report(7, 3, score=7) == STOP
    assert hands.take_stops() == [5, 6]


def test_a_bracket_is_cut_down_until_its_last_trials_stop() -> None:
    hands = Hands()
    for number in range(8, 16):
        assert hands.report(number, 1, score=number) == PAUSE
    assert hands.report(16, 1, score=16) == CONTINUE
    assert hands.take_stops() == list(range(8, 14))
    assert hands.report(14, 3, score=14) == PAUSE
    assert hands.report(15, 3, score=0) == PAUSE
    assert hands.report(16, 3, score=16) == CONTINUE
    assert hands.take_stops() == [14, 15]
    assert [hands.report(16, time, score=16) for time in (8, 9)] == [CONTINUE, STOP]
    assert "#2" not in hands.scheduler.debug_string()


def test_trials_at_the_last_milestone_wait_and_stop_together() -> None:
    hands = Hands()
    assert [hands.report(number, 9) for number in (0, 1)] == [PAUSE, PAUSE]
    assert hands.report(2, 9) == STOP
    assert hands.take_stops() == [0, 1]


def test_without_stop_last_trials_survivors_run_to_their_own_end() -> None:
    hands = Hands(stop_last_trials=False)
    assert [hands.report(0, time) for time in (9, 10, 100)] == [CONTINUE] * 3
    for number in (3, 4, 5, 6):
        assert hands.report(number, 3, score=number) == PAUSE
    assert hands.report(7, 3, score=7) == CONTINUE
    assert hands.take_stops() == [3, 4, 5]
    assert [hands.report(6, time) for time in (9, 10, 100)] == [CONTINUE] * 3
    hands.complete(6)
    hands.complete(7)
    assert "#1" not in hands.scheduler.debug_string() or hands.choose() is not None
    assert "#1" not in hands.scheduler.debug_string()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_nan_is_the_worst(mode: str) -> None:
    hands = Hands(mode=mode)
    for number, score in ((3, math.nan), (4, 1.0), (5, 2.0), (6, math.nan)):
        hands.report(number, 3, score=score)
    assert hands.report(7, 3, score=math.nan) == STOP
    assert hands.take_stops() == [3, 6]


def test_nan_everywhere_still_keeps_the_right_number() -> None:
    hands = Hands()
    decisions = [hands.report(number, 3, score=math.nan) for number in range(3, 8)]
    stopped = len(hands.take_stops()) + decisions.count(STOP)
    assert stopped == 3


def test_trials_fill_brackets_in_order_and_then_a_new_band() -> None:
    hands = Hands(count=18)
    text = hands.scheduler.debug_string()
    assert text.startswith("HyperBand: 4 brackets")
    assert "#0 (milestone 9, 0 halvings left, 3 trials" in text
    assert "#1 (milestone 3, 1 halvings left, 5 trials" in text
    assert "#2 (milestone 1, 2 halvings left, 9 trials" in text
    assert "#3 (milestone 9, 0 halvings left, 1 trials" in text


def test_the_bracket_of_which_least_is_done_runs_next() -> None:
    hands = Hands(count=8)
    assert hands.choose() == 0
    hands.report(0, 1)
    assert hands.choose() == 3
    hands.report(3, 3)
    assert hands.choose() == 1


def test_an_earlier_band_runs_first() -> None:
    hands = Hands(count=18)
    for number in range(17):
        hands.report(number, 0.5)
    hands.controller.trials[0].status = Status.PAUSED
    assert hands.choose() == 0


def test_a_running_trial_is_not_chosen() -> None:
    hands = Hands(count=3)
    assert hands.may_run() == [0, 1, 2]
    assert hands.choose() is None


def test_a_trial_that_waits_at_a_milestone_is_not_chosen() -> None:
    hands = Hands(count=3)
    hands.report(1, 9)
    assert hands.may_run() == [0, 2]


# -- nobody is left behind ----------------------------------------------------------------------


def test_a_trial_that_ends_is_not_waited_for() -> None:
    hands = Hands()
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    hands.complete(7)
    assert hands.take_stops() == [3, 4]
    assert set(hands.may_run()) >= {5, 6}


def test_a_trial_that_fails_is_not_waited_for() -> None:
    hands = Hands()
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    hands.fail(7)
    assert set(hands.may_run()) >= {5, 6}
    assert hands.take_stops() == [3, 4]


def test_a_trial_that_fails_after_a_halving_is_not_waited_for() -> None:
    hands = Hands()
    for number in range(8, 17):
        hands.report(number, 1, score=number)
    hands.take_stops()
    hands.report(14, 3, score=14)
    hands.report(15, 3, score=15)
    hands.fail(16)
    hands.choose()
    assert hands.take_stops() == [14]
    assert 15 in hands.may_run()


def test_a_trial_that_is_removed_is_not_waited_for() -> None:
    hands = Hands(count=2)
    hands.report(0, 9)
    trial = hands.controller.trials[1]
    trial.status = Status.TERMINATED
    hands.scheduler.on_trial_remove(hands.controller, trial)
    assert hands.take_stops() == [0]


def test_a_trial_that_fails_while_it_is_saved_does_not_go_on() -> None:
    hands = Hands()
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    hands.fail(6)
    assert hands.report(7, 3, score=0) == STOP
    assert hands.take_stops() == [3]


def test_a_retried_trial_has_its_place_back_and_is_waited_for() -> None:
    hands = Hands()
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    hands.fail(7, is_retried=True)
    assert 7 in hands.may_run()
    assert hands.take_stops() == []
    assert hands.report(7, 3, score=7) == CONTINUE
    assert hands.take_stops() == [3, 4, 5]


def test_a_trial_that_failed_while_it_waited_repeats_its_way_to_the_milestone() -> None:
    hands = Hands()
    assert hands.report(3, 3, score=3) == PAUSE
    hands.fail(3, is_retried=True)
    assert 3 in hands.may_run()
    assert [hands.report(3, time, score=3) for time in (2, 3)] == [CONTINUE, PAUSE]


def test_a_trial_retried_after_the_others_went_on_joins_a_new_bracket() -> None:
    hands = Hands(count=17)
    for number in (3, 4, 5, 6):
        hands.report(number, 3, score=number)
    trial = hands.controller.trials[7]
    hands.scheduler.on_trial_error(hands.controller, trial)
    hands.choose()
    assert hands.take_stops() == [3, 4]
    trial.status = Status.PENDING
    hands.scheduler.on_trial_add(hands.controller, trial)
    assert "#3 (milestone 9, 0 halvings left, 1 trials" in hands.scheduler.debug_string()


def test_a_bracket_waits_for_trials_that_will_still_join() -> None:
    hands = Hands(count=5, finished=False)
    assert [hands.report(number, 3) for number in (3, 4)] == [PAUSE, PAUSE]
    assert hands.may_run() == [0, 1, 2]
    hands.add(5)
    assert hands.choose() == 5


def test_a_bracket_does_not_wait_for_more_than_there_are() -> None:
    hands = Hands(count=6)
    assert [hands.report(3, 3, score=1), hands.report(4, 3, score=3)] == [PAUSE, PAUSE]
    # Of a full bracket two would stay, so two stay of three.
    assert hands.report(5, 3, score=2) == CONTINUE
    assert hands.take_stops() == [3]


def test_a_bracket_goes_on_when_the_search_turns_out_to_be_finished() -> None:
    hands = Hands(count=6, finished=False)
    assert [hands.report(number, 3, score=number) for number in (3, 4, 5)] == [PAUSE] * 3
    hands.controller.search_alg = BasicVariantGenerator()
    hands.controller.search_alg.setup({}, 1)
    hands.controller.search_alg.next_suggestion()
    assert {4, 5} <= set(hands.may_run())
    assert hands.take_stops() == [3]


def test_a_bracket_goes_on_when_nothing_else_can() -> None:
    hands = Hands(count=6, finished=False)
    for number in range(3):
        hands.report(number, 9)
    hands.take_stops()
    for number in (3, 4, 5):
        hands.report(number, 3, score=number)
    assert hands.choose() is None
    hands.controller.is_stuck = True
    assert hands.may_run() == [4, 5]
    assert hands.take_stops() == [3]


def test_brackets_are_cut_early_only_while_no_trial_runs() -> None:
    hands = Hands(count=9, finished=False)
    for number in range(8):
        hands.report(number, 9, score=number)
    hands.take_stops()
    hands.report(8, 1)
    hands.controller.trials[6].status = Status.RUNNING
    hands.controller.is_stuck = True
    assert hands.choose() is None


def test_a_bracket_that_has_gone_on_takes_no_further_trials() -> None:
    hands = Hands(count=6, finished=False)
    for number in range(3):
        hands.report(number, 9)
    hands.take_stops()
    for number in (3, 4, 5):
        hands.report(number, 3, score=number)
    hands.controller.is_stuck = True
    hands.choose()
    hands.controller.is_stuck = False
    hands.add(6)
    assert "#2 (milestone 1, 2 halvings left, 1 trials" in hands.scheduler.debug_string()


def test_a_trial_that_was_asked_to_stop_does_not_go_on() -> None:
    hands = Hands()
    for number in range(3, 8):
        hands.report(number, 3, score=number)
    loser = hands.controller.stops[0]
    assert hands.scheduler.on_trial_result(hands.controller, loser, {}) == STOP
    assert hands.controller.trials.index(loser) not in hands.may_run()


# -- arguments and results ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_t": 0}, "max_t must be a number at least 1, but got 0"),
        ({"max_t": math.nan}, "max_t must be a number at least 1"),
        ({"max_t": math.inf}, "max_t must be a number at least 1, but got inf"),
        ({"reduction_factor": 1}, "reduction_factor must be a number above 1, but got 1"),
        ({"reduction_factor": "3"}, "reduction_factor must be a number above 1, but got '3'"),
        ({"mode": "best"}, "best"),
    ],
)
def test_an_argument_out_of_range_is_an_error(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        scheduler(**options)


def test_a_missing_metric_or_mode_is_an_error_before_the_first_trial() -> None:
    with pytest.raises(ValueError, match=r"HyperBandScheduler compares .*metric and a mode"):
        HyperBandScheduler().check_run({}, BasicVariantGenerator())


@pytest.mark.parametrize(
    ("result", "missing"),
    [({"score": 1, "loss": 2}, "training_iteration"), ({"training_iteration": 3}, "score")],
)
def test_a_result_without_metric_or_time_is_an_error_that_lists_its_keys(
    result: dict[str, float], missing: str
) -> None:
    hands = Hands()
    with pytest.raises(KeyError) as caught:
        hands.scheduler.on_trial_result(hands.controller, hands.controller.trials[3], result)
    assert f"needs '{missing}'" in caught.value.args[0]
    assert all(repr(key) in caught.value.args[0] for key in result)


@pytest.mark.parametrize(
    ("number", "time", "decision"),
    [(3, 2, CONTINUE), (0, 8, CONTINUE), (0, 9, PAUSE)],
    ids=["below the milestone", "where nobody is compared", "where all are stopped"],
)
def test_a_result_needs_no_metric_where_trials_are_not_compared(
    number: int, time: float, decision: str
) -> None:
    hands = Hands()
    trial = hands.controller.trials[number]
    result = {"training_iteration": time}
    assert hands.scheduler.on_trial_result(hands.controller, trial, result) == decision


def test_a_kept_trial_that_has_passed_the_next_milestone_waits_already() -> None:
    hands = Hands()
    for number in range(8, 16):
        assert hands.report(number, 4 if number == 8 else 1, score=-number) == PAUSE
    assert hands.report(16, 1, score=-16) == STOP
    assert hands.take_stops() == [11, 12, 13, 14, 15]
    # Of the kept ones, 8 is beyond 3 already.
    assert [number for number in hands.may_run() if number > 7] == [9, 10]
    assert hands.report(9, 3, score=5) == PAUSE
    assert hands.report(10, 3, score=1) == STOP
    assert hands.take_stops() == [8]
    assert 9 in hands.may_run()


def test_trials_with_one_long_step_are_cut_down_to_the_last_milestone_at_once() -> None:
    hands = Hands()
    for number in range(8, 16):
        assert hands.report(number, 20, score=-number) == PAUSE
    assert hands.report(16, 20, score=-16) == STOP
    assert hands.take_stops() == list(range(8, 16))


def test_a_trial_that_is_to_run_to_its_own_end_does_not_wait_at_the_last_milestone() -> None:
    hands = Hands(stop_last_trials=False)
    for number in range(3, 7):
        hands.report(number, 20, score=-number)
    assert hands.report(7, 20, score=0) == CONTINUE
    assert hands.take_stops() == [4, 5, 6]
    assert 3 in hands.may_run()


def test_results_are_not_buffered() -> None:
    assert scheduler().supports_buffered_results is False


# -- whole runs ---------------------------------------------------------------------------------


def curve(number: int, time: int) -> float:
    return (number * 37 % 101) + 0.01 * time


@pytest.mark.parametrize("slots", [1, 3, 50])
def test_a_whole_band_runs_as_in_the_paper(slots: int) -> None:
    run = CurveRun(scheduler(max_t=27), curve, count=49, slots=slots).run()
    reached = [run.reached[f"t{number}"] for number in range(49)]
    count = collections.Counter
    assert count(reached[:4]) == {27: 4}
    assert count(reached[4:10]) == {27: 2, 9: 4}
    assert count(reached[10:22]) == {27: 2, 9: 2, 3: 8}
    assert count(reached[22:]) == {27: 1, 9: 2, 3: 6, 1: 18}
    best = max(range(22, 49), key=lambda number: curve(number, 0))
    assert reached[best] == 27


def test_a_restored_scheduler_decides_as_the_first_one() -> None:
    def log(restore_at: int | None) -> list[tuple[str, int, str]]:
        run = CurveRun(scheduler(), curve, count=30, slots=3)
        steps = 0
        while run.step():
            steps += 1
            if steps == restore_at:
                run.settle()
                state = pickle.loads(pickle.dumps(run.scheduler.get_state()))
                run.scheduler = scheduler()
                run.scheduler.set_state(state)
                for trial in run.view.get_live_trials():
                    run.scheduler.on_trial_add(run.view, trial)
        return run.log

    expected = log(None)
    assert len(expected) > 60
    assert all(log(step) == expected for step in range(1, len(expected), 7))


@pytest.mark.parametrize(("saved_at", "waits"), [(3, True), (2, False), (None, False)])
def test_in_a_resumed_run_a_waiting_trial_repeats_only_unsaved_work(
    tmp_path: Path, saved_at: int | None, waits: bool
) -> None:
    hands = Hands(count=4, finished=False)
    hands.report(3, 3)
    again = Trial("fake", trial_id="t3")
    if saved_at is not None:
        metrics = {"training_iteration": saved_at}
        again.checkpoints.register(TrackedCheckpoint(Checkpoint(tmp_path), metrics, 0))
    hands.controller.trials[3] = again
    hands.scheduler.on_trial_add(hands.controller, again)
    assert (3 not in hands.may_run()) is waits


def test_the_state_holds_no_trials() -> None:
    run = CurveRun(scheduler(), curve, count=17, slots=2)
    for _ in range(20):
        run.step()
    assert b"localtune.trial.trial" not in pickle.dumps(run.scheduler.get_state())


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 2**32),
    st.sampled_from([HyperBandScheduler, HyperBandForBOHB]),
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from([0, 0, 1, 3, 7]),
    st.booleans(),
    st.sampled_from([1, 3, 9, 10]),
)
def test_every_run_ends_and_no_trial_runs_after_its_stop(
    seed: int,
    kind: type[HyperBandScheduler],
    count: int,
    slots: int,
    limit: int,
    stops_last: bool,
    max_t: int,
) -> None:
    rng = random.Random(seed)
    ends = [rng.randint(1, 12) for _ in range(count)]

    def chaotic(number: int, time: int) -> float | None:
        if time > ends[number]:
            return None
        return rng.choice([math.nan, 0.0, rng.random(), math.inf])

    scheduler = kind(
        metric="score", mode="min", max_t=max_t, reduction_factor=3, stop_last_trials=stops_last
    )
    # Trials are paused later than the scheduler says so, and may fail at any time.
    run = CurveRun(
        scheduler,
        chaotic,
        count=count,
        slots=slots,
        limit=limit,
        save_s=1.5,
        max_failures=rng.randint(0, 2),
    )
    while run.step():
        if rng.random() < 0.05:
            run.scheduler = pickle.loads(pickle.dumps(run.scheduler))
        if run.running and rng.random() < 0.1:
            run.fail(rng.choice(run.running))
    assert len(run.trials) == count
    assert all(trial.is_finished() for trial in run.trials)
    stopped = set()
    for trial_id, _, decision in run.log:
        assert trial_id not in stopped
        if decision == STOP:
            stopped.add(trial_id)


# -- the suite of all -----------------------------------------------------------------------------


class TestHyperBand(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandScheduler(max_t=9)


class TestHyperBandThatStopsNobodyAtTheEnd(SchedulerContract):
    def make_scheduler(self) -> TrialScheduler:
        return HyperBandScheduler(
            "time_total_s", max_t=16, reduction_factor=2, stop_last_trials=False
        )
