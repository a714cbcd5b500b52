"""RunSpec: one value that is checked, does not change, and can be saved."""

from __future__ import annotations

import dataclasses
import pickle
import threading
from typing import Any

import fsspec
import pytest

import localtune as tune
from localtune.config.spec import RunSpec, is_saved_space
from localtune.error import StorageError
from localtune.stopper import MaximumIterationStopper


def spec_of(**given: Any) -> RunSpec:
    run_config = tune.RunConfig(name="mine", **given.pop("run", {}))
    return RunSpec("train", run_config=run_config, **given)


def test_it_does_not_change() -> None:
    spec = spec_of()
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.restore = "/elsewhere"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"param_space": {3: 1}}, "names of parameters must be texts, .* has 3. Name it '3'"),
        ({"resources_per_trial": {"cpu": -1}}, "cpu|CPU"),
        ({"export_formats": [1]}, "export_formats must be a list of names"),
        ({"tune_config": 3}, "tune_config must be a TuneConfig"),
    ],
)
def test_a_bad_value_is_named(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        spec_of(**given)


def test_searchers_are_told_the_bounds_that_were_given_as_a_dict() -> None:
    config = tune.TuneConfig(num_samples=4, time_budget_s=60)
    told = {"num_samples": 4, "time_budget_s": 60.0}
    for stop, bounds in (({"loss": 1}, {"loss": 1}), (MaximumIterationStopper(2), {}), (None, {})):
        spec = spec_of(run={"stop": stop}, tune_config=config)
        assert spec.public == {"stop": bounds, **told}


def test_what_was_saved_is_loaded() -> None:
    spec = spec_of(
        run={"failure_config": tune.FailureConfig(max_failures=2), "log_to_file": True},
        param_space={"x": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="loss", mode="min"),
        resources_per_trial={"cpu": 2},
        export_formats=["model"],
        source="digest",
    )
    loaded = RunSpec.load(spec.save())
    same = dataclasses.replace(loaded, param_space=spec.param_space)
    assert same == spec
    assert repr(loaded.param_space) == repr(spec.param_space)


def test_each_part_that_was_saved_can_be_read_alone() -> None:
    content = spec_of(param_space={"x": 1}).save()
    parts = pickle.loads(content)
    assert parts.keys() == {each.name for each in dataclasses.fields(RunSpec)}
    broken = pickle.dumps({**parts, "run_config": b"cmissing_module\nThing\n."})
    assert RunSpec.load_field(broken, "param_space") == {"x": 1}
    with pytest.raises(ImportError):
        RunSpec.load(broken)


@pytest.mark.parametrize(
    "part",
    [
        {"trainable_name": "not pickled"},
        {"run_config": b"clocaltune.gone\nThing\n."},
        {"run_config": b"clocaltune.config.run\nThing\n."},
    ],
)
def test_what_another_version_wrote_is_said_to_be_that(part: dict[str, Any]) -> None:
    content = pickle.dumps({**pickle.loads(spec_of().save()), **part})
    with pytest.raises(StorageError, match="another version of localtune wrote it"):
        RunSpec.load(content)


def test_what_may_hold_credentials_is_not_saved() -> None:
    filesystem = fsspec.filesystem("memory")
    spec = spec_of(run={"storage_path": "bucket/x", "storage_filesystem": filesystem})
    loaded = RunSpec.load(spec.save())
    assert loaded.run_config.storage_filesystem is None
    assert loaded.run_config.storage_path == "bucket/x"
    assert spec.run_config.storage_filesystem is filesystem


def test_callbacks_that_cannot_be_pickled_are_left_out() -> None:
    class Holding(tune.Callback):
        def __init__(self) -> None:
            self.lock = threading.Lock()

    spec = spec_of(run={"callbacks": [Holding()], "verbose": 3})
    loaded = RunSpec.load(spec.save())
    assert (loaded.run_config.callbacks, loaded.run_config.verbose) == (None, 3)
    assert spec.run_config.callbacks is not None


def test_another_part_that_cannot_be_pickled_is_named() -> None:
    with pytest.raises(TypeError, match="param_space"):
        spec_of(param_space={"lock": threading.Lock()}).save()


def test_a_saved_space_is_compared_with_all_objects_in_it() -> None:
    content = spec_of(param_space={"x": 1, "kind": {"a", "b"}}).save()
    assert is_saved_space(content, {"x": 1, "kind": {"a", "b"}})
    assert not is_saved_space(content, {"x": 1, "kind": {"a", "c"}})


@pytest.mark.parametrize("content", [b"", pickle.dumps([1]), pickle.dumps({})])
def test_what_is_damaged_is_not_loaded(content: bytes) -> None:
    with pytest.raises(Exception):  # noqa: B017 - any: the caller knows the file's name
        RunSpec.load(content)
