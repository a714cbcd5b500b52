"""Stops nothing."""

from __future__ import annotations

from typing import Any

from localtune.stopper.stopper import Stopper

__all__ = ["NoopStopper"]


class NoopStopper(Stopper):
    """Stops nothing: trials run until they end by themselves."""

    has_state = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False
