"""RunConfig, CheckpointConfig, FailureConfig, SyncConfig and ResumeConfig."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import fsspec
import pytest

import localtune as tune
from localtune.config.run import Verbosity
from tests.small_runs import fit, reporting


def test_the_defaults_of_a_run() -> None:
    config = tune.RunConfig()
    assert config.name is None
    assert config.storage_path == os.path.expanduser("~/localtune_results")
    assert config.verbose == 1
    assert config.log_to_file is False
    assert (config.stop, config.callbacks, config.progress_reporter) == (None, None, None)
    assert config.failure_config == tune.FailureConfig(max_failures=0, fail_fast=False)
    assert config.checkpoint_config == tune.CheckpointConfig(
        num_to_keep=None,
        checkpoint_score_attribute=None,
        checkpoint_score_order="max",
        checkpoint_frequency=0,
        checkpoint_at_end=None,
    )
    assert config.sync_config == tune.SyncConfig(300, 1800, False, True)
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_defaults_of_resuming() -> None:
    kinds = tune.ResumeConfig.ResumeType
    assert tune.ResumeConfig() == tune.ResumeConfig(kinds.SKIP, kinds.RESUME, kinds.SKIP)
    assert [kind.value for kind in kinds] == ["resume", "restart", "skip"]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("/a/b", "/a/b"),
        (Path("/a/b"), "/a/b"),
        ("/a//b/../c/", "/a/c"),
        ("~/x", "~/x"),
        ("file:///a/b", "/a/b"),
        ("local:///a/b", "/a/b"),
        ("s3://bucket/x/", "s3://bucket/x"),
    ],
)
def test_a_storage_path_is_made_absolute_and_plain(given: Any, meant: str) -> None:
    assert tune.RunConfig(storage_path=given).storage_path == os.path.expanduser(meant)


def test_the_default_storage_path_is_below_home() -> None:
    result = tune.Tuner(
        reporting, run_config=tune.RunConfig(verbose=0), executor="inprocess"
    ).fit()[0]
    assert result.path is not None
    assert result.path.startswith(os.path.expanduser("~/localtune_results/reporting_"))


@pytest.mark.parametrize(
    ("path", "remedy"),
    [
        ("results", r"must be absolute, but got 'results'\. Use '.*results'"),
        ("./results", r"must be absolute"),
        (5, r"must be the path of a directory, but got 5"),
    ],
)
def test_another_storage_path_is_refused(path: Any, remedy: str) -> None:
    with pytest.raises(ValueError, match=f"storage_path {remedy}"):
        tune.RunConfig(storage_path=path)


def test_what_is_no_file_system_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a file system object of fsspec"):
        tune.RunConfig(storage_path="bucket/x", storage_filesystem=object())


def test_a_file_system_needs_a_path_in_it() -> None:
    with pytest.raises(ValueError, match="storage_filesystem needs a storage_path"):
        tune.RunConfig(storage_filesystem=fsspec.filesystem("memory"))


@pytest.mark.parametrize("verbose", [-1, 1.5, "high"])
def test_verbose_must_be_a_level(verbose: Any) -> None:
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 3, but got"):
        tune.RunConfig(verbose=verbose)
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 3, but got"):
        tune.run(reporting, verbose=verbose)
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 3, but got"):
        tune.run_experiments({}, verbose=verbose)


@pytest.mark.parametrize("verbose", [0, 3, Verbosity.V2_TRIAL_NORM])
def test_levels_of_verbosity(verbose: Any) -> None:
    assert tune.RunConfig(verbose=verbose).verbose == verbose


def test_level_0_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fit(reporting, tmp_path, verbose=0)
    assert capfd.readouterr() == ("", "")
    fit(reporting, tmp_path, verbose=1)
    assert capfd.readouterr() != ("", "")


def test_local_dir_is_gone() -> None:
    with pytest.raises(DeprecationWarning, match="Write storage_path=, with an absolute path"):
        tune.RunConfig(local_dir="/x")  # type: ignore[call-arg]


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True])
def test_num_to_keep_must_be_a_positive_number(value: Any) -> None:
    with pytest.raises(ValueError, match="num_to_keep must be a whole number of at least 1"):
        tune.CheckpointConfig(num_to_keep=value)


@pytest.mark.parametrize("value", [-1, 0.5, "often"])
def test_checkpoint_frequency_must_be_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match="checkpoint_frequency must be a whole number"):
        tune.CheckpointConfig(checkpoint_frequency=value)


def test_checkpoint_score_order_is_max_or_min() -> None:
    assert tune.CheckpointConfig(checkpoint_score_order="min").checkpoint_score_order == "min"
    with pytest.raises(ValueError, match="must be 'max' or 'min', but got 'up'"):
        tune.CheckpointConfig(checkpoint_score_order="up")


@pytest.mark.parametrize("value", [1.5, "3", None, True])
def test_max_failures_must_be_a_number(value: Any) -> None:
    with pytest.raises(ValueError, match="max_failures must be a whole number"):
        tune.FailureConfig(max_failures=value)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_fail_fast_is_a_bool_or_raise(value: Any) -> None:
    with pytest.raises(ValueError, match="fail_fast must be a bool or 'raise', but got"):
        tune.FailureConfig(fail_fast=value)


@pytest.mark.parametrize(("value", "meant"), [("Raise", "raise"), (True, True), (False, False)])
def test_values_of_fail_fast(value: Any, meant: Any) -> None:
    assert tune.FailureConfig(fail_fast=value).fail_fast == meant


@pytest.mark.parametrize("name", ["failure_config", "checkpoint_config", "sync_config"])
@pytest.mark.parametrize("given", [3, 0, {}, tune.TuneConfig()])
def test_a_config_inside_must_be_of_its_class(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a \w+Config, but got .*{name}="):
        tune.RunConfig(**{name: given})


@pytest.mark.parametrize("verbose", [-1, 4, 7, "1", 1.0])
def test_another_verbosity_is_refused(verbose: Any) -> None:
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 3, but got"):
        tune.RunConfig(verbose=verbose)


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (tune.SyncConfig, "sync_period", "x"),
        (tune.SyncConfig, "sync_timeout", None),
        (tune.SyncConfig, "sync_timeout", -1),
        (tune.CheckpointConfig, "checkpoint_score_attribute", 3),
    ],
)
def test_a_field_of_another_type_is_refused(kind: Any, name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .*, but got {value!r}\."):
        kind(**{name: value})
