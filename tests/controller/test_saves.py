"""When trials are saved, and which checkpoints are on record."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.config.checkpoint import CheckpointConfig
from localtune.controller import instructions
from localtune.controller.saves import Saves
from localtune.result import SHOULD_CHECKPOINT
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.parts import Parts, save


def make_saves(parts: Parts, **options: Any) -> Saves:
    config = CheckpointConfig(**{"checkpoint_at_end": False, **options})
    return Saves(parts.record, parts.out, parts.cloning, config)


def saved(trial: Trial, index: int = 0) -> messages.Saved:
    path = f"{trial.path}/checkpoint_{index:06d}"
    return messages.Saved(path, {"training_iteration": index + 1}, next_index=index + 1)


@pytest.mark.parametrize(
    ("options", "result", "expected"),
    [
        ({}, {"training_iteration": 2}, False),
        ({}, {SHOULD_CHECKPOINT: True}, True),
        ({}, {"done": True}, False),
        ({"checkpoint_at_end": True}, {"done": True}, True),
        ({"checkpoint_frequency": 2}, {"training_iteration": 2}, True),
        ({"checkpoint_frequency": 2}, {"training_iteration": 3}, False),
    ],
)
def test_a_save_is_due_as_the_config_says(
    options: dict[str, Any], result: dict[str, Any], expected: bool
) -> None:
    assert make_saves(Parts(), **options).is_due(result) is expected


def test_a_repeated_result_is_saved_at_the_end_only() -> None:
    result = {"done": True, "training_iteration": 2, SHOULD_CHECKPOINT: True}
    often = make_saves(Parts(), checkpoint_frequency=1)
    assert not often.is_due(result, is_duplicate=True)
    assert make_saves(Parts(), checkpoint_at_end=True).is_due(result, is_duplicate=True)


def test_a_checkpoint_is_recorded_before_older_ones_are_deleted() -> None:
    parts = Parts()
    trial = parts.add_trial()
    trial.checkpoint_config.num_to_keep = 1
    saves = make_saves(parts)
    saves.take_in(trial, saved(trial))
    assert parts.kinds() == ["Notify", "Persist", "Notify"]
    assert trial.next_checkpoint_index == 1
    saves.take_in(trial, saved(trial, 1))
    wanted = parts.out.take()
    kinds = [type(each).__name__ for each in wanted]
    assert kinds == ["Notify", "Persist", "DeleteCheckpoint", "Notify"]
    hooks = [each.hook for each in wanted if isinstance(each, instructions.Notify)]
    assert hooks == ["on_checkpoint", "on_trial_save"]


@pytest.mark.parametrize("is_named_again", [False, True])
def test_a_save_without_a_new_checkpoint_records_none(is_named_again: bool) -> None:
    parts = Parts()
    trial = parts.add_trial()
    saves = make_saves(parts)
    saves.take_in(trial, saved(trial))
    parts.out.take()
    again = saved(trial) if is_named_again else messages.Saved(None, {}, next_index=1)
    saves.take_in(trial, again)
    assert len(trial.checkpoints) == 1 and parts.kinds() == ["Notify"]


def test_callbacks_hear_nothing_of_a_save_after_the_end_of_its_trial() -> None:
    parts = Parts()
    trial = parts.add_trial()
    parts.record.end(trial, Status.TERMINATED)
    make_saves(parts).take_in(trial, saved(trial))
    assert parts.kinds() == ["Persist"] and trial.has_checkpoint()


def test_the_checkpoint_before_a_damaged_one_takes_its_place() -> None:
    parts = Parts()
    trial = parts.add_trial()
    first, second = save(trial), save(trial, 1)
    first.result_count, second.result_count = 1, 2
    saves = make_saves(parts)
    saves.drop_resume_point(trial)
    assert trial.resume_point is not None and trial.resume_point.tracked is first
    assert (trial.result_count, trial.last_result["training_iteration"]) == (1, 1)
    saves.drop_resume_point(trial)
    assert not trial.has_checkpoint()
    assert (trial.result_count, trial.last_result) == (0, {})
    saves.drop_resume_point(trial)
