"""Shapes: descriptions of domains in the terms that search libraries use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, TypeAlias

from localtune.search.domains import Categorical, Domain, Float, Integer, is_same
from localtune.search.samplers import LogUniform, Normal, Quantized, Uniform
from localtune.utils.text import one_line


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers between two bounds, both included.

    Attributes:
        lower: Smallest value.
        upper: Largest value; 2 for ``randint(0, 3)``.
        is_integer: Whether all values are whole.
        is_log: Whether the distribution is log-uniform.
        q: Quantum that all values are multiples of; None for none.
    """

    lower: float
    upper: float
    is_integer: bool = False
    is_log: bool = False
    q: float | None = None

    def fit(self, value: Any) -> Any:
        """Returns the allowed value that is nearest to ``value``, as an int or float."""
        number = float(value)
        if math.isnan(number):
            raise ValueError("A parameter must be a number, but got NaN.")
        if self.q is not None:
            number = round(number / self.q) * self.q
        if not self.is_integer:
            return float(min(max(number, self.lower), self.upper))
        # Rounding goes through float, which is not exact for large ints.
        whole = value if isinstance(value, int) and self.q is None else round(number)
        return int(min(max(whole, self.lower), self.upper))

    def contains(self, value: Any) -> bool:
        """Returns whether ``value`` is allowed, up to rounding errors."""
        if not _has_float(value):
            return False
        number = float(value)
        if not self.lower <= number <= self.upper:
            return False
        return math.isclose(number, self.fit(value), rel_tol=1e-9, abs_tol=1e-12) or (
            not self.is_integer and self.q is None
        )

    def scale(self) -> tuple[float, float]:
        """Returns bounds for a library of real numbers; logarithms if ``is_log``."""
        # Almost half a step wider, so that both ends are as likely as the values between them.
        half = 0.4999 * (self.q or (1.0 if self.is_integer else 0.0))
        lower, upper = self.lower - half, self.upper + half
        return (math.log(lower), math.log(upper)) if self.is_log else (float(lower), float(upper))

    def at(self, place: float) -> Any:
        """Returns the value at a place on :meth:`scale`."""
        return self.fit(math.exp(place) if self.is_log else place)

    def place_of(self, value: float) -> float:
        """Returns the place of a value on :meth:`scale`."""
        return math.log(value) if self.is_log else float(value)


@dataclass(frozen=True, slots=True)
class Normals:
    """Normally distributed numbers, without bounds.

    Attributes:
        mean: Mean of the distribution.
        sd: Standard deviation.
        q: Quantum that all values are multiples of; None for none.
    """

    mean: float
    sd: float
    q: float | None = None

    def fit(self, value: Any) -> float:
        """Returns the allowed value that is nearest to ``value``."""
        number = float(value)
        return number if self.q is None else float(round(number / self.q) * self.q)

    def contains(self, value: Any) -> bool:
        """Returns whether ``value`` is allowed, up to rounding errors."""
        return (
            _has_float(value)
            and math.isfinite(float(value))
            and math.isclose(float(value), self.fit(value), abs_tol=1e-12)
        )


@dataclass(frozen=True, slots=True)
class Options:
    """A choice.

    Attributes:
        values: The options, which may hold domains.
    """

    values: tuple[Any, ...]

    def labels(self) -> tuple[Any, ...]:
        """Returns one plain value per option, all different.

        These are the options themselves if all of them are numbers, texts, bools or None.
        Otherwise they are texts that begin with the number of the option.
        """
        plain = all(isinstance(value, (str, int, float, type(None))) for value in self.values)
        if plain and not any(
            is_same(first, second)
            for number, first in enumerate(self.values)
            for second in self.values[:number]
        ):
            return self.values
        return tuple(f"{number}: {one_line(value)}" for number, value in enumerate(self.values))


Shape: TypeAlias = Numbers | Normals | Options


def _has_float(value: Any) -> bool:
    """Returns whether a value can be converted to a float, and is no bool."""
    return not isinstance(value, bool) and hasattr(value, "__float__")


def shape_of(domain: Domain) -> Shape | None:
    """Returns the shape of a domain; None for domains and samplers that users have written."""
    if isinstance(domain, Categorical):
        return Options(tuple(domain.categories)) if type(domain.get_sampler()) is Uniform else None
    sampler: Any = domain.get_sampler()
    q = None
    if type(sampler) is Quantized:
        sampler, q = sampler.get_sampler(), sampler.q
    if isinstance(domain, Float) and type(sampler) is Normal:
        return Normals(sampler.mean, sampler.sd, q)
    if type(sampler) not in (Uniform, LogUniform):
        return None
    is_log = type(sampler) is LogUniform
    if isinstance(domain, Float):
        finite = math.isfinite(domain.lower) and math.isfinite(domain.upper)
        return Numbers(domain.lower, domain.upper, False, is_log, q) if finite else None
    if not isinstance(domain, Integer):
        return None
    if q is None or q == 1:
        return Numbers(domain.lower, domain.upper - 1, True, is_log)
    lower, upper = -(-domain.lower // q) * q, domain.upper // q * q
    return Numbers(lower, upper, True, is_log, q)
