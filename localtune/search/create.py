"""create_searcher: a search algorithm by its name."""

from __future__ import annotations

from typing import Any

from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.utils.calls import make_by_name

_SEARCHERS: dict[str, type[SearchAlgorithm]] = {
    "random": BasicVariantGenerator,
    "variant_generator": BasicVariantGenerator,
}


def create_searcher(search_alg: str, **kwargs: Any) -> SearchAlgorithm:
    """Makes a search algorithm by its name.

    Args:
        search_alg: Its name, in upper or lower case: ``"random"`` or ``"variant_generator"``.
        **kwargs: Arguments of the algorithm; what it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.

    Example:
        >>> create_searcher("random", max_concurrent=2).metric is None
        True
    """
    return make_by_name("search_alg", search_alg, _SEARCHERS, kwargs)
