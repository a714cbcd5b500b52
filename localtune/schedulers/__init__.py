"""Schedulers: which trials go on, pause or stop."""

from __future__ import annotations

from localtune.schedulers.create import create_scheduler
from localtune.schedulers.fifo import FIFOScheduler
from localtune.schedulers.trial_scheduler import TrialScheduler

__all__ = ["FIFOScheduler", "TrialScheduler", "create_scheduler"]
