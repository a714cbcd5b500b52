"""create_scheduler: a scheduler by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from localtune import schedulers
from localtune.schedulers.trial_scheduler import TrialScheduler
from localtune.utils.calls import make_by_name

_CLASS_NAMES = {
    "asha": "AsyncHyperBandScheduler",
    "async_hyperband": "AsyncHyperBandScheduler",
    "asynchyperband": "AsyncHyperBandScheduler",
    "fifo": "FIFOScheduler",
    "hb_bohb": "HyperBandForBOHB",
    "hyperband": "HyperBandScheduler",
    "median_stopping_rule": "MedianStoppingRule",
    "medianstopping": "MedianStoppingRule",
    "pasha": "PASHAScheduler",
    "pb2": "PB2",
    "pbt": "PopulationBasedTraining",
    "pbt_replay": "PopulationBasedTrainingReplay",
    "resource_changing": "ResourceChangingScheduler",
}


class _Classes(Mapping[str, type[TrialScheduler]]):
    """{name: class}; a class is imported when it is looked up."""

    def __getitem__(self, name: str) -> type[TrialScheduler]:
        found: type[TrialScheduler] = getattr(schedulers, _CLASS_NAMES[name])
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASS_NAMES)

    def __len__(self) -> int:
        return len(_CLASS_NAMES)


def create_scheduler(scheduler: str, **kwargs: Any) -> TrialScheduler:
    """Makes a scheduler by its name.

    Args:
        scheduler: Its name, in upper or lower case: ``"fifo"``, ``"async_hyperband"`` or
            ``"asha"``, ``"pasha"``, ``"median_stopping_rule"``, ``"hyperband"``, ``"hb_bohb"``,
            ``"pbt"``, ``"pbt_replay"``, ``"pb2"``, ``"resource_changing"``.
        **kwargs: Arguments of the scheduler; what it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.

    Example:
        >>> create_scheduler("fifo").debug_string()
        'FIFO scheduler'
    """
    return make_by_name("scheduler", scheduler, _Classes(), kwargs)
