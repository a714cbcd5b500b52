"""The hooks of callbacks: which, when, in which order, and what becomes of their exceptions."""

from __future__ import annotations

import pickle
import time
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.callback import HOOKS
from localtune.checkpoint import Checkpoint
from localtune.error import TuneError
from localtune.logger import JsonLoggerCallback
from localtune.trial.trial import Trial
from tests.small_runs import (
    Counting,
    PauseAlways,
    Recorder,
    fit,
    make_tuner,
    processes,
    reporting,
    rows,
)


@pytest.mark.parametrize("executor", ["inprocess", "processes"])
def test_the_hooks_of_a_trial_come_in_order(tmp_path: Path, executor: str) -> None:
    recorder = Recorder()
    fit(
        Counting,
        tmp_path,
        {"steps": 2},
        checkpoint_frequency=1,
        callbacks=[recorder],
        executor=executor if executor == "inprocess" else processes(1),
    )
    assert recorder.calls == [
        ("start", 0),
        ("result", 0, 1),
        ("checkpoint", 0, "checkpoint_000000"),
        ("save", 0),
        ("result", 0, 2),
        ("checkpoint", 0, "checkpoint_000001"),
        ("save", 0),
        ("complete", 0),
        ("end", 1),
    ]


def test_the_hooks_of_a_failure_come_in_order(tmp_path: Path) -> None:
    recorder = Recorder()
    fit(
        Counting,
        tmp_path,
        {"fail_at": 2},
        max_failures=1,
        checkpoint_frequency=1,
        callbacks=[recorder],
    )
    assert [call[0] for call in recorder.calls] == [
        *("start", "result", "checkpoint", "save"),
        *("recover", "start", "restore"),
        *("error", "end"),
    ]


def test_a_pause_is_a_save_and_going_on_is_a_start_and_a_restore(tmp_path: Path) -> None:
    recorder = Recorder()
    fit(Counting, tmp_path, {"steps": 2}, scheduler=PauseAlways(), callbacks=[recorder])
    hooks = [call[0] for call in recorder.calls]
    assert hooks == [
        *("start", "result", "checkpoint", "save"),
        *("start", "restore", "result", "checkpoint", "save"),
        *("complete", "end"),
    ]


def test_callbacks_are_called_in_their_order_and_loggers_last(tmp_path: Path) -> None:
    log: list[Any] = []

    class SeesFile(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            log.append(len(rows(trial)))

    callbacks = [Recorder("a", log), SeesFile(), Recorder("b", log)]
    fit(reporting, tmp_path, {"steps": 2}, callbacks=callbacks)
    assert log == [
        *[("a", "start", 0), ("b", "start", 0)],
        *[("a", "result", 0, 1), 0, ("b", "result", 0, 1)],
        *[("a", "result", 0, 2), 1, ("b", "result", 0, 2)],
        *[("a", "complete", 0), ("b", "complete", 0), ("a", "end", 1), ("b", "end", 1)],
    ]
    assert len(callbacks) == 3, "the user's list is left as it is"


class SeesNextStep(tune.Callback):
    """Looks whether the trial has begun its next iteration; waits for that if it may lag.

    Args:
        may_lag: Whether the trial may compute meanwhile.
    """

    def __init__(self, *, may_lag: bool) -> None:
        self.may_lag = may_lag
        self.seen: list[bool] = []

    def on_trial_start(self, iteration, trials, trial, **info):  # type: ignore[no-untyped-def]
        self._look(trial, 0)

    def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
        self._look(trial, result["training_iteration"])

    def _look(self, trial: Trial, number: int) -> None:
        begun = Path(trial.path, f"begun_{number}")
        while self.may_lag and number < 3 and not begun.exists():
            time.sleep(0.001)
        self.seen.append(begun.exists())


def marking(config: dict[str, Any]) -> None:
    Path("begun_0").touch()
    for step in range(3):
        tune.report({"loss": 1.0})
        Path(f"begun_{step + 1}").touch()


@pytest.mark.parametrize("may_lag", [False, True])
def test_a_trial_waits_for_callbacks_unless_they_may_lag(tmp_path: Path, may_lag: bool) -> None:
    callback = SeesNextStep(may_lag=may_lag)
    fit(marking, tmp_path, callbacks=[callback], executor=processes(1))
    assert callback.seen[:3] == [may_lag] * 3


def test_a_logger_that_the_user_passed_is_not_added_again(tmp_path: Path) -> None:
    result = fit(reporting, tmp_path, {"steps": 2}, callbacks=[JsonLoggerCallback()])[0]
    assert len(rows(result)) == 2


def test_default_loggers_can_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    result = fit(reporting, tmp_path)[0]
    assert not Path(result.path, "result.json").exists()
    assert not Path(result.path, "progress.csv").exists()


class Arguments(tune.Callback):
    """Keeps the arguments of every hook."""

    def __init__(self) -> None:
        self.given: dict[str, list[dict[str, Any]]] = {hook: [] for hook in HOOKS}

    def __getattribute__(self, name: str) -> Any:
        if name not in HOOKS:
            return super().__getattribute__(name)
        return lambda **arguments: self.given[name].append(arguments)


for _hook in HOOKS:
    setattr(Arguments, _hook, None)


def test_each_hook_gets_the_documented_arguments(tmp_path: Path) -> None:
    arguments = Arguments()
    fit(
        Counting,
        tmp_path,
        {"fail_at": tune.grid_search([None, 2])},
        num_samples=1,
        stop={"count": 3},
        time_budget_s=1000,
        max_failures=1,
        checkpoint_frequency=1,
        callbacks=[arguments],
    )
    given = arguments.given
    assert given["setup"] == [
        {"stop": {"count": 3}, "num_samples": 1, "total_num_samples": 2, "time_budget_s": 1000.0}
    ]
    for hook in set(HOOKS) - {"setup", "on_experiment_end"}:
        assert given[hook], f"{hook} was never called"
        for each in given[hook]:
            assert isinstance(each["iteration"], int)
            assert all(isinstance(trial, Trial) for trial in each["trials"])
            if "step" not in hook:
                assert each["trial"] in each["trials"]
    assert all(isinstance(each["checkpoint"], Checkpoint) for each in given["on_checkpoint"])
    assert all("count" in each["result"] for each in given["on_trial_result"])
    assert [list(each) for each in given["on_experiment_end"]] == [["trials"]]
    begun = [each["iteration"] for each in given["on_step_begin"]]
    ended = [each["iteration"] for each in given["on_step_end"]]
    assert begun == list(range(len(begun)))
    assert ended == list(range(1, len(ended) + 1))


@pytest.mark.parametrize("stop", [None, lambda trial_id, result: False])
def test_setup_gets_only_stop_conditions_of_a_dict(tmp_path: Path, stop: Any) -> None:
    arguments = Arguments()
    fit(reporting, tmp_path, stop=stop, callbacks=[arguments])
    assert not arguments.given["setup"][0]["stop"]
    assert arguments.given["setup"][0]["time_budget_s"] is None


def test_the_result_of_a_hook_is_nested_complete_and_a_copy(tmp_path: Path) -> None:
    class Changes(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            assert result["nested"]["count"] == result["count"]
            assert result["done"] is (result["count"] == 3)
            assert result["config"] == {"steps": 3}
            assert "experiment_tag" not in result
            result.clear()

    grid = fit(Counting, tmp_path, {"steps": 3}, callbacks=[Changes()])
    assert grid[0].metrics["count"] == 3
    assert grid[0].metrics["experiment_tag"] == "0"


# -- exceptions ---------------------------------------------------------------------------------


class Raises(tune.Callback):
    """Raises in one hook."""

    hook = ""

    def __getattribute__(self, name: str) -> Any:
        if name != type(self).hook:
            return super().__getattribute__(name)

        def strike(**arguments: Any) -> None:
            raise KeyError("typo")

        return strike


@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_in_a_hook_ends_the_run_and_names_the_hook(tmp_path: Path, hook: str) -> None:
    callback_class = type("Broken", (Raises,), {"hook": hook, hook: None})
    recorder = Recorder()
    pattern = rf"callback Broken\.{hook} raised an exception[\s\S]*in strike[\s\S]*KeyError: 'typo'"
    with pytest.raises(TuneError, match=pattern) as caught:
        fit(
            Counting,
            tmp_path,
            {"fail_at": tune.grid_search([None, 2])},
            max_failures=1,
            checkpoint_frequency=1,
            callbacks=[callback_class(), recorder],
        )
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value, KeyError)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), KeyError)
    assert recorder.calls[-1][0] == "end"
    if hook == "setup":
        assert recorder.calls == [("end", 0)]


def test_workers_end_when_a_hook_raises(tmp_path: Path) -> None:
    class Broken(tune.Callback):
        def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
            raise RuntimeError("enough")

    with pytest.raises(TuneError, match=r"Broken\.on_trial_result"):
        fit(
            Counting,
            tmp_path,
            {"steps": 10**9},
            num_samples=2,
            executor=processes(2),
            callbacks=[Broken()],
        )


# -- state --------------------------------------------------------------------------------------


class Remembers(tune.Callback):
    """Counts results, over several sessions."""

    def __init__(self) -> None:
        self.results = 0
        self.restored: list[dict[str, Any]] = []

    def on_trial_result(self, iteration, trials, trial, result, **info):  # type: ignore[no-untyped-def]
        self.results += 1

    def get_state(self) -> dict[str, Any]:
        return {"results": self.results}

    def set_state(self, state: dict[str, Any]) -> None:
        self.restored.append(state)
        self.results = state["results"]


def test_callbacks_get_their_state_back_by_position(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "name": "run",
        "storage_path": tmp_path,
        "config": {"fail_at": 3, "once": str(tmp_path / "once")},
        "raise_on_failed_trial": False,
        "verbose": 0,
        "executor": "inprocess",
    }
    tune.run(Counting, callbacks=[Recorder(), Remembers()], **options)
    again, other = Remembers(), Remembers()
    tune.run(Counting, callbacks=[Recorder(), again, other], resume="AUTO+ERRORED", **options)
    assert again.restored == [{"results": 2}]
    assert again.results == 5
    assert other.restored == []


def test_a_new_run_restores_no_state(tmp_path: Path) -> None:
    callback = Remembers()
    tuner = make_tuner(Counting, tmp_path, callbacks=[callback])
    tuner.fit()
    tuner.fit()
    assert callback.restored == []


@pytest.mark.parametrize("method", ["get_state", "set_state"])
def test_an_exception_of_the_state_methods_names_them(tmp_path: Path, method: str) -> None:
    class Broken(Remembers):
        def get_state(self) -> dict[str, Any]:
            self._strike("get_state")
            return super().get_state()

        def set_state(self, state: dict[str, Any]) -> None:
            self._strike("set_state")

        def _strike(self, name: str) -> None:
            if name == method:
                raise KeyError("typo")

    options: dict[str, Any] = {
        "name": "run",
        "storage_path": tmp_path,
        "verbose": 0,
        "executor": "inprocess",
    }
    with pytest.raises(TuneError, match=rf"callback Broken\.{method} raised"):
        for resume in (False, True):
            tune.run(Counting, callbacks=[Broken()], resume=resume, **options)
