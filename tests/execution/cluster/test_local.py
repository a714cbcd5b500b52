"""The contracts of executors and of engines, on agents of this machine."""

from __future__ import annotations

from localtune.execution.cluster.engine import Engine
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.executor import Executor
from localtune.testing.engine_contract import CPUS, NODES, EngineContract
from localtune.testing.executor_contract import ExecutorContract


class TestLocalEngine(ExecutorContract):
    abilities = ClusterExecutor.abilities

    def make_executor(self) -> Executor:
        return ClusterExecutor(LocalEngine([{"CPU": 1}, {"CPU": 1}, {"CPU": 1}]))


class TestLocalEngineItself(EngineContract):
    def make_engine(self) -> Engine:
        return LocalEngine([{"CPU": CPUS}] * NODES)
