"""DaskExecutor: trials on the workers of a Dask cluster."""

from __future__ import annotations

from typing import Any

from localtune.execution.cluster.dask.engine import DaskEngine
from localtune.execution.cluster.executor import ClusterExecutor, check_options


class DaskExecutor(ClusterExecutor):
    """Runs each trial in a process of its own, on a worker of a Dask cluster.

    Each Dask worker needs localtune and the code of the trainable, in the same versions as here,
    and must see the storage of the run. A trial takes threads of its worker and declared
    resources; other jobs of the cluster see them as taken. If a Dask worker declares GPUs
    (``--resources "GPU=2"``), they are those that ``CUDA_VISIBLE_DEVICES`` of the worker names,
    or the first ones of the machine: set the variable where a machine has several workers. A
    worker of dask-cuda has its own GPU without a declaration.

    Args:
        cluster: A ``dask.distributed.Client``, which stays as it is, a cluster such as
            ``LocalCluster``, or the address of a scheduler, such as ``"tcp://host:8786"``. None is
            the address in Dask's configuration, which ``DASK_SCHEDULER_ADDRESS`` sets.
        adaptive: Whether Dask adds workers on demand (``cluster.adapt()``).
        connect_timeout_s: Time limit to connect, in seconds.
        **settings: Settings of :class:`~localtune.execution.cluster.executor.ClusterExecutor`.

    Raises:
        TypeError: for an unknown argument.
        ValueError: for an argument that makes no sense.

    Example:
        ``Tuner(objective, executor=DaskExecutor("tcp://host:8786"))``
    """

    def __init__(
        self,
        cluster: Any = None,
        *,
        adaptive: bool = False,
        connect_timeout_s: float = 10.0,
        **settings: Any,
    ) -> None:
        check_options(type(self), settings)
        engine = DaskEngine(cluster, adaptive=adaptive, connect_timeout_s=connect_timeout_s)
        super().__init__(engine, **settings)
