"""TrialScheduler and the simplest scheduler, under the path that they have in Ray Tune."""

from localtune.schedulers.base import TrialScheduler as TrialScheduler
from localtune.schedulers.base import TuneController as TuneController
from localtune.schedulers.fifo import FIFOScheduler as FIFOScheduler
