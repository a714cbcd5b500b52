"""Stands for ``ray.state`` of earlier releases."""

from __future__ import annotations

from localtune.compat.initialization import available_resources as available_resources
from localtune.compat.initialization import cluster_resources as cluster_resources
from localtune.compat.initialization import nodes as nodes
from localtune.compat.initialization import timeline as timeline
from localtune.compat.runtime_context import node_id as current_node_id  # noqa: F401
