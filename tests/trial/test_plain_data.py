from __future__ import annotations

import io
import json
import math
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict, namedtuple
from decimal import Decimal
from enum import Enum, IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from localtune.trial.metric_analysis import MetricStats, pack_stats, update_metric_stats
from localtune.trial.pickled_object import PickledObject, opened
from localtune.trial.plain_data import (
    MAX_RESULT_BYTES,
    MAX_RESULT_DEPTH,
    MAX_RESULT_ENTRIES,
    clean_metrics,
    sealed_result,
)
from localtune.utils.csv_row import csv_row, row_writer
from localtune.utils.dicts import flatten_dict
from localtune.utils.json_encode import dumps
from localtune.utils.text import one_line
from localtune.worker.messages import Trained, decode_reply, encode
from tests.odd_values import odd_metrics

Point = namedtuple("Point", "x y")


def type_name(value: Any) -> str:
    return type(value).__name__


class Colour(Enum):
    RED = "red"


class Matrix(np.ndarray):
    pass


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
        (Point(np.int64(1), 2), (1, 2)),
        ([{"a": (np.int64(1),)}], [{"a": (1,)}]),
    ],
)
def test_numpy_scalars_become_python_numbers(given: Any, expected: Any) -> None:
    cleaned = clean_metrics({"metric": given})["metric"]
    assert cleaned == expected
    assert repr(cleaned) == repr(expected)


class Level(IntEnum):
    LOW = 1


class Name(str):
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("a method of a user's object was called")

    __hash__ = str.__hash__


class Count(int):
    pass


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1.5, 1.5),
        (7, 7),
        (True, True),
        (None, None),
        ("text", "text"),
        (b"bytes", b"bytes"),
        (bytearray(b"bytes"), b"bytes"),
        ([1, "two", None], [1, "two", None]),
        ((1.0, 2), (1.0, 2)),
        ({"a": {"b": [1]}}, {"a": {"b": [1]}}),
        (OrderedDict(a=1), {"a": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (Counter("aab"), {"a": 2, "b": 1}),
        (Point(1, 2), (1, 2)),
        (np.str_("text"), "text"),
        (Level.LOW, 1),
        (Name("text"), "text"),
        (Count(3), 3),
        (Fraction(1, 2), 0.5),
        (Decimal("0.5"), 0.5),
        (np.longdouble(0.5), 0.5),
        (np.array(2.5), 2.5),
        ("\ud800\0", "\ud800\0"),
        (10**307, 10**307),
    ],
    ids=type_name,
)
def test_subclasses_and_other_numbers_become_pythons_own(given: Any, expected: Any) -> None:
    for clean in (clean_metrics, sealed_result):
        cleaned = clean({"metric": given})["metric"]
        assert type(cleaned) is type(expected)
        assert cleaned == expected


@pytest.mark.parametrize(
    "value",
    [object(), complex(1, 2), {1, 2}, Path("a"), Colour("red"), np.complex64(1)],
    ids=type_name,
)
def test_an_object_is_kept_and_travels_closed(value: Any) -> None:
    assert clean_metrics({"metric": value})["metric"] is value
    closed = sealed_result({"metric": [value]})["metric"][0]
    assert type(closed) is PickledObject
    assert str(closed) == str(value)
    assert type(opened({"metric": [closed]})["metric"][0]) is type(value)
    again = sealed_result({"metric": closed})["metric"]
    assert again is closed


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_object_without_a_text_is_told_by_its_class() -> None:
    closed = sealed_result({"metric": NoText()})["metric"]
    assert str(closed) == "<NoText: its text cannot be made>"
    assert type(closed.load()) is NoText


class Strange:
    """Lies about its class, and raises wherever it is asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError("nothing to see")


def test_an_object_that_cannot_be_pickled_names_its_metric() -> None:
    with pytest.raises(TypeError, match=r"The metric 'a/0' of type lock cannot be pickled"):
        sealed_result({"a": [threading.Lock()]})
    with pytest.raises(TypeError, match="The metric 'a' of type Strange cannot be pickled"):
        sealed_result({"a": Strange()})


def test_what_cannot_be_opened_stays_closed() -> None:
    closed = PickledObject("Gone", "gone", b"garbage")
    assert opened({"a": [closed]}) == {"a": [closed]}


def test_an_array_is_copied_and_stays_one() -> None:
    array = np.arange(6).reshape(2, 3)
    for each in (array, array.view(Matrix)):
        cleaned = clean_metrics({"metric": [each]})["metric"][0]
        assert type(cleaned) is np.ndarray
        assert cleaned is not each
        assert np.array_equal(cleaned, array)


def test_what_is_changed_after_the_report_changes_nothing_in_it() -> None:
    inner: dict[str, Any] = {"list": [1, [2]], "array": np.zeros(2)}
    cleaned = clean_metrics({"inner": inner})
    inner["list"][1].append(3)
    inner["array"][0] = 1
    inner["new"] = 1
    assert cleaned["inner"]["list"] == [1, [2]]
    assert list(cleaned["inner"]["array"]) == [0, 0]
    assert "new" not in cleaned["inner"]


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


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (1, "1"),
        (None, "null"),
        (True, "true"),
        (0.5, "0.5"),
        (("a", 1), "('a', 1)"),
        (Level.LOW, "1"),
        (Name("name"), "name"),
        (NoText(), "<NoText: its text cannot be made>"),
    ],
    ids=type_name,
)
def test_keys_become_text_as_json_writes_them(key: Any, text: str) -> None:
    assert clean_metrics({key: 1, "in": {key: {key: 2}}}) == {text: 1, "in": {text: {text: 2}}}


@pytest.mark.parametrize("metrics", [{1: 2, "1": 3}, {"a": {None: 1, "null": 2}}])
def test_two_keys_with_the_same_text_are_refused(metrics: Any) -> None:
    with pytest.raises(ValueError, match=r"two keys become '(1|null)'"):
        clean_metrics(metrics)


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


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        np.zeros(MAX_RESULT_BYTES // 8 + 1),
        "x" * (MAX_RESULT_BYTES + 1),
        b"x" * (MAX_RESULT_BYTES + 1),
        [2**1000] * (MAX_RESULT_BYTES // 133 + 1),
        {"deep": [np.zeros(MAX_RESULT_BYTES // 8 + 1)]},
        [np.zeros(MAX_RESULT_BYTES // 16)] * 3,
        {"k" * 1000: {str(number): 0 for number in range(20_000)}},
    ],
    ids=["array", "text", "bytes", "integers", "nested", "list of arrays", "long paths"],
)
def test_a_result_of_too_many_bytes_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"at most 16,777,216 bytes.* in 'huge'.*checkpoint"):
        clean_metrics({"loss": 1, "huge": value})


def test_the_largest_of_several_is_named() -> None:
    half = np.zeros(MAX_RESULT_BYTES // 16)
    with pytest.raises(ValueError, match=r"in 'second'"):
        clean_metrics({"first": half, "second": np.zeros(len(half) + 1)})


def test_a_result_of_the_largest_size_passes() -> None:
    array = np.zeros(MAX_RESULT_BYTES - 100, np.int8)
    assert np.array_equal(clean_metrics({"array": array})["array"], array)


@pytest.mark.parametrize("kind", [dict.fromkeys, list, tuple])
@pytest.mark.parametrize("depth", [0, 1, 5])
def test_a_result_of_too_many_entries_is_refused(kind: Any, depth: int) -> None:
    value: Any = kind(range(MAX_RESULT_ENTRIES - depth - 1))
    for _ in range(depth):
        value = {"deeper": value}
    assert len(clean_metrics({"many": value})) == 1
    with pytest.raises(ValueError, match=r"at most 131,072 entries.*NumPy.*checkpoint"):
        clean_metrics({"many": value, "one more": 1})


class Untouched:
    """Fails the test if it is looked at."""

    looks = 0

    def __getattribute__(self, name: str) -> Any:
        Untouched.looks += 1
        raise AssertionError("looked at")


@pytest.mark.parametrize("depth", [0, 1])
def test_what_is_far_too_large_is_refused_before_it_is_walked(depth: int) -> None:
    many: Any = {number: Untouched() for number in range(MAX_RESULT_ENTRIES + 1)}
    with pytest.raises(ValueError, match="entries"):
        clean_metrics(many if depth == 0 else {"many": many})
    assert Untouched.looks == 0


def nested(depth: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"a": x}])
def test_what_is_too_deep_is_refused(wrap: Any) -> None:
    clean_metrics({"deep": nested(MAX_RESULT_DEPTH - 1, wrap)})
    for depth in (MAX_RESULT_DEPTH, 10_000):
        with pytest.raises(ValueError, match="nested 100 levels deep, but those in 'deep'"):
            clean_metrics({"deep": nested(depth, wrap)})


def test_a_container_that_holds_itself_is_refused() -> None:
    many: list[Any] = []
    many += [many, many, many]
    single: dict[str, Any] = {}
    single["self"] = single
    for value in (many, single):
        with pytest.raises(ValueError, match="contain themselves"):
            clean_metrics({"loops": value})


@pytest.mark.parametrize(
    "value", [2**1023, 10**400, -(10**5000), [10**400], {"a": 10**400}], ids=type_name
)
def test_an_integer_that_is_no_floating_point_number_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"below 2\*\*1023.*'n(/0|/a)?' has about \d+ digits"):
        clean_metrics({"n": value})


@pytest.mark.parametrize(
    "result",
    [
        {"a/b": 1, "a": {"b": 2}},
        {"a": {"b/c": 1, "b": {"c": 2}}},
        {"a": {"b": {"c": 1}}, "a/b": {"c": 2}},
    ],
)
def test_two_metrics_of_one_flat_name_are_refused(result: dict[str, Any]) -> None:
    for clean in (clean_metrics, sealed_result):
        with pytest.raises(ValueError, match=r"two have 'a/b(/c)?'"):
            clean(result)


def test_keys_with_slashes_beside_dicts_are_kept() -> None:
    result = {"a/b": 1, "a": {"c": 2, "d/e": 3}, "f": {}}
    assert clean_metrics(result) == result


# -- keys that localtune reads --------------------------------------------------------------------

NUMBERS = (
    "timesteps_this_iter",
    "timesteps_total",
    "episodes_this_iter",
    "episodes_total",
    "time_this_iter_s",
    "time_total_s",
    "timestamp",
)


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("done", np.bool_(True), True),
        ("done", 1, True),
        ("done", 0.0, False),
        ("done", None, None),
        ("should_checkpoint", np.array(True), True),
        ("training_iteration", np.int32(3), 3),
        ("training_iteration", 3.0, 3),
        *((key, np.float32(0.5), 0.5) for key in NUMBERS),
        *((key, 5, 5) for key in NUMBERS),
        *((key, None, None) for key in NUMBERS),
    ],
)
def test_a_key_that_localtune_reads_takes_what_can_be_read(key: str, given: Any, read: Any) -> None:
    for clean in (clean_metrics, sealed_result):
        cleaned = clean({key: given})[key]
        assert (type(cleaned), cleaned) == (type(read), read)


def test_no_iteration_is_as_one_that_was_not_given() -> None:
    assert clean_metrics({"training_iteration": None}) == {}


NO_FLAGS: list[Any] = ["no", np.array([True, False]), [], {}, object(), 1j]
NO_NUMBERS: list[Any] = ["1", math.nan, math.inf, 2**53 + 2, 10**300, [1], {}, b"1", 1j]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, value) for key in ("done", "should_checkpoint") for value in NO_FLAGS),
        *((key, value) for key in ("training_iteration", *NUMBERS) for value in NO_NUMBERS),
        ("training_iteration", -1),
        ("training_iteration", 0.5),
        ("training_iteration", True),
    ],
    ids=type_name,
)
def test_a_key_that_localtune_reads_refuses_what_cannot_be_read(key: str, value: Any) -> None:
    for clean in (clean_metrics, sealed_result):
        with pytest.raises(ValueError, match=rf"'{key}' must be .*another name") as caught:
            clean({"loss": 1, key: value})
        assert type(value).__name__ in str(caught.value)
        assert len(str(caught.value)) < 400


# -- whatever it is -------------------------------------------------------------------------------


@given(odd_metrics())
def test_what_passes_is_plain_and_can_be_written_everywhere(metrics: dict[Any, Any]) -> None:
    try:
        result = sealed_result(clean_metrics(metrics))
    except (ValueError, TypeError):
        return
    sent = decode_reply(encode(Trained(result)))
    assert isinstance(sent, Trained)
    assert is_plain(sent.result)
    flat = flatten_dict(sent.result)
    stats: dict[str, MetricStats] = {}
    for _ in range(3):
        update_metric_stats(stats, flat)
    pack_stats(stats)
    json.loads(dumps(sent.result))
    row_writer(io.StringIO(), list(flat)).writerow(csv_row(sent.result))
    one_line(flat)


def is_plain(value: Any) -> bool:
    if type(value) is dict:
        return all(type(key) is str and is_plain(item) for key, item in value.items())
    if type(value) in (list, tuple):
        return all(map(is_plain, value))
    if type(value) is np.ndarray:
        return not value.dtype.hasobject
    return type(value) in (int, float, bool, str, bytes, type(None), PickledObject)
