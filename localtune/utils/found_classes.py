"""Classes of a package, found by the file names of its modules: there is no table to edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar

_T = TypeVar("_T")


class FoundClasses(Mapping[str, type[_T]], Generic[_T]):
    """The classes that a package offers by name: {name of the module: class}.

    A module offers the class that its ``__all__`` lists; a module without ``__all__`` offers none.
    Looking up a name imports one module. Only iterating imports them all.

    Args:
        package: Dotted name of the package.
        base: Class that the found classes derive from, or several such classes.
        other_names: {further name: module}.

    Example:
        >>> from localtune.stopper import Stopper
        >>> FoundClasses("localtune.stopper", Stopper)["noop"]
        <class 'localtune.stopper.noop.NoopStopper'>
    """

    def __init__(
        self,
        package: str,
        base: type[_T] | tuple[type[_T], ...],
        other_names: Mapping[str, str] | None = None,
    ) -> None:
        self.package = package
        self._base = base
        self._other_names = dict(other_names or {})

    def __getitem__(self, name: str) -> type[_T]:
        found = self._class_of(self._other_names.get(name, name))
        if found is None:
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        yield from sorted({*filter(self._class_of, self._modules()), *self._other_names})

    def __len__(self) -> int:
        return len(list(iter(self)))

    def _modules(self) -> list[str]:
        from pkgutil import iter_modules

        return [each.name for each in iter_modules(import_module(self.package).__path__)]

    def _class_of(self, module: str) -> type[_T] | None:
        if module not in self._modules():
            return None
        loaded = import_module(f"{self.package}.{module}")
        listed = [getattr(loaded, name) for name in getattr(loaded, "__all__", ())]
        # Two names may stand for one class.
        found = {each for each in listed if isinstance(each, type) and issubclass(each, self._base)}
        if len(found) > 1:
            raise TypeError(
                f"{loaded.__name__}.__all__ must list one class for {self.package}, but lists "
                f"{', '.join(sorted(each.__name__ for each in found))}."
            )
        return found.pop() if found else None
