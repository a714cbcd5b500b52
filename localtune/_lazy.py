"""Names of a package that are looked up when they are first used.

This module imports nothing: packages that use it cost nothing to import.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class importing:
    """Keeps the garbage collector away from the objects that some imports make.

    Modules consist of objects that stay. The collector looks through them again and again while
    their number grows, which takes a sixth of the time of the imports at the start of a run. So it
    rests meanwhile, and then finds them among its oldest objects.
    """

    __slots__ = ("_was_enabled",)

    def __enter__(self) -> None:
        import gc

        self._was_enabled = gc.isenabled()
        gc.disable()

    def __exit__(self, *error: object) -> None:
        import gc

        if self._was_enabled:
            if not gc.get_freeze_count():
                # Both together make all objects the oldest ones, without a look at them.
                gc.freeze()
                gc.unfreeze()
            gc.enable()


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
