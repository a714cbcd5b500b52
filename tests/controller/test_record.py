"""The record of trials and workers, and its invariants."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from localtune.controller.record import RunRecord
from localtune.controller.workers import Phase
from localtune.error import LocaltuneInternalError
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.controller.parts import hire, make_record, make_trial


@pytest.fixture
def record() -> RunRecord:
    record = make_record()
    for number in range(3):
        record.add(make_trial(f"t{number}"))
    return record


def test_it_knows_whether_a_trial_can_start(record: RunRecord) -> None:
    assert record.has_startable
    first, second, third = record.trials
    record.move(first, Status.RUNNING)
    record.move(second, Status.RUNNING)
    record.move(second, Status.PAUSED)
    assert record.waiting.ids[Status.PENDING] == {third.trial_id}
    assert record.waiting.ids[Status.PAUSED] == {second.trial_id}
    record.end(second, Status.TERMINATED)
    record.end(third, Status.TERMINATED)
    assert not record.has_startable
    assert list(record.live) == [first.trial_id]


def test_a_move_that_does_not_exist_changes_nothing(record: RunRecord) -> None:
    trial = record.trials[0]
    with pytest.raises(ValueError, match="cannot go from"):
        record.move(trial, Status.PAUSED)
    record.validate()


def test_a_retried_trial_is_the_last_of_the_live_ones(record: RunRecord) -> None:
    first = record.trials[0]
    record.move(first, Status.ERROR)
    record.requeue(first)
    assert list(record.live) == ["t1", "t2", "t0"]
    assert [trial.trial_id for trial in record.trials] == ["t0", "t1", "t2"]
    record.validate()


def test_a_trial_that_has_ended_before_is_not_live(record: RunRecord) -> None:
    ended = make_trial("t3")
    ended.set_status(Status.TERMINATED)
    record.add(ended)
    assert "t3" not in record.live
    record.validate()


def test_a_trial_is_being_saved_from_the_wish_to_the_answer(record: RunRecord) -> None:
    trial = record.trials[0]
    assert not record.is_saving(trial)
    worker = hire(record, trial)
    assert record.trial_of(worker.worker_id) is trial and not record.is_saving(trial)
    worker.save_wanted = True
    assert record.is_saving(trial)
    worker.save_wanted, worker.phase = False, Phase.SAVING
    assert record.is_saving(trial)


def miscount(record: RunRecord, trial: Trial) -> None:
    record.waiting.ids[Status.PAUSED].add("t9")


def lose(record: RunRecord, trial: Trial) -> None:
    del record.live[trial.trial_id]


def run_alone(record: RunRecord, trial: Trial) -> None:
    record.move(trial, Status.RUNNING)


def serve_a_pending_trial(record: RunRecord, trial: Trial) -> None:
    hire(record, trial)
    record.move(trial, Status.PENDING)


def idle_with_a_trial(record: RunRecord, trial: Trial) -> None:
    hire(record, trial, Phase.IDLE)


def share_a_directory(record: RunRecord, trial: Trial) -> None:
    record.workers.detach(hire(record, trial), Phase.STOPPING)
    assert record.workers.hire(trial) is not None


@pytest.mark.parametrize(
    ("harm", "problem"),
    [
        (miscount, "0 trials are PAUSED, not 1 as counted"),
        (lose, "the live trials are not"),
        (run_alone, "is running without a worker"),
        (serve_a_pending_trial, "has a worker and is PENDING"),
        (idle_with_a_trial, "worker 1 has the wrong phase"),
        (share_a_directory, "two workers are in the directory"),
    ],
)
def test_a_broken_invariant_is_named(
    record: RunRecord, harm: Callable[[RunRecord, Trial], None], problem: str
) -> None:
    record.validate()
    harm(record, record.trials[0])
    with pytest.raises(LocaltuneInternalError, match=problem):
        record.validate()
