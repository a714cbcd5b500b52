"""ScalingConfig: resources in the words of Ray Train."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localtune.resources import PlacementGroupFactory


@dataclass
class ScalingConfig:
    """Resources of a trainer and its workers, which ``tune.with_resources`` takes as one sum.

    Attributes:
        trainer_resources: {resource name: amount} of the trainer; None is one CPU.
        num_workers: Number of workers; None is none.
        use_gpu: Whether each worker has a GPU.
        resources_per_worker: {resource name: amount}; None is one CPU, and a GPU with ``use_gpu``.
        placement_strategy: Has no effect on one machine.
        accelerator_type: Has no effect on one machine.

    Example:
        >>> ScalingConfig(num_workers=2, trainer_resources={"CPU": 0}).total_resources
        {'CPU': 2.0}
    """

    trainer_resources: Mapping[str, float] | None = None
    num_workers: Any = None
    use_gpu: Any = False
    resources_per_worker: Mapping[str, float] | None = None
    placement_strategy: Any = "PACK"
    accelerator_type: str | None = None

    def as_placement_group_factory(self) -> PlacementGroupFactory:
        """Returns the request of a trial."""
        own = {"CPU": 1.0} if self.trainer_resources is None else dict(self.trainer_resources)
        worker = {"GPU": 1.0} if self.use_gpu else {}
        worker = {**worker, **(self.resources_per_worker or ({} if self.use_gpu else {"CPU": 1.0}))}
        return PlacementGroupFactory([own, *[worker] * (self.num_workers or 0)])

    def __call__(self, config: Mapping[str, Any]) -> PlacementGroupFactory:
        """Returns the request of a trial; ``tune.with_resources`` takes such a function.

        Args:
            config: The trial's configuration, which has no influence.
        """
        return self.as_placement_group_factory()

    @property
    def total_resources(self) -> dict[str, float]:
        """Sum of all resources."""
        return self.as_placement_group_factory().required_resources

    @property
    def num_cpus_per_worker(self) -> float:
        """CPUs of a worker."""
        return (self.resources_per_worker or {"CPU": 0 if self.use_gpu else 1}).get("CPU", 0)

    @property
    def num_gpus_per_worker(self) -> float:
        """GPUs of a worker."""
        return (self.resources_per_worker or {}).get("GPU", int(bool(self.use_gpu)))
