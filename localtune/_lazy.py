"""Names of a package that are looked up when they are first used.

This module imports nothing: packages that use it cost nothing to import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


def lazy_names(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """Makes the ``__getattr__`` of a package.

    Args:
        package: Dotted name of the package.
        modules: {name: module that defines it}, with the module's name below ``localtune``.

    Returns:
        A function that imports the module of a name, and keeps the value in the package. It also
        imports a module of the package itself, so that ``schedulers.pbt.PopulationBasedTraining``
        needs no import of ``schedulers.pbt``.
    """

    def look_up(name: str) -> Any:
        import sys
        from importlib import import_module

        if name in modules:
            value = getattr(import_module(f"localtune.{modules[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if name.startswith("__"):
            # Python itself asks a module for `__path__`, each time something imports from it.
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if not name.startswith("_"):
            module = f"{package}.{name}"
            try:
                return import_module(module)
            except ImportError as error:
                if error.name != module:
                    raise
        from localtune.old_names.imports import old_name

        return old_name(package.rpartition(".")[2], name, package)

    return look_up
