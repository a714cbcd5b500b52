"""The executor that a page of the documentation makes."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.execution.executor import Abilities, Executor
from localtune.testing.executor_contract import ExecutorContract
from tests.docs.pages import DOCS
from tests.small_runs import Counting

PAGE = (DOCS / "write-your-own-executor.md").read_text(encoding="utf-8")
BLOCK = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]


@pytest.fixture(scope="module")
def executor_class(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The class of the page, in a module that worker processes can import."""
    directory = tmp_path_factory.mktemp("executor")
    (directory / "page_executor.py").write_text(BLOCK, encoding="utf-8")
    sys.path.insert(0, str(directory))
    try:
        yield importlib.import_module("page_executor").FuturesExecutor
    finally:
        sys.path.remove(str(directory))
        sys.modules.pop("page_executor", None)


class TestFuturesExecutor(ExecutorContract):
    abilities = Abilities(kills_workers=False, live_view=False)

    @pytest.fixture(autouse=True)
    def _take_class(self, executor_class: Any) -> None:
        self.executor_class = executor_class

    def make_executor(self) -> Executor:
        made: Executor = self.executor_class(num_cpus=2)
        return made


def test_the_example_is_short() -> None:
    assert len(BLOCK.splitlines()) <= 80


@pytest.mark.parametrize("trainable", [Counting, "function"])
def test_a_sweep_runs_with_it(trainable: Any, executor_class: Any, tmp_path: Path) -> None:
    tuner = tune.Tuner(
        reports_thrice if trainable == "function" else trainable,
        tune_config=tune.TuneConfig(num_samples=3),
        run_config=tune.RunConfig(
            storage_path=str(tmp_path), stop={"training_iteration": 3}, verbose=0
        ),
        executor=executor_class(num_cpus=2),
    )
    grid = tuner.fit()
    assert [result.error for result in grid] == [None] * 3
    assert [(result.metrics or {})["training_iteration"] for result in grid] == [3] * 3


def reports_thrice(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"step": step})
