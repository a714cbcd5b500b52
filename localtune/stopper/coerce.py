"""as_stopper: makes a stopper from the argument ``stop`` of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.stopper.base import Stopper
from localtune.stopper.noop import NoopStopper


def as_stopper(stop: Any) -> Stopper:
    """Returns the stopper for an argument ``stop``.

    Args:
        stop: ``{metric: bound}``, a function ``(trial_id, result) -> bool``, a
            :class:`Stopper`, a list of stoppers, or None.

    Raises:
        ValueError: for any other value.
    """
    if stop is None:
        return NoopStopper()
    if isinstance(stop, Stopper):
        return stop
    if isinstance(stop, Mapping):
        from localtune.stopper.dict_stopper import DictStopper

        return DictStopper(stop)
    if isinstance(stop, (list, tuple)):
        from localtune.stopper.combined import CombinedStopper

        return CombinedStopper(*stop)
    if hasattr(stop, "stop_all"):
        raise ValueError(
            "An object that stops all trials must be an instance of Stopper, "
            f"but got {stop!r}. Derive its class from Stopper, and pass an instance."
        )
    if callable(stop):
        from localtune.stopper.function_stopper import FunctionStopper

        return FunctionStopper(stop)
    raise ValueError(
        "stop must be a dict {metric: bound}, a function (trial_id, result) -> bool, a Stopper, "
        f"or a list of Stoppers, but got {stop!r}."
    )
