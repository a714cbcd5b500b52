"""Leaves out the tests that need PyTorch where it is not installed."""

from __future__ import annotations

from tests.heavy import IS_HEAVY

collect_ignore = [] if IS_HEAVY else ["test_tensors.py"]
