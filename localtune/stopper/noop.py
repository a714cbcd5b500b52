"""NoopStopper: stops no trial."""

from __future__ import annotations

from typing import Any

from localtune.stopper.base import Stopper

__all__ = ["NoopStopper"]


class NoopStopper(Stopper):
    """Stops no trial: all trials run to their own end."""

    has_state = False

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False
