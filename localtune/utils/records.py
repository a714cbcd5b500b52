"""Dataclasses that cost hardly anything to define.

The decorator of the standard library compiles up to six functions for each class, and imports
``inspect``: for a hundred classes, that takes longer than all else at the start of a run. Here the
methods are shared functions, except ``__init__``, which is compiled when the class is first called.
What ``dataclasses.fields``, ``replace`` and ``asdict`` ask for is made when they ask.

Type checkers see the decorator of the standard library. Of its options there are those that this
package uses. The bases of a class are made with this decorator, too, or have no fields.
"""

from __future__ import annotations

import sys
from operator import attrgetter
from reprlib import recursive_repr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from typing import Any


class _Missing:
    """The default of a field that has none, or a function for it."""

    def __repr__(self) -> str:
        return "<factory>"


_MISSING: Any = _Missing()


class _Field:
    """What is known of a field."""

    __slots__ = ("compare", "default", "factory", "name", "repr", "type")

    def __init__(self, default: Any, factory: Any, *, repr: bool, compare: bool) -> None:
        self.name = ""
        self.type: Any = None
        self.default = default
        self.factory = factory
        self.repr = repr
        self.compare = compare


def _field(
    *,
    default: Any = _MISSING,
    default_factory: Any = _MISSING,
    repr: bool = True,
    compare: bool = True,
) -> Any:
    """Describes a field; see ``dataclasses.field``."""
    return _Field(default, default_factory, repr=repr, compare=compare)


class _Record:
    """What is known of a class."""

    __slots__ = ("eq", "fields", "frozen", "repr")

    def __init__(self, fields: dict[str, _Field], *, frozen: bool, repr: bool, eq: bool) -> None:
        self.fields = fields
        self.frozen = frozen
        self.repr = repr
        self.eq = eq


def _dataclass(
    cls: Any = None,
    /,
    *,
    frozen: bool = False,
    slots: bool = False,
    repr: bool = True,
    eq: bool = True,
) -> Any:
    """Makes a class one that has fields; see ``dataclasses.dataclass``."""

    def decorate(cls: Any) -> Any:
        fields = _fields_of(cls)
        if slots:
            cls = _with_slots(cls, fields)
        cls.__record__ = _Record(fields, frozen=frozen, repr=repr, eq=eq)
        cls.__dataclass_fields__ = _Described(cls, "__dataclass_fields__")
        cls.__dataclass_params__ = _Described(cls, "__dataclass_params__")
        own = cls.__dict__
        methods: dict[str, Any] = {"__match_args__": tuple(fields), "__init__": _Init(cls)}
        if repr:
            methods["__repr__"] = _repr
        if eq:
            get = _getter(each.name for each in fields.values() if each.compare)
            hash = own.get("__hash__", _MISSING)
            if hash is _MISSING or (hash is None and "__eq__" in own):
                cls.__hash__ = _hash_by(get) if frozen else None
            methods["__eq__"] = _eq_by(get)
        if frozen:
            methods |= _freezing(cls, fields)
            if slots:
                methods |= {"__getstate__": _getstate, "__setstate__": _setstate}
        if sys.version_info >= (3, 13):
            methods["__replace__"] = _replace
        for name, method in methods.items():
            if name not in own:
                setattr(cls, name, method)
        return cls

    return decorate if cls is None else decorate(cls)


if not TYPE_CHECKING:
    dataclass = _dataclass
    field = _field


# -- fields ----------------------------------------------------------------------------------------


def _fields_of(cls: Any) -> dict[str, _Field]:
    """Returns the fields of a class, those of its bases first; leaves their defaults in it."""
    fields: dict[str, _Field] = {}
    for base in cls.__mro__[-1:0:-1]:
        if "__record__" in base.__dict__:
            fields |= base.__record__.fields
    for name, annotation in cls.__annotations__.items():
        if annotation.startswith("ClassVar"):
            continue
        default = cls.__dict__.get(name, _MISSING)
        if isinstance(default, _Field):
            found, default = default, default.default
            if default is _MISSING:
                delattr(cls, name)
            else:
                setattr(cls, name, default)
        else:
            found = _Field(default, _MISSING, repr=True, compare=True)
        if default.__class__.__hash__ is None:
            raise ValueError(f"mutable default of {cls.__qualname__}.{name}: use default_factory")
        found.name, found.type = name, annotation
        fields[name] = found
    return fields


def _with_slots(cls: Any, fields: dict[str, _Field]) -> Any:
    """Returns a class like another one, with slots for its fields."""
    inherited = {slot for base in cls.__mro__[1:-1] for slot in base.__dict__.get("__slots__", ())}
    namespace = dict(cls.__dict__)
    for name in (*fields, "__dict__", "__weakref__"):
        namespace.pop(name, None)
    namespace["__slots__"] = tuple(name for name in fields if name not in inherited)
    made = type(cls)(cls.__name__, cls.__bases__, namespace)
    made.__qualname__ = cls.__qualname__
    return made


class _Described:
    """An attribute of the standard library's dataclasses, made when it is first asked for."""

    __slots__ = ("_name", "_owner")

    def __init__(self, owner: Any, name: str) -> None:
        self._owner = owner
        self._name = name

    def __get__(self, instance: object, owner: object = None) -> Any:
        import dataclasses

        record: _Record = self._owner.__record__
        fields: list[tuple[str, Any, Any]] = []
        for each in record.fields.values():
            options: dict[str, Any] = {"repr": each.repr, "compare": each.compare}
            if each.factory is not _MISSING:
                options["default_factory"] = each.factory
            elif each.default is not _MISSING:
                options["default"] = each.default
            fields.append((each.name, each.type, dataclasses.field(**options)))
        # Methods are compiled for the parameters alone, which hardly anything asks for.
        wanted = self._name == "__dataclass_params__"
        twin = dataclasses.make_dataclass(
            self._owner.__name__,
            fields,
            init=wanted,
            repr=wanted and record.repr,
            eq=wanted and record.eq,
            frozen=wanted and record.frozen,
        )
        value = getattr(twin, self._name)
        setattr(self._owner, self._name, value)
        return value


# -- methods ---------------------------------------------------------------------------------------


class _Init:
    """The ``__init__`` of a class that has not been called yet."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def __get__(self, instance: object, owner: Any = None) -> Any:
        made = _init_of(self._owner)
        self._owner.__init__ = made
        return made if instance is None else made.__get__(instance, owner)


def compile_init(*classes: type) -> None:
    """Compiles the ``__init__`` of classes now, so that processes forked from this one need not."""
    for cls in classes:
        getattr(cls, "__init__")  # noqa: B009


def _init_of(cls: Any) -> Any:
    """Compiles the ``__init__`` of a class."""
    record: _Record = cls.__record__
    names: dict[str, Any] = {"_set": object.__setattr__, "_MISSING": _MISSING}
    parameters, lines = [], []
    for name, each in record.fields.items():
        value = name
        if each.factory is not _MISSING:
            names[f"_factory_{name}"] = each.factory
            value = f"_factory_{name}() if {name} is _MISSING else {name}"
            parameters.append(f"{name}=_MISSING")
        elif each.default is not _MISSING:
            names[f"_default_{name}"] = each.default
            parameters.append(f"{name}=_default_{name}")
        else:
            parameters.append(name)
        lines.append(
            f"_set(self, {name!r}, {value})" if record.frozen else f"self.{name} = {value}"
        )
    if hasattr(cls, "__post_init__"):
        lines.append("self.__post_init__()")
    body = "\n  ".join(lines) or "pass"
    # Its names are arguments of a function, so that a field may be called like any of them.
    outer = ", ".join(names)
    told = ", ".join(("self", *parameters))
    code = f"def make({outer}):\n def __init__({told}):\n  {body}\n return __init__"
    found: dict[str, Any] = {}
    exec(code, sys.modules[cls.__module__].__dict__, found)
    init = found["make"](**names)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {each.name: each.type for each in record.fields.values()}
    init.__annotations__["return"] = None
    return init


def _getter(names: Iterable[str]) -> Callable[[Any], tuple[Any, ...]]:
    """Returns a function that returns the values of some fields."""
    names = tuple(names)
    if not names:
        return lambda self: ()
    get = attrgetter(*names)
    return get if len(names) > 1 else lambda self: (get(self),)


def _eq_by(get: Callable[[Any], tuple[Any, ...]]) -> Any:
    def __eq__(self: Any, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return get(self) == get(other)

    return __eq__


def _hash_by(get: Callable[[Any], tuple[Any, ...]]) -> Any:
    def __hash__(self: Any) -> int:
        return hash(get(self))

    return __hash__


@recursive_repr()
def _repr(self: Any) -> str:
    fields: dict[str, _Field] = self.__record__.fields
    told = [f"{name}={getattr(self, name)!r}" for name, each in fields.items() if each.repr]
    return f"{self.__class__.__qualname__}({', '.join(told)})"


def _freezing(cls: Any, fields: dict[str, _Field]) -> dict[str, Any]:
    def __setattr__(self: Any, name: str, value: object) -> None:
        if type(self) is cls or name in fields:
            raise _frozen_error(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def __delattr__(self: Any, name: str) -> None:
        if type(self) is cls or name in fields:
            raise _frozen_error(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    return {"__setattr__": __setattr__, "__delattr__": __delattr__}


def _frozen_error(text: str) -> Exception:
    from dataclasses import FrozenInstanceError

    return FrozenInstanceError(text)


# Pickles have the values of a frozen class with slots as a list, as those of the standard library.


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__record__.fields]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__record__.fields, state, strict=False):
        object.__setattr__(self, name, value)


def _replace(self: Any, /, **changes: Any) -> Any:
    from dataclasses import replace

    return replace(self, **changes)
