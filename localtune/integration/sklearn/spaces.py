"""Spaces: what LocaltuneSearchCV searches, and the candidates that are drawn from it.

::

    {"C": loguniform(..), "kernel": [..]}   one space: a dict, or several in a list
      options_of   each value becomes a list, or an object with rvs()
      drawn        by scikit-learn's ParameterGrid and ParameterSampler
      SearchSpace  domains and grids of localtune in a candidate get their values
    -> [{"C": 0.3, "kernel": "rbf"}, ...], which CandidateList makes trials of

With a ``search_alg``, ``domains_of`` gives the space in the form that searchers know instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import ParameterGrid, ParameterSampler

from localtune.search.basic_variant import BasicVariantGenerator
from localtune.search.domains import Domain
from localtune.search.rng import derive_seed
from localtune.search.sample import choice, loguniform, randint, randn, uniform
from localtune.search.space import SearchSpace, Variant
from localtune.search.suggestion import Suggestion
from localtune.search.variant_generator import parse_spec_vars
from localtune.utils.text import did_you_mean

DEFAULT_N_TRIALS = 10
_GRID = "grid_search"


class CandidateList(BasicVariantGenerator):
    """Makes a trial of each of a list of candidates.

    It is a grid of whole configurations, whose parameters are named in the output one by one.

    Args:
        candidates: Parameters of each candidate.
    """

    def __init__(self, candidates: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(random_state=0)  # nothing is left to draw
        self._candidates = list(candidates)

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        super().setup({_GRID: self._candidates}, 1)

    def _suggestion(self, variant: Variant) -> Suggestion:
        named = {(name,): value for name, value in variant.config.items()}
        return super()._suggestion(Variant(named, variant.config))


class _Kept:
    """Stands for a domain while scikit-learn draws: localtune draws its value afterwards.

    Args:
        domain: A domain of localtune, or a list or dict with domains in it.
    """

    def __init__(self, domain: Any) -> None:
        self._domain = domain

    def rvs(self, random_state: Any = None) -> Any:
        """Returns the domain itself."""
        return self._domain


def spaces_in(space: Any) -> list[Mapping[str, Any]]:
    """Returns the spaces that an argument ``space`` holds.

    Args:
        space: A dict, a list of dicts, or a ``ParameterGrid``.

    Raises:
        ValueError: for anything else, and for a space without an entry.
    """
    if isinstance(space, ParameterGrid):
        return list(space.param_grid)
    spaces = [space] if isinstance(space, Mapping) else space
    is_list = isinstance(spaces, (list, tuple)) and len(spaces) > 0
    if not is_list or not all(isinstance(each, Mapping) and each for each in spaces):
        raise ValueError(
            "space must be a dict {name of a parameter: domain, list or constant} with at "
            f"least one entry, or a list of such dicts, but got {space!r}."
        )
    return list(spaces)


def check_space(space: Mapping[str, Any], estimator: Any) -> None:
    """Checks the names and the values of one space.

    Args:
        space: {name of a parameter: values}.
        estimator: The estimator that has the parameters.

    Raises:
        ValueError: for a parameter that the estimator does not have, or a value that gives no
            values.
    """
    known = estimator.get_params()
    for name, value in space.items():
        parent = str(name).rpartition("__")[0]
        # A part of a pipeline that the search itself replaces may have any parameters.
        is_open = any(parent == other or parent.startswith(f"{other}__") for other in space)
        if name not in known and not is_open:
            raise ValueError(
                f"Invalid parameter {name!r} for estimator {estimator!r}: it has no such "
                f"parameter.{did_you_mean(name, known)}"
            )
        if isinstance(value, (set, frozenset)):
            raise ValueError(f"space[{name!r}] is a set, which has no order. Use a list.")
        if getattr(value, "ndim", 0) > 1:
            raise ValueError(
                f"space[{name!r}] must have one dimension, but has {value.ndim}: "
                "use a list of the values to try."
            )
        if _is_list(value) and len(value) == 0:
            raise ValueError(f"space[{name!r}] has no values, but needs at least one.")


def candidates_of(
    spaces: Sequence[Mapping[str, Any]], n_trials: int | None, random_state: Any
) -> list[dict[str, Any]]:
    """Returns the parameters of all candidates, in the order of scikit-learn's own searches.

    Args:
        spaces: The spaces; a space is drawn before its values.
        n_trials: Number of draws; None for all combinations of spaces that hold only lists.
        random_state: Seed, or a ``RandomState``.
    """
    options = [{name: options_of(value) for name, value in each.items()} for each in spaces]
    only_lists = all(isinstance(each, list) for one in options for each in one.values())
    if only_lists and (n_trials is None or n_trials >= len(ParameterGrid(options))):
        # As lists, grids are in the order of GridSearchCV, too.
        whole = [{name: listed(value) for name, value in each.items()} for each in spaces]
        return list(ParameterGrid(whole))
    drawn = list(ParameterSampler(options, n_trials or DEFAULT_N_TRIALS, random_state=random_state))
    if not any(_varies(each) for each in drawn):
        return [{name: _plain(value) for name, value in each.items()} for each in drawn]
    seed = derive_seed(random_state)
    return [each for number, params in enumerate(drawn) for each in _resolved(params, seed, number)]


def options_of(value: Any) -> Any:
    """Returns a value of a space in the form that scikit-learn draws from.

    Args:
        value: A list, domain, distribution, ``{"grid_search": values}`` or a constant.

    Returns:
        A list, or an object with ``rvs``. A grid is a list with itself as the only value.
    """
    if hasattr(value, "rvs"):
        return value
    if _is_grid(value):
        return [value]
    if _varies(value):
        return _Kept(choice(value) if _is_list(value) else value)
    return listed(value)


def listed(value: Any) -> list[Any]:
    """Returns the values of a list or a grid; a list with the value itself for a constant."""
    if _is_grid(value):
        value = value[_GRID]
    elif not _is_list(value):
        return [value]
    return value.tolist() if hasattr(value, "tolist") else list(value)


def domains_of(space: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a space for a searcher.

    Args:
        space: {name of a parameter: values}.

    Raises:
        ValueError: for a grid, and a distribution that searchers do not know.
    """
    return {name: _domain_of(name, value) for name, value in space.items()}


def _domain_of(name: str, value: Any) -> Any:
    if _is_grid(value):
        raise ValueError(
            f"space[{name!r}] is a grid, but search_alg chooses the values itself. Use a list, "
            "or leave search_alg out."
        )
    if hasattr(value, "rvs"):
        domain = _domain_of_distribution(value)
        if domain is None:
            raise ValueError(
                f"search_alg cannot choose values for space[{name!r}]: of SciPy's distributions, "
                "it knows uniform, loguniform, randint and norm. Use a domain such as "
                "tune.uniform(0, 1), or leave search_alg out."
            )
        return domain
    return choice(listed(value)) if _is_list(value) else value


def _domain_of_distribution(distribution: Any) -> Domain | None:
    """Returns the domain that is the same as a distribution of SciPy; None if there is none."""
    family = getattr(getattr(distribution, "dist", None), "name", "")
    if family == "norm":
        return randn(float(distribution.mean()), float(distribution.std()))
    if family not in ("uniform", "loguniform", "reciprocal", "randint"):
        return None
    low, high = map(float, distribution.support())
    if family == "uniform":
        return uniform(low, high)
    if family == "randint":
        return randint(int(low), int(high) + 1)
    # A log-uniform distribution that is shifted has another median.
    is_shifted = low <= 0 or not math.isclose(distribution.median(), math.sqrt(low * high))
    return None if is_shifted else loguniform(low, high)


def _resolved(params: dict[str, Any], seed: int, number: int) -> Iterator[dict[str, Any]]:
    """Yields the candidates of one draw: one for each combination of the grids in it."""
    space = SearchSpace(params).settled(f"{seed}/{number}")
    for point in range(space.count or 0):
        config = space.variant(f"{seed}/{number}/{point}", point).config
        yield {name: _plain(value) for name, value in config.items()}


def _varies(value: Any) -> bool:
    """Returns whether a value is, or holds, something that localtune draws or computes."""
    return any(parse_spec_vars(value)[1:])


def _is_grid(value: Any) -> bool:
    return isinstance(value, Mapping) and value.keys() == {_GRID}


def _is_list(value: Any) -> bool:
    """Returns whether a value of a space is a list of values to try: also an array or a Series."""
    return isinstance(value, (list, tuple, range)) or getattr(value, "ndim", 0) == 1


def _plain(value: Any) -> Any:
    """Returns a number of NumPy as a number of Python."""
    return value.item() if isinstance(value, np.generic) else value
