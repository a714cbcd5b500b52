"""Stands for ``ray.util.annotations``."""

from __future__ import annotations

from localtune.compat.utilities import unchanged

PublicAPI = DeveloperAPI = Deprecated = unchanged
