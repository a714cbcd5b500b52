"""Stands for ``ray.tune.track``: the old names of a trial's functions."""

from __future__ import annotations

from typing import Any

from localtune.old_names.imports import old_name


def __getattr__(name: str) -> Any:
    return old_name("track", name, __name__)
