"""create_searcher: a search algorithm by its name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.searcher import Searcher
from localtune.utils.calls import make_by_name

# {name: (module, class)}; a module is imported when its class is wanted.
_SEARCHERS = {
    "ax": ("localtune.search.ax", "AxSearch"),
    "bayesopt": ("localtune.search.bayesopt", "BayesOptSearch"),
    "bohb": ("localtune.search.bohb", "TuneBOHB"),
    "hyperopt": ("localtune.search.hyperopt", "HyperOptSearch"),
    "nevergrad": ("localtune.search.nevergrad", "NevergradSearch"),
    "optuna": ("localtune.search.optuna", "OptunaSearch"),
    "random": ("localtune.search.basic_variant", "BasicVariantGenerator"),
    "variant_generator": ("localtune.search.basic_variant", "BasicVariantGenerator"),
    "zoopt": ("localtune.search.zoopt", "ZOOptSearch"),
}


# Names that Ray Tune knows, and what to take instead.
_NOT_HERE = {
    "hebo": "There is no HEBOSearch: HEBO wants NumPy below 1.25, which Python 3.12 and newer do "
    "not have. Use 'ax', or 'optuna' with a GPSampler.",
}


class _Classes(Mapping[str, type[Any]]):
    """{name: class}, without importing those that nobody wants."""

    def __getitem__(self, name: str) -> type[Any]:
        module, class_name = _SEARCHERS[name]
        found: type[Any] = getattr(import_module(module), class_name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(_SEARCHERS)

    def __len__(self) -> int:
        return len(_SEARCHERS)

    def __contains__(self, name: object) -> bool:
        return name in _SEARCHERS


def create_searcher(search_alg: str, **kwargs: Any) -> Searcher | SearchAlgorithm:
    """Makes a searcher, or another search algorithm, by its name.

    Args:
        search_alg: Its name, in upper or lower case: ``"random"`` (or ``"variant_generator"``),
            ``"ax"``, ``"bayesopt"``, ``"bohb"``, ``"hyperopt"``, ``"nevergrad"``, ``"optuna"``,
            ``"zoopt"``.
        **kwargs: Arguments of its class; what that does not take is dropped.

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
    made: Searcher | SearchAlgorithm = make_by_name("search_alg", search_alg, _Classes(), kwargs)
    return made
