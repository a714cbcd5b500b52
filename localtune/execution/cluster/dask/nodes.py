"""Makes nodes of what a Dask scheduler and its workers tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localtune.execution.cluster.dask.guest import Facts
from localtune.execution.cluster.dask.holds import NodeHolds
from localtune.execution.cluster.engine import Node
from localtune.utils.text import text_of


def node_of(
    node_id: str, details: Mapping[str, Any], facts: Facts | None
) -> tuple[Node, NodeHolds]:
    """Makes the node of a worker.

    Args:
        node_id: Its id.
        details: What the scheduler tells of the worker.
        facts: What the worker tells; None if it cannot, and no trial can run there.
    """
    declared = {name: float(amount) for name, amount in details["resources"].items()}
    declared.pop("CPU", None)
    gpu_ids = _gpu_ids(int(declared.get("GPU", 0)), facts)
    limit = details.get("memory_limit") or (facts.memory if facts else 0)
    resources = {
        "memory": float(limit),
        **declared,
        "CPU": float(details["nthreads"]),
        "GPU": float(len(gpu_ids)),
    }
    resources = {name: amount for name, amount in resources.items() if amount}
    host = facts.host if facts else details["host"]
    name = f"{host} (Dask worker {details['name']})"
    node = Node(node_id, name, resources, str(details["host"]))
    return node, NodeHolds(resources, declared, gpu_ids, usable=facts is not None)


def _gpu_ids(count: int, facts: Facts | None) -> Sequence[str]:
    """Returns the GPUs of a worker that declares so many."""
    if facts is None:
        return [str(number) for number in range(count)]
    if not count:
        return facts.gpu_ids[:1] if facts.owns_gpu else ()
    if facts.hides_gpus or len(facts.gpu_ids) >= count:
        return facts.gpu_ids[:count]
    return [str(number) for number in range(count)]


def why_no_guest(error: Exception) -> str:
    """Returns why localtune cannot be loaded in a worker; "" for another error."""
    from localtune._version import __version__

    text = text_of(error)
    if isinstance(error, OSError) or not ("Error" in text or isinstance(error, ImportError)):
        return ""
    if "No module named 'localtune'" in text:
        return (
            "localtune is not installed in the environment of this Dask worker. Install the "
            f'version of this machine there: pip install "localtune-runner=={__version__}"'
        )
    return (
        f"its Dask worker cannot load localtune ({text}). Install the version of this machine "
        f'there: pip install "localtune-runner=={__version__}"'
    )
