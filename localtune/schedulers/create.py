"""create_scheduler: a scheduler by its name."""

from __future__ import annotations

from typing import Any

from localtune.schedulers.base import TrialScheduler
from localtune.utils.calls import make_by_name
from localtune.utils.found_classes import FoundClasses

# Each scheduler is found by the name of its module. These are further names of the original.
SCHEDULERS = FoundClasses(
    "localtune.schedulers",
    TrialScheduler,
    {
        "asha": "async_hyperband",
        "asynchyperband": "async_hyperband",
        "medianstopping": "median_stopping_rule",
        "resource_changing": "resource_changing_scheduler",
    },
)


def create_scheduler(scheduler: str, **kwargs: Any) -> TrialScheduler:
    """Makes a scheduler by its name.

    Args:
        scheduler: Its name, in upper or lower case. This is the name of its module, such as
            ``"fifo"``, ``"async_hyperband"``, ``"hyperband"`` or ``"pbt"``. ``"asha"``,
            ``"asynchyperband"``, ``"medianstopping"`` and ``"resource_changing"`` are known, too.
        **kwargs: Arguments of the scheduler; an argument that it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.

    Example:
        >>> create_scheduler("fifo").debug_string()
        'FIFO scheduler'
    """
    return make_by_name("scheduler", scheduler, SCHEDULERS, kwargs)
