"""Functions that describe the variables of a search space."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from localtune.search.checks import grid_values, ignore_base
from localtune.search.computed import Expression, Function
from localtune.search.domains import Categorical, Domain, Float, Integer
from localtune.search.samplers import (
    BaseSampler,
    Grid,
    LogUniform,
    Normal,
    Quantized,
    Sampler,
    Uniform,
)

__all__ = [
    "BaseSampler",
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
    """Uniform real numbers from ``lower`` up to, not including, ``upper``.

    Args:
        lower: Smallest value.
        upper: Upper bound.

    Raises:
        SearchSpaceError: for bounds that are not finite, or in the wrong order.

    Example:
        >>> 1.0 <= uniform(1.0, 2.0).sample() < 2.0
        True
    """
    return Float(lower, upper).uniform()


def quniform(lower: float, upper: float, q: float) -> Float:
    """Uniform multiples of ``q`` from ``lower`` to ``upper``, both included.

    Args:
        lower: Smallest value, a multiple of ``q``.
        upper: Largest value, a multiple of ``q``.
        q: The quantum, above 0.

    Raises:
        SearchSpaceError: as :func:`uniform`, and if ``q`` does not divide both bounds.

    Example:
        >>> quniform(0.0, 1.0, 0.25).sample() in (0.0, 0.25, 0.5, 0.75, 1.0)
        True
    """
    return Float(lower, upper).uniform().quantized(q)


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """Log-uniform real numbers from ``lower`` up to, not including, ``upper``.

    Args:
        lower: Smallest value, above 0.
        upper: Upper bound.
        base: Ignored, because the distribution does not depend on it.

    Raises:
        SearchSpaceError: for bounds that are not finite and above 0, or in the wrong order.

    Example:
        >>> 1e-5 <= loguniform(1e-5, 1e-1).sample() < 1e-1
        True
    """
    ignore_base(base)
    return Float(lower, upper).loguniform()


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """Log-uniform numbers, rounded to multiples of ``q``; both bounds are included.

    Args:
        lower: Smallest value, above 0 and a multiple of ``q``.
        upper: Largest value, a multiple of ``q``.
        q: The quantum, above 0.
        base: Ignored, because the distribution does not depend on it.

    Raises:
        SearchSpaceError: as :func:`loguniform`, and if ``q`` does not divide both bounds.
    """
    ignore_base(base)
    return Float(lower, upper).loguniform().quantized(q)


def randn(mean: float = 0.0, sd: float = 1.0) -> Float:
    """Normally distributed real numbers.

    Args:
        mean: Mean of the distribution.
        sd: Standard deviation, above 0.

    Raises:
        SearchSpaceError: if ``sd`` is not above 0.
    """
    return Float().normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Float:
    """Normally distributed numbers, rounded to multiples of ``q``.

    Args:
        mean: Mean of the distribution.
        sd: Standard deviation, above 0.
        q: The quantum, above 0.

    Raises:
        SearchSpaceError: if ``sd`` or ``q`` is not above 0.
    """
    return Float().normal(mean, sd).quantized(q)


def randint(lower: int, upper: int) -> Integer:
    """Uniform whole numbers from ``lower`` up to, not including, ``upper``.

    Args:
        lower: Smallest value.
        upper: Upper bound.

    Raises:
        SearchSpaceError: for bounds that are no whole numbers, or ``lower >= upper``.

    Example:
        >>> randint(0, 3).sample() in (0, 1, 2)
        True
    """
    return Integer(lower, upper).uniform()


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """Log-uniform whole numbers from ``lower`` up to, not including, ``upper``.

    Args:
        lower: Smallest value, above 0.
        upper: Upper bound.
        base: Ignored, because the distribution does not depend on it.

    Raises:
        SearchSpaceError: as :func:`randint`, and if ``lower`` is not above 0.
    """
    ignore_base(base)
    return Integer(lower, upper).loguniform()


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """Uniform whole multiples of ``q`` from ``lower`` to ``upper``, both included.

    With ``q=1`` it is the same as :func:`randint`, which does not include ``upper``.

    Args:
        lower: Lower bound.
        upper: Upper bound.
        q: The quantum, a whole number above 0.

    Raises:
        SearchSpaceError: as :func:`randint`, and if there is no multiple in the range.

    Example:
        >>> qrandint(0, 6, 3).sample() in (0, 3, 6)
        True
    """
    return Integer(lower, upper).uniform().quantized(q)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """Log-uniform whole multiples of ``q`` from ``lower`` to ``upper``, both included.

    With ``q=1`` it is the same as :func:`lograndint`, which does not include ``upper``.

    Args:
        lower: Lower bound, above 0.
        upper: Upper bound.
        q: The quantum, a whole number above 0.
        base: Ignored, because the distribution does not depend on it.

    Raises:
        SearchSpaceError: as :func:`lograndint`, and if there is no multiple in the range.
    """
    ignore_base(base)
    return Integer(lower, upper).loguniform().quantized(q)


def choice(categories: Iterable[Any]) -> Categorical:
    """One of the given values, with uniform probability.

    Args:
        categories: The values, which may hold search spaces of their own.

    Raises:
        TypeError: if ``categories`` cannot be iterated over.
        SearchSpaceError: if it is empty.

    Example:
        >>> choice(["relu", "tanh"]).sample() in ("relu", "tanh")
        True
    """
    return Categorical(categories).uniform()


def sample_from(func: Callable[..., Any]) -> Function:
    """The return value of a function, which is called once per trial.

    Args:
        func: Function without arguments, or with the configuration as its argument, in which all
            other values are resolved: ``lambda config: config["width"] * 2``, or
            ``lambda spec: spec.config.width * 2``.

    Raises:
        TypeError: if ``func`` is not callable.
        SearchSpaceError: if ``func`` needs more than one argument.
    """
    return Function(func)


def grid_search(values: Iterable[Any]) -> dict[str, list[Any]]:
    """All of the given values, one after the other, in all combinations with other grids.

    Args:
        values: The values.

    Raises:
        SearchSpaceError: if ``values`` cannot be iterated over, is text, or is empty.

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
