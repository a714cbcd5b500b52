"""Tests of localtune.old_names.trainables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from localtune import Trainable, register_trainable
from localtune.old_names.trainables import today_function
from localtune.old_names.use import OldNameError


class Old(Trainable):
    def _setup(self, config: dict[str, Any]) -> None: ...

    def _train(self) -> dict[str, Any]:
        return {}


class BelowOld(Old):
    def _save(self, checkpoint_dir: str) -> None: ...


@pytest.mark.parametrize(
    "use", [lambda cls: cls(), lambda cls: register_trainable("old", cls)], ids=["made", "given"]
)
@pytest.mark.parametrize("cls", [Old, BelowOld])
def test_a_class_of_the_old_shape_is_refused_before_its_methods_run(
    use: Callable[[Any], object], cls: type[Trainable]
) -> None:
    with pytest.raises(OldNameError) as caught:
        use(cls)
    for words in ("_setup", "setup()", "_train", "step()"):
        assert words in str(caught.value)
    assert ("_save" in str(caught.value)) == (cls is BelowOld)


def test_a_base_class_may_leave_the_step_to_the_classes_below_it() -> None:
    class Base(Trainable):
        def _train(self) -> float:
            return 1.0

    class Below(Base):
        def step(self) -> dict[str, Any]:
            return {"loss": self._train()}

    trainable = Below()
    assert trainable.train()["loss"] == 1
    trainable.stop()


def test_a_class_with_a_step_of_its_own_may_have_other_methods() -> None:
    class Both(Trainable):
        def step(self) -> dict[str, Any]:
            return self._train()

        def _train(self) -> dict[str, Any]:
            return {"loss": 1}

    class Below(Both):
        def _train(self) -> dict[str, Any]:
            return {"loss": 2}

        def _save(self) -> None: ...

    trainable = Below()
    assert trainable.train()["loss"] == 2
    trainable.stop()


def with_report(config: dict[str, Any], my_reporter: Any) -> None: ...


def keyword(config: dict[str, Any], *, reporter: Any = None) -> None: ...


def needed(config: dict[str, Any], checkpoint_dir: Any, data: Any) -> None: ...


@pytest.mark.parametrize(
    ("function", "bound"), [(with_report, ()), (keyword, ()), (needed, ("data",))]
)
def test_functions_of_the_old_shape(function: Any, bound: tuple[str, ...]) -> None:
    with pytest.raises(OldNameError, match=r"Write def train\(config\)"):
        today_function(function, bound)


@pytest.mark.parametrize(
    ("function", "bound"),
    [
        (keyword, ("reporter",)),
        (needed, ("checkpoint_dir",)),
        (lambda config, checkpoint_dir="here": None, ()),
        (lambda config, reporter=print: None, ()),
        (lambda config, data: None, ()),
        (lambda config, report_dir: None, ()),
        (lambda reporter: None, ()),
        (print, ()),
    ],
)
def test_functions_of_todays_shape(function: Any, bound: tuple[str, ...]) -> None:
    assert today_function(function, bound) is function
