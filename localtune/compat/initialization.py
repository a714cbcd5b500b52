"""``ray.init`` and ``ray.shutdown``, and what they say of the machine."""

from __future__ import annotations

import json
import platform
import shutil
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any

from localtune.compat import cluster
from localtune.compat.cluster import Limits
from localtune.compat.errors import RaySystemError
from localtune.compat.init_arguments import (
    check_address,
    check_gpus,
    check_unknown,
    take_resources,
    worker_environment,
)
from localtune.compat.release import RAY_VERSION
from localtune.compat.runtime_context import NODE_IP, node_id
from localtune.utils.messages import say


def init(
    address: str | None = None,
    *,
    num_cpus: float | None = None,
    num_gpus: float | None = None,
    resources: Mapping[str, float] | None = None,
    labels: Mapping[str, str] | None = None,
    object_store_memory: int | None = None,
    local_mode: bool = False,
    ignore_reinit_error: bool = False,
    include_dashboard: bool | None = None,
    dashboard_host: str | None = None,
    dashboard_port: int | None = None,
    job_config: Any = None,
    configure_logging: bool = True,
    logging_level: Any = None,
    logging_format: str | None = None,
    logging_config: Any = None,
    log_to_driver: bool = True,
    namespace: str | None = None,
    runtime_env: Mapping[str, Any] | None = None,
    storage: str | None = None,
    enable_resource_isolation: bool = False,
    system_reserved_cpu: float | None = None,
    system_reserved_memory: int | None = None,
    **kwargs: Any,
) -> RayContext:
    """Sets the limits of what runs, and remote functions, may use of this machine.

    The arguments that are not listed are accepted for compatibility, and have no effect: there is
    no server and no dashboard.

    Args:
        address: None, ``"local"`` or ``"auto"``: this machine.
        num_cpus: CPUs; None is all that this process may use.
        num_gpus: GPUs; None is all that this process may use.
        resources: Further resources, ``{name: amount}``.
        labels: Accepted for compatibility.
        object_store_memory: Accepted for compatibility: objects are files.
        local_mode: Whether trials and remote functions run in this process, one after the other.
        ignore_reinit_error: Whether a second call has no effect; by default it is an error.
        include_dashboard: Accepted for compatibility.
        dashboard_host: Accepted for compatibility.
        dashboard_port: Accepted for compatibility.
        job_config: Accepted for compatibility.
        configure_logging: Accepted for compatibility.
        logging_level: Accepted for compatibility.
        logging_format: Accepted for compatibility.
        logging_config: Accepted for compatibility.
        log_to_driver: Accepted for compatibility.
        namespace: Accepted for compatibility.
        runtime_env: ``env_vars`` are variables for workers; ``working_dir`` and ``py_modules``
            directories from which workers can import. Nothing is installed.
        storage: Accepted for compatibility.
        enable_resource_isolation: Accepted for compatibility.
        system_reserved_cpu: Accepted for compatibility.
        system_reserved_memory: Accepted for compatibility.
        **kwargs: Arguments of earlier releases: ``memory`` is a resource, the others are accepted
            for compatibility.

    Returns:
        What is known of the cluster. As a context manager it calls :func:`shutdown` at its end.

    Raises:
        RuntimeError: for a second call in the process of the script, or an unknown argument.
        ConnectionError: for the address of a cluster.
        ValueError: for an amount that makes no sense.
    """
    check_address(address)
    check_address(kwargs.pop("redis_address", None))
    variables, paths = worker_environment(runtime_env)
    all_resources = take_resources(resources, kwargs)
    limits = Limits(num_cpus, num_gpus, all_resources, local_mode, variables, paths)
    check_unknown(kwargs, init.__kwdefaults__ or ())
    check_gpus(num_gpus)
    here = cluster.current()
    if here is None:
        return RayContext(cluster.begin(limits))
    # A child or a worker, which may run the code of the script again, has the script's cluster.
    if here.is_own and not ignore_reinit_error:
        raise RuntimeError(
            "ray.init() was called before in this process, or a run or a remote function has "
            "started with the whole machine. Call ray.init() first, pass ignore_reinit_error=True, "
            "or call ray.shutdown() before."
        )
    return RayContext(here)


def shutdown(_exiting_interpreter: bool = False) -> None:
    """Ends what :func:`init` has begun: remote functions stop, and objects are removed.

    Args:
        _exiting_interpreter: Accepted for compatibility.
    """
    cluster.end()


def is_initialized() -> bool:
    """Returns whether :func:`init` was called, or a run or a remote function has started."""
    return cluster.current() is not None


def cluster_resources() -> dict[str, float]:
    """Returns all resources, ``{name: amount}``.

    Raises:
        ray.exceptions.RaySystemError: before :func:`init`.
    """
    here = _initialized()
    return {
        **here.facts.resources,
        "object_store_memory": float(shutil.disk_usage(here.facts.directory).total),
        f"node:{NODE_IP}": 1.0,
        "node:__internal_head__": 1.0,
    }


def available_resources() -> dict[str, float]:
    """Returns the resources that no run and no remote function of this process holds."""
    here = cluster.ensure()
    taken = here.taken()
    # A resource of which nothing is left is not listed.
    return {
        name: amount - taken.get(name, 0.0)
        for name, amount in cluster_resources().items()
        if amount > taken.get(name, 0.0)
    }


def nodes() -> list[dict[str, Any]]:
    """Returns this machine, as the one node of a cluster.

    Raises:
        ray.exceptions.RaySystemError: before :func:`init`.
    """
    resources = cluster_resources()
    return [
        {
            "NodeID": node_id(),
            "Alive": True,
            "alive": True,
            "NodeManagerAddress": NODE_IP,
            "NodeManagerHostname": platform.node(),
            "NodeName": NODE_IP,
            "Resources": resources,
            "Labels": {},
        }
    ]


def timeline(filename: str | None = None) -> list[dict[str, Any]] | None:
    """Returns an empty list: localtune records no trace. ``localtune report`` shows a run.

    Args:
        filename: File to write the list to, as JSON; None returns it.
    """
    _initialized()
    if filename is None:
        return []
    with open(filename, "w", encoding="utf-8") as file:
        json.dump([], file)
    say("localtune.compat: ray.timeline() has written an empty trace; see localtune report.")
    return None


class RayContext(Mapping[str, Any]):
    """Describes what :func:`init` has begun; a mapping of its addresses.

    Args:
        here: The cluster.

    Attributes:
        address_info: The same mapping, as a dict.
        dashboard_url: "": there is no dashboard.
        python_version: Version of Python.
        ray_version: The release of Ray whose names localtune has.
        ray_commit: "".
    """

    def __init__(self, here: cluster.Cluster) -> None:
        self.address_info: dict[str, Any] = {
            "node_ip_address": NODE_IP,
            "raylet_ip_address": NODE_IP,
            "redis_address": None,
            "object_store_address": here.facts.directory,
            "raylet_socket_name": None,
            "webui_url": "",
            "session_dir": here.facts.directory,
            "metrics_export_port": None,
            "gcs_address": NODE_IP,
            "address": NODE_IP,
            "node_id": node_id(),
        }
        self.dashboard_url = ""
        self.python_version = platform.python_version()
        self.ray_version = RAY_VERSION
        self.ray_commit = ""

    def __getitem__(self, key: str) -> Any:
        return self.address_info[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.address_info)

    def __len__(self) -> int:
        return len(self.address_info)

    def __enter__(self) -> RayContext:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        """Calls :func:`shutdown`."""
        shutdown()

    def __repr__(self) -> str:
        return (
            f"RayContext(dashboard_url='', python_version={self.python_version!r}, "
            f"ray_version={self.ray_version!r}, ray_commit='')"
        )


def _initialized() -> cluster.Cluster:
    here = cluster.current()
    if here is None:
        raise RaySystemError("ray.init() has not been called.")
    return here
