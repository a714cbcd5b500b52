"""What an executor has to share among trials."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import SupportsFloat, SupportsIndex

from localtune.execution import machine
from localtune.execution.executor import Capacity


def declared_capacity(
    num_cpus: float | None, num_gpus: float | None, resources: Mapping[str, float] | None
) -> Capacity:
    """What an executor has to share: what the user says, and what the machine shows for the rest.

    Raises:
        ValueError: for a negative amount, or CPUs and GPUs under the name of other resources.
    """
    for name, value in (("num_cpus", num_cpus), ("num_gpus", num_gpus)):
        if value is not None and not _is_amount(value):
            raise ValueError(f"{name} must be at least 0, or None to detect, but got {value!r}.")
    if not isinstance(resources or {}, Mapping):
        raise ValueError(f"resources must be a dict of names and amounts, but got {resources!r}.")
    for name, amount in (resources or {}).items():
        if not isinstance(name, str):
            raise ValueError(f"resources must have texts as names, but got {name!r}.")
        if name.lower() in ("cpu", "gpu"):
            raise ValueError(f"resources names {name!r}: pass it as num_{name.lower()}s.")
        if not _is_amount(amount):
            raise ValueError(
                f"resources[{name!r}] must be a number of at least 0, but got {amount!r}."
            )
    total = {name: float(amount) for name, amount in (resources or {}).items()}
    ids = machine.gpu_ids()
    gpus = float(len(ids)) if num_gpus is None else float(num_gpus)
    while len(ids) < gpus:
        ids = (*ids, str(len(ids)))
    ids = ids[: math.ceil(gpus)]
    total["CPU"] = float(machine.cpu_count() if num_cpus is None else num_cpus)
    if gpus:
        total["GPU"] = gpus
    total.setdefault("memory", float(machine.memory_bytes()))
    return Capacity(total, ids)


def _is_amount(value: object) -> bool:
    return isinstance(value, (SupportsFloat, SupportsIndex)) and bool(float(value) >= 0)
