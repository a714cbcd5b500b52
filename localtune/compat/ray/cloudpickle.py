"""Stands for ``ray.cloudpickle``."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import cloudpickle

    return getattr(cloudpickle, name)
