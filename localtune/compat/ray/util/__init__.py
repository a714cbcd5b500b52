"""Stands for ``ray.util``."""

from __future__ import annotations

from localtune.compat.faces import names_of
from localtune.compat.utilities import get_current_placement_group as get_current_placement_group
from localtune.compat.utilities import get_node_ip_address as get_node_ip_address
from localtune.compat.utilities import inspect_serializability as inspect_serializability
from localtune.compat.utilities import list_named_actors as list_named_actors
from localtune.compat.utilities import log_once as log_once
from localtune.utils.annotations import PublicAPI as PublicAPI

__getattr__ = names_of("ray.util")
