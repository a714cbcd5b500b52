from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import localtune as tune
from localtune.compat.getting import put
from localtune.compat.initialization import init, shutdown
from localtune.compat.parameters import with_parameters


@pytest.fixture(autouse=True)
def cluster() -> Iterator[None]:
    init(num_cpus=1)
    yield
    shutdown()


def add(config: dict[str, Any], data: list[int], offset: int = 0) -> dict[str, Any]:
    return {"sum": sum(data) + offset}


class Add(tune.Trainable):
    def setup(self, config: dict[str, Any], data: list[int] | None = None) -> None:
        self.data = data or []

    def step(self) -> dict[str, Any]:
        return {"sum": sum(self.data), "done": True}


def test_a_trainable_gets_the_values_of_references() -> None:
    data: Any = put([1, 2, 3])
    function: Any = with_parameters(add, data=data, offset=4)
    assert function({}) == {"sum": 10}
    trainable = with_parameters(Add, data=data)
    assert trainable.__name__ == "Add"
    made = trainable(config={})
    assert made.train()["sum"] == 6
    made.stop()
