"""Where random numbers come from: one generator, whatever the user seeds.

Draws are made by :class:`random.Random`, so that they do not depend on whether NumPy is installed.
Other sources only seed one.
"""

from __future__ import annotations

import builtins
import operator
import random
import sys
from typing import Protocol, SupportsIndex, runtime_checkable


@runtime_checkable
class BytesSource(Protocol):
    """What NumPy's ``Generator`` and ``RandomState`` have in common."""

    def bytes(self, length: int) -> builtins.bytes:
        """``length`` random bytes."""


RandomSource = SupportsIndex | random.Random | BytesSource | None


def derive_seed(random_state: RandomSource = None) -> int:
    """A seed from whatever the user gave as ``random_state``.

    Args:
        random_state: An integer is the seed itself. A ``random.Random``, or a generator of
            NumPy, is drawn from. None draws from NumPy's global generator if NumPy is imported
            and from Python's otherwise, so that seeding those makes a run repeatable.

    Raises:
        TypeError: for anything else.
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
    """Whether :func:`derive_seed` takes a value; nothing is drawn from it."""
    return value is None or isinstance(value, (SupportsIndex, random.Random, BytesSource))


def as_random(random_state: RandomSource = None) -> random.Random:
    """A generator to draw from; see :func:`derive_seed`. A ``random.Random`` is used itself.

    Raises:
        TypeError: for a source that is none.
    """
    if isinstance(random_state, random.Random):
        return random_state
    return random.Random(derive_seed(random_state))
