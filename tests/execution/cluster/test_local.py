"""The executor contract on agents of this machine."""

from __future__ import annotations

from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.executor import Executor
from localtune.testing.executor_contract import ExecutorContract


class TestLocalEngine(ExecutorContract):
    abilities = ClusterExecutor.abilities

    def make_executor(self) -> Executor:
        return ClusterExecutor(LocalEngine([{"CPU": 1}, {"CPU": 1}, {"CPU": 1}]))
