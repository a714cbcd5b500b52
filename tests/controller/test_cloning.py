"""Trials that go on from other trials' checkpoints."""

from __future__ import annotations

import pytest

from localtune.config.checkpoint import CheckpointConfig
from localtune.controller.clone_table import Clone
from localtune.controller.cloning import Cloning
from localtune.controller.commands import WorkerCommands
from localtune.controller.instructions import InstructionList
from localtune.controller.workers import Phase
from localtune.testing import ManualClock
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.controller.parts import Parts, hire, kinds, make_record, make_trial, save


def clone_of(trial: Trial, donor: Trial) -> Clone:
    return Clone(trial, donor, config={"lr": 7}, experiment_tag="cloned")


def test_a_clone_pauses_its_trial_and_starts_from_the_donor() -> None:
    record, out = make_record(), InstructionList()
    cloning = Cloning(record, out, WorkerCommands(record, out, ManualClock()))
    donor, trial = make_trial("donor"), make_trial("trial")
    record.add(donor)
    record.add(trial)
    hire(record, trial)
    tracked = save(donor)
    cloning.serve(clone_of(trial, donor))
    assert (trial.status, trial.config) == (Status.PAUSED, {"lr": 7})
    assert trial.resume_point is not None and trial.resume_point.tracked is tracked
    assert tracked.pins == {"trial"}
    assert kinds(out.take()) == ["StopWorker", "Persist", "Persist"]


def test_without_a_checkpoint_of_the_donor_nothing_changes() -> None:
    parts = Parts(2)
    (_, donor), (worker, trial) = parts.add_running(), parts.add_running()
    parts.cloning.serve(clone_of(trial, donor))
    assert worker.trial is trial and trial.config == {} and parts.kinds() == []


def test_a_clone_waits_while_its_donor_is_saved_and_goes_on_then() -> None:
    parts = Parts(2)
    donor_worker, donor = parts.add_running(Phase.SAVING)
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.cloning.serve(clone_of(trial, donor))
    assert parts.record.clones.is_wanted(trial)
    donor_worker.phase = Phase.AT_REST
    save(donor)
    parts.cloning.serve_waiting(donor)
    assert not parts.record.clones.is_wanted(trial)
    assert trial.status is Status.PAUSED and trial.is_cloned and worker.trial is None


def test_a_clone_goes_on_as_it_is_when_its_donor_fails() -> None:
    parts = Parts(2)
    _, donor = parts.add_running(Phase.SAVING)
    worker, trial = parts.add_running(Phase.AT_REST)
    parts.cloning.serve(clone_of(trial, donor))
    parts.record.workers.remove(parts.record.workers.of_trial(donor))  # type: ignore[arg-type]
    parts.cloning.give_up(donor)
    assert worker.phase is Phase.TRAINING and trial.config == {}


@pytest.mark.parametrize("is_deciding", [False, True])
def test_a_clone_of_a_trial_that_defers_requests_gets_the_checkpoint_of_the_decision(
    is_deciding: bool,
) -> None:
    parts = Parts(2)
    donor = make_trial("donor", checkpoint_config=CheckpointConfig(num_to_keep=1))
    parts.record.add(donor)
    first = save(donor)
    worker, trial = parts.add_running(Phase.AT_REST if is_deciding else Phase.SAVING)
    worker.is_deciding = is_deciding
    parts.cloning.serve(clone_of(trial, donor))
    assert worker.trial is trial and not trial.is_cloned
    # The donor goes on while the trial is being saved, and its old checkpoint is kept.
    save(donor, 1)
    assert parts.cloning.apply_chosen(trial, worker)
    assert trial.resume_point is not None and trial.resume_point.tracked is first
    assert first.pins == {trial.trial_id} and first in donor.checkpoints.kept
    assert not parts.record.clones.is_wanted(trial) and worker.trial is None


@pytest.mark.parametrize("ends_run", [False, True])
def test_a_chosen_checkpoint_that_is_not_needed_any_more_goes(ends_run: bool) -> None:
    parts = Parts(2)
    donor = make_trial("donor", checkpoint_config=CheckpointConfig(num_to_keep=1))
    parts.record.add(donor)
    first = save(donor)
    _, trial = parts.add_running(Phase.SAVING)
    parts.cloning.serve(clone_of(trial, donor))
    save(donor, 1)
    parts.out.take()
    if ends_run:
        parts.shutdown.leave_off("enough")
    else:
        parts.cloning.give_up(trial)
    assert "DeleteCheckpoint" in parts.kinds() and first not in donor.checkpoints.kept
    assert not parts.record.clones.is_wanted(trial) and first.pins == set()


def test_the_last_pin_of_a_checkpoint_keeps_it_on_the_disk() -> None:
    parts = Parts(2)
    donor = make_trial("donor", checkpoint_config=CheckpointConfig(num_to_keep=1))
    parts.record.add(donor)
    trial = parts.add_trial(Status.PAUSED)
    first = save(donor)
    parts.cloning.serve(clone_of(trial, donor))
    save(donor, 1)
    assert first in donor.checkpoints.kept
    parts.out.take()
    parts.cloning.unpin(trial)
    assert first not in donor.checkpoints.kept
    assert parts.kinds() == ["Persist", "DeleteCheckpoint"]
