from __future__ import annotations

import math
import sys
import types
from collections import OrderedDict, namedtuple
from typing import Any

import numpy as np
import pytest

from localtune.trainable.metrics import MAX_RESULT_BYTES, clean_metrics

Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.float64(0.25), 0.25),
        (np.int8(-3), -3),
        (np.uint64(2**63), 2**63),
        (np.bool_(True), True),
        ({"a": {"b": np.int64(1)}}, {"a": {"b": 1}}),
        ([np.float32(1), 2], [1.0, 2]),
        ((1, np.int64(2)), (1, 2)),
        (Point(np.int64(1), 2), Point(1, 2)),
        ([{"a": (np.int64(1),)}], [{"a": (1,)}]),
    ],
)
def test_numpy_scalars_become_python_numbers(given: Any, expected: Any) -> None:
    cleaned = clean_metrics({"metric": given})["metric"]
    assert cleaned == expected
    assert repr(cleaned) == repr(expected)


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        7,
        True,
        None,
        "text",
        b"bytes",
        [1, "two", None],
        (1.0, 2),
        {"a": {"b": [1]}},
        OrderedDict(a=1),
        Point(1, 2),
        np.arange(3),
        np.str_("text"),
        object(),
        complex(1, 2),
    ],
)
def test_other_values_stay_the_same_object(value: Any) -> None:
    assert clean_metrics({"metric": value})["metric"] is value


def test_nan_and_infinity_are_kept() -> None:
    cleaned = clean_metrics({"a": float("inf"), "b": np.float32("nan"), "c": -np.inf})
    assert (cleaned["a"], cleaned["c"]) == (math.inf, -math.inf)
    assert math.isnan(cleaned["b"])
    assert type(cleaned["b"]) is float


def test_what_was_given_stays_as_it_is() -> None:
    inner = {"n": np.int64(1)}
    given = {"loss": np.float32(1), "inner": inner, "list": [np.int64(1)]}
    cleaned = clean_metrics(given)
    assert cleaned is not given
    assert type(inner["n"]) is np.int64
    assert type(given["list"][0]) is np.int64


def test_the_order_of_keys_is_kept() -> None:
    assert list(clean_metrics({"b": np.int64(1), "a": 2, "c": np.int64(3)})) == ["b", "a", "c"]


def test_keys_need_not_be_text() -> None:
    assert clean_metrics({1: 2, ("a", "b"): 3}) == {1: 2, ("a", "b"): 3}  # type: ignore[dict-item]


class FakeTensor:
    pass


class FakeModule:
    pass


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module with the names that are looked for; PyTorch itself is no dependency."""
    module = types.ModuleType("torch")
    module.Tensor = FakeTensor  # type: ignore[attr-defined]
    module.nn = types.SimpleNamespace(Module=FakeModule)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch", module)


@pytest.mark.usefixtures("torch")
@pytest.mark.parametrize(
    ("metrics", "where"),
    [
        ({"loss": FakeTensor()}, "'loss'"),
        ({"eval": {"loss": FakeTensor()}}, "'eval/loss'"),
        ({"losses": [1, FakeTensor()]}, "'losses/1'"),
        ({"losses": ({"a": FakeTensor()},)}, "'losses/0/a'"),
        ({FakeTensor(): 1}, "A key of the metrics"),
        ({"eval": {FakeTensor(): 1}}, "A key of the metric 'eval'"),
    ],
)
def test_a_tensor_is_refused(metrics: Any, where: str) -> None:
    with pytest.raises(ValueError, match=rf"{where} is a torch.Tensor.*value\.item\(\)"):
        clean_metrics(metrics)


@pytest.mark.usefixtures("torch")
def test_a_module_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'model' is a torch.nn.Module.*state_dict\(\)"):
        clean_metrics({"model": FakeModule()})


@pytest.mark.usefixtures("torch")
def test_plain_metrics_pass_where_torch_is_imported() -> None:
    assert clean_metrics({"loss": 1.0, "x": [np.int64(1)]}) == {"loss": 1.0, "x": [1]}


def test_a_half_imported_torch_and_numpy_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "numpy", types.ModuleType("numpy"))
    value = object()
    assert clean_metrics({"a": value})["a"] is value


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(MAX_RESULT_BYTES // 8 + 1),
        "x" * (MAX_RESULT_BYTES + 1),
        b"x" * (MAX_RESULT_BYTES + 1),
        [0] * (MAX_RESULT_BYTES // 8 + 1),
        {"deep": [np.zeros(MAX_RESULT_BYTES // 8 + 1)]},
        [np.zeros(MAX_RESULT_BYTES // 16)] * 3,
    ],
    ids=["array", "text", "bytes", "list", "nested", "list of arrays"],
)
def test_an_oversized_result_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"about \d{8}, \d{8} of them in 'huge'.*checkpoint"):
        clean_metrics({"loss": 1, "huge": value})


def test_the_largest_of_several_is_named() -> None:
    half = np.zeros(MAX_RESULT_BYTES // 16)
    with pytest.raises(ValueError, match=r"in 'second'"):
        clean_metrics({"first": half, "second": np.zeros(len(half) + 1)})


def test_a_result_of_the_largest_size_passes() -> None:
    metrics = {"array": np.zeros(MAX_RESULT_BYTES, np.int8)}
    assert clean_metrics(metrics)["array"] is metrics["array"]
