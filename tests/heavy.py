"""Tells whether tests run in the environment of the extra ``heavy``, with time for long ones."""

from __future__ import annotations

from importlib.util import find_spec

# Of the libraries of that extra, PyTorch is the one that all others need.
IS_HEAVY = find_spec("torch") is not None
