"""The state machine of a run: random lives of workers, and single decisions."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from localtune.config.checkpoint import CheckpointConfig
from localtune.controller import instructions
from localtune.controller.controller import Controller
from localtune.error import (
    MissingMetricError,
    ResourceRequestError,
    TrialError,
    TuneError,
    WorkerDiedError,
    WorkerStartError,
)
from localtune.execution.executor import Exited, Replied, WorkerExit
from localtune.resources import PlacementGroupFactory
from localtune.schedulers import FIFOScheduler
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.stopper.base import Stopper
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.scripted_workers import FATES, Workers, make_controller, statuses


def test_every_trial_runs_to_its_end() -> None:
    controller = make_controller(5)
    workers = Workers(controller)
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 5
    assert workers.most_at_once == 2
    hooks = [
        hook for hook, trial_id in workers.notices if trial_id == controller.trials[0].trial_id
    ]
    assert hooks == ["on_trial_start", "on_trial_result", "on_trial_result", "on_trial_complete"]


def test_all_slots_are_filled_without_an_event_although_only_one_trial_may_wait() -> None:
    controller = make_controller(5, cpus=3, lookahead=1)
    Workers(controller).advance()
    assert statuses(controller) == [Status.RUNNING] * 3 + [Status.PENDING]


def test_max_concurrent_trials_limits_live_trials() -> None:
    workers = Workers(make_controller(5, cpus=4, max_concurrent_trials=1))
    workers.run_well()
    assert workers.most_at_once == 1


def test_a_request_that_can_never_be_met_ends_the_run_and_names_the_resources() -> None:
    controller = make_controller(1, request={"cpu": 3})
    Workers(controller).advance()
    assert isinstance(controller.error, ResourceRequestError)
    assert "3" in str(controller.error) and "2" in str(controller.error)
    assert controller.is_done


def test_a_dead_worker_is_retried_then_an_error() -> None:
    controller = make_controller(1, max_failures=1)
    workers = Workers(controller)
    workers.advance()
    workers.exit(1, -9)
    assert statuses(controller) == [Status.PENDING]
    workers.advance()
    workers.exit(2, -9)
    workers.advance()
    assert statuses(controller) == [Status.ERROR]
    assert controller.trials[0].num_failures == 2
    assert isinstance(controller.trials[0].error, WorkerDiedError)
    assert [hook for hook, _ in workers.notices] == ["on_trial_recover", "on_trial_error"]
    assert controller.is_done


def test_fail_fast_terminates_the_others() -> None:
    controller = make_controller(3, fail_fast=True)
    workers = Workers(controller)
    workers.advance()
    workers.exit(1, 1)
    assert statuses(controller) == [Status.ERROR, Status.TERMINATED, Status.TERMINATED]
    assert controller.is_ending and not controller.is_done
    workers.exit(2)
    assert controller.is_done


def test_the_time_budget_stops_everything() -> None:
    clock = ManualClock()
    controller = make_controller(3, clock=clock, time_budget_s=10.0)
    workers = Workers(controller)
    workers.advance()
    assert controller.seconds_left() == 10.0
    clock.advance(10.0)
    workers.advance()
    assert statuses(controller) == [Status.TERMINATED] * 3
    assert "on_trial_complete" not in dict(workers.notices)


def test_an_interrupt_keeps_the_state_of_unfinished_trials() -> None:
    controller = make_controller(3)
    workers = Workers(controller)
    workers.advance()
    workers.carry_out(controller.interrupt())
    assert statuses(controller) == [Status.RUNNING, Status.RUNNING, Status.PENDING]
    for worker_id in (1, 2):
        workers.exit(worker_id)
    assert controller.is_done


def test_a_missing_metric_ends_the_run_and_names_the_near_miss() -> None:
    controller = make_controller(1, metric="los")
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    workers.answer_well(1)
    assert isinstance(controller.error, MissingMetricError)
    assert "'loss'" in str(controller.error) and "Did you mean" in str(controller.error)


@pytest.mark.parametrize("frequency", [1, 2])
def test_checkpoint_frequency_saves_before_the_decision(frequency: int) -> None:
    config = CheckpointConfig(checkpoint_frequency=frequency, checkpoint_at_end=False)
    controller = make_controller(1, checkpoint_config=config)
    workers = Workers(controller)
    workers.run_well()
    assert len(controller.trials[0].checkpoints) == 2 // frequency


class Decides(FIFOScheduler):
    """Returns the decisions of a list."""

    def __init__(self, *decisions: str) -> None:
        self.decisions = list(decisions)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.decisions.pop(0) if self.decisions else self.CONTINUE


def test_a_paused_trial_is_saved_and_goes_on_from_its_checkpoint() -> None:
    controller = make_controller(1, scheduler=Decides("PAUSE"))
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    workers.answer_well(1)
    assert isinstance(workers.in_flight[1], messages.Save)
    workers.answer_well(1)
    assert statuses(controller) == [Status.PAUSED]
    workers.exit(1)
    workers.advance()
    assert statuses(controller) == [Status.RUNNING]
    workers.answer_well(2)
    assert isinstance(workers.in_flight[2], messages.Restore)
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED]
    assert controller.trials[0].last_result["training_iteration"] == 2


def test_noop_without_a_request_goes_on() -> None:
    controller = make_controller(1, scheduler=Decides("NOOP"))
    Workers(controller).run_well()
    assert statuses(controller) == [Status.TERMINATED]


def test_an_unknown_decision_ends_the_run() -> None:
    controller = make_controller(1, scheduler=Decides("GO"))
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    workers.answer_well(1)
    assert "'GO'" in str(controller.error)


class StopsOthers(FIFOScheduler):
    """Stops every other trial, and pauses itself, at its first result."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        for other in list(tune_controller.get_live_trials()):
            if other is not trial:
                tune_controller.stop_trial(other)
        return self.CONTINUE


def test_a_scheduler_can_stop_running_and_pending_trials() -> None:
    controller = make_controller(4, scheduler=StopsOthers())
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    workers.answer_well(1)
    assert statuses(controller) == [Status.RUNNING] + [Status.TERMINATED] * 3
    assert workers.stopping == {2}


@pytest.mark.parametrize("who", ["scheduler", "stopper"])
def test_an_exception_of_the_deciders_ends_the_run_with_its_traceback(who: str) -> None:
    class Raises(FIFOScheduler):
        def on_trial_result(self, *_: Any) -> str:
            raise KeyError("oops")

    class RaisesToo(Stopper):
        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
            raise KeyError("oops")

        def stop_all(self) -> bool:
            return False

    options: dict[str, Any] = {"scheduler": Raises()} if who == "scheduler" else {}
    options = options or {"stopper": RaisesToo()}
    controller = make_controller(1, **options)
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    workers.answer_well(1)
    assert isinstance(controller.error, TuneError)
    assert who in str(controller.error) and "oops" in str(controller.error)
    assert isinstance(controller.error.__cause__, KeyError)
    assert workers.stopping == {1}


def test_a_refused_reset_gets_a_new_worker_and_says_so_once() -> None:
    controller = make_controller(3, cpus=1, reuse_workers=True)
    workers = Workers(controller)
    workers.advance()
    for _ in range(3):
        workers.answer_well(1)
    workers.advance()
    assert isinstance(workers.in_flight[1], messages.Reset)
    workers.in_flight[1] = None
    out = controller.handle(Replied(1, messages.ResetDone(False, {})))
    assert sum(isinstance(each, instructions.Warn) for each in out) == 1
    workers.carry_out(out)
    workers.exit(1)
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 3


class Whims(FIFOScheduler):
    """Decides what a list of numbers says."""

    def __init__(self, whims: list[int]) -> None:
        self.whims = whims

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        whim = self.whims.pop() if self.whims else 0
        others = [each for each in tune_controller.get_live_trials() if each is not trial]
        if whim == 1:
            return self.PAUSE
        if whim == 2:
            return self.STOP
        if whim == 3 and others:
            tune_controller.stop_trial(others[0])
        if whim == 4 and others:
            tune_controller.pause_trial(others[0])
        if whim == 5 and others:
            tune_controller.pause_trial(others[0], should_checkpoint=False)
        if whim == 6:
            tune_controller.pause_trial(trial, should_checkpoint=False)
            return self.NOOP
        if whim == 7:
            tune_controller.stop_trial(trial)
            return self.NOOP
        if whim == 8 and others:
            tune_controller.save_trial(others[0])
        if whim == 9 and others:
            tune_controller.save_trial(others[0])
            self._clone(tune_controller, trial, others[0])
            return self.NOOP
        if whim == 10 and others:
            self._clone(tune_controller, others[0], trial)
        if whim == 11:
            tune_controller.save_trial(trial)
            self._clone(tune_controller, trial, trial)
            return self.NOOP
        return self.CONTINUE

    def _clone(self, view: Any, trial: Trial, donor: Trial) -> None:
        view.clone_trial(trial, donor, config={"lr": 7}, experiment_tag="cloned")


@settings(max_examples=300)
@given(
    choices=st.lists(st.integers(0, 99), max_size=150),
    whims=st.lists(st.integers(0, 11), max_size=40),
    reuse=st.booleans(),
    reports_checkpoints=st.booleans(),
    max_failures=st.integers(-1, 2),
    frequency=st.integers(0, 2),
    num_to_keep=st.sampled_from([None, 1]),
    fate=st.sampled_from(FATES),
    end=st.sampled_from(["", "fail_fast", "time", "interrupt", "wind_down"]),
    end_at=st.integers(0, 60),
)
def test_every_run_ends_and_its_record_agrees_with_the_disk(
    choices: list[int],
    whims: list[int],
    reuse: bool,
    reports_checkpoints: bool,
    max_failures: int,
    frequency: int,
    num_to_keep: int | None,
    fate: str,
    end: str,
    end_at: int,
) -> None:
    clock = ManualClock()
    controller = make_controller(
        6,
        cpus=3,
        scheduler=Whims(whims),
        clock=clock,
        reuse_workers=reuse,
        max_failures=max_failures,
        fail_fast=end == "fail_fast" and max_failures == 0,
        time_budget_s=100.0 if end == "time" else None,
        retry_wait_s=1.0 if frequency == 1 else 0.0,
        checkpoint_config=CheckpointConfig(checkpoint_frequency=frequency, num_to_keep=num_to_keep),
    )
    workers = Workers(controller, reports_checkpoints=reports_checkpoints)
    workers.advance()
    for number, choice in enumerate(choices):
        if number == end_at:
            clock.advance(100.0)
            if end == "interrupt":
                workers.carry_out(controller.interrupt())
            elif end == "wind_down":
                workers.carry_out(controller.wind_down(grace_s=60.0))
        if controller.is_done or not workers.in_flight:
            break
        ids = sorted(workers.in_flight)
        worker_id = ids[choice % len(ids)]
        what = choice // 10
        busy = workers.in_flight[worker_id] is not None
        if what == 0:
            workers.exit(worker_id, -9, fate=FATES[choice % 2 + 1])
        elif what == 1 and busy and worker_id not in workers.stopping:
            failed = messages.Failed("Train", "ValueError", "text", "traceback")
            workers.reply(worker_id, failed)
        elif worker_id in workers.stopping:
            workers.exit(worker_id, fate=fate)
        elif busy:
            workers.answer_well(worker_id)
        clock.advance(0.1)
        workers.advance()
    workers.run_well(fate=fate)
    assert controller.error is None
    is_early = end in ("interrupt", "wind_down") and controller.is_ending
    assert is_early or all(trial.is_finished() for trial in controller.trials)
    if not controller.is_ending:
        assert len(controller.trials) == 6
    ended = [trial_id for hook, trial_id in workers.notices if hook == "on_trial_complete"]
    assert len(ended) == len(set(ended)), "a trial completed twice"
    for trial in controller.trials:
        assert trial.cut_short is None or trial.trial_id not in ended
    slots = controller.record.workers._placement
    assert slots.reserve(PlacementGroupFactory([{"CPU": slots.resources()["CPU"]}])) is not None


def test_a_run_that_is_wound_down_waits_for_its_saves_alone() -> None:
    clock = ManualClock()
    controller = make_controller(6, cpus=2, clock=clock, max_concurrent_trials=2)
    workers = Workers(controller)
    workers.advance()
    workers.carry_out(controller.wind_down(grace_s=60))
    workers.exit(next(iter(workers.in_flight)), -9)
    assert statuses(controller) == [Status.ERROR, Status.RUNNING]
    workers.advance()
    # The place of the trial that has ended is not given to a new one.
    assert len(controller.trials) == 2 and not controller.has_work
    clock.advance(20)
    assert controller.seconds_left() == 40


# -- clones, saves and standstills -----------------------------------------------------------------


class Asking(FIFOScheduler):
    """Asks, at the results that a test names, what the test wants."""

    def __init__(self, at: dict[tuple[int, int], Any]) -> None:
        self.at = at  # {(number of the trial, iteration): what to do}

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        number = tune_controller.get_trials().index(trial)
        do = self.at.get((number, result["training_iteration"]))
        return do(tune_controller, trial) if do is not None else self.CONTINUE


def clone_of(number: int, *, save_first: bool = False) -> Any:
    def do(view: Any, trial: Trial) -> str:
        donor = view.get_trials()[number]
        if save_first:
            view.save_trial(donor)
        view.clone_trial(trial, donor, config={"lr": 7}, experiment_tag="cloned")
        return "NOOP"

    return do


def save(view: Any, trial: Trial) -> str:
    view.save_trial(trial)
    return "CONTINUE"


def step(workers: Workers, trial: Trial) -> None:
    """One answer of the worker that serves a trial."""
    worker = workers.controller.record.workers.of_trial(trial)
    assert worker is not None
    workers.answer_well(worker.worker_id, last_iteration=9)


def test_a_clone_restores_from_the_donor_in_place_and_pins_it() -> None:
    controller = make_controller(2, scheduler=Asking({(0, 1): save, (1, 2): clone_of(0)}))
    workers = Workers(controller)
    workers.advance()
    first, second = controller.trials
    for trial in (first, first, first, second, second, second):
        step(workers, trial)  # started, trained (and saved)

    assert (second.config, second.experiment_tag) == ({"lr": 7}, "cloned")
    assert first.checkpoints.latest is not None
    assert first.checkpoints.latest.pins == {second.trial_id}
    for worker_id in list(workers.stopping):
        workers.exit(worker_id)
    workers.advance()
    step(workers, second)
    worker = controller.record.workers.of_trial(second)
    assert worker is not None
    command = workers.in_flight[worker.worker_id]
    assert isinstance(command, messages.Restore) and first.checkpoint is not None
    assert command.path == first.checkpoint.path
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 2
    # It has made none of its own since, so that is where its last result is from.
    assert second.checkpoint == first.checkpoint
    assert first.checkpoints.latest.pins == {second.trial_id}


def test_a_clone_waits_for_the_save_in_flight() -> None:
    controller = make_controller(2, scheduler=Asking({(1, 1): clone_of(0, save_first=True)}))
    workers = Workers(controller)
    workers.advance()
    first, second = controller.trials
    step(workers, first)
    step(workers, second)
    step(workers, second)  # its result: the donor is training

    held = controller.record.workers.of_trial(second)
    assert held is not None and workers.in_flight[held.worker_id] is None
    step(workers, first)  # trained, so it is saved now
    assert second.status is Status.RUNNING
    step(workers, first)  # saved

    assert second.config == {"lr": 7}
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 2


def test_a_trial_goes_on_as_it_is_if_the_donor_dies_before_it_is_saved() -> None:
    controller = make_controller(2, scheduler=Asking({(1, 1): clone_of(0, save_first=True)}))
    workers = Workers(controller)
    workers.advance()
    first, second = controller.trials
    for trial in (first, second, second):
        step(workers, trial)
    worker = controller.record.workers.of_trial(first)
    assert worker is not None
    workers.exit(worker.worker_id, code=-9)

    assert first.status is Status.ERROR
    assert second.config != {"lr": 7}
    workers.run_well()
    assert second.status is Status.TERMINATED


def test_a_trial_can_go_on_from_itself_with_another_config() -> None:
    controller = make_controller(1, scheduler=Asking({(0, 1): clone_of(0, save_first=True)}))
    workers = Workers(controller)
    workers.run_well()
    (trial,) = controller.trials
    assert trial.config == {"lr": 7}
    assert trial.last_result["training_iteration"] == 2
    assert statuses(controller) == [Status.TERMINATED]


class Forgetful(FIFOScheduler):
    """Pauses every trial and chooses none of them again."""

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        return self.PAUSE if result["training_iteration"] == 1 else self.CONTINUE

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        trials = tune_controller.get_live_trials()
        return next((trial for trial in trials if trial.status == Trial.PENDING), None)


def test_trials_that_a_scheduler_forgets_go_on_in_the_end() -> None:
    controller = make_controller(3, scheduler=Forgetful())
    workers = Workers(controller)
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 3


def test_a_searcher_that_suggests_nothing_for_ever_ends_the_run() -> None:
    class Silent(BasicVariantGenerator):
        def next_suggestion(self) -> Any:
            return None

    clock = ManualClock()
    controller = make_controller(1, clock=clock, searcher=Silent())
    controller.advance()
    assert not controller.is_done and controller.seconds_left() == 1.0
    clock.advance(700)
    controller.advance()
    assert controller.is_done and "suggested nothing" in str(controller.error)


# -- limits ----------------------------------------------------------------------------------------


def test_a_step_that_does_not_come_back_is_a_failure_and_its_worker_is_killed() -> None:
    clock = ManualClock()
    controller = make_controller(1, cpus=1, clock=clock, iteration_timeout_s=10, max_failures=1)
    workers = Workers(controller)
    workers.advance()
    (trial,) = controller.trials
    step(workers, trial)
    clock.advance(9)
    assert not [each for each in controller.advance() if isinstance(each, instructions.StopWorker)]
    clock.advance(2)
    wanted = controller.advance()
    (stop,) = [each for each in wanted if isinstance(each, instructions.StopWorker)]
    assert stop.force
    assert "iteration_timeout_s=10" in str(trial.error) and str(trial.status) == "PENDING"
    workers.carry_out(wanted)
    workers.run_well()
    assert trial.status is Status.TERMINATED


def test_a_trial_that_runs_too_long_is_not_retried() -> None:
    clock = ManualClock()
    controller = make_controller(1, clock=clock, trial_timeout_s=10, max_failures=-1)
    workers = Workers(controller)
    workers.advance()
    (trial,) = controller.trials
    step(workers, trial)
    trial.run_time_s = 8.0
    clock.advance(3)
    workers.advance()
    assert trial.status is Status.ERROR and "trial_timeout_s=10" in str(trial.error)


def test_retries_wait_twice_as_long_each_time() -> None:
    clock = ManualClock()
    controller = make_controller(1, clock=clock, retry_wait_s=4, max_failures=2)
    workers = Workers(controller)
    for wait_s in (4, 8):
        workers.advance()
        (worker_id,) = workers.in_flight
        workers.exit(worker_id, code=-9)
        clock.advance(wait_s - 1)
        workers.advance()
        assert not workers.in_flight and not controller.is_done
        clock.advance(1)
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED]


def fail_all(controller: Controller) -> int:
    """Kills worker after worker; returns how many."""
    workers = Workers(controller)
    for count in range(1000):
        workers.advance()
        if controller.is_done:
            return count
        workers.exit(next(iter(workers.in_flight)), code=1)
    raise AssertionError("the run does not end")


def test_a_run_in_which_all_fails_ends_early() -> None:
    controller = make_controller(500, cpus=1)
    assert fail_all(controller) == 20
    assert len([each for each in statuses(controller) if each is Status.ERROR]) == 20


@pytest.mark.parametrize(("limit", "failures"), [(0, 1), (3, 4), (-1, 50)])
def test_the_number_of_failed_trials_can_be_limited(limit: int, failures: int) -> None:
    controller = make_controller(50, cpus=1, max_failed_trials=limit)
    assert fail_all(controller) == failures


def test_when_memory_has_run_short_fewer_trials_run_at_once() -> None:
    controller = make_controller(6, cpus=4, max_failures=1)
    workers = Workers(controller)
    workers.advance()
    assert len(workers.in_flight) == 4
    worker_id = next(iter(workers.in_flight))
    trial = workers.trial_of(worker_id)
    del workers.in_flight[worker_id]
    exit = WorkerExit(-9, "memory ran short: 1 of 2 was left", out_of_memory=True)
    wanted = controller.handle(Exited(worker_id, exit))
    (warning,) = [each for each in wanted if isinstance(each, instructions.Warn)]
    assert "no more than 3 of the trials run at once" in warning.message
    assert isinstance(trial.error, WorkerDiedError) and "1 of 2 was left" in str(trial.error)
    workers.carry_out(wanted)
    workers.most_at_once = 0
    workers.run_well()
    assert workers.most_at_once == 3
    assert statuses(controller) == [Status.TERMINATED] * 6


def test_a_trial_for_which_the_system_has_no_room_waits_until_others_have_ended() -> None:
    controller = make_controller(num_samples=4, cpus=4)
    workers = Workers(controller)
    workers.advance()
    assert len(workers.in_flight) == 4
    error = WorkerStartError("A worker process could not be started: too many open files")
    error.is_shortage = True
    del workers.in_flight[4]
    wanted = controller.fail_start(4, error)
    (warning,) = [each for each in wanted if isinstance(each, instructions.Warn)]
    assert warning.message.startswith(str(error))
    assert "no more than 3 of the trials run at once" in warning.message
    workers.carry_out(wanted)
    workers.advance()
    assert statuses(controller).count(Status.PENDING) == 1 and len(workers.in_flight) == 3
    workers.most_at_once = 0
    workers.run_well()
    assert workers.most_at_once == 3
    assert statuses(controller) == [Status.TERMINATED] * 4
    assert not any(trial.num_failures for trial in controller.trials)


def test_a_trial_that_a_template_had_no_room_for_waits_and_one_warning_says_so() -> None:
    controller = make_controller(num_samples=4, cpus=4)
    workers = Workers(controller)
    workers.advance()
    refused = WorkerExit(None, "it could not be started: too many processes", no_room=True)
    warnings = []
    for worker_id in (3, 4):
        del workers.in_flight[worker_id]
        wanted = controller.handle(Exited(worker_id, refused))
        warnings += [each for each in wanted if isinstance(each, instructions.Warn)]
        workers.carry_out(wanted)
    assert len(warnings) == 1 and "too many processes" in warnings[0].message
    workers.most_at_once = 0
    workers.advance()
    workers.run_well()
    assert workers.most_at_once == 2
    assert statuses(controller) == [Status.TERMINATED] * 4
    assert not any(trial.num_failures for trial in controller.trials)


def test_a_trial_for_which_the_system_never_has_room_fails() -> None:
    controller = make_controller(num_samples=1)
    workers = Workers(controller)
    workers.advance()
    error = WorkerStartError("A worker process could not be started: too many open files")
    error.is_shortage = True
    del workers.in_flight[1]
    workers.carry_out(controller.fail_start(1, error))
    assert statuses(controller) == [Status.ERROR]


def test_one_trial_may_run_however_short_memory_is() -> None:
    controller = make_controller(2, cpus=1, max_failures=3)
    workers = Workers(controller)
    for _ in range(3):
        workers.advance()
        (worker_id,) = workers.in_flight
        del workers.in_flight[worker_id]
        workers.carry_out(
            controller.handle(Exited(worker_id, WorkerExit(-9, "short", out_of_memory=True)))
        )
    workers.run_well()
    assert statuses(controller) == [Status.TERMINATED] * 2


def test_winding_down_saves_running_trials_and_starts_none() -> None:
    controller = make_controller(5)
    workers = Workers(controller)
    workers.advance()
    first, second = controller.trials[:2]
    step(workers, first)
    workers.carry_out(controller.wind_down(grace_s=60))
    for _ in range(100):
        workers.advance()
        if controller.is_done:
            break
        worker_id = next(iter(workers.in_flight))
        if worker_id in workers.stopping:
            workers.exit(worker_id)
        else:
            workers.answer_well(worker_id, last_iteration=9)
    assert statuses(controller) == [Status.PENDING] * 5
    assert first.has_checkpoint() and second.has_checkpoint()


def test_winding_down_ends_after_its_grace_time() -> None:
    clock = ManualClock()
    controller = make_controller(1, clock=clock)
    workers = Workers(controller)
    workers.advance()
    controller.wind_down(grace_s=60)
    clock.advance(60)
    workers.advance()
    assert controller.is_ending and len(workers.stopping) == 1


# -- what goes wrong on behalf of one trial --------------------------------------------------------


@pytest.mark.parametrize("max_failures", [0, 1])
def test_an_answer_that_cannot_be_taken_in_fails_its_trial(max_failures: int) -> None:
    controller = make_controller(2, max_failures=max_failures)
    workers = Workers(controller)
    workers.advance()
    workers.answer_well(1)
    # No worker of localtune sends that.
    workers.reply(1, messages.Trained(None))  # type: ignore[arg-type]
    (trial, other) = controller.trials
    assert trial.status is (Status.PENDING if max_failures else Status.ERROR)
    assert trial.num_failures == 1
    assert "because the answer of its train could not be taken in" in str(trial.error)
    workers.run_well()
    assert other.status is Status.TERMINATED


@pytest.mark.parametrize("status", [Status.PENDING, Status.PAUSED, Status.RUNNING])
def test_a_trial_can_fail_in_every_status(status: Status) -> None:
    controller = make_controller(2, cpus=2 if status is Status.RUNNING else 1)
    workers = Workers(controller)
    workers.advance()
    trial = controller.trials[-1]
    if status is Status.PAUSED:
        controller.record.move(trial, Status.RUNNING)
        controller.record.move(trial, Status.PAUSED)
    assert trial.status is status
    workers.carry_out(controller.fail_trial(trial, TrialError("bad luck")))
    assert trial.status is Status.ERROR
    workers.run_well()
    assert [each.status for each in controller.trials] == [Status.TERMINATED, Status.ERROR]


def test_a_trial_that_has_ended_does_not_fail_any_more() -> None:
    controller = make_controller(1)
    workers = Workers(controller)
    workers.run_well()
    (trial,) = controller.trials
    (told,) = controller.fail_trial(trial, TrialError("bad luck"))
    assert trial.status is Status.TERMINATED
    assert isinstance(told, instructions.Warn) and "bad luck" in told.message
