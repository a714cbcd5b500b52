"""Stands for what scripts use of ``ray._private``."""

from __future__ import annotations

from types import ModuleType

from localtune.compat.submodules import submodule


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
