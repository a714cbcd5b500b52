"""Leaves out tests whose libraries are not in the environment: see scripts/test --extra."""

from __future__ import annotations

from importlib.util import find_spec

# They bring PyTorch.
collect_ignore = [] if find_spec("lightning") else ["test_keras.py", "test_pytorch_lightning.py"]
