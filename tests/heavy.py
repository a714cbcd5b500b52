"""Which tests run where: those that need large libraries, and those that take long."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from importlib.util import find_spec
from typing import Any

import pytest

# Of the libraries of the extra ``heavy``, PyTorch is the one that all others need.
IS_HEAVY = find_spec("torch") is not None


def long_but(short: Collection[Any], values: Iterable[Any]) -> list[Any]:
    """Returns the values of a parameter, of which all but some are marked ``long``.

    Args:
        short: The values with which a test runs in each run of ``scripts/test``.
        values: All values; a tuple is one case of several parameters.
    """
    return [
        value
        if value in short
        else pytest.param(*(value if isinstance(value, tuple) else [value]), marks=pytest.mark.long)
        for value in values
    ]
