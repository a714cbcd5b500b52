"""Sources of randomness for search spaces and searchers.

All draws are made by :class:`random.Random`, so that they do not depend on NumPy. Other sources
only give a seed.
"""

from __future__ import annotations

import builtins
import operator
import random
import sys
from typing import Protocol, SupportsIndex, runtime_checkable


@runtime_checkable
class BytesSource(Protocol):
    """The common interface of NumPy's ``Generator`` and ``RandomState``."""

    def bytes(self, length: int) -> builtins.bytes:
        """Returns ``length`` random bytes."""


RandomSource = SupportsIndex | random.Random | BytesSource | None


def derive_seed(random_state: RandomSource = None) -> int:
    """Returns a seed for a ``random_state`` argument.

    Args:
        random_state: An integer is the seed itself. From a ``random.Random`` or a generator of
            NumPy, a seed is drawn. None draws from NumPy's global generator if NumPy is imported,
            and from Python's otherwise, so that seeding these makes a run repeatable.

    Raises:
        TypeError: for any other value.
    """
    if random_state is None:
        numpy = sys.modules.get("numpy")
        if numpy is None:
            return random.getrandbits(64)
        random_state = numpy.random
    if isinstance(random_state, random.Random):
        return random_state.getrandbits(64)
    if isinstance(random_state, SupportsIndex):
        return operator.index(random_state)
    if isinstance(random_state, BytesSource):
        return int.from_bytes(random_state.bytes(8), "little")
    raise TypeError(
        "random_state must be None, an integer, a random.Random, or a Generator or RandomState "
        f"of NumPy, but got {random_state!r}."
    )


def is_random_source(value: object) -> bool:
    """Returns whether :func:`derive_seed` accepts a value; draws nothing."""
    return value is None or isinstance(value, (SupportsIndex, random.Random, BytesSource))


def as_random(random_state: RandomSource = None) -> random.Random:
    """Returns a generator for a ``random_state`` argument; a ``random.Random`` is returned itself.

    Args:
        random_state: See :func:`derive_seed`.

    Raises:
        TypeError: for any other value.
    """
    if isinstance(random_state, random.Random):
        return random_state
    return random.Random(derive_seed(random_state))
