"""Failures: retries, failed trials, ends of runs."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.config.failure import FailureConfig
from localtune.controller import instructions
from localtune.controller.failures import Failures
from localtune.controller.limits import HOPELESS_COUNT
from localtune.controller.workers import Phase
from localtune.error import TrialError, WorkerDiedError, WorkerStartError
from localtune.execution.executor import WorkerExit
from localtune.trial.status import Status
from localtune.worker import messages
from tests.controller.parts import Parts


def make_failures(parts: Parts, **options: Any) -> Failures:
    return Failures(
        FailureConfig(**options),
        parts.record,
        parts.out,
        parts.commands,
        parts.deciders,
        parts.cloning,
        parts.ends,
        parts.shutdown,
        parts.clock,
    )


def statuses(parts: Parts) -> list[Status]:
    return [trial.status for trial in parts.record.trials]


def test_a_failed_trial_is_retried_behind_all_others() -> None:
    parts = Parts(2)
    worker, trial = parts.add_running()
    other = parts.add_trial()
    trial.max_failures = 1
    failures = make_failures(parts)
    parts.out.take()
    failures.take_exit(worker, WorkerExit(-9))
    assert trial.status is Status.PENDING and isinstance(trial.error, WorkerDiedError)
    assert [*parts.record.live.values()] == [other, trial]
    assert parts.kinds() == ["TidyTrial", "WriteError", "Notify", "Persist"]
    parts.record.validate()


def test_a_retry_may_wait() -> None:
    parts = Parts()
    worker, trial = parts.add_running()
    trial.max_failures = -1
    failures = make_failures(parts, retry_wait_s=4)
    reply = messages.Failed("Train", "ValueError", "bad lr", "traceback")
    failures.take_reply(worker, trial, reply)
    assert worker.phase is Phase.STOPPING
    assert trial.trial_id in parts.record.live
    failures.check()
    assert statuses(parts) == [Status.ERROR]
    parts.clock.advance(4)
    failures.check()
    assert trial.status is Status.PENDING and not parts.record.retry_times


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({}, Status.RUNNING),
        ({"fail_fast": True}, Status.TERMINATED),
        ({"fail_fast": "raise"}, Status.RUNNING),
    ],
)
def test_a_trial_without_tries_left_ends_and_with_it_the_run_if_it_was_told_so(
    options: dict[str, Any], status: Status
) -> None:
    parts = Parts(2)
    worker, trial = parts.add_running()
    _, other = parts.add_running()
    error = TrialError("bad luck")
    parts.commands.dismiss(worker, "failed")
    make_failures(parts, **options).fail(worker, trial, error)
    assert trial.status is Status.ERROR and other.status is status
    assert parts.record.is_ending is bool(options)
    assert parts.record.error is (error if options.get("fail_fast") == "raise" else None)


@pytest.mark.parametrize("has_result", [False, True])
def test_a_run_in_which_all_trials_fail_ends_early(has_result: bool) -> None:
    parts = Parts(HOPELESS_COUNT)
    parts.record.has_result = has_result
    failures = make_failures(parts)
    for _ in range(HOPELESS_COUNT):
        assert not parts.record.is_ending
        failures.fail_trial(parts.add_trial(), TrialError("bad luck"))
    assert parts.record.is_ending is not has_result
    warnings = [each for each in parts.out.take() if isinstance(each, instructions.Warn)]
    assert len(warnings) == (not has_result)


def test_a_trial_that_its_scheduler_has_ended_is_not_retried() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.SAVING)
    trial.max_failures = -1
    worker.is_unwanted = True
    make_failures(parts).take_exit(worker, WorkerExit(-9))
    assert trial.status is Status.TERMINATED


@pytest.mark.parametrize("others_run", [False, True])
def test_a_trial_for_which_there_is_no_room_waits_if_others_run(others_run: bool) -> None:
    parts = Parts(2)
    if others_run:
        parts.add_running()
    worker, trial = parts.add_running(Phase.STARTING)
    error = WorkerStartError("too many open files")
    error.is_shortage = True
    make_failures(parts).fail_start(worker.worker_id, error)
    assert trial.status is (Status.PENDING if others_run else Status.ERROR)
    assert trial.num_failures == (not others_run)
    assert parts.record.max_running == (1 if others_run else None)


@pytest.mark.parametrize("max_failures", [0, 2])
def test_a_trial_goes_on_elsewhere_without_a_failure_when_its_machine_is_lost(
    max_failures: int,
) -> None:
    parts = Parts(2)
    worker, trial = parts.add_running()
    trial.max_failures = max_failures
    make_failures(parts).take_exit(worker, WorkerExit(None, "lost", node_lost=True))
    assert trial.status is Status.PENDING and trial.error is None
    assert (trial.num_failures, trial.failed_tries) == (0, 0)
    assert parts.kinds() == ["TidyTrial", "Notify", "Persist"]
    assert trial.next_checkpoint_index == 1  # The lost machine may still write number 0.


def test_a_trial_that_its_scheduler_has_ended_does_not_go_on_elsewhere() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.SAVING)
    worker.is_unwanted = True
    make_failures(parts).take_exit(worker, WorkerExit(None, "lost", node_lost=True))
    assert trial.status is Status.TERMINATED


def test_memory_that_ran_short_limits_the_trials_at_once() -> None:
    parts = Parts(2)
    worker, trial = parts.add_running()
    parts.add_running()
    trial.max_failures = -1
    make_failures(parts).take_exit(worker, WorkerExit(-9, "short", out_of_memory=True))
    assert parts.record.max_running == 1 and trial.status is Status.PENDING
    assert "Warn" in parts.kinds()


def test_a_trial_that_takes_too_long_fails_and_its_worker_is_killed() -> None:
    parts = Parts()
    worker, trial = parts.add_running()
    failures = make_failures(parts, iteration_timeout_s=10)
    parts.clock.advance(10)
    failures.check()
    assert statuses(parts) == [Status.RUNNING]
    parts.clock.advance(1)
    failures.check()
    (stop,) = [each for each in parts.out if isinstance(each, instructions.StopWorker)]
    assert stop.force and trial.status is Status.ERROR and worker.phase is Phase.STOPPING


def test_a_trial_of_a_run_that_is_ending_stays_as_it_is() -> None:
    parts = Parts()
    trial = parts.add_trial()
    parts.shutdown.leave_off("enough")
    make_failures(parts).fail_trial(trial, TrialError("bad luck"))
    assert trial.status is Status.PENDING and parts.kinds() == ["Warn"]


def test_the_time_before_which_no_trial_takes_too_long_is_known() -> None:
    parts = Parts(2)
    worker, _ = parts.add_running()
    limited = make_failures(parts, iteration_timeout_s=10)
    parts.record.workers.note_command(worker, Phase.TRAINING, 5.0)
    assert limited.time_limits is not None
    assert limited.time_limits.next() == pytest.approx(15.0)
    assert make_failures(parts).time_limits is None


@pytest.mark.parametrize(("exit_code", "kinds"), [(0, []), (-9, ["TidyTrial"])])
def test_nothing_is_tidied_after_a_worker_that_has_left_nothing(
    exit_code: int, kinds: list[str]
) -> None:
    parts = Parts()
    worker, _ = parts.add_running(Phase.AT_REST)
    worker.has_ended = True
    parts.record.workers.detach(worker, Phase.STOPPING)
    make_failures(parts).take_exit(worker, WorkerExit(exit_code))
    assert parts.kinds() == kinds
