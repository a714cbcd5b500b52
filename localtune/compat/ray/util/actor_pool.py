"""Stands for ``ray.util.actor_pool``."""

from __future__ import annotations

from localtune.compat.utilities import ActorPool as ActorPool
