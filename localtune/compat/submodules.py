"""Modules below ``ray`` as attributes of their packages: scripts write ``ray.tune.run()``."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from localtune.compat.finder import own_name


def submodule(package: str, name: str) -> ModuleType:
    """Returns the module that stands for a part of a package of Ray.

    Args:
        package: Name of the module that stands for the package.
        name: Name of the part.

    Raises:
        AttributeError: if localtune has no such part; it says what to do.
    """
    _, _, below = package.partition(".ray")
    try:
        found = own_name(f"ray{below}.{name}")
    except ImportError as error:
        raise AttributeError(str(error)) from None
    if found is None:
        raise AttributeError(f"module {package!r} has no attribute {name!r}")
    return import_module(found)
