"""as_search_algorithm: makes a search algorithm from the argument ``search_alg`` of a run."""

from __future__ import annotations

from typing import Any

from localtune.search.base import Searcher
from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import SearchAlgorithm


def as_search_algorithm(
    search_alg: Any, max_concurrent_trials: int | None = None
) -> SearchAlgorithm:
    """Returns the search algorithm for a ``search_alg=`` argument.

    Args:
        search_alg: None (random and grid search), a name, a searcher or a search algorithm.
        max_concurrent_trials: Limit of concurrent trials; None or 0 for none. With a limit, a
            searcher is wrapped in a :class:`~localtune.search.ConcurrencyLimiter`.

    Raises:
        ValueError: for another type, an unknown name, or a limiter with another limit.
    """
    if search_alg is None:
        return BasicVariantGenerator()
    made = search_alg
    if isinstance(search_alg, str):
        from localtune.search.create import create_searcher

        made = create_searcher(search_alg)
    if isinstance(made, SearchAlgorithm):
        return made
    if not isinstance(made, Searcher):
        hint = " Pass an instance, not the class." if isinstance(made, type) else ""
        raise ValueError(
            "search_alg must be None, a name, a Searcher such as OptunaSearch(...), or a search "
            f"algorithm such as BasicVariantGenerator(...), but got {made!r}.{hint}"
        )
    from localtune.search.concurrency_limiter import ConcurrencyLimiter
    from localtune.search.search_generator import SearchGenerator

    max_concurrent_trials = max_concurrent_trials or made._most_at_once
    if not max_concurrent_trials:
        return SearchGenerator(made)
    if not isinstance(made, ConcurrencyLimiter):
        return SearchGenerator(ConcurrencyLimiter(made, max_concurrent_trials))
    if made.max_concurrent != max_concurrent_trials:
        raise ValueError(
            f"max_concurrent_trials={max_concurrent_trials} contradicts the ConcurrencyLimiter, "
            f"which was given max_concurrent={made.max_concurrent}. Remove one."
        )
    return SearchGenerator(made)
