from __future__ import annotations

import pickle
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from localtune.utils.serialization import (
    diagnose_serialization,
    dumps,
    dumps_by_value,
    explain_unpicklable,
)

LOCK = threading.Lock()


class Holder:
    def __init__(self) -> None:
        self.fine = 1
        self.lock = threading.Lock()

    def method(self) -> None: ...


class Slotted:
    __slots__ = ("__dict__", "empty", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.node = self
        self.lock = threading.Lock()


def closing_over(value: Any) -> Any:
    def function(config: dict[str, Any]) -> Any:
        return value

    return function


def using_global() -> Any:
    """A function that is pickled by value and uses a global variable, in a nested function."""
    space = {"LOCK": LOCK, "fine": 1, "__name__": "__main__"}
    source = "def function(config):\n    return lambda: (LOCK, fine, config.lock)\n"
    exec(source, space)
    return space["function"]


def with_default() -> Any:
    def function(config: dict[str, Any], *, lock: Any = LOCK) -> None: ...

    return function


def local_class() -> Any:
    class Local:
        lock = LOCK

    return Local


def class_with_closure() -> Any:
    class Local:
        @staticmethod
        def static() -> Any:
            return LOCK_OF_CLOSURE

        @property
        def prop(self) -> Any:
            return lock

    lock = LOCK
    LOCK_OF_CLOSURE = 1
    return Local


def unassigned(is_assigned: bool = False) -> Any:
    if is_assigned:
        later = 1
    lock = LOCK

    def function() -> Any:
        return later, lock

    return function


CASES = [
    (LOCK, "", {"lock"}),
    ({"a": [1, LOCK]}, "item 'a', item '1'", {"a"}),
    (closing_over(LOCK), "closure variable 'value'", {"value"}),
    (closing_over(Holder()), "closure variable 'value', attribute 'lock'", {"value"}),
    (closing_over([Holder()]), "closure variable 'value', item '0', attribute 'lock'", {"value"}),
    (using_global(), "global variable 'LOCK'", {"LOCK"}),
    (with_default(), "default value 'lock'", {"lock"}),
    (partial(print, LOCK), "argument '0'", {"0"}),
    (partial(print, sep=LOCK), "argument 'sep'", {"sep"}),
    (
        partial(closing_over(LOCK)),
        "function 'function', closure variable 'value'",
        {"function"},
    ),
    (Holder().method, "object 'self', attribute 'lock'", {"self"}),
    (Slotted(), "attribute 'lock'", {"lock"}),
    (Node(), "attribute 'lock'", {"lock"}),
    (local_class(), "attribute 'lock'", {"lock"}),
    (local_class()(), "", None),
    (
        class_with_closure(),
        "attribute 'prop', function 'prop', closure variable 'lock'",
        {"prop"},
    ),
    (unassigned(), "closure variable 'lock'", {"lock"}),
]


@pytest.mark.parametrize(("obj", "path", "names"), CASES)
def test_the_culprit_is_named(obj: Any, path: str, names: set[str] | None) -> None:
    text = explain_unpicklable(obj, "The thing")
    way = f" because of its {path}" if path else ""
    assert text.startswith(f"The thing cannot be sent to another process{way}, a ")
    if names is not None:
        assert ", a _thread.lock: cannot pickle '_thread.lock' object" in text
        assert diagnose_serialization(obj) == names


def test_every_culprit_is_found() -> None:
    first, second = threading.Lock(), threading.Lock()

    def function() -> Any:
        return first, second, Holder

    assert diagnose_serialization(function) == {"first", "second"}


@pytest.mark.parametrize("obj", [1, closing_over(1), lambda: Holder, Holder, {"a": [1]}])
def test_what_can_be_pickled_has_no_culprit(obj: Any) -> None:
    assert diagnose_serialization(obj) is True
    assert explain_unpicklable(obj, "The thing") == ""


def test_dumps_takes_code_along() -> None:
    assert pickle.loads(dumps(closing_over(5), "f"))({}) == 5


def test_dumps_names_the_culprit_and_keeps_the_cause() -> None:
    with pytest.raises(TypeError, match=r"^f cannot be sent .* closure variable 'value'") as caught:
        dumps(closing_over(LOCK), "f")
    assert isinstance(caught.value.__cause__, TypeError)


class Refusing:
    def __reduce__(self) -> Any:
        raise RuntimeError("I refuse")


def test_errors_of_the_users_own_pickling_are_told() -> None:
    with pytest.raises(TypeError, match=r"closure variable 'value'.*Refusing: I refuse"):
        dumps(closing_over(Refusing()), "f")


def test_code_that_goes_by_value_keeps_the_name_of_its_file() -> None:
    def outer() -> Callable[[], None]:
        def inner() -> None:
            pass

        return inner

    copy = pickle.loads(dumps_by_value(outer))
    assert copy is not outer
    assert copy.__code__.co_filename == copy().__code__.co_filename == __file__
