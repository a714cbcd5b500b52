"""create_searcher: a search algorithm by its name."""

from __future__ import annotations

from typing import Any

from localtune.search.base import Searcher
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.utils.calls import make_by_name
from localtune.utils.found_classes import FoundClasses

# Each searcher is found by the name of its module. These are the original's names of the default.
SEARCHERS: FoundClasses[Searcher | SearchAlgorithm] = FoundClasses(
    "localtune.search",
    (Searcher, SearchAlgorithm),
    {"random": "basic_variant", "variant_generator": "basic_variant"},
)

# Names that Ray Tune knows, and what to take instead.
_NOT_HERE = {
    "hebo": "There is no HEBOSearch: HEBO wants NumPy below 1.25, which Python 3.12 and newer do "
    "not have. Use 'ax', or 'optuna' with a GPSampler.",
}


def create_searcher(search_alg: str, **kwargs: Any) -> Searcher | SearchAlgorithm:
    """Makes a searcher, or another search algorithm, by its name.

    Args:
        search_alg: Its name, in upper or lower case. This is the name of its module, such as
            ``"ax"``, ``"bohb"`` or ``"optuna"``; ``"random"`` and ``"variant_generator"`` are the
            default search.
        **kwargs: Arguments of its class; an argument that it does not take is dropped.

    Raises:
        ValueError: for a name that is not known.
        ExtraMissingError: if the library that it needs is not installed.

    Example:
        >>> create_searcher("random", max_concurrent=2).metric is None
        True
    """
    missing = _NOT_HERE.get(str(search_alg).lower())
    if missing is not None:
        raise ValueError(missing)
    return make_by_name("search_alg", search_alg, SEARCHERS, kwargs)
