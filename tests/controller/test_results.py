"""Results: the decisions of scheduler, stopper and searcher."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.config.checkpoint import CheckpointConfig
from localtune.config.failure import FailureConfig
from localtune.controller import instructions
from localtune.controller.decisions import Decisions
from localtune.controller.failures import Failures
from localtune.controller.metric_check import MetricCheck
from localtune.controller.results import Results
from localtune.controller.saves import Saves
from localtune.controller.workers import PAUSE, Phase
from localtune.error import MissingMetricError, TrialError
from localtune.result import RESULT_DUPLICATE
from localtune.schedulers import FIFOScheduler
from localtune.stopper import MaximumIterationStopper
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.parts import Parts


class Decides(FIFOScheduler):
    """Decides what a test says, and asks for this of the trial that has reported."""

    def __init__(self, decision: str = "CONTINUE", request: str = "") -> None:
        self.decision = decision
        self.request = request

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if self.request:
            getattr(tune_controller, f"{self.request}_trial")(trial)
        return self.decision


def make_results(parts: Parts, metric: str | None = None, **options: Any) -> Results:
    config = CheckpointConfig(**{"checkpoint_at_end": False, **options})
    saves = Saves(parts.record, parts.out, parts.cloning, config)
    return Results(
        parts.record,
        parts.out,
        parts.commands,
        parts.deciders,
        parts.requests,
        Decisions(parts.record, parts.commands, parts.cloning, saves, parts.ends, []),
        saves,
        Failures(
            FailureConfig(),
            parts.record,
            parts.out,
            parts.commands,
            parts.deciders,
            parts.cloning,
            parts.ends,
            parts.shutdown,
            parts.clock,
        ),
        parts.shutdown,
        MetricCheck(metric),
    )


def trained(**result: Any) -> messages.Trained:
    return messages.Trained({"loss": 1.0, "training_iteration": 1, **result})


def test_a_result_is_recorded_and_its_trial_goes_on() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    reply = trained(time_total_s=2.5)
    reply.changed_config = {"lr": 2}
    make_results(parts, "loss").take_in(worker, trial, reply)
    notify, send, record = parts.out.take()
    assert isinstance(notify, instructions.Notify) and notify.hook == "on_trial_result"
    assert isinstance(send, instructions.Send) and worker.phase is Phase.TRAINING
    assert isinstance(record, instructions.Record) and record.number == 1
    assert trial.last_result["config"] == {"lr": 2} and trial.last_result["loss"] == 1.0
    assert (trial.result_count, trial.run_time_s) == (1, 2.5)
    assert trial.metric_analysis["loss"]["max"] == 1.0
    assert parts.record.has_result


@pytest.mark.parametrize(
    ("decision", "request_", "frequency", "phase", "status"),
    [
        ("CONTINUE", "", 0, Phase.TRAINING, Status.RUNNING),
        ("CONTINUE", "", 1, Phase.SAVING, Status.RUNNING),
        ("CONTINUE", "save", 0, Phase.SAVING, Status.RUNNING),
        ("CONTINUE", "pause", 0, Phase.SAVING, Status.RUNNING),
        ("CONTINUE", "stop", 0, Phase.STOPPING, Status.TERMINATED),
        ("PAUSE", "", 0, Phase.SAVING, Status.RUNNING),
        ("STOP", "", 0, Phase.STOPPING, Status.TERMINATED),
        ("STOP", "pause", 0, Phase.STOPPING, Status.TERMINATED),
    ],
)
def test_decisions_requests_and_saves_come_in_order(
    decision: str, request_: str, frequency: int, phase: Phase, status: Status
) -> None:
    parts = Parts(scheduler=Decides(decision, request_))
    worker, trial = parts.add_running(Phase.AT_REST)
    make_results(parts, checkpoint_frequency=frequency).take_in(worker, trial, trained())
    assert (worker.phase, trial.status) == (phase, status)
    assert trial.last_result.get("done", False) is (status is Status.TERMINATED)
    # Only a step may begin before the result is on record.
    kinds = [type(each) for each in parts.out.take()]
    written, record = kinds.index(instructions.Notify), kinds.index(instructions.Record)
    assert record == written + (2 if phase is Phase.TRAINING else 1)
    assert not worker.is_deciding


def test_a_pause_that_was_asked_for_during_the_step_saves_first() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    worker.pause_wanted = True
    make_results(parts).take_in(worker, trial, trained())
    assert worker.phase is Phase.SAVING and worker.decision == PAUSE


@pytest.mark.parametrize("by_trial", [False, True])
def test_a_trial_ends_by_itself_or_by_a_stop_condition(by_trial: bool) -> None:
    parts = Parts(stopper=None if by_trial else MaximumIterationStopper(1))
    worker, trial = parts.add_running(Phase.AT_REST)
    reply = trained(done=True) if by_trial else trained()
    make_results(parts).take_in(worker, trial, reply)
    assert trial.status is Status.TERMINATED and trial.last_result["done"]


def test_a_repeated_result_is_not_recorded_again() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    trial.last_result = {"loss": 1.0}
    make_results(parts).take_in(worker, trial, messages.Trained({RESULT_DUPLICATE: True}))
    assert trial.status is Status.TERMINATED and trial.last_result["done"]
    assert "Record" not in parts.kinds()


def test_a_worker_that_ends_with_its_function_is_not_asked_to_save() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    worker.save_wanted = True  # By the scheduler, while the function ran.
    reply = messages.Trained({RESULT_DUPLICATE: True}, has_ended=True)
    make_results(parts).take_in(worker, trial, reply)
    assert trial.status is Status.TERMINATED and worker.phase is Phase.STOPPING
    assert "Send" not in parts.kinds()


def test_a_result_without_the_metric_ends_the_run() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    make_results(parts, "los").take_in(worker, trial, trained())
    assert isinstance(parts.record.error, MissingMetricError)
    assert parts.kinds() == ["StopWorker"]


def test_a_metric_that_is_no_number_fails_its_trial() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    make_results(parts, "loss").take_in(worker, trial, trained(loss="low"))
    assert trial.status is Status.ERROR and isinstance(trial.error, TrialError)
    assert not parts.record.is_ending
