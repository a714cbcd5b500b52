"""Leaves out tests that take long, unless there is time for them."""

from __future__ import annotations

from tests.heavy import IS_HEAVY

# Each of its tests trains networks in a program of its own.
collect_ignore = [] if IS_HEAVY else ["test_digits_again.py"]
