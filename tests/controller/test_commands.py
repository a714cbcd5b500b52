"""Commands of workers, and how they lose their trials."""

from __future__ import annotations

import pytest

from localtune.controller import instructions
from localtune.controller.commands import WorkerCommands
from localtune.controller.workers import Phase
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.worker import messages
from tests.controller.parts import Parts, hire, kinds, make_record, make_trial


def test_a_command_sets_the_phase_and_its_time() -> None:
    record, out, clock = make_record(), instructions.InstructionList(), ManualClock()
    commands = WorkerCommands(record, out, clock)
    record.add(trial := make_trial())
    worker = hire(record, trial, Phase.AT_REST)
    clock.advance(3)
    worker.save_wanted = True
    commands.save(worker)
    assert (worker.phase, worker.busy_since) == (Phase.SAVING, clock.monotonic())
    assert not worker.save_wanted
    (send,) = out.take()
    assert isinstance(send, instructions.Send) and isinstance(send.command, messages.Save)
    assert out.take() == []


@pytest.mark.parametrize(
    ("may_reuse", "phase", "becomes"),
    [
        (True, Phase.AT_REST, Phase.IDLE),
        (True, Phase.TRAINING, Phase.STOPPING),
        (False, Phase.AT_REST, Phase.STOPPING),
    ],
)
def test_a_worker_is_kept_if_it_is_at_rest_and_may_be_reused(
    may_reuse: bool, phase: Phase, becomes: Phase
) -> None:
    parts = Parts(may_reuse_workers=may_reuse)
    worker, trial = parts.add_running(phase)
    parts.commands.release(worker, "done")
    assert (worker.phase, worker.trial, worker.former) == (becomes, None, trial)
    assert parts.kinds() == (["StopWorker"] if becomes is Phase.STOPPING else [])


def test_a_worker_is_stopped_once() -> None:
    parts = Parts()
    worker, _ = parts.add_running()
    parts.commands.dismiss(worker, "first", force=True)
    parts.commands.dismiss(worker, "second")
    (stop,) = parts.out.take()
    assert isinstance(stop, instructions.StopWorker)
    assert (stop.reason, stop.force) == ("first", True)


@pytest.mark.parametrize(("is_ready", "status"), [(False, Status.PAUSED), (True, Status.PENDING)])
def test_a_paused_trial_is_pending_if_its_scheduler_has_said_so(
    is_ready: bool, status: Status
) -> None:
    parts = Parts()
    worker, trial = parts.add_running()
    worker.is_ready = is_ready
    parts.commands.pause(worker, trial)
    assert trial.status is status
    assert parts.kinds() == ["StopWorker", "Persist"]


def test_a_warning_of_one_subject_is_given_once() -> None:
    out = instructions.InstructionList()
    out.warn_once("3 are too many", subject="many")
    out.warn_once("2 are too many", subject="many")
    out.warn_once("odd")
    out.warn_once("odd")
    assert kinds(out.take()) == ["Warn", "Warn"]
    out.warn_once("odd")
    assert out.take() == []
