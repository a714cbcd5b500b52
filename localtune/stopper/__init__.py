"""Stoppers: when trials, or the whole run, are to stop.

This package exports a fixed list of names. Any other stopper is imported from its own module.
"""

from __future__ import annotations

from localtune._lazy import lazy_names
from localtune.stopper.base import Stopper
from localtune.stopper.combined import CombinedStopper
from localtune.stopper.dict_stopper import DictStopper
from localtune.stopper.experiment_plateau import ExperimentPlateauStopper
from localtune.stopper.function_stopper import FunctionStopper
from localtune.stopper.maximum_iteration import MaximumIterationStopper
from localtune.stopper.noop import NoopStopper
from localtune.stopper.timeout import TimeoutStopper
from localtune.stopper.trial_plateau import TrialPlateauStopper
from localtune.stopper.trial_timeout import TrialTimeoutStopper

__all__ = [
    "CombinedStopper",
    "DictStopper",
    "ExperimentPlateauStopper",
    "FunctionStopper",
    "MaximumIterationStopper",
    "NoopStopper",
    "Stopper",
    "TimeoutStopper",
    "TrialPlateauStopper",
    "TrialTimeoutStopper",
]

__getattr__ = lazy_names(__name__, {})
