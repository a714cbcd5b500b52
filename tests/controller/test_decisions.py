"""The next command of a trial after a step, a save or an export."""

from __future__ import annotations

import pytest

from localtune.config.checkpoint import CheckpointConfig
from localtune.controller.clone_table import Clone
from localtune.controller.decisions import Decisions
from localtune.controller.saves import Saves
from localtune.controller.workers import CONTINUE, NOOP, PAUSE, STOP, Phase
from localtune.trial.status import Status
from localtune.worker import messages
from tests.controller.parts import Parts, save


def make_decisions(parts: Parts, *formats: str) -> Decisions:
    saves = Saves(parts.record, parts.out, parts.cloning, CheckpointConfig())
    return Decisions(parts.record, parts.commands, parts.cloning, saves, parts.ends, [*formats])


@pytest.mark.parametrize(
    ("decision", "status", "phase"),
    [
        (CONTINUE, Status.RUNNING, Phase.TRAINING),
        (NOOP, Status.RUNNING, Phase.TRAINING),
        (PAUSE, Status.PAUSED, Phase.STOPPING),
        (STOP, Status.TERMINATED, Phase.STOPPING),
    ],
)
def test_a_decision_is_carried_out_once(decision: str, status: Status, phase: Phase) -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    worker.decision = decision
    make_decisions(parts).carry_out(worker, trial)
    assert (trial.status, worker.phase, worker.decision) == (status, phase, "")


def test_a_trial_is_exported_before_it_ends() -> None:
    parts = Parts()
    worker, trial = parts.add_running(Phase.AT_REST)
    worker.decision = STOP
    decisions = make_decisions(parts, "model")
    decisions.carry_out(worker, trial)
    assert (worker.phase, trial.status) == (Phase.EXPORTING, Status.RUNNING)
    decisions.take_export(worker, trial, messages.Exported({}))
    assert trial.status is Status.TERMINATED


def test_a_trial_that_waits_for_its_donor_is_given_no_command() -> None:
    parts = Parts(2)
    _, donor = parts.add_running(Phase.SAVING)
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.cloning.serve(Clone(trial, donor, {"lr": 7}, "cloned"))
    make_decisions(parts).carry_out(worker, trial)
    assert worker.phase is Phase.AT_REST and parts.record.clones.is_wanted(trial)
    assert parts.kinds() == []


def test_after_a_save_those_that_wait_for_it_go_on_first() -> None:
    parts = Parts(2)
    donor_worker, donor = parts.add_running(Phase.SAVING)
    _, trial = parts.add_running(Phase.AT_REST)
    parts.cloning.serve(Clone(trial, donor, {"lr": 7}, "cloned"))
    save(donor)
    donor_worker.phase = Phase.AT_REST
    path = f"{donor.path}/checkpoint_000001"
    reply = messages.Saved(path, {}, next_index=2)
    make_decisions(parts).take_save(donor_worker, donor, reply)
    assert trial.is_cloned and trial.status is Status.PAUSED
    assert donor_worker.phase is Phase.TRAINING
