"""Stands for ``ray.tune``: the names of localtune, and those of earlier releases."""

from __future__ import annotations

from typing import Any

import localtune
from localtune import __version__ as __version__
from localtune.compat.faces import names_of

_further = names_of("ray.tune", "localtune")


def __getattr__(name: str) -> Any:
    if name == "with_parameters":
        from localtune.compat.parameters import with_parameters

        return with_parameters
    return _further(name)


def __dir__() -> list[str]:
    return dir(localtune)
