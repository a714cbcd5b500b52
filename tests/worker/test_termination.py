"""SIGTERM in a worker and in what user code forks from it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from tests.runs.lifecycle.programs import START_METHODS


def forks(config: dict[str, Any]) -> dict[str, Any]:
    """Tells how a child sees SIGTERM, and of what it dies."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        blocked = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, set())
        is_default = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
        os.write(writer, f"{is_default} {blocked}".encode())
        while True:
            signal.pause()
    os.close(writer)
    with open(reader, "rb") as file:
        told = os.read(file.fileno(), 64)
        os.kill(pid, signal.SIGTERM)
        _, status = os.waitpid(pid, 0)
    blocked = signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, set())
    return {
        "child": told.decode(),
        "died of": os.waitstatus_to_exitcode(status),
        "blocked": blocked,
    }


def forks_with_a_handler(config: dict[str, Any]) -> dict[str, Any]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    pid = os.fork()
    if pid == 0:
        os._exit(signal.getsignal(signal.SIGTERM) is signal.SIG_IGN)
    _, status = os.waitpid(pid, 0)
    return {"child": os.waitstatus_to_exitcode(status)}


def fit(function: Any, tmp_path: Path, start_method: str) -> Any:
    grid: Any = tune.Tuner(
        function,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    assert not grid.errors, grid.errors[0]
    return grid[0].metrics


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_child_of_a_worker_dies_of_sigterm_by_the_kernel(
    tmp_path: Path, start_method: str
) -> None:
    metrics = fit(forks, tmp_path, start_method)
    assert metrics["child"] == "True False"
    assert metrics["died of"] == -signal.SIGTERM
    assert metrics["blocked"] is False


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_handler_of_the_users_own_is_inherited_as_usual(
    tmp_path: Path, start_method: str
) -> None:
    assert fit(forks_with_a_handler, tmp_path, start_method)["child"] == 1
