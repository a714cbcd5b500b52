"""Trials see the GPUs and CPUs that they have requested."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.execution.machine import THREAD_VARIABLES
from tests.runs.lifecycle.programs import START_METHODS


def fit(
    trainable: Any, tmp_path: Path, space: dict[str, Any], **options: Any
) -> list[dict[str, Any]]:
    grid: Any = tune.Tuner(
        trainable,
        param_space={**space, "folder": str(tmp_path)},
        run_config=tune.RunConfig(storage_path=tmp_path / "results", verbose=0),
        executor=tune.ProcessExecutor(**options),
    ).fit()
    assert not grid.errors, grid.errors[0]
    return [result.metrics for result in grid]


def meets_the_others(config: dict[str, Any]) -> dict[str, Any]:
    """Waits until all trials run at the same time, then tells what it sees."""
    mine = os.environ.get("CUDA_VISIBLE_DEVICES")
    Path(config["folder"], f"here-{config['number']}").touch()
    deadline = time.monotonic() + 30
    while len(list(Path(config["folder"]).glob("here-*"))) < config["together"]:
        assert time.monotonic() < deadline, "the trials do not run together"
        time.sleep(0.005)
    return {"gpus": mine}


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize(
    ("request_gpus", "together", "seen"),
    [
        (1, 2, ["4", "7"]),
        (2, 1, ["4,7"]),
        (0.5, 4, ["4", "4", "7", "7"]),
        (0, 2, ["", ""]),
    ],
)
def test_each_trial_sees_its_gpus(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_method: str,
    request_gpus: float,
    together: int,
    seen: list[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    metrics = fit(
        tune.with_resources(meets_the_others, {"cpu": 1, "gpu": request_gpus}),
        tmp_path,
        {"number": tune.grid_search(list(range(together))), "together": together},
        num_cpus=4,
        num_gpus=2,
        start_method=start_method,
    )
    assert sorted(each["gpus"] for each in metrics) == seen


def tells_threads(config: dict[str, Any]) -> dict[str, Any]:
    return {name: os.environ.get(name) for name in THREAD_VARIABLES} | {"parent": os.getppid()}


def asked_cpus(config: dict[str, Any]) -> dict[str, float]:
    return {"cpu": config["cpus"]}


@pytest.fixture
def no_thread_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_thread_variables")
@pytest.mark.parametrize("start_method", START_METHODS)
def test_each_trial_sees_threads_for_its_cpus(tmp_path: Path, start_method: str) -> None:
    metrics = fit(
        tune.with_resources(tells_threads, asked_cpus),
        tmp_path,
        {"cpus": tune.grid_search([1, 2, 1])},
        num_cpus=4,
        start_method=start_method,
    )
    for name in THREAD_VARIABLES:
        assert [each[name] for each in metrics] == ["1", "2", "1"]
    if start_method == "template":
        # One template for each number of threads: libraries read it when they are loaded.
        first, second, third = (each["parent"] for each in metrics)
        assert first == third != second


@pytest.mark.usefixtures("no_thread_variables")
def test_a_number_of_threads_that_the_user_set_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "6")
    (metrics,) = fit(tells_threads, tmp_path, {}, num_cpus=2)
    assert metrics["OMP_NUM_THREADS"] == "6"
    assert metrics["MKL_NUM_THREADS"] == "1"
