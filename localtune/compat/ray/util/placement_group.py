"""Stands for ``ray.util.placement_group``."""

from __future__ import annotations

from localtune.compat.utilities import get_current_placement_group as get_current_placement_group
from localtune.compat.utilities import get_placement_group as get_placement_group
from localtune.compat.utilities import placement_group as placement_group
from localtune.compat.utilities import placement_group_table as placement_group_table
from localtune.compat.utilities import remove_placement_group as remove_placement_group
