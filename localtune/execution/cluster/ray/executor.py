"""RayExecutor: trials on the nodes of a cluster of Ray."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localtune.execution.cluster.executor import ClusterExecutor, check_options
from localtune.execution.cluster.ray.engine import RayEngine


class RayExecutor(ClusterExecutor):
    """Runs each worker in a process of its own, on a node of a cluster of Ray.

    A connection to Ray that the script has made is used, and left as it is. One that this executor
    makes stays until ``ray.shutdown()`` or the end of the script. Ray ends the process of a script
    that has connected itself one minute after the head node has gone.

    Args:
        address: Host and port of the head node; ``"auto"`` is the cluster of this node, and
            ``"local"`` a new one on this machine alone. None is what ``ray.init()`` does: the
            address in the environment variable ``RAY_ADDRESS``, else the cluster that runs on this
            machine, else a new one.
        runtime_env: The environment of the agents, and so of the trials: see Ray's documentation.
            A directory in it needs a connection that this executor makes.
        autoscales: Whether nodes may join for what is reserved and not granted.
        head_timeout_s: The cluster is lost when its head node is away for so many seconds.
        **options: Further arguments of
            :class:`~localtune.execution.cluster.executor.ClusterExecutor`.

    Raises:
        TypeError: for an unknown argument.
        ValueError: for an argument that makes no sense.

    Example:
        >>> executor = RayExecutor("10.0.0.1:6379", runtime_env={"env_vars": {"SEED": "1"}})
    """

    def __init__(
        self,
        address: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        *,
        autoscales: bool = False,
        head_timeout_s: float = 40.0,
        **options: Any,
    ) -> None:
        check_options(type(self), options)
        engine = RayEngine(
            address, runtime_env, autoscales=autoscales, head_timeout_s=head_timeout_s
        )
        super().__init__(engine, **options)
