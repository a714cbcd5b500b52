"""Leaves out the tests of what the environment was not made for: see scripts/test --extra."""

from __future__ import annotations

from importlib.util import find_spec

# The library brings PyTorch.
collect_ignore = [] if find_spec("ax") else ["test_ax.py"]
