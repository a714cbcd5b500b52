"""Resources: the resources of a trial in the words of early releases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.resources import PlacementGroupFactory


class Resources(PlacementGroupFactory):
    """Resources of a trial: its own, and those of processes that it starts.

    Args:
        cpu: Number of CPUs.
        gpu: Number of GPUs.
        memory: Bytes.
        object_store_memory: Has no effect.
        extra_cpu: CPUs of further processes.
        extra_gpu: GPUs of further processes.
        extra_memory: Bytes of further processes.
        extra_object_store_memory: Has no effect.
        custom_resources: {resource name: amount}.
        extra_custom_resources: {resource name: amount} of further processes.
        has_placement_group: Has no effect.

    Example:
        >>> Resources(cpu=1, gpu=0.5, extra_cpu=2).required_resources
        {'CPU': 3.0, 'GPU': 0.5}
    """

    def __init__(
        self,
        cpu: float,
        gpu: float,
        memory: float = 0,
        object_store_memory: float = 0,
        extra_cpu: float = 0,
        extra_gpu: float = 0,
        extra_memory: float = 0,
        extra_object_store_memory: float = 0,
        custom_resources: Mapping[str, float] | None = None,
        extra_custom_resources: Mapping[str, float] | None = None,
        has_placement_group: bool = False,
    ) -> None:
        own: dict[str, Any] = {**(custom_resources or {}), "CPU": cpu, "GPU": gpu, "memory": memory}
        extra = {
            **(extra_custom_resources or {}),
            "CPU": extra_cpu,
            "GPU": extra_gpu,
            "memory": extra_memory,
        }
        super().__init__([own, extra] if any(extra.values()) else [own])
