"""Samplers: the rules by which the values of a domain are drawn."""

from __future__ import annotations

import random
from typing import Any, Protocol

from localtune.error import SearchSpaceError
from localtune.search.checks import finite_number, ignore_base
from localtune.search.rng import RandomSource, as_random


class SampledDomain(Protocol):
    """The part of a :class:`~localtune.search.domains.Domain` that samplers use."""

    def cast(self, value: Any) -> Any:
        """Returns a value in the type of the domain's values."""

    def draw_uniform(self, rng: random.Random) -> Any:
        """Draws one value with uniform probability."""

    def draw_log_uniform(self, rng: random.Random) -> Any:
        """Draws one value with log-uniform probability."""

    def draw_quantized(self, sampler: Sampler, q: float, rng: random.Random) -> Any:
        """Draws a value and rounds it to a multiple of ``q``.

        Args:
            sampler: Draws the value.
            q: Step between the values.
            rng: Source of random numbers.
        """


class Sampler:
    """Base class of the rules by which a domain is sampled. Override ``draw``."""

    def sample(
        self,
        domain: SampledDomain,
        config: Any = None,
        size: int = 1,
        random_state: RandomSource = None,
    ) -> Any:
        """Draws one value, or a list of ``size`` values if ``size`` is not 1.

        Args:
            domain: The domain to sample.
            config: The known part of the configuration; samplers ignore it.
            size: Number of values.
            random_state: See :func:`localtune.search.rng.derive_seed`.
        """
        rng = as_random(random_state)
        if size == 1:
            return domain.cast(self.draw(domain, rng))
        return [domain.cast(self.draw(domain, rng)) for _ in range(size)]

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        """Draws one value.

        Args:
            domain: The domain to sample.
            rng: The only source of randomness.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        return "uniform()"

    def __str__(self) -> str:
        """Returns the name of the class; FLAML knows samplers by it."""
        return type(self).__name__


# A second name of the class.
BaseSampler = Sampler


class Uniform(Sampler):
    """Draws all values with the same probability."""

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        return domain.draw_uniform(rng)


class LogUniform(Sampler):
    """Draws all orders of magnitude with the same probability.

    Args:
        base: Has no effect, because the distribution does not depend on it.

    Attributes:
        base: The argument.
    """

    def __init__(self, base: float = 10) -> None:
        ignore_base(base)
        self.base = base

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        return domain.draw_log_uniform(rng)

    def __repr__(self) -> str:
        return "loguniform()"


class Normal(Sampler):
    """Draws normally distributed values.

    Args:
        mean: Mean of the distribution.
        sd: Standard deviation, above 0.

    Raises:
        SearchSpaceError: for a mean that is not finite, or ``sd`` out of its range.
    """

    def __init__(self, mean: float = 0.0, sd: float = 1.0) -> None:
        self.mean = finite_number("mean", mean)
        self.sd = finite_number("sd", sd)
        if self.sd <= 0:
            raise SearchSpaceError(f"sd must be above 0, but got {sd!r}.")

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        return rng.gauss(self.mean, self.sd)

    def __repr__(self) -> str:
        return f"normal({self.mean}, {self.sd})"


class Grid(Sampler):
    """Marks a domain whose values are all tried, one after the other."""

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        raise SearchSpaceError("A grid cannot be sampled: its values are tried in turn.")

    def __repr__(self) -> str:
        return "grid()"


class Quantized(Sampler):
    """Draws multiples of a quantum.

    Args:
        sampler: Draws the values before rounding.
        q: The quantum, above 0.

    Raises:
        SearchSpaceError: for a quantum out of its range.
    """

    def __init__(self, sampler: Sampler, q: float) -> None:
        if finite_number("q", q) <= 0:
            raise SearchSpaceError(f"q must be above 0, but got {q!r}.")
        self.sampler = sampler
        self.q = q

    def get_sampler(self) -> Sampler:
        """Returns the sampler that draws the values before rounding."""
        return self.sampler

    def draw(self, domain: SampledDomain, rng: random.Random) -> Any:
        return domain.draw_quantized(self.sampler, self.q, rng)

    def __repr__(self) -> str:
        return f"{self.sampler!r}.quantized({self.q})"
