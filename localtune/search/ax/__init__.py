"""Search with Ax (extra ``ax``)."""

from __future__ import annotations

from localtune.search.ax.ax_search import AxSearch

__all__ = ["AxSearch"]
