"""Search: where the configurations of trials come from.

This package exports a fixed list of names. Any other searcher is imported from its own module, or
made by name with :func:`create_searcher`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from localtune._lazy import lazy_names

if TYPE_CHECKING:
    from localtune.search.base import Searcher as Searcher
    from localtune.search.basic_variant import BasicVariantGenerator as BasicVariantGenerator
    from localtune.search.concurrency_limiter import ConcurrencyLimiter as ConcurrencyLimiter
    from localtune.search.create import create_searcher as create_searcher
    from localtune.search.repeater import Repeater as Repeater
    from localtune.search.sample import grid_search as grid_search
    from localtune.search.search_algorithm import SearchAlgorithm as SearchAlgorithm
    from localtune.search.search_generator import SearchGenerator as SearchGenerator
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
    "BasicVariantGenerator": "search.basic_variant",
    "ConcurrencyLimiter": "search.concurrency_limiter",
    "Repeater": "search.repeater",
    "SearchAlgorithm": "search.search_algorithm",
    "SearchGenerator": "search.search_generator",
    "Searcher": "search.base",
    "Suggestion": "search.suggestion",
    "create_searcher": "search.create",
    "grid_search": "search.sample",
}

# For searchers of users: Ray Tune has them here, too.
_FURTHER = {
    "PublicAPI": "utils.annotations",
    "UNDEFINED_METRIC_MODE": "search.texts",
    "UNDEFINED_SEARCH_SPACE": "search.texts",
    "UNRESOLVED_SEARCH_SPACE": "search.texts",
    "get_function_args": "utils.calls",
}


__getattr__ = lazy_names(__name__, {**_MODULES, **_FURTHER})
