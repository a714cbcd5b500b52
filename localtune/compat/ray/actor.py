"""Stands for ``ray.actor``."""

from __future__ import annotations

from localtune.compat.remote import ActorClass as ActorClass
from localtune.compat.remote import ActorHandle as ActorHandle
