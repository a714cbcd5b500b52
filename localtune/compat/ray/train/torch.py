"""Stands for ``ray.train.torch``."""

from __future__ import annotations

from typing import Any

from localtune.compat.faces import names_of


def get_device() -> Any:
    """Returns the device that a trial trains on: its first GPU, or the CPU."""
    import torch

    return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")


def get_devices() -> list[Any]:
    """Returns the device that a trial trains on, in a list."""
    return [get_device()]


__getattr__ = names_of("ray.train.torch")
