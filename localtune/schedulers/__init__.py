"""Schedulers: which trials go on, pause or stop.

This package exports a fixed list of names. Any other scheduler is imported from its own module, or
made by name with :func:`create_scheduler`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.schedulers.async_hyperband import ASHAScheduler as ASHAScheduler
    from localtune.schedulers.async_hyperband import (
        AsyncHyperBandScheduler as AsyncHyperBandScheduler,
    )
    from localtune.schedulers.base import TrialScheduler as TrialScheduler
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

_MODULES = {
    "ASHAScheduler": "schedulers.async_hyperband",
    "AsyncHyperBandScheduler": "schedulers.async_hyperband",
    "FIFOScheduler": "schedulers.fifo",
    "HyperBandForBOHB": "schedulers.hb_bohb",
    "HyperBandScheduler": "schedulers.hyperband",
    "MedianStoppingRule": "schedulers.median_stopping_rule",
    "PASHAScheduler": "schedulers.pasha",
    "PB2": "schedulers.pb2",
    "PopulationBasedTraining": "schedulers.pbt",
    "PopulationBasedTrainingReplay": "schedulers.pbt_replay",
    "ResourceChangingScheduler": "schedulers.resource_changing_scheduler",
    "TrialScheduler": "schedulers.base",
    "create_scheduler": "schedulers.create",
}

__all__ = [*sorted(_MODULES)]

# Not of schedulers, but scripts of Ray Tune import them from here.
_FURTHER = {"PublicAPI": "utils.annotations", "get_function_args": "utils.calls"}


__getattr__ = lazy_names(__name__, {**_MODULES, **_FURTHER})
