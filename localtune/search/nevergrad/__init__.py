"""Search with Nevergrad (extra ``nevergrad``)."""

from __future__ import annotations

from localtune.search.nevergrad.nevergrad_search import NevergradSearch

__all__ = ["NevergradSearch"]
