"""Search with ZOOpt (extra ``zoopt``)."""

from __future__ import annotations

from localtune.search.zoopt.zoopt_search import ZOOptSearch

__all__ = ["ZOOptSearch"]
