"""Domains: the sets of values that parameters may have."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

from localtune.error import SearchSpaceError
from localtune.search.checks import finite_number, ignore_base, number, values_of, whole_number
from localtune.search.rng import RandomSource
from localtune.search.samplers import Grid, LogUniform, Normal, Quantized, Sampler, Uniform

_D = TypeVar("_D", bound="Domain")


class Domain:
    """Base class of domains: a set of values, and a sampler that draws from it.

    Sampling never changes a domain. Methods such as ``uniform()`` return a copy with another
    sampler.

    Attributes:
        sampler: The sampler; None if none was set.
    """

    default_sampler_cls: ClassVar[type[Sampler] | None] = None
    sampler: Sampler | None = None

    def cast(self, value: Any) -> Any:
        """Returns ``value`` in the type of the domain's values."""
        return value

    def set_sampler(self, sampler: Sampler, allow_override: bool = False) -> None:
        """Sets the sampler.

        Args:
            sampler: The sampler.
            allow_override: Whether it may replace an earlier one.

        Raises:
            SearchSpaceError: if the domain has a sampler that may not be replaced.
        """
        if self.sampler is not None and not allow_override:
            raise SearchSpaceError(
                f"A domain takes one sampler, but {self!r} has one already. "
                "Pass allow_override=True to replace it."
            )
        self.sampler = sampler

    def get_sampler(self) -> Sampler:
        """Returns the sampler, or the domain's default sampler.

        Raises:
            SearchSpaceError: if the domain has neither.
        """
        if self.sampler is not None:
            return self.sampler
        if self.default_sampler_cls is None:
            raise SearchSpaceError(f"{self!r} has no sampler.")
        return self.default_sampler_cls()

    def sample(self, config: Any = None, size: int = 1, random_state: RandomSource = None) -> Any:
        """Draws one value, or a list of ``size`` values if ``size`` is not 1.

        Args:
            config: The known part of the configuration, for values that are computed from it.
            size: Number of values.
            random_state: None, an integer seed, a ``random.Random``, or a generator of NumPy.
        """
        return self.get_sampler().sample(self, config=config, size=size, random_state=random_state)

    def is_grid(self) -> bool:
        """Returns whether all values are tried, one after the other."""
        return isinstance(self.sampler, Grid)

    def is_function(self) -> bool:
        """Returns whether values are computed from the rest of the configuration."""
        return False

    def is_valid(self, value: Any) -> bool:
        """Returns whether ``value`` belongs to the domain."""
        raise NotImplementedError

    @property
    def domain_str(self) -> str:
        """The set of values as text."""
        return "(unknown)"

    def draw_uniform(self, rng: random.Random) -> Any:
        """Draws one value with uniform probability."""
        raise self._cannot("uniformly")

    def draw_log_uniform(self, rng: random.Random) -> Any:
        """Draws one value with log-uniform probability."""
        raise self._cannot("log-uniformly")

    def draw_quantized(self, sampler: Sampler, q: float, rng: random.Random) -> Any:
        """Draws a value with a sampler, and rounds it to a multiple of ``q``.

        Args:
            sampler: Draws the value before rounding.
            q: The quantum, above 0.
            rng: Source of randomness.
        """
        raise self._cannot("in steps")

    def _cannot(self, how: str) -> SearchSpaceError:
        return SearchSpaceError(f"A {type(self).__name__} cannot be sampled {how}.")

    def _with(self: _D, sampler: Sampler) -> _D:
        new = copy.copy(self)
        new.set_sampler(sampler)
        return new

    def _with_quantum(self: _D, q: float) -> _D:
        new = copy.copy(self)
        new.set_sampler(Quantized(self.get_sampler(), q), allow_override=True)
        return new

    def __repr__(self) -> str:
        rule = "" if self.sampler is None else f".{self.sampler!r}"
        return f"{type(self).__name__}{self.domain_str}{rule}"


class Float(Domain):
    """Real numbers between two bounds.

    Args:
        lower: Smallest value; None for no bound.
        upper: Upper bound, which is drawn only in steps of a quantum; None for no bound.

    Raises:
        SearchSpaceError: for bounds that are no numbers, or in the wrong order.
    """

    default_sampler_cls = Uniform

    def __init__(self, lower: float | None = None, upper: float | None = None) -> None:
        self.lower = -math.inf if lower is None else number("lower", lower)
        self.upper = math.inf if upper is None else number("upper", upper)
        if self.lower > self.upper:
            raise SearchSpaceError(
                f"lower must be at most upper, but got lower={lower} and upper={upper}."
            )

    def cast(self, value: Any) -> float:
        return float(value)

    def is_valid(self, value: Any) -> bool:
        return _is_within(self.lower, value, self.upper)

    @property
    def domain_str(self) -> str:
        return f"({self.lower}, {self.upper})"

    def uniform(self) -> Float:
        """Returns a copy with a uniform distribution.

        Raises:
            SearchSpaceError: without two finite bounds.
        """
        finite_number("lower", self.lower)
        finite_number("upper", self.upper)
        return self._with(Uniform())

    def loguniform(self, base: float = 10) -> Float:
        """Returns a copy with a log-uniform distribution.

        Args:
            base: Ignored.

        Raises:
            SearchSpaceError: without two finite bounds above 0.
        """
        ignore_base(base)
        if not self.lower > 0:
            raise SearchSpaceError(
                f"lower must be above 0 on a log scale, but got {self.lower}. "
                "Use a small positive number."
            )
        finite_number("lower", self.lower)
        finite_number("upper", self.upper)
        return self._with(LogUniform())

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> Float:
        """Returns a copy with a normal distribution.

        Args:
            mean: Mean of the distribution.
            sd: Standard deviation, above 0.

        Raises:
            SearchSpaceError: if the domain has bounds, or for ``sd`` out of its range.
        """
        if not self.lower == -math.inf or not self.upper == math.inf:
            raise SearchSpaceError(
                f"A normal distribution has no bounds, but got {self.domain_str}."
            )
        return self._with(Normal(mean, sd))

    def quantized(self, q: float) -> Float:
        """Returns a copy that draws only multiples of ``q``, both bounds included.

        Raises:
            SearchSpaceError: if ``q`` is not above 0, or does not divide a finite bound.
        """
        new = self._with_quantum(q)
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if math.isfinite(bound) and not math.isclose(bound / q, round(bound / q)):
                raise SearchSpaceError(
                    f"{name} must be a multiple of q={q}, but got {bound}. Use "
                    f"{round(bound / q) * q:g}, for example, or another q."
                )
        return new

    def draw_uniform(self, rng: random.Random) -> float:
        share = rng.random()
        span = self.upper - self.lower
        if math.isinf(span):
            value = self.lower * (1 - share) + self.upper * share
        else:
            value = self.lower + span * share
        return self._below_upper(value)

    def draw_log_uniform(self, rng: random.Random) -> float:
        low, high = math.log(self.lower), math.log(self.upper)
        return self._below_upper(max(self.lower, math.exp(low + (high - low) * rng.random())))

    def draw_quantized(self, sampler: Sampler, q: float, rng: random.Random) -> float:
        multiple = round(sampler.draw(self, rng) / q) * q
        # A rounding error may put the multiple beyond a bound.
        return float(min(max(multiple, self.lower), self.upper))

    def _below_upper(self, value: float) -> float:
        """Returns ``value``, or the number before ``upper`` if rounding has made it ``upper``."""
        if value < self.upper:
            return value
        return max(math.nextafter(self.upper, -math.inf), self.lower)


class Integer(Domain):
    """Whole numbers.

    Args:
        lower: Smallest value.
        upper: Upper bound, which is drawn only in steps of a quantum above 1.

    Raises:
        SearchSpaceError: for bounds that are no whole numbers, or in the wrong order.
    """

    default_sampler_cls = Uniform

    def __init__(self, lower: int, upper: int) -> None:
        self.lower = whole_number("lower", lower)
        self.upper = whole_number("upper", upper)
        if self.lower >= self.upper:
            raise SearchSpaceError(
                f"lower must be below upper, but got lower={lower} and upper={upper}."
            )

    def cast(self, value: Any) -> int:
        return int(value)

    def is_valid(self, value: Any) -> bool:
        return _is_within(self.lower, value, self.upper)

    @property
    def domain_str(self) -> str:
        return f"({self.lower}, {self.upper})"

    def uniform(self) -> Integer:
        """Returns a copy with a uniform distribution."""
        return self._with(Uniform())

    def loguniform(self, base: float = 10) -> Integer:
        """Returns a copy with a log-uniform distribution.

        Args:
            base: Ignored.

        Raises:
            SearchSpaceError: if ``lower`` is not above 0.
        """
        ignore_base(base)
        if self.lower <= 0:
            raise SearchSpaceError(f"lower must be above 0 on a log scale, but got {self.lower}.")
        return self._with(LogUniform())

    def quantized(self, q: int) -> Integer:
        """Returns a copy that draws only multiples of ``q``.

        Both bounds are included, except with ``q=1``, where ``upper`` is not.

        Raises:
            SearchSpaceError: if ``q`` is no whole number above 0, or has no multiple in range.
        """
        q = whole_number("q", q)
        new = self._with_quantum(q)
        low, high = self._quotients(q)
        if low > high:
            raise SearchSpaceError(
                f"There must be a multiple of q={q} from lower to upper, "
                f"but got lower={self.lower} and upper={self.upper}."
            )
        return new

    def draw_uniform(self, rng: random.Random) -> int:
        return rng.randrange(self.lower, self.upper)

    def draw_log_uniform(self, rng: random.Random) -> int:
        low, high = math.log(self.lower), math.log(self.upper)
        value = math.floor(math.exp(low + (high - low) * rng.random()))
        return min(max(value, self.lower), self.upper - 1)

    def draw_quantized(self, sampler: Sampler, q: float, rng: random.Random) -> int:
        if q == 1:
            return int(sampler.draw(self, rng))
        step = int(q)
        low, high = self._quotients(step)
        return step * int(sampler.draw(Integer(low, high + 1), rng))

    def _quotients(self, q: int) -> tuple[int, int]:
        """Returns the smallest and the largest factor whose product with ``q`` is in range."""
        return -(-self.lower // q), self.upper // q


class Categorical(Domain):
    """A list of values of any types.

    Args:
        categories: The values.

    Raises:
        TypeError: if ``categories`` cannot be iterated over.
        SearchSpaceError: if it is empty.
    """

    default_sampler_cls = Uniform

    def __init__(self, categories: Iterable[Any]) -> None:
        self.categories = values_of("A choice", categories)

    def __len__(self) -> int:
        return len(self.categories)

    def __getitem__(self, item: Any) -> Any:
        return self.categories[item]

    def is_valid(self, value: Any) -> bool:
        return any(is_same(category, value) for category in self.categories)

    @property
    def domain_str(self) -> str:
        return f"({self.categories!r})"

    def uniform(self) -> Categorical:
        """Returns a copy with a uniform distribution."""
        return self._with(Uniform())

    def grid(self) -> Categorical:
        """Returns a copy whose values are all tried, one after the other."""
        return self._with(Grid())

    def draw_uniform(self, rng: random.Random) -> Any:
        return self.categories[rng.randrange(len(self.categories))]


def is_same(first: Any, second: Any) -> bool:
    """Returns whether two values are equal; an array is equal only to itself.

    Args:
        first: Any value.
        second: Any value.
    """
    if first is second:
        return True
    try:
        return bool(first == second)
    except Exception:
        # Comparing arrays gives no single truth value.
        return False


def _is_within(lower: float, value: Any, upper: float) -> bool:
    try:
        return bool(lower <= value <= upper)
    except (TypeError, ValueError):
        return False
