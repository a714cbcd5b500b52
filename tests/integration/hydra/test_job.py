"""What a job returns becomes metrics; a decorated function is sent as a reference."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from localtune.integration.hydra.job import by_reference, metrics_of


@pytest.mark.parametrize(
    ("value", "metrics"),
    [
        (0.5, {"return_value": 0.5}),
        (0, {"return_value": 0}),
        (np.float32(0.5), {"return_value": 0.5}),
        ((0.5, 2), {"return_value": [0.5, 2]}),
        ({"loss": 0.5, "name": "text", "done": 1, 3: 4}, {"loss": 0.5}),
        ([], {}),
        ("text", {}),
        (["text"], {}),
        (None, {}),
        (object(), {}),
    ],
)
def test_numbers_are_metrics(value: Any, metrics: dict[str, Any]) -> None:
    assert metrics_of(value) == metrics


def decorated(function: Callable[[int], int]) -> Callable[[int], int]:
    @functools.wraps(function)
    def other(value: int) -> int:
        raise AssertionError("the decorated function was called")

    return other


@decorated
def doubled(value: int) -> int:
    return 2 * value


def test_a_decorated_function_is_pickled_as_a_reference() -> None:
    function = doubled.__wrapped__  # type: ignore[attr-defined]
    sent = by_reference(function)

    assert sent(3) == 6
    assert pickle.loads(pickle.dumps(sent)) is function


def test_other_functions_stay_as_they_are() -> None:
    nameless = functools.partial(decorated)

    assert by_reference(decorated) is decorated
    assert by_reference(nameless) is nameless
