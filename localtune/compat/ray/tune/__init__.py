"""Stands for ``ray.tune``: the names of localtune, and those of earlier releases."""

from __future__ import annotations

import importlib
from typing import Any

import localtune


def __getattr__(name: str) -> Any:
    if name == "with_parameters":
        from localtune.compat.parameters import with_parameters

        return with_parameters
    try:
        return getattr(localtune, name)
    except AttributeError:
        pass
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return dir(localtune)
