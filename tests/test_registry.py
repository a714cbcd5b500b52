from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from localtune import registry
from localtune.error import TuneError
from localtune.registry import (
    get_trainable_cls,
    is_function_trainable,
    register_env,
    register_input,
    register_trainable,
    registry_contains_input,
    registry_get_input,
    trainable_name,
    validate_trainable,
)
from localtune.trainable.function_trainable import FunctionTrainable, wrap_function
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import with_parameters, with_resources


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_trainables", {})
    monkeypatch.setattr(registry, "_env_creators", {})
    monkeypatch.setattr(registry, "_input_creators", {})
    yield


def train(config: dict[str, Any]) -> None: ...


class Mine(Trainable):
    pass


class Callable_:
    def __call__(self, config: dict[str, Any]) -> None: ...


def test_a_class_is_stored_as_it_is() -> None:
    register_trainable("mine", Mine)
    assert get_trainable_cls("mine") is Mine
    assert not is_function_trainable("mine")


@pytest.mark.parametrize(
    "function", [train, partial(train), lambda config: None, Callable_(), with_parameters(train)]
)
def test_a_callable_is_wrapped(function: Any) -> None:
    register_trainable("mine", function, warn=False)
    assert issubclass(get_trainable_cls("mine"), FunctionTrainable)
    assert is_function_trainable("mine")
    assert is_function_trainable(function)


def test_a_name_is_overwritten_silently() -> None:
    register_trainable("mine", train)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        register_trainable("mine", Mine)
    assert get_trainable_cls("mine") is Mine


@pytest.mark.parametrize("trainable", [5, None, "train", object, dict, {}])
def test_other_trainables_are_refused(trainable: Any) -> None:
    with pytest.raises(TypeError, match="Trainable"):
        register_trainable("mine", trainable)


def test_an_instance_is_refused(tmp_path: Any) -> None:
    from localtune.trial.trial_info import StorageContext

    class CallableTrainable(Trainable):
        def __call__(self, config: dict[str, Any]) -> None: ...

    instance = CallableTrainable(storage=StorageContext(str(tmp_path), str(tmp_path)))
    with pytest.raises(TypeError, match="Trainable"):
        register_trainable("mine", instance)


def test_an_unpicklable_closure_is_named() -> None:
    lock = threading.Lock()

    def locked(config: dict[str, Any]) -> None:
        lock.acquire()

    with pytest.raises(TypeError, match=r"'mine'.*closure variable 'lock', a _thread\.lock"):
        register_trainable("mine", locked)
    with pytest.raises(TuneError):
        get_trainable_cls("mine")


def test_a_function_of_two_arguments_is_refused() -> None:
    with pytest.raises(ValueError, match="one positional argument"):
        register_trainable("mine", lambda config, x: None)


@pytest.mark.parametrize("lookup", [get_trainable_cls, validate_trainable, is_function_trainable])
def test_unknown_names_are_refused_with_the_known_ones(lookup: Any) -> None:
    register_trainable("mine", train)
    with pytest.raises(TuneError, match=r"Unknown trainable 'other'; registered are: mine\."):
        lookup("other")


def test_environments_must_be_callable() -> None:
    register_env("env", lambda config: None)
    with pytest.raises(TypeError, match="env_creator must be callable"):
        register_env("env", 5)  # type: ignore[arg-type]


def test_inputs_are_found_by_their_names() -> None:
    def create(context: Any) -> None: ...

    with pytest.raises(TuneError, match=r"Unknown input 'mine'; registered are: none\."):
        registry_get_input("mine")
    register_input("mine", create)
    assert registry_contains_input("mine") and not registry_contains_input("other")
    assert registry_get_input("mine") is create
    with pytest.raises(TypeError, match="input_creator must be callable, but got 5"):
        register_input("mine", 5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        ("text", "text"),
        (train, "train"),
        (Mine, "Mine"),
        (partial(train), "train"),
        (partial(partial(train)), "train"),
        (lambda config: None, "lambda"),
        (partial(lambda config: None), "lambda"),
        (wrap_function(train), "train"),
        (wrap_function(lambda config: None), "lambda"),
        (wrap_function(train, "given"), "given"),
        (with_parameters(train), "train"),
        (with_parameters(Mine), "Mine"),
        (with_parameters(partial(train)), "tune_with_parameters"),
        (with_resources(train, {"cpu": 1}), "train"),
        (with_resources(with_parameters(lambda config: None), {"cpu": 1}), "lambda"),
    ],
)
def test_names(trainable: Any, expected: str) -> None:
    assert trainable_name(trainable) == expected


def test_other_names_in_angle_brackets_are_not_used() -> None:
    def odd(config: dict[str, Any]) -> None: ...

    odd.__name__ = "<odd>"
    assert trainable_name(odd) == "DEFAULT"


def test_a_callable_without_a_name_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="has no name"):
        assert trainable_name(Callable_()) == "DEFAULT"


def test_what_cannot_be_called_has_no_name() -> None:
    with pytest.raises(TuneError, match="got int: 5"):
        trainable_name(5)
