"""Stands for ``ray.air.session``: the old names of a trial's functions, and what refuses."""

from __future__ import annotations

from typing import Any

from localtune.compat.faces import names_of
from localtune.old_names.imports import is_old_name, old_name

_others = names_of("ray.air.session")


def __getattr__(name: str) -> Any:
    return old_name("session", name, __name__) if is_old_name("session", name) else _others(name)
