"""The contracts of executors and of engines, on agents of this machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from localtune.execution.cluster.engine import Engine
from localtune.execution.cluster.executor import ClusterExecutor
from localtune.execution.cluster.local import LocalEngine
from localtune.execution.executor import Executor
from localtune.testing.engine_contract import CPUS, NODES, EngineContract
from localtune.testing.executor_contract import ExecutorContract
from tests.storage.stores import faulty_store


class TestLocalEngine(ExecutorContract):
    abilities = ClusterExecutor.abilities

    def make_executor(self) -> Executor:
        return ClusterExecutor(LocalEngine([{"CPU": 1}, {"CPU": 1}, {"CPU": 1}]))


class TestNodesWithoutSharedFiles(ExecutorContract):
    abilities = replace(ClusterExecutor.abilities, shares_storage=False)

    @pytest.fixture(autouse=True)
    def _make_store(self, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.directory = str(tmp_path)
        self.store = faulty_store(tmp_path_factory.mktemp("store"))[0]

    def make_executor(self) -> Executor:
        executor = ClusterExecutor(LocalEngine([{"CPU": 1}, {"CPU": 1}, {"CPU": 1}]))
        executor.use_directory(self.directory, self.store)
        return executor


class TestLocalEngineItself(EngineContract):
    def make_engine(self) -> Engine:
        return LocalEngine([{"CPU": CPUS}] * NODES)
