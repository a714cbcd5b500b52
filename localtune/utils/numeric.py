"""Tells numbers from other values; booleans do not count as numbers."""

from __future__ import annotations

import numbers
from typing import Any, TypeGuard


def is_real(value: Any) -> TypeGuard[float]:
    """Tells whether a value is a real number of any library; NaN and infinities count."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
