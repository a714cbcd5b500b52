"""create_searcher: a search algorithm by its name."""

from __future__ import annotations

from typing import Any

from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.utils.calls import accepted
from localtune.utils.text import near_miss

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
    searcher_class = _SEARCHERS.get(str(search_alg).lower())
    if searcher_class is None:
        guess = near_miss(str(search_alg).lower(), _SEARCHERS)
        hint = f" Did you mean {guess!r}?" if guess else ""
        raise ValueError(
            f"search_alg must be one of {', '.join(sorted(_SEARCHERS))}, but got "
            f"{search_alg!r}.{hint}"
        )
    return searcher_class(**accepted(searcher_class, kwargs))
