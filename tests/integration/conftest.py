"""Leaves out tests for which the environment is not made: see scripts/test --extra heavy."""

from __future__ import annotations

from importlib.util import find_spec

# The first two bring PyTorch. The sweeps of Hydra take half a minute; one of them runs always.
collect_ignore = (
    []
    if find_spec("lightning")
    else ["test_keras.py", "test_pytorch_lightning.py", "hydra/test_sweep.py"]
)
