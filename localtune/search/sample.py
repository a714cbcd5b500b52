"""Search spaces: what stands in a configuration for values that are still to be chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from localtune.search.checks import grid_values, ignore_base
from localtune.search.computed import Expression, Function
from localtune.search.domains import Categorical, Domain, Float, Integer
from localtune.search.samplers import Grid, LogUniform, Normal, Quantized, Sampler, Uniform

__all__ = [
    "Categorical",
    "Domain",
    "Expression",
    "Float",
    "Function",
    "Grid",
    "Integer",
    "LogUniform",
    "Normal",
    "Quantized",
    "Sampler",
    "Uniform",
    "choice",
    "grid_search",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "sample_from",
    "uniform",
]


def uniform(lower: float, upper: float) -> Float:
    """A real number from ``lower`` up to, not including, ``upper``; each alike.

    Raises:
        SearchSpaceError: for bounds that are not finite, or in the wrong order.

    Example:
        >>> 1.0 <= uniform(1.0, 2.0).sample() < 2.0
        True
    """
    return Float(lower, upper).uniform()


def quniform(lower: float, upper: float, q: float) -> Float:
    """A multiple of ``q`` from ``lower`` to ``upper``, both included.

    Raises:
        SearchSpaceError: as :func:`uniform`, and if ``q`` does not divide both bounds.

    Example:
        >>> quniform(0.0, 1.0, 0.25).sample() in (0.0, 0.25, 0.5, 0.75, 1.0)
        True
    """
    return Float(lower, upper).uniform().quantized(q)


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """A real number from ``lower`` up to, not including, ``upper``; each order of magnitude alike.

    Args:
        lower: Smallest value, above 0.
        upper: Largest value.
        base: Ignored: the distribution does not depend on it.

    Raises:
        SearchSpaceError: for bounds that are not finite and above 0, or in the wrong order.

    Example:
        >>> 1e-5 <= loguniform(1e-5, 1e-1).sample() < 1e-1
        True
    """
    ignore_base(base)
    return Float(lower, upper).loguniform()


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """As :func:`loguniform`, rounded to multiples of ``q``, both bounds included.

    Raises:
        SearchSpaceError: as :func:`loguniform`, and if ``q`` does not divide both bounds.
    """
    ignore_base(base)
    return Float(lower, upper).loguniform().quantized(q)


def randn(mean: float = 0.0, sd: float = 1.0) -> Float:
    """A normally distributed real number.

    Raises:
        SearchSpaceError: if ``sd`` is not above 0.
    """
    return Float().normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Float:
    """As :func:`randn`, rounded to multiples of ``q``.

    Raises:
        SearchSpaceError: if ``sd`` or ``q`` is not above 0.
    """
    return Float().normal(mean, sd).quantized(q)


def randint(lower: int, upper: int) -> Integer:
    """A whole number from ``lower`` up to, not including, ``upper``; each alike.

    Raises:
        SearchSpaceError: for bounds that are no whole numbers, or ``lower >= upper``.

    Example:
        >>> randint(0, 3).sample() in (0, 1, 2)
        True
    """
    return Integer(lower, upper).uniform()


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """As :func:`randint`, each order of magnitude alike.

    Args:
        lower: Smallest value, above 0.
        upper: The first number that is too large.
        base: Ignored: the distribution does not depend on it.

    Raises:
        SearchSpaceError: as :func:`randint`, and if ``lower`` is not above 0.
    """
    ignore_base(base)
    return Integer(lower, upper).loguniform()


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """A multiple of ``q`` from ``lower`` to ``upper``, both included; each alike.

    With ``q=1`` it is :func:`randint`, which leaves ``upper`` out.

    Raises:
        SearchSpaceError: as :func:`randint`, and if there is no multiple in the range.

    Example:
        >>> qrandint(0, 6, 3).sample() in (0, 3, 6)
        True
    """
    return Integer(lower, upper).uniform().quantized(q)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """As :func:`qrandint`, each order of magnitude alike.

    Raises:
        SearchSpaceError: as :func:`lograndint`, and if there is no multiple in the range.
    """
    ignore_base(base)
    return Integer(lower, upper).loguniform().quantized(q)


def choice(categories: Iterable[Any]) -> Categorical:
    """One of the given values, each alike. Values may hold search spaces of their own.

    Raises:
        TypeError: if they cannot be iterated over.
        SearchSpaceError: if there are none.

    Example:
        >>> choice(["relu", "tanh"]).sample() in ("relu", "tanh")
        True
    """
    return Categorical(categories).uniform()


def sample_from(func: Callable[..., Any]) -> Function:
    """What a function returns, once per trial.

    Args:
        func: Takes no argument, or the configuration, in which all else is resolved:
            ``lambda config: config["width"] * 2``, or ``lambda spec: spec.config.width * 2``.

    Raises:
        TypeError: if it is not callable.
        SearchSpaceError: if it needs more than one argument.
    """
    return Function(func)


def grid_search(values: Iterable[Any]) -> dict[str, list[Any]]:
    """Each of the given values in turn, in all combinations with other grids.

    Raises:
        SearchSpaceError: if they cannot be iterated over, are text, or there are none.

    Example:
        >>> grid_search([16, 32])
        {'grid_search': [16, 32]}
    """
    return {"grid_search": grid_values("grid_search", values)}


def without_grids(space: Any) -> Any:
    """Returns a search space in which each grid is a choice of its values.

    Example:
        >>> without_grids({"a": grid_search([1]), "b": 2})["b"]
        2
    """
    if not isinstance(space, dict):
        return space
    if set(space) == {"grid_search"}:
        return choice(space["grid_search"])
    return {key: without_grids(item) for key, item in space.items()}
