"""Runs any program as a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.trainable.command.command import Command as Command

_MODULES = {"Command": "trainable.command.command"}

__all__ = sorted(_MODULES)


__getattr__ = lazy_names(__name__, _MODULES)
