"""Stands for ``ray.util.scheduling_strategies``."""

from __future__ import annotations

from localtune.compat.utilities import (
    NodeAffinitySchedulingStrategy as NodeAffinitySchedulingStrategy,
)
from localtune.compat.utilities import (
    PlacementGroupSchedulingStrategy as PlacementGroupSchedulingStrategy,
)
