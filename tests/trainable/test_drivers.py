from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.error import LocaltuneInternalError, TrialStopped
from localtune.result import TRIAL_INFO
from localtune.trainable.drivers import ThreadDriver
from localtune.trainable.function_trainable import FunctionTrainable, wrap_function
from localtune.trainable.session import get_context, report
from localtune.trial.trial_info import StorageContext, TrialInfo


def endless(config: dict[str, Any]) -> None:
    step = 0
    while True:
        step += 1
        report({"step": step, "thread": threading.current_thread().name})


# ThreadDriver


def test_the_function_runs_in_one_thread_of_its_own(storage: StorageContext) -> None:
    trainable = wrap_function(endless)({}, storage=storage)
    assert {trainable.train()["thread"] for _ in range(3)} == {"localtune-default"}
    trainable.stop()


def test_the_thread_is_gone_after_stop(storage: StorageContext) -> None:
    before = threading.active_count()
    trainable = wrap_function(endless)({}, storage=storage)
    trainable.train()
    assert threading.active_count() == before + 1
    trainable.stop()
    assert threading.active_count() == before


@pytest.mark.parametrize("error", [None, KeyError("gone")])
def test_the_thread_is_gone_after_the_end(error: Exception | None, storage: StorageContext) -> None:
    def train(config: dict[str, Any]) -> None:
        if error:
            raise error

    before = threading.active_count()
    trainable = wrap_function(train)({}, storage=storage)
    if error:
        with pytest.raises(KeyError):
            trainable.train()
    else:
        trainable.train()
    assert threading.active_count() == before
    trainable.stop()


def test_the_thread_does_not_keep_the_interpreter_alive(storage: StorageContext) -> None:
    trainable = wrap_function(endless)({}, storage=storage)
    trainable.train()
    (thread,) = (each for each in threading.enumerate() if each.name == "localtune-default")
    assert thread.daemon
    trainable.stop()


def test_several_at_once_do_not_mix_up(tmp_path: Path) -> None:
    def train(config: dict[str, Any]) -> None:
        for step in range(5):
            context = get_context()
            report({"step": step, "id": context.get_trial_id(), "dir": context.get_trial_dir()})

    def start(name: str) -> FunctionTrainable:
        trial_dir = str(tmp_path / name)
        os.mkdir(trial_dir)
        info = TrialInfo(name, name, "exp", trial_dir, str(tmp_path), None)
        storage = StorageContext(str(tmp_path), trial_dir)
        return wrap_function(train)({TRIAL_INFO: info}, storage=storage)

    trainables = [start(name) for name in "abc"]
    for step in range(4):
        for trainable in trainables[:: 1 if step % 2 else -1]:
            result = trainable.train()
            expected = (step, trainable.trial_id, trainable.logdir)
            assert (result["step"], result["id"], result["dir"]) == expected
    for trainable in trainables:
        trainable.stop()


def test_stop_makes_it_ready_for_another_run(storage: StorageContext) -> None:
    trainable = wrap_function(endless)({}, storage=storage)
    driver = ThreadDriver(trainable)
    trainable.set_driver(driver)
    trainable.train()
    trainable.train()
    driver.stop()
    driver.stop()
    trainable.reset({}, storage=storage)
    assert trainable.train()["step"] == 1
    trainable.stop()


def test_delivering_without_a_run_is_a_bug(storage: StorageContext) -> None:
    driver = ThreadDriver(wrap_function(endless)({}, storage=storage))
    with pytest.raises(LocaltuneInternalError):
        driver.deliver({})


def test_an_interrupted_wait_loses_no_result(storage: StorageContext) -> None:
    may_report = threading.Event()

    def train(config: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        may_report.wait()
        report({"step": 1})
        report({"step": 2})

    trainable = wrap_function(train)({}, storage=storage)
    with pytest.raises(KeyboardInterrupt):
        trainable.train()
    may_report.set()
    assert [trainable.train()["step"] for _ in range(2)] == [1, 2]
    trainable.stop()


def test_a_function_that_runs_on_is_stopped_at_its_next_report(storage: StorageContext) -> None:
    events = []
    may_report = threading.Event()

    def train(config: dict[str, Any]) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        may_report.wait()
        try:
            report({})
        except TrialStopped:
            events.append("stopped")
            raise

    trainable = wrap_function(train)({}, storage=storage)
    with pytest.raises(KeyboardInterrupt):
        trainable.train()
    stopping = threading.Thread(target=trainable.stop)
    stopping.start()
    may_report.set()
    stopping.join()
    assert events == ["stopped"]


def test_the_caller_of_train_is_no_part_of_the_function(storage: StorageContext) -> None:
    trainable = wrap_function(endless)({}, storage=storage)
    trainable.train()
    with pytest.warns(UserWarning, match="`report` has an effect only in a function"):
        report({})
    trainable.stop()


# A driver for the main thread, as a worker process has one


class MainThreadDriver:
    """Answers each report by itself, with the next of a list of commands."""

    def __init__(self, trainable: FunctionTrainable, commands: list[str]) -> None:
        self._trainable = trainable
        self._commands = commands
        self.results: list[dict[str, Any]] = []
        self.saved: list[TrainingResult] = []

    def advance(self) -> dict[str, Any]:
        return self._trainable.run_function()

    def deliver(self, result: dict[str, Any]) -> None:
        self.results.append(self._trainable._complete_iteration(result))
        while (command := self._commands.pop(0)) == "save":
            self.saved.append(self._trainable.save())
        if command == "stop":
            raise TrialStopped
        self._trainable._begin_iteration()

    def check_stop(self) -> None:
        if self._commands[0] == "stop":
            raise TrialStopped

    def stop(self) -> None:
        self._commands.clear()


def drive(
    function: Callable[[dict[str, Any]], Any], commands: list[str], storage: StorageContext
) -> tuple[FunctionTrainable, MainThreadDriver]:
    trainable = wrap_function(function)({}, storage=storage)
    driver = MainThreadDriver(trainable, commands)
    trainable.set_driver(driver)
    return trainable, driver


def test_a_driver_may_run_the_function_in_the_callers_thread(storage: StorageContext) -> None:
    def train(config: dict[str, Any]) -> None:
        for step in range(3):
            report({"step": step, "thread": threading.current_thread().name})

    trainable, driver = drive(train, ["train", "train", "train"], storage)
    reply = trainable.train()
    assert reply["__duplicate__"] is True
    assert [result["training_iteration"] for result in driver.results] == [1, 2, 3]
    assert {result["thread"] for result in driver.results} == {"MainThread"}


def test_saving_works_in_the_middle_of_a_report(storage: StorageContext, tmp_path: Path) -> None:
    (tmp_path / "working").mkdir()

    def train(config: dict[str, Any]) -> None:
        report({"step": 1}, checkpoint=Checkpoint.from_directory(tmp_path / "working"))
        report({"step": 2})

    trainable, driver = drive(train, ["save", "train", "save", "train"], storage)
    trainable.train()
    first, second = driver.saved
    assert first.checkpoint is not None
    assert first.checkpoint.path == storage.checkpoint_path(0)
    assert first.metrics == driver.results[0]
    assert second.checkpoint is None
    assert second.metrics["training_iteration"] == 2


def test_a_stop_comes_out_of_train(storage: StorageContext) -> None:
    events = []

    def train(config: dict[str, Any]) -> None:
        try:
            report({})
        finally:
            events.append("finally")

    trainable, _ = drive(train, ["stop"], storage)
    with pytest.raises(TrialStopped):
        trainable.train()
    assert events == ["finally"]


def test_a_stop_at_a_yield_runs_the_generators_finally(storage: StorageContext) -> None:
    events = []

    def train(config: dict[str, Any]) -> Any:
        try:
            yield 1
        finally:
            events.append("finally")

    trainable, _ = drive(train, ["stop"], storage)
    with pytest.raises(TrialStopped):
        trainable.train()
    assert events == ["finally"]


def test_the_driver_of_new_instances_can_be_set(
    storage: StorageContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def factory(trainable: FunctionTrainable) -> MainThreadDriver:
        return MainThreadDriver(trainable, ["train"])

    monkeypatch.setattr(FunctionTrainable, "driver_factory", factory)
    trainable = wrap_function(lambda config: 5)({}, storage=storage)
    assert trainable.train()["__duplicate__"] is True
    assert trainable.get_state()["last_result"]["_metric"] == 5
