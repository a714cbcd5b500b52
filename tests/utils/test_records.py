"""Dataclasses of the package behave as those of the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from localtune.utils import records

DECORATORS: dict[str, Any] = {
    "standard": (dataclasses.dataclass, dataclasses.field),
    "package": (records._dataclass, records._field),
}


def make(kind: str) -> dict[str, Any]:
    """Defines the same classes with either decorator; {name: class}."""
    dataclass, field = DECORATORS[kind]

    @dataclass
    class Plain:
        """Text."""

        SHARED: ClassVar[int] = 3
        first: int
        second: list[int] = field(default_factory=list)
        third: str = "x"

        def __post_init__(self) -> None:
            self.third = self.third.upper()

    @dataclass(slots=True)
    class Base:
        first: int

    @dataclass(slots=True)
    class Slotted(Base):
        second: int = 2

    @dataclass(frozen=True)
    class Frozen:
        first: int
        hidden: int = field(default=0, repr=False, compare=False)

    @dataclass(frozen=True, slots=True)
    class FrozenSlots:
        first: int
        second: float = 0.5

    @dataclass(slots=True)
    class Empty:
        pass

    @dataclass(eq=False)
    class Same:
        first: int

    @dataclass(frozen=True, repr=False)
    class Told:
        first: int

        def __repr__(self) -> str:
            return "told"

        def __hash__(self) -> int:
            return 5

    made = [Plain, Base, Slotted, Frozen, FrozenSlots, Empty, Same, Told]
    return {each.__name__: each for each in made}


KINDS = {kind: make(kind) for kind in DECORATORS}
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "Plain": (1, [2], "y"),
    "Base": (1,),
    "Slotted": (1, 3),
    "Frozen": (1, 2),
    "FrozenSlots": (1, 2.5),
    "Empty": (),
    "Same": (1,),
    "Told": (1,),
}
ALL = pytest.mark.parametrize("name", ARGUMENTS)


def outcome(function: Any) -> Any:
    try:
        return function()
    except Exception as error:
        return type(error), str(error).replace("<locals>.", "")


def seen(cls: Any, arguments: tuple[Any, ...]) -> list[Any]:
    """What can be seen of a class and of an object."""
    made = cls(*arguments)
    name = next(iter(cls.__match_args__), "first")
    return [
        repr(made) if cls.__name__ != "Same" else None,
        made == cls(*arguments),
        made == object(),
        cls.__hash__ is None,
        outcome(lambda: hash(made) if cls.__name__ != "Same" else None),
        outcome(lambda: setattr(made, name, 7)),
        outcome(lambda: delattr(made, name)),
        # That of the standard library fails with a TypeError of its own if there are slots, too.
        outcome(lambda: setattr(made, "other", 7)) if cls.__name__ != "FrozenSlots" else None,
        cls.__match_args__,
        getattr(cls, "__slots__", None),
        str(inspect.signature(cls)),
        cls.__init__.__annotations__,
        cls.__init__.__qualname__,
        [(each.name, each.type, each.repr, each.compare) for each in dataclasses.fields(cls)],
        cls.__dataclass_params__.frozen,
        outcome(lambda: cls(1, 2, 3, 4)),
    ]


@ALL
def test_classes_and_objects_look_the_same(name: str) -> None:
    theirs, ours = (seen(KINDS[kind][name], ARGUMENTS[name]) for kind in DECORATORS)

    assert ours == theirs


@ALL
def test_objects_are_copied_replaced_and_listed(name: str) -> None:
    cls = KINDS["package"][name]
    made = cls(*ARGUMENTS[name])
    values = dataclasses.asdict(made)

    assert dataclasses.is_dataclass(cls)
    assert dataclasses.asdict(copy.copy(made)) == values
    assert dataclasses.asdict(dataclasses.replace(made)) == values


@ALL
def test_pickles_are_those_of_the_standard_library(name: str) -> None:
    states = []
    for kind in DECORATORS:
        made = KINDS[kind][name](*ARGUMENTS[name])
        made = copy.deepcopy(made)
        states.append(made.__reduce_ex__(pickle.HIGHEST_PROTOCOL)[2])

    assert states[0] == states[1]


def test_each_object_gets_its_own_default() -> None:
    plain = KINDS["package"]["Plain"]

    plain(1).second.append(3)

    assert plain(1).second == []
    assert plain.SHARED == 3
    assert plain.third == "x"


def test_a_default_that_all_objects_would_share_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"mutable default of .*Shared\.values: use default_factory"
    ):

        @records._dataclass
        class Shared:
            values: list[int] = []  # noqa: RUF012


def test_an_object_that_holds_itself_has_a_text() -> None:
    made = KINDS["package"]["Plain"](1)
    made.second.append(made)

    assert "second=[...]" in repr(made)


def test_a_dataclass_may_derive_from_one_of_the_package() -> None:
    @dataclasses.dataclass
    class Derived(KINDS["package"]["Plain"]):  # type: ignore[misc]
        fourth: int = 4

    assert repr(Derived(1)).endswith("Derived(first=1, second=[], third='X', fourth=4)")


def test_defining_a_class_does_not_import_the_decorator_of_the_standard_library() -> None:
    code = (
        "import sys\n"
        "import localtune.worker.messages as messages\n"
        "messages.Ready(metrics={})\n"
        "assert 'dataclasses' not in sys.modules, 'imported'\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
