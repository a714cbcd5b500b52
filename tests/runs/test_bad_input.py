"""Bad input gets one clear error at the earliest moment, and costs nothing."""

from __future__ import annotations

import importlib
import math
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import SearchSpaceError, StorageError, TuneError
from tests.small_runs import (
    Counting,
    Program,
    Recorder,
    fit,
    make_tuner,
    processes,
    reporting,
    rows,
)

LOCK = threading.Lock()


def uses_lock(config: dict[str, Any]) -> None:
    with LOCK:
        tune.report({"x": 1})


def make_closure() -> Any:
    lock = threading.Lock()

    def train(config: dict[str, Any]) -> None:
        with lock:
            tune.report({"x": 1})

    return train


class NoTrainable:
    """Has the methods but not the base class."""

    def step(self) -> dict[str, Any]:
        return {}


# -- the trainable ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trainable", "error", "problem"),
    [
        (None, TuneError, "needs a trainable: a function, a Trainable class, or a name"),
        (5, TuneError, "5"),
        ("never registered", TuneError, "never registered"),
        (NoTrainable, TypeError, "NoTrainable"),
        (lambda: None, ValueError, "one"),
        (lambda config, data: None, ValueError, "one"),
        (make_closure(), TypeError, "variable 'lock'"),
    ],
)
def test_a_bad_trainable_is_told_when_the_tuner_is_made(
    tmp_path: Path, trainable: Any, error: type[Exception], problem: str
) -> None:
    for name in ("run", None):
        with pytest.raises(error, match=problem):
            make_tuner(trainable, tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


def test_an_unpicklable_global_of_a_script_is_named(tmp_path: Path) -> None:
    source = (
        "import threading\n"
        "engine = threading.Lock()\n"
        "def train(config):\n"
        "    engine.acquire()\n"
        "try:\n"
        f"    make_tuner(train, Path({str(tmp_path)!r}))\n"
        "except TypeError as error:\n"
        "    print(error, flush=True)\n"
    )
    program = Program(source)
    text, _ = program.process.communicate(timeout=60)
    assert "global variable 'engine', a _thread.lock" in text
    assert list(tmp_path.iterdir()) == []


# -- the search space ---------------------------------------------------------------------------


@pytest.mark.parametrize("space", [[1, 2], "x", 5, {1, 2}])
def test_a_space_must_be_a_dict(tmp_path: Path, space: Any) -> None:
    with pytest.raises(ValueError, match="param_space must be a dict, but got"):
        make_tuner(reporting, tmp_path, space)
    with pytest.raises(ValueError, match="config must be a dict, but got"):
        tune.run(reporting, config=space, storage_path=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [1, None, ("a", "b")])
def test_the_names_of_parameters_must_be_texts(tmp_path: Path, name: Any) -> None:
    with pytest.raises(ValueError, match=r"names of parameters must be texts, but .* has"):
        make_tuner(reporting, tmp_path, {name: tune.uniform(0, 1)})
    with pytest.raises(ValueError, match=r"names of parameters must be texts, but .* has"):
        tune.run(reporting, config={name: 1}, storage_path=tmp_path)
    assert list(tmp_path.iterdir()) == []
    grid = fit(reporting, tmp_path, {"weights": {name: tune.uniform(0, 1)}})
    assert not grid.errors


@pytest.mark.parametrize("name", ["run_config", "tune_config"])
@pytest.mark.parametrize("given", [{"name": "x"}, 3, tune.FailureConfig()])
def test_a_config_of_another_class_is_refused(name: str, given: Any) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be a .*Config, but got .*{name}="):
        tune.Tuner(reporting, **{name: given})


@pytest.mark.parametrize(
    "make_domain",
    [
        lambda: tune.grid_search([]),
        lambda: tune.loguniform(0, 1),
        lambda: tune.quniform(0, 1, 0.3),
        lambda: tune.uniform(2, 1),
        lambda: tune.choice([]),
    ],
)
def test_a_bad_domain_is_refused_before_the_run(tmp_path: Path, make_domain: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        make_tuner(reporting, tmp_path, {"x": make_domain()}, name=None)
    assert list(tmp_path.iterdir()) == []


def test_an_unpicklable_value_in_the_space_is_named(tmp_path: Path) -> None:
    for name in ("run", None):
        with pytest.raises(TypeError, match=r"param_space cannot be sent .*'engine'"):
            make_tuner(reporting, tmp_path, {"deep": {"engine": LOCK}}, name=name)
    assert list(tmp_path.iterdir()) == []


def test_an_unpicklable_value_that_is_computed_ends_the_run(tmp_path: Path) -> None:
    space = {"engine": tune.sample_from(lambda config: threading.Lock())}
    with pytest.raises(TuneError, match=r"The config of trial .* cannot be sent .*'engine'"):
        fit(reporting, tmp_path, space, num_samples=2)


def test_a_function_of_the_space_that_raises_ends_the_run(tmp_path: Path) -> None:
    space = {"x": tune.sample_from(lambda config: config["gone"])}
    with pytest.raises(SearchSpaceError, match="gone"):
        fit(reporting, tmp_path, space)


# -- other arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"executor": "foo"}, r"executor must be None \(processes\), one of .*, or an Executor"),
        ({"executor": 5}, "executor must be"),
        ({"callbacks": [5]}, "callbacks must be a list of Callback objects, but it has 5"),
        ({"callbacks": [Recorder]}, "Pass an instance, not the class"),
        ({"callbacks": Recorder()}, "callbacks must be a list of Callback objects, but got"),
        ({"name": "a/b"}, "name must be the name of one directory"),
        ({"name": ".."}, "name must be the name of one directory"),
        ({"name": "x" * 300}, "name must be at most 255 bytes long, but is 300"),
        ({"log_to_file": ("a", "b", "c")}, "log_to_file must be"),
        ({"stop": 5}, "stop must be"),
    ],
)
def test_a_bad_argument_is_told_when_the_tuner_is_made(
    tmp_path: Path, options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        make_tuner(reporting, tmp_path, **options)
    with pytest.raises(ValueError, match=problem):
        tune.run(reporting, storage_path=tmp_path, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a/b", "x" * 300])
def test_a_bad_name_of_a_trial_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="trial_dirname_creator must return"):
        fit(reporting, tmp_path, trial_dirname_creator=lambda trial: name)


# -- storage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("below", ["", "/args", "/deep/er"])
def test_a_file_in_place_of_the_storage_path_is_named(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    path = f"{tmp_path}/file{below}"
    for name in ("run", None):
        with pytest.raises(
            StorageError, match=r"storage_path must be a directory .*Choose"
        ) as caught:
            make_tuner(reporting, Path(path), name=name)
        assert f"a part of it is a file ({tmp_path}/file)" in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["run", None])
def test_a_storage_path_that_cannot_be_written_is_named(name: str | None) -> None:
    # Also root may not create anything there.
    where = Path("/proc/1/nowhere") if sys.platform == "linux" else Path("/dev/null/nowhere")
    with pytest.raises(
        StorageError, match=r"storage_path must be a directory .*cannot be used"
    ) as caught:
        make_tuner(reporting, where, name=name)
    assert isinstance(caught.value, OSError)


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_a_directory_that_vanishes_ends_the_run(tmp_path: Path, executor: str) -> None:
    class Removes(tune.Callback):
        def setup(self, **info):  # type: ignore[no-untyped-def, override]
            shutil.rmtree(tmp_path / "run")

    with pytest.raises(StorageError, match=r"run"):
        fit(
            reporting,
            tmp_path,
            num_samples=3,
            callbacks=[Removes()],
            executor=executor if executor == "inprocess" else processes(2),
        )


def test_a_full_disk_ends_the_run_in_good_order_and_loses_nothing(tmp_path: Path) -> None:
    source = (
        "import resource, signal\n"
        "from localtune.error import TuneError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"tuner = make_tuner(Counting, Path({str(tmp_path)!r}), {{'steps': 10**9}})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))\n"
        "try:\n"
        "    tuner.fit()\n"
        "except TuneError as error:\n"
        "    print(type(error).__name__, error, flush=True)\n"
    )
    program = Program(source)
    text, _ = program.process.communicate(timeout=60)
    assert "File too large" in text or "disk I/O error" in text
    restored = tune.Tuner.restore(tmp_path / "run", Counting, executor="inprocess").get_results()
    assert len(restored) == 1


# -- metrics ------------------------------------------------------------------------------------


def test_an_unknown_metric_names_those_that_there_are(tmp_path: Path) -> None:
    grid = fit(reporting, tmp_path, num_samples=2)
    with pytest.raises(RuntimeError, match="score"):
        grid.get_best_result("scores", "max")
    with pytest.raises(ValueError, match="metric"):
        grid.get_best_result()


def test_nan_and_infinity_are_kept_and_never_best(tmp_path: Path) -> None:
    values = [math.nan, math.inf, 1.0, -math.inf, 2.0]
    grid = fit(
        lambda config: {"score": config["value"]},
        tmp_path,
        {"value": tune.grid_search(values)},
        metric="score",
        mode="max",
    )
    kept = [result.metrics["score"] for result in grid]
    assert [repr(value) for value in kept] == [repr(value) for value in values]
    assert grid.get_best_result().metrics["score"] == 2.0
    assert grid.get_best_result(mode="min").metrics["score"] == 1.0
    assert grid.get_best_result(filter_nan_and_inf=False).metrics["score"] == math.inf
    assert rows(grid[1])[0]["score"] == math.inf


def test_numpy_scalars_are_numbers(tmp_path: Path) -> None:
    import numpy as np

    def train(config: dict[str, Any]) -> None:
        tune.report({"loss": np.float32(0.5), "count": np.int64(3), "flag": np.bool_(True)})

    metrics = fit(train, tmp_path, executor=processes(1))[0].metrics
    assert (metrics["loss"], metrics["count"], metrics["flag"]) == (0.5, 3, True)
    assert isinstance(metrics["loss"], float)
    assert isinstance(metrics["count"], int)


@pytest.fixture
def torch_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package named torch, as small as can be: what is looked at is the class of a value."""
    folder = tmp_path / "packages" / "torch"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(
        "class Tensor:\n    __module__ = 'torch'\n"
        "class nn:\n    class Module:\n        __module__ = 'torch.nn.modules.module'\n"
    )
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)


@pytest.mark.usefixtures("torch_package")
@pytest.mark.parametrize("place", ["value", "dict", "list"])
def test_a_tensor_is_refused_and_its_key_named(tmp_path: Path, place: str) -> None:
    def train(config: dict[str, Any]) -> None:
        torch = importlib.import_module("torch")
        tensor = torch.Tensor()
        value = {"value": tensor, "dict": {"deep": tensor}, "list": [1, tensor]}[config["place"]]
        tune.report({"fine": 1})
        tune.report({"loss": value})

    result = fit(train, tmp_path, {"place": place}, executor=processes(1))[0]
    assert isinstance(result.error, ValueError)
    assert "loss" in str(result.error)
    assert len(rows(result)) == 1, "what was reported before is kept"


def test_metrics_above_the_documented_size_are_refused(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        import numpy as np

        tune.report({"fine": 1})
        tune.report({"huge": np.zeros(100 * 1024 * 1024, dtype=np.uint8)})

    result = fit(train, tmp_path, executor=processes(1))[0]
    assert isinstance(result.error, ValueError)
    assert "at most 16,777,216 bytes" in str(result.error)
    assert "'huge'" in str(result.error)
    assert len(rows(result)) == 1


@pytest.mark.parametrize("returned", [None, 5, [1], "x"])
def test_a_step_must_return_a_dict(tmp_path: Path, returned: Any) -> None:
    class Wrong(Counting):
        def step(self) -> Any:
            return returned

    error = fit(Wrong, tmp_path)[0].error
    assert isinstance(error, AssertionError)
    assert "dict" in str(error)
