"""The first commands to a worker for its trial."""

from __future__ import annotations

from localtune.controller import instructions
from localtune.controller.readiness import Readiness
from localtune.controller.workers import Phase
from localtune.trial.status import Status
from localtune.worker import messages
from tests.controller.parts import Parts, save


def make_readiness(parts: Parts) -> Readiness:
    return Readiness(parts.record, parts.out, parts.commands)


def test_a_trial_without_a_checkpoint_trains_at_once() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    make_readiness(parts).take_ready(worker, trial, messages.Ready({"pid": 1}))
    assert worker.phase is Phase.TRAINING
    assert trial.last_result == {"pid": 1, "config": {}}
    assert parts.kinds() == ["Notify", "Send"]


def test_a_worker_that_trains_already_is_not_told_to() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.clock.advance(3.0)
    make_readiness(parts).take_ready(worker, trial, messages.Ready({}, trains=True))
    assert worker.phase is Phase.TRAINING
    assert worker.busy_since == parts.clock.monotonic()
    assert parts.kinds() == ["Notify"]


def test_a_trial_with_a_checkpoint_restores_it_first() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    tracked = save(trial)
    tracked.metrics["config"] = {"lr": object()}
    readiness = make_readiness(parts)
    readiness.take_ready(worker, trial, messages.Ready({}))
    _, send = parts.out.take()
    assert isinstance(send, instructions.Send)
    assert (send.worker_id, worker.phase) == (worker.worker_id, Phase.RESTORING)
    assert send.command == messages.Restore(tracked.checkpoint.path, {"training_iteration": 1})
    readiness.take_restored(worker, trial, messages.Restored())
    assert worker.phase is Phase.TRAINING and trial.last_result["training_iteration"] == 1


def test_a_worker_that_refuses_to_be_reset_is_the_last_one_that_is_reused() -> None:
    parts = Parts(2, may_reuse_workers=True)
    readiness = make_readiness(parts)
    for expected in (["Warn", "StopWorker"], ["StopWorker"]):
        worker, trial = parts.add_running(Phase.AT_REST)
        readiness.take_reset(worker, trial, messages.ResetDone(False, {}))
        assert trial.status is Status.PENDING and parts.kinds() == expected
    assert not parts.record.may_reuse_workers
