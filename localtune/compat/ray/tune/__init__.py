"""Stands for ``ray.tune``: the names of localtune, and those of earlier releases."""

from __future__ import annotations

from typing import Any

import localtune


def __getattr__(name: str) -> Any:
    if name == "with_parameters":
        from localtune.compat.parameters import with_parameters

        return with_parameters
    try:
        return getattr(localtune, name)
    except AttributeError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return dir(localtune)
