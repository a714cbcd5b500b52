"""Stands for ``ray.util.annotations``."""

from __future__ import annotations

from localtune.utils.annotations import PublicAPI as PublicAPI

DeveloperAPI = Deprecated = PublicAPI
