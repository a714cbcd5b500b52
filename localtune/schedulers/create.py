"""create_scheduler: a scheduler by its name."""

from __future__ import annotations

from typing import Any

from localtune.schedulers.fifo import FIFOScheduler
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.utils.calls import accepted
from localtune.utils.text import near_miss

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
    scheduler_class = _SCHEDULERS.get(str(scheduler).lower())
    if scheduler_class is None:
        guess = near_miss(str(scheduler).lower(), _SCHEDULERS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ValueError(
            f"scheduler must be one of {', '.join(sorted(_SCHEDULERS))}, but got "
            f"{scheduler!r}.{hint}"
        )
    return scheduler_class(**accepted(scheduler_class, kwargs))
