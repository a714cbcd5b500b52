"""Stands for ``ray.util``."""

from __future__ import annotations

from types import ModuleType

from localtune.compat.submodules import submodule
from localtune.compat.utilities import ActorPool as ActorPool
from localtune.compat.utilities import connect as connect
from localtune.compat.utilities import disconnect as disconnect
from localtune.compat.utilities import get_current_placement_group as get_current_placement_group
from localtune.compat.utilities import get_node_ip_address as get_node_ip_address
from localtune.compat.utilities import get_placement_group as get_placement_group
from localtune.compat.utilities import inspect_serializability as inspect_serializability
from localtune.compat.utilities import list_named_actors as list_named_actors
from localtune.compat.utilities import log_once as log_once
from localtune.compat.utilities import placement_group as placement_group
from localtune.compat.utilities import placement_group_table as placement_group_table
from localtune.compat.utilities import remove_placement_group as remove_placement_group


def __getattr__(name: str) -> ModuleType:
    return submodule(__name__, name)
