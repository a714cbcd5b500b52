"""How population based training changes a configuration: what may change, and the step itself.

A mutation says of one key what it may become:

========================  ======================================================================
list or tuple             one of the values; a step goes to the one before or behind
domain, or a function     a new draw, or the number times one of the factors
dict                      mutations of the keys of a nested configuration
========================  ======================================================================
"""

from __future__ import annotations

import math
import numbers
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localtune.error import TuneError
from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt
from localtune.search.domains import Domain, is_same
from localtune.search.space import SearchSpace
from localtune.utils.text import near_miss

_GRID = "grid_search"


@dataclass(frozen=True, slots=True)
class Exploration:
    """The step from one configuration to one beside it.

    Jaderberg et al. 2017, "Population Based Training of Neural Networks", section 3, "explore".

    Attributes:
        mutations: {key: what it may become}, checked.
        resample_probability: How likely a value is drawn anew, from 0 to 1.
        factors: What numbers are multiplied by otherwise.
    """

    mutations: Mapping[str, Any]
    resample_probability: float
    factors: Sequence[float]

    def explore(self, config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """A configuration near ``config``, which stays as it is.

        Args:
            config: Has all the keys that may change.
            rng: What is random comes from here, but for what a function of the user's draws.
        """
        return self._explored(self.mutations, copy_containers(config), rng)

    def _explored(
        self, mutations: Mapping[str, Any], config: dict[str, Any], rng: random.Random
    ) -> dict[str, Any]:
        for key, spec in mutations.items():
            if isinstance(spec, dict):
                config[key] = self._explored(spec, config.get(key, {}), rng)
            elif isinstance(spec, (list, tuple)):
                config[key] = self._neighbour(spec, config[key], rng)
            elif rng.random() < self.resample_probability:
                config[key] = whole_if_it_was(config[key], draw(spec, rng))
            else:
                config[key] = scaled(config[key], rng.choice(self.factors))
        return config

    def _neighbour(self, values: Sequence[Any], value: Any, rng: random.Random) -> Any:
        position = next((at for at, each in enumerate(values) if is_same(each, value)), None)
        if rng.random() < self.resample_probability or position is None:
            return draw(values, rng)
        position += rng.choice((-1, 1))
        return values[min(max(position, 0), len(values) - 1)]


def scaled(value: Any, factor: float) -> Any:
    """A number times a factor, whole if it was; what is no number stays what it is.

    Example:
        >>> scaled(0.5, 1.2), scaled(16, 1.2), scaled(True, 1.2), scaled("relu", 1.2)
        (0.6, 19, True, 'relu')
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return value
    return whole_if_it_was(value, float(value) * factor)


def whole_if_it_was(before: Any, value: Any) -> Any:
    """The value that follows another one: rounded if that was whole.

    Example:
        >>> whole_if_it_was(16, 20.7), whole_if_it_was(0.5, 20.7), whole_if_it_was(16, "auto")
        (21, 20.7, 'auto')
    """
    is_whole = isinstance(before, numbers.Integral) and not isinstance(before, bool)
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if is_whole and is_number and math.isfinite(value):
        return round(value)
    return value


def draw(spec: Any, rng: random.Random) -> Any:
    """One value of a mutation: of a sequence, a domain, or what a function returns."""
    if isinstance(spec, (list, tuple)):
        return rng.choice(spec)
    if isinstance(spec, Domain):
        # A choice may hold domains of its own.
        space = SearchSpace({"value": spec}).settled(str(rng.getrandbits(64)))
        return space.variant(str(rng.getrandbits(64)), 0).config["value"]
    return spec()


def fill_in(
    config: dict[str, Any], mutations: Mapping[str, Any], rng: random.Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration with a value for each key that mutations name and it lacks.

    Returns:
        The configuration, a new one if anything was missing, and {flat name: value} of what was.

    Raises:
        TuneError: if a mutation is nested below a value that is no dict.
    """
    missing: dict[str, Any] = {}
    full = _filled(config, mutations, rng, (), missing)
    return (full if missing else config), missing


def _filled(
    config: dict[str, Any],
    mutations: Mapping[str, Any],
    rng: random.Random,
    path: Path,
    missing: dict[str, Any],
) -> dict[str, Any]:
    full = dict(config)
    for key, spec in mutations.items():
        inner = (*path, key)
        if isinstance(spec, dict):
            nested = full.get(key, {})
            if not isinstance(nested, dict):
                raise TuneError(
                    f"hyperparam_mutations has a dict at {path_text(inner)!r}, where the "
                    f"configuration of a trial has {nested!r}. Give a list, a domain or a function."
                )
            full[key] = _filled(nested, spec, rng, inner, missing)
        elif key not in full:
            full[key] = missing[path_text(inner)] = draw(spec, rng)
    return full


def values_of(
    config: Mapping[str, Any], mutations: Mapping[str, Any], path: Path = ()
) -> dict[Path, Any]:
    """{path: value} of all in a configuration that mutations may change."""
    values: dict[Path, Any] = {}
    for key, spec in mutations.items():
        inner = (*path, key)
        if key in config and not isinstance(spec, dict):
            values[inner] = config[key]
        elif isinstance(config.get(key), dict):
            values.update(values_of(config[key], spec, inner))
    return values


def value_at(config: Any, path: Sequence[Any]) -> Any:
    """What stands at a path of keys; an empty path is the whole."""
    for key in path:
        config = config[key]
    return config


def copy_containers(value: Any) -> Any:
    """A copy of nested dicts and lists, with the very objects that they hold."""
    if not isinstance(value, CONTAINERS):
        return value
    return rebuilt(value, [(key, copy_containers(item)) for key, item in children(value)])


def check_mutations(mutations: Any) -> None:
    """Raises an error for what cannot be a mutation.

    Raises:
        TypeError: for a value of another type.
        ValueError: for an empty list, ``sample_from``, or a grid.
    """
    if not isinstance(mutations, dict):
        raise TypeError(f"hyperparam_mutations must be a dict, but got {mutations!r}.")
    _check(mutations, ())


def _check(mutations: Mapping[str, Any], path: Path) -> None:
    for key, spec in mutations.items():
        name = path_text((*path, key))
        if isinstance(spec, Domain):
            _check_domain(name, spec)
        elif isinstance(spec, dict):
            if spec.keys() == {_GRID}:
                raise ValueError(
                    f"hyperparam_mutations[{name!r}] must not be a grid: give the values as a list."
                )
            _check(spec, (*path, key))
        elif isinstance(spec, (list, tuple)):
            if not spec:
                raise ValueError(f"hyperparam_mutations[{name!r}] must not be empty.")
        elif not callable(spec):
            raise TypeError(
                f"hyperparam_mutations[{name!r}] must be a list, a tuple, a domain such as "
                f"tune.uniform(0, 1), a function without arguments, or a dict of these, but got "
                f"{spec!r}."
            )


def _check_domain(name: str, domain: Domain) -> None:
    if domain.is_function():
        raise ValueError(
            f"hyperparam_mutations[{name!r}] must not be sample_from: a mutation cannot depend on "
            "the rest of the configuration. Give the function itself, if it takes no argument, or "
            "use custom_explore_fn."
        )
    if domain.is_grid():
        raise ValueError(
            f"hyperparam_mutations[{name!r}] must not be a grid: give the values as a list."
        )


def check_keys(
    what: str, mutations: Mapping[str, Any], space: Mapping[str, Any], path: Path = ()
) -> None:
    """Raises ValueError for a key that the space lacks, if it has one that was probably meant.

    Args:
        what: Name of the argument that has the mutations.
        mutations: What may change.
        space: The search space of the run.
        path: Where both are, in the whole.
    """
    if space.keys() == {_GRID}:
        return
    others = [key for key in space if isinstance(key, str) and key not in mutations]
    for key, spec in mutations.items():
        if key not in space:
            meant = near_miss(str(key), others)
            if meant is not None:
                raise ValueError(
                    f"{what} has the key {path_text((*path, key))!r}, which the search space lacks;"
                    f" it has {path_text((*path, meant))!r}. Correct the name, or if both are "
                    "parameters, add it to the search space."
                )
        elif isinstance(spec, dict) and isinstance(space[key], dict):
            check_keys(what, spec, space[key], (*path, key))
