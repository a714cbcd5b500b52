"""Mutations of configurations in population based training.

A mutation tells how the value of one key may change:

========================  ======================================================================
list or tuple             a step moves to the previous or the next value
domain, or a function     a step draws a new value, or multiplies the number by a factor
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
from localtune.utils.numeric import is_real
from localtune.utils.text import near_miss

_GRID = "grid_search"


@dataclass(frozen=True, slots=True)
class Exploration:
    """The step from one configuration to a similar one.

    Jaderberg et al. 2017, "Population Based Training of Neural Networks", section 3, "explore".

    Attributes:
        mutations: {key: mutation}, checked.
        resample_probability: Probability that a value is drawn anew, from 0 to 1.
        factors: Factors for numbers that are not drawn anew.
    """

    mutations: Mapping[str, Any]
    resample_probability: float
    factors: Sequence[float]

    def explore(self, config: dict[str, Any], rng: random.Random) -> dict[str, Any]:
        """Returns a configuration near ``config``, which stays unchanged.

        Args:
            config: A configuration with all the keys that may change.
            rng: Source of randomness, except within the user's functions.
        """
        return self._explore(self.mutations, copy_containers(config), rng)

    def _explore(
        self, mutations: Mapping[str, Any], config: dict[str, Any], rng: random.Random
    ) -> dict[str, Any]:
        for key, spec in mutations.items():
            if isinstance(spec, dict):
                config[key] = self._explore(spec, config.get(key, {}), rng)
            elif isinstance(spec, (list, tuple)):
                config[key] = self._neighbour(spec, config[key], rng)
            elif rng.random() < self.resample_probability:
                config[key] = rounded_like(config[key], draw(spec, rng))
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
    """Returns a number times a factor, rounded if the number is an integer; others unchanged.

    Args:
        value: The value of a parameter.
        factor: The factor.

    Example:
        >>> scaled(0.5, 1.2), scaled(16, 1.2), scaled(True, 1.2), scaled("relu", 1.2)
        (0.6, 19, True, 'relu')
    """
    if not is_real(value):
        return value
    return rounded_like(value, float(value) * factor)


def rounded_like(before: Any, value: Any) -> Any:
    """Returns a value, rounded if the value before it is an integer.

    Args:
        before: Old value of a parameter.
        value: New value of the parameter.

    Example:
        >>> rounded_like(16, 20.7), rounded_like(0.5, 20.7), rounded_like(16, "auto")
        (21, 20.7, 'auto')
    """
    is_whole = isinstance(before, numbers.Integral) and not isinstance(before, bool)
    if is_whole and is_real(value) and math.isfinite(value):
        return round(value)
    return value


def draw(spec: Any, rng: random.Random) -> Any:
    """Draws one value of a mutation.

    Args:
        spec: A sequence of values, a domain, or a function without arguments.
        rng: Source of randomness for sequences and domains.
    """
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
    """Draws a value for each key that has a mutation and is missing in a configuration.

    Args:
        config: The configuration, which stays unchanged.
        mutations: {key: mutation}.
        rng: Source of randomness.

    Returns:
        The full configuration, a copy if a key was missing, and {flat name: value} of the drawn
        values.

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
    """Returns {path: value} of all values in a configuration that have a mutation.

    Args:
        config: The configuration.
        mutations: {key: mutation}.
        path: Path of both within the whole configuration.
    """
    values: dict[Path, Any] = {}
    for key, spec in mutations.items():
        inner = (*path, key)
        if key in config and not isinstance(spec, dict):
            values[inner] = config[key]
        elif isinstance(config.get(key), dict):
            values.update(values_of(config[key], spec, inner))
    return values


def value_at(config: Any, path: Sequence[Any]) -> Any:
    """Returns the value at a path of keys.

    Args:
        config: Nested dicts and lists.
        path: Keys from the outermost to the innermost; an empty path returns ``config``.
    """
    for key in path:
        config = config[key]
    return config


def copy_containers(value: Any) -> Any:
    """Returns a copy of nested dicts and lists that shares the objects in them."""
    if not isinstance(value, CONTAINERS):
        return value
    return rebuilt(value, [(key, copy_containers(item)) for key, item in children(value)])


def check_mutations(mutations: Any) -> None:
    """Checks that an argument is a dict of mutations.

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
                    f"hyperparam_mutations[{name!r}] must not be a grid. Give the values as a list."
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
            "the rest of the configuration. Give a function without arguments, or use "
            "custom_explore_fn."
        )
    if domain.is_grid():
        raise ValueError(
            f"hyperparam_mutations[{name!r}] must not be a grid. Give the values as a list."
        )


def check_keys(
    what: str, mutations: Mapping[str, Any], space: Mapping[str, Any], path: Path = ()
) -> None:
    """Checks that no key of the mutations looks like a misspelt key of the search space.

    Args:
        what: Name of the argument that holds the mutations.
        mutations: {key: mutation}.
        space: The search space of the run.
        path: Path of both within the whole.

    Raises:
        ValueError: for a key that is not in the space but resembles one of its keys.
    """
    if space.keys() == {_GRID}:
        return
    others = [key for key in space if isinstance(key, str) and key not in mutations]
    for key, spec in mutations.items():
        if key not in space:
            meant = near_miss(str(key), others)
            if meant is not None:
                raise ValueError(
                    f"{what} has the key {path_text((*path, key))!r}, but the search space has "
                    f"{path_text((*path, meant))!r}. Correct the name, or add the key to the "
                    "search space if both are parameters."
                )
        elif isinstance(spec, dict) and isinstance(space[key], dict):
            check_keys(what, spec, space[key], (*path, key))
