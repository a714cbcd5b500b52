"""The stopper that the argument ``stop`` of a run means."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from localtune.clock import Clock
from localtune.stopper.combined import CombinedStopper
from localtune.stopper.dict_stopper import DictStopper
from localtune.stopper.function_stopper import FunctionStopper
from localtune.stopper.noop import NoopStopper
from localtune.stopper.stopper import Stopper
from localtune.stopper.timeout import TimeoutStopper


def as_stopper(
    stop: Any,
    time_budget_s: float | datetime.timedelta | None = None,
    clock: Clock | None = None,
) -> Stopper:
    """The stopper that ``stop`` means.

    Args:
        stop: ``{metric: bound}``, a function ``(trial_id, result) -> bool``, a
            :class:`Stopper`, a list of those, or None.
        time_budget_s: Seconds (or a timedelta) after which the whole run stops too; None or 0
            is no limit.
        clock: Where the time comes from.

    Raises:
        ValueError: for anything else.
    """
    stopper = _stopper_of(stop)
    if not time_budget_s:
        return stopper
    return CombinedStopper(stopper, TimeoutStopper(time_budget_s, clock))


def _stopper_of(stop: Any) -> Stopper:
    if stop is None:
        return NoopStopper()
    if isinstance(stop, Stopper):
        return stop
    if isinstance(stop, Mapping):
        return DictStopper(stop)
    if isinstance(stop, (list, tuple)):
        return CombinedStopper(*stop)
    if hasattr(stop, "stop_all"):
        raise ValueError(
            "An object that stops all trials must be an instance of Stopper, "
            f"but got {stop!r}. Derive its class from Stopper, and pass an instance."
        )
    if callable(stop):
        return FunctionStopper(stop)
    raise ValueError(
        "stop must be a dict {metric: bound}, a function (trial_id, result) -> bool, a Stopper, "
        f"or a list of Stoppers, but got {stop!r}."
    )
