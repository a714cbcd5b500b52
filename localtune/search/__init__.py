"""Search: where the configurations of trials come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localtune.search.basic_variant import BasicVariantGenerator as BasicVariantGenerator
    from localtune.search.concurrency_limiter import ConcurrencyLimiter as ConcurrencyLimiter
    from localtune.search.create import create_searcher as create_searcher
    from localtune.search.repeater import Repeater as Repeater
    from localtune.search.sample import grid_search as grid_search
    from localtune.search.search_algorithm import SearchAlgorithm as SearchAlgorithm
    from localtune.search.search_generator import SearchGenerator as SearchGenerator
    from localtune.search.searcher import Searcher as Searcher
    from localtune.search.suggestion import Suggestion as Suggestion

__all__ = [
    "BasicVariantGenerator",
    "ConcurrencyLimiter",
    "Repeater",
    "SearchAlgorithm",
    "SearchGenerator",
    "Searcher",
    "Suggestion",
    "create_searcher",
    "grid_search",
]

_MODULES = {
    "BasicVariantGenerator": "localtune.search.basic_variant",
    "ConcurrencyLimiter": "localtune.search.concurrency_limiter",
    "Repeater": "localtune.search.repeater",
    "SearchAlgorithm": "localtune.search.search_algorithm",
    "SearchGenerator": "localtune.search.search_generator",
    "Searcher": "localtune.search.searcher",
    "Suggestion": "localtune.search.suggestion",
    "create_searcher": "localtune.search.create",
    "grid_search": "localtune.search.sample",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
