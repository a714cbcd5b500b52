"""Leaves out tests whose libraries are not in the environment: see scripts/test --extra."""

from __future__ import annotations

from importlib.util import find_spec

# Ax brings PyTorch, which the other one needs, too.
collect_ignore = [] if find_spec("ax") else ["test_ax.py", "test_optuna_gp.py"]
