"""The executor contract, bound to every executor and every start method."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from localtune.execution.executor import Executor
from localtune.execution.in_process import InProcessExecutor
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.process import start_methods
from localtune.execution.simulated import SimulatedExecutor
from localtune.testing.chaos import strike
from localtune.testing.executor_contract import ExecutorContract


class TestTemplate(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(num_cpus=2, start_method="template")


class TestSpawn(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(num_cpus=2, start_method="spawn")


class TestPortable(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(num_cpus=2, start_method="portable")


class TestSpawnWithoutTemplates(ExecutorContract):
    """The abilities of POSIX systems without process descriptors, such as macOS."""

    @pytest.fixture(autouse=True)
    def _no_templates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(start_methods, "why_no_templates", lambda: "this is a test")

    def make_executor(self) -> Executor:
        return ProcessExecutor(num_cpus=2, start_method="spawn")


class TestShared(ExecutorContract):
    """Takes its slots from the ledger of this user, alone."""

    def make_executor(self) -> Executor:
        return ProcessExecutor(num_cpus=2, shared=True)


class TestInProcess(ExecutorContract):
    abilities = InProcessExecutor.abilities

    def make_executor(self) -> Executor:
        return InProcessExecutor(num_cpus=2)


class SimulatedChaos:
    """Counts its steps and fails as ChaosTrainable does."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._steps = 0

    def step(self) -> dict[str, Any]:
        if self._config.get("place") == "step":
            strike(self._config["fault"])
        self._steps += 1
        return {"steps": self._steps}

    def get_state(self) -> int:
        return self._steps

    def set_state(self, state: int) -> None:
        self._steps = state


class TestSimulated(ExecutorContract):
    abilities = SimulatedExecutor.abilities
    runs_user_code = False

    def make_executor(self) -> Executor:
        return SimulatedExecutor(SimulatedChaos)


class TestSimulatedInMemory(ExecutorContract):
    abilities = replace(SimulatedExecutor.abilities, shares_storage=False)
    runs_user_code = False

    def make_executor(self) -> Executor:
        return SimulatedExecutor(SimulatedChaos, keep_in_memory=True)


def test_a_suite_has_only_tests_of_declared_abilities() -> None:
    assert callable(TestTemplate.test_a_worker_in_a_long_step_can_be_killed)
    assert not callable(TestInProcess.test_a_worker_in_a_long_step_can_be_killed)
    assert not callable(TestSimulated.test_a_model_is_exported)
