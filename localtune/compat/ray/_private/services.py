"""Stands for ``ray._private.services``."""

from __future__ import annotations

from localtune.compat.utilities import get_node_ip_address as get_node_ip_address
