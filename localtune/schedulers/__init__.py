"""Schedulers: which trials go on, pause or stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.schedulers.async_hyperband import ASHAScheduler as ASHAScheduler
    from localtune.schedulers.async_hyperband import (
        AsyncHyperBandScheduler as AsyncHyperBandScheduler,
    )
    from localtune.schedulers.create import create_scheduler as create_scheduler
    from localtune.schedulers.fifo import FIFOScheduler as FIFOScheduler
    from localtune.schedulers.hb_bohb import HyperBandForBOHB as HyperBandForBOHB
    from localtune.schedulers.hyperband import HyperBandScheduler as HyperBandScheduler
    from localtune.schedulers.median_stopping_rule import MedianStoppingRule as MedianStoppingRule
    from localtune.schedulers.pasha import PASHAScheduler as PASHAScheduler
    from localtune.schedulers.pb2 import PB2 as PB2
    from localtune.schedulers.pbt import PopulationBasedTraining as PopulationBasedTraining
    from localtune.schedulers.pbt_replay import (
        PopulationBasedTrainingReplay as PopulationBasedTrainingReplay,
    )
    from localtune.schedulers.resource_changing_scheduler import (
        ResourceChangingScheduler as ResourceChangingScheduler,
    )
    from localtune.schedulers.trial_scheduler import TrialScheduler as TrialScheduler

_MODULES = {
    "ASHAScheduler": "async_hyperband",
    "AsyncHyperBandScheduler": "async_hyperband",
    "FIFOScheduler": "fifo",
    "HyperBandForBOHB": "hb_bohb",
    "HyperBandScheduler": "hyperband",
    "MedianStoppingRule": "median_stopping_rule",
    "PASHAScheduler": "pasha",
    "PB2": "pb2",
    "PopulationBasedTraining": "pbt",
    "PopulationBasedTrainingReplay": "pbt_replay",
    "ResourceChangingScheduler": "resource_changing_scheduler",
    "TrialScheduler": "trial_scheduler",
    "create_scheduler": "create",
}

__all__ = [*sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
