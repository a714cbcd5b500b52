"""How values of a domain are drawn."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from localtune.error import SearchSpaceError
from localtune.search.checks import finite_number, ignore_base
from localtune.search.rng import RandomSource, as_random

if TYPE_CHECKING:
    from localtune.search.domains import Domain


class Sampler:
    """Base class: a rule by which a domain is sampled. Override ``draw``."""

    def sample(
        self,
        domain: Domain,
        config: Any = None,
        size: int = 1,
        random_state: RandomSource = None,
    ) -> Any:
        """One value, or a list of ``size`` values if ``size`` is not 1.

        Args:
            domain: What to sample.
            config: What is known of the configuration so far.
            size: How many values.
            random_state: See :func:`localtune.search.rng.derive_seed`.
        """
        rng = as_random(random_state)
        if size == 1:
            return domain.cast(self.draw(domain, rng))
        return [domain.cast(self.draw(domain, rng)) for _ in range(size)]

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        """One value, drawn from ``rng`` and from nothing else."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return "uniform()"


class Uniform(Sampler):
    """Each value alike."""

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        return domain.draw_uniform(rng)


class LogUniform(Sampler):
    """Each order of magnitude alike.

    Args:
        base: Ignored: the distribution does not depend on it.
    """

    def __init__(self, base: float = 10) -> None:
        ignore_base(base)

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        return domain.draw_log_uniform(rng)

    def __repr__(self) -> str:
        return "loguniform()"


class Normal(Sampler):
    """Normally distributed.

    Args:
        mean: Mean.
        sd: Standard deviation, above 0.

    Raises:
        SearchSpaceError: for a mean that is not finite, or ``sd`` out of its range.
    """

    def __init__(self, mean: float = 0.0, sd: float = 1.0) -> None:
        self.mean = finite_number("mean", mean)
        self.sd = finite_number("sd", sd)
        if self.sd <= 0:
            raise SearchSpaceError(f"sd must be above 0, but got {sd!r}.")

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        return rng.gauss(self.mean, self.sd)

    def __repr__(self) -> str:
        return f"normal({self.mean}, {self.sd})"


class Grid(Sampler):
    """Marks a domain whose values are all tried in turn."""

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        raise SearchSpaceError("The values of a grid are tried in turn; they cannot be sampled.")

    def __repr__(self) -> str:
        return "grid()"


class Quantized(Sampler):
    """Only multiples of a quantum.

    Args:
        sampler: How values are drawn.
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
        """How values are drawn before they are made multiples of the quantum."""
        return self.sampler

    def draw(self, domain: Domain, rng: random.Random) -> Any:
        return domain.draw_quantized(self.sampler, self.q, rng)

    def __repr__(self) -> str:
        return f"{self.sampler!r}.quantized({self.q})"
