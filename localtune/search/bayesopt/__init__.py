"""Search with bayesian-optimization (extra ``bayesopt``)."""

from __future__ import annotations

from localtune.search.bayesopt.bayesopt_search import BayesOptSearch

__all__ = ["BayesOptSearch"]
