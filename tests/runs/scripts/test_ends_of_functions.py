"""Function trainables end in time, also if they resist."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TrialStopped
from tests.runs.lifecycle.programs import START_METHODS

EXECUTORS = {
    name: lambda name=name: tune.ProcessExecutor(
        num_cpus=1, start_method=name, stop_timeout_s=0.3, kill_timeout_s=0.3
    )
    for name in START_METHODS
}


def fit(trainable: Any, tmp_path: Path, executor: Any, **stop: Any) -> Any:
    grid = tune.Tuner(
        trainable,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0, stop=stop or None),
        executor=executor,
    ).fit()
    return grid[0]


def leaves_notes(config: dict[str, Any]) -> None:
    try:
        while True:
            tune.report({"value": 1})
    except TrialStopped:
        Path("stopped").touch()
        raise
    finally:
        Path("finally").touch()


def swallows_and_returns(config: dict[str, Any]) -> None:
    try:
        while True:
            tune.report({"value": 1})
    except BaseException:
        Path("swallowed").touch()


def swallows_and_raises(config: dict[str, Any]) -> None:
    try:
        while True:
            tune.report({"value": 1})
    except BaseException:
        raise ValueError("instead") from None


def swallows_for_ever(config: dict[str, Any]) -> None:
    while True:
        try:
            tune.report({"value": 1})
        except BaseException:
            Path("swallowed").touch()


def computes_for_ever_after_its_end(config: dict[str, Any]) -> None:
    try:
        while True:
            tune.report({"value": 1})
    finally:
        while not Path("never").exists():
            continue


def exits(config: dict[str, Any]) -> None:
    tune.report({"value": 1})
    sys.exit("the reason")


def interrupts(config: dict[str, Any]) -> None:
    tune.report({"value": 1})
    raise KeyboardInterrupt("the reason")


@pytest.mark.parametrize("executor", [*EXECUTORS, "inprocess"])
def test_a_stop_unwinds_the_function(tmp_path: Path, executor: str) -> None:
    result = fit(leaves_notes, tmp_path, make(executor), training_iteration=2)
    assert result.error is None
    assert Path(result.path, "stopped").exists()
    assert Path(result.path, "finally").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(
    "function",
    [swallows_and_returns, swallows_and_raises, swallows_for_ever, computes_for_ever_after_its_end],
)
def test_a_function_that_does_not_want_to_end_ends(
    tmp_path: Path, executor: str, function: Any
) -> None:
    result = fit(function, tmp_path, make(executor), training_iteration=2)
    assert result.error is None
    assert result.metrics["training_iteration"] == 2


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("function", [exits, interrupts])
def test_an_exit_of_user_code_is_told_with_its_reason(
    tmp_path: Path, executor: str, function: Any
) -> None:
    result = fit(function, tmp_path, make(executor))
    assert result.metrics["value"] == 1
    assert "the reason" in str(result.error)


def make(executor: str) -> Any:
    return executor if executor == "inprocess" else EXECUTORS[executor]()
