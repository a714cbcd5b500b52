"""Stands for ``ray.remote_function``."""

from __future__ import annotations

from localtune.compat.remote import RemoteFunction as RemoteFunction
