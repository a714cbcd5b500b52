"""From arguments to a specification."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

import localtune as tune
from localtune.config.run import copy_of
from localtune.error import TuneError
from localtune.running.experiment import spec_with
from localtune.running.specify import saves_at_end, specify
from tests.small_runs import CannotSave, Counting, reporting


def test_changes_to_the_arguments_do_not_change_it() -> None:
    space: dict[str, Any] = {"x": 1}
    tune_config, run_config = tune.TuneConfig(num_samples=2), tune.RunConfig(name="mine")
    spec = specify(reporting, space, tune_config, run_config)
    space["y"] = 2
    tune_config.num_samples, run_config.name = 3, "other"
    assert (spec.param_space, spec.tune_config.num_samples, spec.name) == ({"x": 1}, 2, "mine")


def test_changes_inside_the_arguments_do_not_change_it() -> None:
    space: dict[str, Any] = {"inner": {"x": 1}, "grid": tune.grid_search([1, 2])}
    stop: dict[str, Any] = {"loss": 1}
    callbacks: list[tune.Callback] = []
    failure_config = tune.FailureConfig()
    checkpoint_config = tune.CheckpointConfig()
    sync_config = tune.SyncConfig()
    run_config = tune.RunConfig(
        stop=stop,
        callbacks=callbacks,
        failure_config=failure_config,
        checkpoint_config=checkpoint_config,
        sync_config=sync_config,
    )
    spec = specify(reporting, space, run_config=copy_of(run_config))

    space["inner"]["x"] = stop["loss"] = 2
    callbacks.append(tune.Callback())
    failure_config.max_failures = 3
    checkpoint_config.num_to_keep = 4
    sync_config.sync_period = 5

    assert spec.param_space == {"inner": {"x": 1}, "grid": {"grid_search": [1, 2]}}
    assert (spec.stop_bounds, spec.run_config.callbacks) == ({"loss": 1}, [])
    assert (spec.failure_config, spec.checkpoint_config, spec.sync_config) == (
        tune.FailureConfig(),
        tune.CheckpointConfig(),
        tune.SyncConfig(),
    )


def test_a_run_without_a_name_gets_one() -> None:
    assert specify(reporting).name.startswith("reporting_20")


@pytest.mark.parametrize(
    ("trainable", "given", "resolved"),
    [
        (Counting, None, True),
        (Counting, False, False),
        (CannotSave, None, False),
        (reporting, None, False),
    ],
)
def test_classes_that_can_save_do_so_at_the_end(
    trainable: Any, given: bool | None, resolved: bool
) -> None:
    config = tune.CheckpointConfig(num_to_keep=2, checkpoint_at_end=given)
    run_config = tune.RunConfig(checkpoint_config=config)
    spec = specify(trainable, run_config=run_config)
    assert saves_at_end(spec).checkpoint_config == dataclasses.replace(
        config, checkpoint_at_end=resolved
    )
    assert (spec.checkpoint_config.checkpoint_at_end, config.checkpoint_at_end) == (given, given)


@pytest.mark.parametrize("trainable", [CannotSave, reporting])
@pytest.mark.parametrize("asked", [{"checkpoint_at_end": True}, {"checkpoint_frequency": 1}])
def test_checkpoints_that_a_trainable_cannot_make_are_refused(
    trainable: Any, asked: dict[str, Any]
) -> None:
    run_config = tune.RunConfig(checkpoint_config=tune.CheckpointConfig(**asked))
    with pytest.raises(ValueError, match="checkpoint_frequency"):
        specify(trainable, run_config=run_config)


def test_what_a_config_got_after_it_was_made_is_checked() -> None:
    config = tune.TuneConfig()
    config.num_samples = 0
    with pytest.raises(ValueError, match="num_samples must be"):
        specify(reporting, tune_config=config)


def test_an_export_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(TuneError):
        specify(reporting, export_formats="nothing")
    assert specify(Counting, export_formats="anything").export_formats == ["anything"]


def test_an_experiment_says_what_it_has_arguments_for() -> None:
    experiment = tune.Experiment("mine", Counting, num_samples=3, max_failures=2, log_to_file=True)
    tune_config = tune.TuneConfig(metric="loss", mode="min", num_samples=9)
    run_config = tune.RunConfig(name="other", verbose=3)
    spec = spec_with(experiment, tune_config, run_config)
    assert (spec.name, spec.tune_config.num_samples, spec.tune_config.metric) == ("mine", 3, "loss")
    assert (spec.run_config.verbose, spec.run_config.output_files) == (3, ("stdout", "stderr"))
    assert spec.failure_config.max_failures == 2


def test_an_experiment_that_retries_is_refused_in_a_run_that_ends_at_the_first_failure() -> None:
    experiment = tune.Experiment("mine", reporting, max_failures=2)
    run_config = tune.RunConfig(failure_config=tune.FailureConfig(fail_fast=True))
    with pytest.raises(ValueError, match="max_failures must be 0 if fail_fast is set"):
        spec_with(experiment, tune.TuneConfig(), run_config)
