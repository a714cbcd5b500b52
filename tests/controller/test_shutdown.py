"""The end of a run before its trials have ended."""

from __future__ import annotations

import pytest

from localtune.controller.shutdown import Shutdown
from localtune.controller.workers import STOP, Phase
from localtune.error import TuneError
from localtune.trial.status import Status
from tests.controller.parts import Parts


def test_all_workers_end_and_trials_keep_their_status() -> None:
    parts = Parts()
    worker, trial = parts.add_running()
    waiting = parts.add_trial(Status.ERROR)
    parts.record.retry_times[waiting.trial_id] = 5.0
    parts.record.live[waiting.trial_id] = waiting
    parts.shutdown.leave_off("enough")
    assert parts.record.is_ending and parts.record.error is None
    assert (trial.status, worker.phase) == (Status.RUNNING, Phase.STOPPING)
    assert waiting.status is Status.PENDING and not parts.record.retry_times
    assert parts.kinds() == ["StopWorker", "Persist"]
    parts.record.validate()


def test_the_first_error_is_kept() -> None:
    parts = Parts()
    first = TuneError("first")
    parts.shutdown.abort(first)
    parts.shutdown.abort(TuneError("second"))
    assert parts.record.error is first and parts.record.is_ending


def test_trials_that_are_cut_short_keep_their_former_status() -> None:
    parts = Parts()
    _, running = parts.add_running()
    paused = parts.add_trial(Status.PAUSED)
    parts.shutdown.cut_short("the time is up")
    assert running.status is paused.status is Status.TERMINATED
    assert (running.cut_short, paused.cut_short) == (Status.RUNNING, Status.PAUSED)
    assert not parts.record.live
    parts.record.validate()


@pytest.mark.parametrize(
    ("phase", "decision", "exports", "expected"),
    [
        (Phase.SAVING, STOP, False, True),
        (Phase.SAVING, STOP, True, False),
        (Phase.SAVING, "", False, False),
        (Phase.TRAINING, STOP, False, False),
    ],
)
def test_a_trial_in_its_last_save_ends_well_with_it(
    phase: Phase, decision: str, exports: bool, expected: bool
) -> None:
    parts = Parts()
    worker, _ = parts.add_running(phase)
    worker.decision = decision
    shutdown = Shutdown(parts.record, parts.out, parts.commands, parts.cloning, exports=exports)
    shutdown.leave_off("enough")
    assert worker.ends_with_save is expected


def test_a_second_end_leaves_the_last_save_in_flight_as_it_is() -> None:
    parts = Parts()
    worker, _ = parts.add_running(Phase.SAVING)
    worker.decision = STOP
    parts.shutdown.leave_off("enough")
    parts.shutdown.abort(TuneError("a callback failed meanwhile"))
    assert worker.ends_with_save
