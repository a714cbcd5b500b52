from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from localtune.checkpoint import Checkpoint
from localtune.old_names.use import OldNameError
from localtune.resources import PlacementGroupFactory
from localtune.trainable.function_trainable import FunctionTrainable, wrap_function
from localtune.trainable.session import get_checkpoint, report
from localtune.trainable.trainable import Trainable
from localtune.trainable.util import (
    is_function_trainable,
    validate_save_restore,
    with_parameters,
    with_resources,
)
from localtune.trial.trial_info import StorageContext

TWO_CPUS = PlacementGroupFactory([{"CPU": 2}])


def train(config: dict[str, Any], data: Any = None) -> Any:
    """Trains."""
    return {"data": data}


class Owner:
    def __init__(self, value: int) -> None:
        self.value = value

    def train(self, config: dict[str, Any]) -> Any:
        return {"data": self.value}


class Counter(Trainable):
    """Counts."""

    def setup(self, config: dict[str, Any], data: Any = None, more: Any = None) -> None:
        self.data, self.more = data, more
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        return {"data": self.data, "count": self.count}

    def save_checkpoint(self, checkpoint_dir: str) -> Any:
        return {"count": self.count}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.count = checkpoint["count"]

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> PlacementGroupFactory:
        return PlacementGroupFactory([{"CPU": 9}])


def first_result(trainable: Any, storage: StorageContext) -> dict[str, Any]:
    trainable_cls = trainable if isinstance(trainable, type) else wrap_function(trainable)
    made = trainable_cls({}, storage=storage)
    result: dict[str, Any] = made.train()
    made.stop()
    return result


def request(trainable: Any, config: dict[str, Any] | None = None) -> Any:
    trainable_cls: Any = trainable if isinstance(trainable, type) else wrap_function(trainable)
    return trainable_cls.default_resource_request(config or {})


# wrap_function


def no_default(config: dict[str, Any], x: int) -> None: ...


def keyword_only(config: dict[str, Any], *, x: int) -> None: ...


def old_reporter_style(config: dict[str, Any], reporter: Any) -> None: ...


def old_checkpoint_style(config: dict[str, Any], checkpoint_dir: str | None = None) -> None: ...


def own_directory(config: dict[str, Any], checkpoint_dir: str = "states") -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        lambda config: None,
        lambda *args: None,
        train,
        own_directory,
        partial(old_checkpoint_style, checkpoint_dir="states"),
        with_parameters(old_checkpoint_style, checkpoint_dir="states"),
        partial(no_default, x=1),
        Owner(1).train,
        with_parameters(no_default, x=1),
        with_resources(train, {"cpu": 1}),
    ],
)
def test_functions_of_a_config_are_accepted(function: Callable[..., Any]) -> None:
    assert issubclass(wrap_function(function), FunctionTrainable)


@pytest.mark.parametrize(
    "function",
    [
        lambda: None,
        no_default,
        keyword_only,
        partial(train, {}, None),
        with_resources(no_default, {"cpu": 1}),
    ],
)
def test_other_functions_are_refused_with_what_is_accepted(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match=r"def train\(config\): \.\.\.") as caught:
        wrap_function(function)
    assert "tune.with_parameters(train, data=data)" in str(caught.value)


@pytest.mark.parametrize("function", [old_reporter_style, old_checkpoint_style])
def test_functions_of_old_shapes_are_refused_with_todays(function: Callable[..., Any]) -> None:
    for wrap in (wrap_function, partial(with_parameters, data=1)):
        with pytest.raises(OldNameError, match=r"Write def train\(config\), with"):
            wrap(function)


@pytest.mark.parametrize(
    ("function", "name", "expected"),
    [
        (train, None, "train"),
        (train, "given", "given"),
        (partial(train, data=1), None, "func"),
        (lambda config: None, None, "<lambda>"),
    ],
)
def test_the_name_of_a_wrapped_function(function: Any, name: str | None, expected: str) -> None:
    assert wrap_function(function, name)._name == expected


def test_a_wrapped_function_travels_by_value(storage: StorageContext) -> None:
    again = pickle.loads(cloudpickle.dumps(wrap_function(lambda config: {"data": 5})))
    assert first_result(again, storage)["data"] == 5


class Mixin:
    def greet(self) -> str:
        return "hello"


def test_mixins_become_base_classes() -> None:
    def mixed(config: dict[str, Any]) -> None: ...

    mixed.__mixins__ = (Mixin,)  # type: ignore[attr-defined]
    assert issubclass(wrap_function(mixed), Mixin)
    bound = with_resources(with_parameters(mixed), {"cpu": 2})
    assert issubclass(wrap_function(bound), Mixin)


@pytest.mark.parametrize(
    ("trainable", "expected"),
    [
        (train, True),
        (Owner(1).train, True),
        (wrap_function(train), True),
        (with_parameters(train), True),
        (Counter, False),
        (with_parameters(Counter), False),
        (5, False),
    ],
)
def test_which_trainables_are_functions(trainable: Any, expected: bool) -> None:
    assert is_function_trainable(trainable) is expected


# with_resources


@pytest.mark.parametrize(
    "resources",
    [
        {"cpu": 2},
        TWO_CPUS,
        lambda config: TWO_CPUS,
        lambda config: {"cpu": config.get("cpus", 2)},
    ],
)
@pytest.mark.parametrize(
    "trainable", [train, partial(train, data=1), Owner(1).train, lambda config: None, Counter]
)
def test_resources_are_asked_for(trainable: Any, resources: Any) -> None:
    assert request(with_resources(trainable, resources)) == TWO_CPUS


def test_a_callable_sees_the_config() -> None:
    bound = with_resources(train, lambda config: {"cpu": config["cpus"]})
    assert request(bound, {"cpus": 3}) == PlacementGroupFactory([{"CPU": 3}])


def test_the_users_objects_are_left_as_they_are(storage: StorageContext) -> None:
    before = dict(vars(train))
    with_resources(train, {"cpu": 2})
    with_parameters(train, data=1)
    with_resources(Counter, {"cpu": 2})
    with_parameters(Counter, data=1)
    assert vars(train) == before
    assert request(train) is None
    assert request(Counter) == PlacementGroupFactory([{"CPU": 9}])
    assert first_result(Counter, storage)["data"] is None


@pytest.mark.parametrize("bind", [partial(with_resources, resources={"cpu": 1}), with_parameters])
def test_names_are_kept(bind: Callable[..., Any]) -> None:
    assert bind(train).__name__ == "train"
    assert bind(train).__doc__ == "Trains."
    assert bind(Owner(1).train).__name__ == "train"
    assert bind(lambda config: None).__name__ == "<lambda>"
    assert bind(Counter).__name__ == "Counter"
    assert bind(Counter).__qualname__ == "Counter"
    assert bind(Counter).__module__ == __name__
    assert bind(Counter).__doc__ == "Counts."


def test_names_of_partials() -> None:
    assert with_resources(partial(partial(train)), {"cpu": 1}).__name__ == "train"  # type: ignore[attr-defined]
    assert with_parameters(partial(train), data=1).__name__ == "tune_with_parameters"  # type: ignore[attr-defined]


def test_bound_methods_keep_their_object(storage: StorageContext) -> None:
    assert first_result(with_resources(Owner(7).train, {"cpu": 1}), storage)["data"] == 7


def test_the_request_by_hand_on_a_function_counts() -> None:
    def mine(config: dict[str, Any]) -> None: ...

    mine._resources = TWO_CPUS  # type: ignore[attr-defined]
    assert request(mine) == TWO_CPUS
    assert request(with_parameters(mine)) == TWO_CPUS


@pytest.mark.parametrize("resources", [None, 5, "cpu", [{"cpu": 1}]])
def test_other_requests_are_refused(resources: Any) -> None:
    with pytest.raises(ValueError, match="resources must be a dict, a PlacementGroupFactory"):
        with_resources(train, resources)


def test_a_request_that_makes_no_sense_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="above 0"):
        with_resources(train, {"cpu": 0})


class NotATrainable:
    pass


@pytest.mark.parametrize("trainable", [5, "train", None, NotATrainable])
@pytest.mark.parametrize("bind", [partial(with_resources, resources={"cpu": 1}), with_parameters])
def test_other_trainables_are_refused(bind: Callable[..., Any], trainable: Any) -> None:
    with pytest.raises(ValueError, match=r"with_\w+\(\) takes a"):
        bind(trainable)


def test_the_outermost_request_of_a_class_wins() -> None:
    bound = with_resources(with_resources(Counter, {"cpu": 3}), {"cpu": 2})
    assert request(bound) == TWO_CPUS


# with_parameters


def test_parameters_reach_a_function(storage: StorageContext) -> None:
    assert first_result(with_parameters(no_default_result, x=3), storage)["x"] == 3


def no_default_result(config: dict[str, Any], x: int) -> dict[str, Any]:
    return {"x": x}


def test_parameters_reach_a_partial(storage: StorageContext) -> None:
    bound = with_parameters(partial(train), data=4)
    assert first_result(bound, storage)["data"] == 4


def test_parameters_reach_the_setup_of_a_class(storage: StorageContext) -> None:
    bound = with_parameters(Counter, data=5)
    assert issubclass(bound, Counter)
    assert first_result(bound, storage)["data"] == 5


def test_parameters_may_be_bound_in_two_steps(storage: StorageContext) -> None:
    once = with_parameters(lambda config, a=0, b=0: {"a": a, "b": b}, a=1)
    result = first_result(with_parameters(once, b=2), storage)
    assert (result["a"], result["b"]) == (1, 2)
    assert first_result(once, storage)["b"] == 0
    made = with_parameters(with_parameters(Counter, data=1), more=2)({}, storage=storage)
    assert (made.data, made.more) == (1, 2)


@pytest.mark.parametrize("trainable", [train, Counter])
def test_both_bindings_nest_in_either_order(trainable: Any, storage: StorageContext) -> None:
    inner = with_parameters(with_resources(trainable, {"cpu": 2}), data=6)
    outer = with_resources(with_parameters(trainable, data=6), {"cpu": 2})
    for bound in (inner, outer):
        assert request(bound) == TWO_CPUS
        assert bound.__name__ == trainable.__name__
        assert first_result(bound, storage)["data"] == 6


@pytest.mark.parametrize("trainable", [train, Counter])
def test_a_parameter_that_is_not_taken_is_refused_at_once(trainable: Any) -> None:
    with pytest.raises(TypeError, match=r"with_parameters\(\) got \['wrong'\]"):
        with_parameters(trainable, wrong=1)


def test_the_signature_of_a_builtin_is_not_checked() -> None:
    assert with_parameters(getattr, anything=1).__name__ == "getattr"


def test_a_missing_parameter_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'b'"):
        with_parameters(lambda config, a, b: None, a=1)


# validate_save_restore


def test_a_class_that_saves_is_valid() -> None:
    assert validate_save_restore(Counter) is True
    assert validate_save_restore(Counter, {"lr": 1}, num_gpus=0) is True


def resuming(config: dict[str, Any]) -> None:
    checkpoint = get_checkpoint()
    step = int(Path(checkpoint.path, "step").read_text()) if checkpoint else 0
    while True:
        step += 1
        working = Path(config["working"])
        (working / "step").write_text(str(step))
        report({"step": step}, checkpoint=Checkpoint.from_directory(working))


def test_a_function_whose_reports_carry_checkpoints_is_valid(tmp_path: Path) -> None:
    (tmp_path / "working").mkdir()
    config = {"working": str(tmp_path / "working")}
    assert validate_save_restore(resuming, config) is True
    assert validate_save_restore(wrap_function(resuming), config) is True


def without_checkpoints(config: dict[str, Any]) -> None:
    while True:
        report({})


class Forgetful(Counter):
    def step(self) -> dict[str, Any]:
        return {"training_iteration": 1}


class Unsaved(Counter):
    def save_checkpoint(self, checkpoint_dir: str) -> Any:
        raise OSError("disk full")


class Unloaded(Counter):
    def load_checkpoint(self, checkpoint: Any) -> None:
        raise KeyError("step")


@pytest.mark.parametrize(
    ("trainable", "error", "text"),
    [
        (without_checkpoints, AssertionError, "saved no checkpoint"),
        (Forgetful, AssertionError, "training_iteration 2, but reported 1"),
        (Unsaved, OSError, "disk full"),
        (Unloaded, KeyError, "step"),
    ],
)
def test_what_is_wrong_comes_through(
    trainable: Any, error: type[Exception], text: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=text):
        validate_save_restore(trainable)
    assert list((tmp_path / "tmp").iterdir()) == []
    assert list((tmp_path / "home").iterdir()) == []
