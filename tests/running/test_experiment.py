"""Experiment: its arguments, its attributes, and its form as a dict."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.config.run import log_files
from localtune.error import TuneError
from localtune.stopper import MaximumIterationStopper, Stopper
from tests.small_runs import Counting, reporting


def test_the_attributes_of_an_experiment(tmp_path: Path) -> None:
    checkpoint_config = tune.CheckpointConfig(checkpoint_frequency=2)
    experiment = tune.Experiment(
        "mine",
        Counting,
        stop={"count": 3},
        time_budget_s=datetime.timedelta(minutes=1),
        config={"x": 1},
        resources_per_trial={"cpu": 2},
        num_samples=4,
        storage_path=tmp_path,
        checkpoint_config=checkpoint_config,
        export_formats="model",
        max_failures=-1,
    )
    assert experiment.name == "mine"
    assert experiment.run_identifier == "Counting"
    assert experiment.path == experiment.local_path == experiment.remote_path
    assert experiment.path == str(tmp_path / "mine")
    assert isinstance(experiment.stopper, Stopper)
    assert experiment.checkpoint_config is checkpoint_config
    assert experiment.public_spec == {
        "stop": {"count": 3},
        "num_samples": 4,
        "time_budget_s": 60.0,
    }
    spec = experiment.spec
    assert spec["run"] == "Counting"
    assert spec["config"] == {"x": 1}
    assert spec["resources_per_trial"] == {"cpu": 2}
    assert spec["export_formats"] == ["model"]
    assert spec["max_failures"] == -1
    assert spec["restore"] is None


def test_only_a_dict_is_part_of_the_spec(tmp_path: Path) -> None:
    experiment = tune.Experiment(
        "mine", reporting, stop=MaximumIterationStopper(2), storage_path=tmp_path
    )
    assert experiment.public_spec["stop"] == {}


def test_without_a_name_it_makes_one_and_no_directory(tmp_path: Path) -> None:
    experiments = [tune.Experiment(None, reporting, storage_path=tmp_path) for _ in range(2)]
    assert len({experiment.path for experiment in experiments}) == 2
    for experiment in experiments:
        assert experiment.name.startswith("reporting_20")
        assert not Path(experiment.path).exists()


def test_an_experiment_from_a_dict(tmp_path: Path) -> None:
    spec = {
        "run": reporting,
        "stop": {"score": 3},
        "config": {"x": 1},
        "env": "Pole",
        "num_samples": 2,
        "storage_path": str(tmp_path),
    }
    experiment = tune.Experiment.from_json("mine", spec)
    assert experiment.name == "mine"
    assert experiment.config == {"x": 1, "env": "Pole"}
    assert experiment.num_samples == 2
    assert spec["env"] == "Pole", "the dict is left as it is"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({}, "'mine' needs a 'run' entry"),
        ({"run": reporting, "num_sample": 3}, "'num_sample'. Did you mean 'num_samples'"),
        ({"run": reporting, "name": "other"}, "not known: 'name'"),
        (
            {"run": reporting, "checkpoint_freq": 2},
            r"Experiment\(checkpoint_freq=\) is an old form .* Write checkpoint_config=",
        ),
        ({"run": reporting, "num_samples": 0}, "num_samples must be"),
        ({"run": reporting, "stop": 3}, "stop must be"),
        ({"run": "never registered"}, "never registered"),
        ("reporting", "'mine' must be a dict with a 'run' entry"),
    ],
)
def test_a_bad_spec_is_named(tmp_path: Path, spec: Any, problem: str) -> None:
    with pytest.raises(TuneError, match=problem):
        tune.run_experiments({"mine": spec})


@pytest.mark.parametrize("experiments", [None, 5, "reporting", [reporting]])
def test_what_is_no_experiment_is_refused(experiments: Any) -> None:
    with pytest.raises(TuneError, match="experiments must be an Experiment, a list of them, or"):
        tune.run_experiments(experiments)


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ({"stop": [1]}, "Stopper"),
        ({"stop": 1}, "stop must be a dict"),
        ({"stop": {"x": "high"}}, "bound of 'x' in stop must be a number, but got 'high'"),
        ({"stop": {1: 2}}, r"keys of stop must be names of metrics"),
        ({"stop": MaximumIterationStopper}, "instance"),
        ({"max_failures": 0.5}, "max_failures must be a whole number"),
        ({"export_formats": [1]}, "export_formats must be a list of names"),
        ({"log_to_file": 5}, "log_to_file must be"),
        ({"storage_path": "relative"}, "storage_path must be absolute"),
        ({"storage_filesystem": 1}, "storage_filesystem must be a file system object"),
        ({"restore": "/gone"}, "restore must be the directory of a checkpoint"),
    ],
)
def test_a_bad_argument_is_named(option: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        tune.Experiment("mine", reporting, **option)


def test_local_dir_is_gone() -> None:
    with pytest.raises(DeprecationWarning, match="Write storage_path=, with an absolute path"):
        tune.Experiment("mine", reporting, local_dir="/x")  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (False, (None, None)),
        (None, (None, None)),
        ("", (None, None)),
        (True, ("stdout", "stderr")),
        ("log", ("log", "log")),
        (("a", "b"), ("a", "b")),
        (["a", None], ("a", None)),
        ((None, "b"), (None, "b")),
    ],
)
def test_forms_of_log_to_file(given: Any, meant: Any) -> None:
    assert log_files(given) == meant


@pytest.mark.parametrize("given", [5, ("a",), ("a", "b", "c"), ("a", 5), {"a": "b"}])
def test_other_forms_of_log_to_file_are_refused(given: Any) -> None:
    with pytest.raises(ValueError, match=r"log_to_file must be True, one file name, or a pair"):
        log_files(given)
