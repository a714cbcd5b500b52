"""The executor contract, bound to every executor and every start method."""

from __future__ import annotations

import pytest

from localtune.execution.executor import Executor
from localtune.execution.in_process import InProcessExecutor
from localtune.execution.local_process import ProcessExecutor
from localtune.execution.process import launcher
from localtune.testing.executor_contract import ExecutorContract


class TestTemplate(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(start_method="template")


class TestSpawn(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(start_method="spawn")


class TestPortable(ExecutorContract):
    def make_executor(self) -> Executor:
        return ProcessExecutor(start_method="portable")


class TestSpawnWithoutTemplates(ExecutorContract):
    """What POSIX systems without process descriptors, such as macOS, have."""

    @pytest.fixture(autouse=True)
    def _no_templates(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(launcher, "why_no_templates", lambda: "this is a test")

    def make_executor(self) -> Executor:
        return ProcessExecutor(start_method="spawn")


class TestInProcess(ExecutorContract):
    def make_executor(self) -> Executor:
        return InProcessExecutor(num_cpus=2)
