"""Stopper and the combination of several, under the path that they have in Ray Tune."""

from localtune.stopper.base import Stopper as Stopper
from localtune.stopper.combined import CombinedStopper as CombinedStopper
