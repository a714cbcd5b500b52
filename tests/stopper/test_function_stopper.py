from __future__ import annotations

from typing import Any

import pytest

from localtune.stopper import FunctionStopper, Stopper
from localtune.stopper.coerce import as_stopper
from localtune.testing.stopper_contract import StopperContract


def test_a_function_decides_by_trial_and_nested_result() -> None:
    seen = []

    def function(trial_id: str, result: dict[str, Any]) -> bool:
        seen.append((trial_id, result))
        return bool(result["a"]["b"] > 1)

    stopper = FunctionStopper(function)

    assert stopper("t1", {"a": {"b": 2}}) is True
    assert stopper("t2", {"a": {"b": 1}}) is False
    assert seen == [("t1", {"a": {"b": 2}}), ("t2", {"a": {"b": 1}})]
    assert not stopper.stop_all()


def test_any_true_value_stops() -> None:
    assert FunctionStopper(lambda trial_id, result: result["x"])("t", {"x": 5}) is True


def test_a_value_that_is_no_function_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a function"):
        FunctionStopper(5)  # type: ignore[arg-type]


# -- the suite of all -----------------------------------------------------------------------------


class TestFunction(StopperContract):
    def make_stopper(self) -> Stopper:
        return as_stopper(lambda trial_id, result: result.get("loss", 10.0) < 2.0)
