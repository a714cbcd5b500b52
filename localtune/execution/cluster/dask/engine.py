"""DaskEngine: the workers of a Dask cluster.

::

      ClusterExecutor --> DaskEngine --> DaskSession (a thread) --> Line ==Dask==> Guest --> agent
                                            |            one of each for each worker
                                            +--> HeldPlacing, NodeHolds: which tasks hold what

Each Dask worker is a node. Its threads are the CPUs, and its declared resources count besides:
``dask worker ... --nthreads 8 --resources "GPU=2"``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from localtune.error import ExtraMissingError
from localtune.execution.cluster.dask.session import DaskSession
from localtune.execution.cluster.engine import (
    ClusterError,
    Engine,
    EngineAbilities,
    Inbox,
    Node,
    Place,
)


class DaskEngine(Engine):
    """Connects to a Dask cluster.

    localtune holds the threads and declared resources of a reservation with tasks, which other
    jobs of the cluster see as running. ``memory`` is counted among the trials of this run alone.

    Args:
        cluster: A ``dask.distributed.Client``, a cluster such as ``LocalCluster``, or the address
            of a scheduler, such as ``"tcp://host:8786"``. None is the address in Dask's
            configuration, which ``DASK_SCHEDULER_ADDRESS`` sets. The engine opens a connection of
            its own, so a client that is passed stays as it is.
        adaptive: Whether Dask adds workers on demand (``cluster.adapt()``).
        connect_timeout_s: Time limit to connect, in seconds.
    """

    name = "Dask"
    how_to_upload = 'distributed.Client(address).upload_file("<file>.py")'

    def __init__(
        self, cluster: Any = None, *, adaptive: bool = False, connect_timeout_s: float = 10.0
    ) -> None:
        self._cluster = cluster
        self._adaptive = adaptive
        self._connect_timeout_s = connect_timeout_s
        self._session: DaskSession | None = None

    def connect(self) -> None:
        if self._session is not None and self._session.is_alive():
            return
        address, security = _scheduler_of(self._cluster)
        session = DaskSession(
            address, security, adaptive=self._adaptive, timeout_s=self._connect_timeout_s
        )
        session.connect()
        self._session = session

    @property
    def abilities(self) -> EngineAbilities:
        session = self._session
        return EngineAbilities(reserves=session.reserved_names() if session else frozenset())

    def listen(self, inbox: Inbox) -> None:
        if self._session is not None:
            self._session.inbox = inbox

    def nodes(self) -> Sequence[Node]:
        return self._session.nodes if self._session is not None else ()

    def grows(self) -> bool:
        return self._adaptive

    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        if self._session is not None:
            self._session.call(self._session.reserve, key, bundles, strategy)

    def places(self, key: int) -> Sequence[Place] | None:
        return self._session.granted.get(key) if self._session is not None else None

    def release(self, key: int) -> None:
        if self._session is not None:
            self._session.call(self._session.release, key)

    def start_agent(self, node_id: str) -> None:
        if self._session is not None:
            self._session.call(self._session.start_agent, node_id, self.agent_module)

    def send(self, node_id: str, data: bytes) -> None:
        session = self._session
        if session is not None:
            session.call(session.send, node_id, data)

    def stop_agent(self, node_id: str) -> None:
        if self._session is not None:
            self._session.call(self._session.stop_agent, node_id)

    def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


def _scheduler_of(cluster: Any) -> tuple[str, Any]:
    """Returns the address of the scheduler, and the settings for encrypted connections.

    Raises:
        ClusterError: if none is known.
        ExtraMissingError: if Dask's package is not installed.
    """
    try:
        import dask
        import dask.distributed
    except ImportError as error:
        raise ExtraMissingError("distributed", "dask", "DaskEngine") from error
    if cluster is None:
        cluster = dask.config.get("scheduler-address", None)
    if isinstance(cluster, str):
        return cluster, None
    if hasattr(cluster, "scheduler_info") and getattr(cluster, "scheduler", None) is not None:
        return cluster.scheduler.address, cluster.security
    address = getattr(cluster, "scheduler_address", None)
    if isinstance(address, str) and address:
        return address, getattr(cluster, "security", None)
    if cluster is None:
        raise ClusterError(
            "No Dask cluster is named: set the environment variable DASK_SCHEDULER_ADDRESS, or "
            'pass cluster, such as DaskExecutor(cluster="tcp://host:8786").'
        )
    raise ClusterError(
        "cluster must be a connected dask.distributed.Client, a running cluster, or the address of "
        f'a scheduler such as "tcp://host:8786", but got {cluster!r}.'
    )
