"""Tests of localtune.old_names.bodies: old names in trainables are found before a run starts."""

from __future__ import annotations

import functools
import linecache
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

import localtune
import localtune as tune
from localtune import report as imported_report
from localtune.old_names.bodies import refusal_of
from localtune.old_names.use import OldNameError

FILE = __file__


def lines_with(mark: str) -> list[int]:
    """Numbers of the lines of this file that end with a mark."""
    text = Path(FILE).read_text().splitlines()
    return [number for number, line in enumerate(text, start=1) if line.endswith(f"# {mark}")]


def old(config: dict[str, Any]) -> None:
    for step in range(2):
        tune.report(loss=step)  # type: ignore[call-arg]  # old
    localtune.report(loss=1)  # type: ignore[call-arg]  # old


def by_another_name(config: dict[str, Any]) -> None:
    imported_report(loss=1)  # type: ignore[call-arg]  # by_another_name


def helps() -> None:
    tune.get_trial_id()  # in_helper


class Helper:
    def on_end(self) -> None:
        tune.report(loss=1)  # type: ignore[call-arg]  # in_helper


def in_helper(config: dict[str, Any]) -> None:
    helps()
    Helper().on_end()


def imports_inside(config: dict[str, Any]) -> None:
    from localtune import session  # imports_inside

    session.report({"loss": 1})  # imports_inside


def _in_closure() -> Callable[..., None]:
    def inner() -> None:
        tune.report(loss=1)  # type: ignore[call-arg]  # in_closure

    def in_closure(config: dict[str, Any]) -> None:
        inner()

    return in_closure


class InClass(tune.Trainable):
    def step(self) -> dict[str, Any]:
        return {"loss": 1, "id": tune.get_trial_id()}  # InClass

    def save_checkpoint(self, checkpoint_dir: str) -> str:
        path = os.path.join(checkpoint_dir, "model")
        return path  # InClass


class Saves(tune.Trainable):
    def save_checkpoint(self, checkpoint_dir: str) -> str:
        path = checkpoint_dir + "/model"
        return path  # Saves


class Callee:
    def __call__(self, config: dict[str, Any]) -> None:
        tune.report(loss=1)  # type: ignore[call-arg]  # Callee


in_closure = _in_closure()


@pytest.mark.parametrize(
    ("trainable", "mark"),
    [
        (old, "old"),
        (by_another_name, "by_another_name"),
        (in_helper, "in_helper"),
        (imports_inside, "imports_inside"),
        (in_closure, "in_closure"),
        (InClass, "InClass"),
        (Saves, "Saves"),
        (Callee(), "Callee"),
        (functools.partial(old), "old"),
        (tune.with_resources(old, {"cpu": 1}), "old"),
        (tune.with_parameters(old), "old"),
        (tune.with_resources(tune.with_parameters(InClass), {"cpu": 1}), "InClass"),
    ],
)
def test_each_use_is_named_with_file_and_line(trainable: Any, mark: str) -> None:
    text = str(refusal_of(trainable))
    lines = lines_with(mark)
    assert lines
    for line in lines:
        assert f'File "{FILE}", line {line}' in text
    assert text.count("File ") == len(lines)
    assert "Write " in text


def today(config: dict[str, Any]) -> None:
    class Other:
        def report(self, loss: float) -> None: ...

    def inside(tune: Any) -> None:
        tune.report(loss=1)

    session = Other()
    session.report(loss=1)
    inside(session)
    state = {"loss": 1.0}
    tune.report(state)
    tune.report({"loss": 1.0}, checkpoint=None)
    config["tune"].report(loss=1)


def unreadable(file: str = "<string>") -> Any:
    namespace: dict[str, Any] = {"tune": tune, "__name__": "unreadable"}
    text = """
class Old(tune.Trainable):
    def step(self):
        tune.report(loss=1)
    def save_checkpoint(self, checkpoint_dir):
        return checkpoint_dir + "/x"
"""
    exec(compile(text, file, "exec"), namespace)
    return namespace["Old"]


def recursive(config: dict[str, Any]) -> None:
    recursive(config)
    tune.report({"loss": 1})


UNREADABLE = [unreadable(), unreadable("/gone.py"), unreadable(tune.__file__)]


def unpacks(config: dict[str, Any]) -> None:
    options = {"checkpoint": None}
    tune.report({"loss": 1}, **options)
    arguments: dict[str, Any] = {"metrics": {"loss": 1}}
    arguments["checkpoint"] = None
    tune.report(**arguments)

    def log(*args: Any, **kwargs: Any) -> None:
        tune.report(*args, **kwargs)

    log({"loss": 1})


def counts(config: dict[str, Any]) -> None:
    first, second = Counter(a=1), Counter(b=1)
    tune.report(first + second)
    tune.report(+first)
    tune.report(first - second)


def chooses(config: dict[str, Any]) -> None:
    try:
        tune.report({"loss": 1})
    except TypeError:
        tune.report(loss=1)  # type: ignore[call-arg]
    try:
        from ray.air import session

        session.report({"loss": 1})
    except (ImportError, AttributeError):
        tune.report({"loss": 1})
    if hasattr(tune, "get_trial_id"):
        tune.get_trial_id()
    if tune.__version__ < "0":
        tune.report(loss=1)  # type: ignore[call-arg]
    print(tune.get_trial_id() if hasattr(tune, "get_trial_id") else None)


def rebinds(config: dict[str, Any]) -> None:
    from localtune import report

    report = config["report"]  # noqa: F811
    report(loss=1)  # type: ignore[call-arg]
    match config:
        case {"f": imported_report}:
            imported_report(loss=1)


@functools.wraps(tune.report)
def wrapped_report(**metrics: float) -> None:
    tune.report(metrics)


def wraps(config: dict[str, Any]) -> None:
    wrapped_report(loss=1)


class Model:
    best_logdir = ""
    helps = 1

    def save_checkpoint(self, directory: str) -> str:
        path = os.path.join(directory, "model")
        return path


def has_own_model(config: dict[str, Any]) -> None:
    def save_checkpoint(model: Model, directory: str) -> str:
        return os.path.join(directory, "model")

    model = Model()
    model.best_logdir = save_checkpoint(model, model.save_checkpoint("."))
    # An attribute of the name of a function beside the trainable, which is old.
    tune.report({"extra_cpu": model.helps, "extra": {"extra_cpu": 1}})


class Guarded:
    @property
    def _function(self) -> Any:
        raise RuntimeError("Read too early.")

    def __call__(self, config: dict[str, Any]) -> None:
        tune.report({"loss": 1})


class Modern(tune.Trainable):
    def setup(self, config: dict[str, Any]) -> None:
        self.log_dir, self.best_logdir, self.value = "", "", 1

    def _save(self, directory: str) -> str:
        return os.path.join(directory, "x")

    def step(self) -> dict[str, Any]:
        return {"loss": self.value, "directory": self._save(self.log_dir)}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        def path_of(name: str) -> str:
            return os.path.join(checkpoint_dir, name)

        open(path_of("x"), "w").close()


@pytest.mark.parametrize(
    "trainable",
    [
        today,
        *UNREADABLE,
        recursive,
        print,
        functools.partial(print),
        lambda config: 1,
        unpacks,
        counts,
        chooses,
        rebinds,
        wraps,
        has_own_model,
        Modern,
        MagicMock(),
        Guarded(),
    ],
)
def test_nothing_is_found_where_nothing_is_certain(trainable: Any) -> None:
    assert refusal_of(trainable) is None


def test_a_file_that_has_changed_since_it_was_loaded_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "changed.py"
    text = "def train(config):\n    tune.report(loss=1)\n"
    file.write_text(text)
    namespace: dict[str, Any] = {"tune": tune}
    exec(compile(text, file, "exec"), namespace)
    assert refusal_of(namespace["train"]) is not None
    file.write_text("def other(config):\n    tune.report(loss=2)\n")
    linecache.checkcache(str(file))
    assert refusal_of(namespace["train"]) is None


def test_a_lambda_is_checked() -> None:
    assert refusal_of(lambda config: tune.report(loss=1)) is not None  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "start",
    [
        lambda path: tune.Tuner(old, run_config=tune.RunConfig(storage_path=path)),
        lambda path: tune.run(old, storage_path=path),
        lambda path: tune.Experiment("e", old, storage_path=path),
        lambda path: tune.register_trainable("old", InClass),
    ],
    ids=["Tuner", "run", "Experiment", "register_trainable"],
)
def test_the_refusal_comes_before_anything_is_made(
    start: Callable[[str], object], tmp_path: Path
) -> None:
    with pytest.raises(OldNameError, match=rf"line {lines_with('old')[0]}|{Path(FILE).name}"):
        start(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_who_wants_to_see_failed_trials_finds_the_refusal_there(tmp_path: Path) -> None:
    analysis = tune.run(
        old, storage_path=tmp_path, raise_on_failed_trial=False, verbose=0, executor="inprocess"
    )
    (trial,) = analysis.trials
    assert trial.status == "ERROR"
    assert "loss" not in trial.last_result
    assert trial.error_file is not None
    assert 'Write tune.report({"loss": x})' in Path(trial.error_file).read_text()
