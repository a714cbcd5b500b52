"""Search with HyperOpt (extra ``hyperopt``)."""

from __future__ import annotations

from localtune.search.hyperopt.hyperopt_search import HyperOptSearch

__all__ = ["HyperOptSearch"]
