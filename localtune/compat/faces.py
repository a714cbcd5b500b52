"""Modules of Ray that have more names than the module of localtune they stand for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

from localtune.compat.places import own_name
from localtune.compat.refusals import NAMES, reason_at_import, reason_in_module
from localtune.compat.refused import refusal, refused
from localtune.old_names.imports import is_old_name, old_name


def names_of(path: str, *modules: str) -> Callable[[str], Any]:
    """Makes the ``__getattr__`` of a module that stands for a module of Ray.

    Args:
        path: The module's name in Ray.
        *modules: Modules of localtune that have further names of it.

    Returns:
        A function that finds a name in these modules, in the table of old names, in the table of
        names that refuse, and among the modules below ``path``.
    """

    def look_up(name: str) -> Any:
        for module in modules:
            value = getattr(importlib.import_module(module), name, _MISSING)
            if value is not _MISSING and (name == "__all__" or not name.startswith("__")):
                return value
        if not name.startswith("__"):
            if is_old_name("tune", name):  # Such as ray.tune.analysis.Analysis.
                return old_name("tune", name, path)
            below = f"{path}.{name}"
            reason = NAMES.get(below, reason_in_module(path))
            if reason is not None:
                return refused(below, reason)
            if not name.startswith("_"):
                module_below = _module(below)
                if module_below is not None:
                    return module_below
        raise AttributeError(f"module 'localtune.compat.{path}' has no attribute {name!r}")

    return look_up


def _module(path: str) -> ModuleType | None:
    reason = reason_at_import(path)
    if reason is not None:
        raise AttributeError(refusal(path, reason))
    own = own_name(path)
    if own is not None:
        return importlib.import_module(own)
    return importlib.import_module(path) if reason_in_module(path) else None


_MISSING = object()
