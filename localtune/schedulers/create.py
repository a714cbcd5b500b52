"""create_scheduler: a scheduler by its name."""

from __future__ import annotations

from typing import Any

from localtune.schedulers.fifo import FIFOScheduler
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.utils.calls import make_by_name

_SCHEDULERS: dict[str, type[TrialScheduler]] = {"fifo": FIFOScheduler}


def create_scheduler(scheduler: str, **kwargs: Any) -> TrialScheduler:
    """Makes a scheduler by its name.

    Args:
        scheduler: Its name, in upper or lower case: ``"fifo"``.
        **kwargs: Arguments of the scheduler; what it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.

    Example:
        >>> create_scheduler("fifo").debug_string()
        'FIFO scheduler'
    """
    return make_by_name("scheduler", scheduler, _SCHEDULERS, kwargs)
