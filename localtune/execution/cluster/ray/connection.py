"""Connects to a cluster of Ray, or says within seconds why that cannot be.

Ray itself tries for minutes to connect to an address where nobody, or another software, answers;
no signal ends that. So the address is tried before Ray is asked. The head node of Ray speaks HTTP/2
(gRPC): it answers the greeting of that protocol with a frame of settings.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from localtune.error import ExtraMissingError
from localtune.execution.cluster.engine import ClusterError
from localtune.utils.messages import get_logger
from localtune.utils.text import text_of

logger = get_logger(__name__)

_PROBE_TIMEOUT_S = 5.0
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
# A frame starts with its length (3 bytes) and its type; 4 is that of settings.
_FRAME_HEADER_BYTES = 9
_SETTINGS = 4
# Ray ends the process of a script when the head node has been away for this time, in seconds. The
# engine notices it earlier, and lets the run end in good order.
_RECONNECT = "RAY_gcs_rpc_server_reconnect_timeout_s"
_HOW_TO_START = (
    'Start one with "ray start --head", and pass the address that it shows, or address="local" for '
    "a cluster of this machine alone."
)


def import_ray() -> Any:
    """Returns the module ``ray``.

    Raises:
        ExtraMissingError: if it is not installed.
    """
    try:
        import ray
    except ImportError:
        raise ExtraMissingError("ray", "ray", "RayExecutor") from None
    return ray


# {id of a job: environment}. Each connection is a job of its own, also one of the script's.
_environments: dict[str, Mapping[str, Any] | None] = {}


def has_environment(runtime_env: Mapping[str, Any]) -> bool:
    """Returns whether the connection of this process gives an environment to all that it starts.

    Args:
        runtime_env: The environment.
    """
    return _environments.get(_job_id()) == runtime_env


def connect(address: str | None, runtime_env: Mapping[str, Any] | None = None) -> str:
    """Connects this process to a cluster, or takes the connection that it has.

    Args:
        address: See :class:`~localtune.execution.cluster.ray.engine.RayEngine`.
        runtime_env: The environment of all that a new connection starts. Ray uploads directories
            for a connection, and not for an actor.

    Returns:
        The address of the head node's server.

    Raises:
        ClusterError: if that cannot be.
        ExtraMissingError: if Ray is not installed.
    """
    ray = import_ray()
    if ray.is_initialized():
        connected_to = str(ray.get_runtime_context().gcs_address)
        if address not in (None, "auto", "local") and _resolved(ray, str(address)) != connected_to:
            raise ClusterError(
                f"This script is connected to the Ray cluster at {connected_to}, so it cannot use "
                f"the one at {address}. Leave out address, or call ray.shutdown() before."
            )
        return connected_to
    known = _known_address(address)
    if known is None and address is None and not os.environ.get("RAY_ADDRESS"):
        logger.warning(
            "There is no Ray cluster on this machine, and RAY_ADDRESS names no other one. So Ray "
            "starts one here, for this script alone. To ask for that without a warning, pass "
            'address="local".'
        )
    if known is not None:
        _prove_that_ray_answers(_resolved(ray, known[0]), *known)
    with _as_it_was(has_cluster=known is not None):
        try:
            ray.init(
                address=address,
                runtime_env=None if runtime_env is None else dict(runtime_env),
                log_to_driver=False,
                logging_level=logging.WARNING,
            )
        except Exception as error:  # Ray raises all kinds, also for other versions.
            where = f" at {known[0]}" if known else ""
            raise ClusterError(
                f"Ray cannot connect to the cluster{where}: {text_of(error)}"
            ) from error
    _environments[_job_id()] = runtime_env
    return str(ray.get_runtime_context().gcs_address)


def _job_id() -> str:
    return str(import_ray().get_runtime_context().get_job_id())


def answers(address: str, timeout_s: float = 1.0) -> bool:
    """Returns whether anybody takes a connection at an address.

    Args:
        address: Host and port.
        timeout_s: The most seconds to wait.
    """
    host, port = _split(address)
    try:
        socket.create_connection((host, port), timeout_s).close()
    except OSError:
        return False
    return True


def _known_address(address: str | None) -> tuple[str, str] | None:
    """Returns host and port of the cluster that Ray will look for, and who has named it.

    None is a new cluster of this machine.
    """
    if address == "local":
        return None
    if address not in (None, "auto"):
        return _checked(address), "address"
    variable = os.environ.get("RAY_ADDRESS", "")
    if variable not in ("", "auto", "local"):
        return _checked(variable), "the environment variable RAY_ADDRESS"
    # Ray writes it when a cluster starts on this machine, and removes it at its end.
    path = os.path.join(os.environ.get("RAY_TMPDIR") or "/tmp", "ray", "ray_current_cluster")
    with contextlib.suppress(OSError), open(path, encoding="utf-8") as file:
        latest = file.read().strip()
        if latest:
            return _checked(latest), f"{path}, which Ray left for its latest cluster"
    return None


def _checked(address: str | None) -> str:
    text = str(address)
    if "://" in text:
        raise ClusterError(
            f"{text!r} is no address of a Ray cluster that localtune can use: it must be host:port "
            "of the head node, such as 10.0.0.1:6379, and the script must run on a node of the "
            'cluster, for instance by "ray job submit".'
        )
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise ClusterError(
            f"An address of a Ray cluster is host:port, such as 10.0.0.1:6379, but got {text!r}."
        )
    return text


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _resolved(ray: Any, address: str) -> str:
    """Returns the address as Ray takes it: a node is never 127.0.0.1, but has its own address."""
    host, port = _split(_checked(address))
    with contextlib.suppress(OSError):
        host = socket.gethostbyname(host)
    if host.startswith("127.") or host == "::1":
        host = ray.util.get_node_ip_address()
    return f"{host}:{port}"


def _prove_that_ray_answers(resolved: str, address: str, source: str) -> None:
    """Raises a ClusterError if nobody or another software answers.

    Args:
        resolved: The address as Ray takes it.
        address: The address as it was given.
        source: Where it comes from.
    """
    where = address if resolved == address else f"{address} (for Ray, this is {resolved})"
    named = f"{where}, the address from {source}" if source != "address" else where
    try:
        with socket.create_connection(_split(resolved), _PROBE_TIMEOUT_S) as connection:
            if os.environ.get("RAY_USE_TLS", "0") not in ("", "0"):
                return  # Only Ray has the certificates.
            if _is_http2(connection):
                return
    except OSError as error:
        raise ClusterError(
            f"No Ray cluster answers at {named}: {text_of(error)}. {_HOW_TO_START}"
        ) from None
    raise ClusterError(
        f"What answers at {named} is no Ray cluster. {_HOW_TO_START} "
        "The scheduler of a Dask cluster is for DaskExecutor."
    )


def _is_http2(connection: socket.socket) -> bool:
    give_up_at = time.monotonic() + _PROBE_TIMEOUT_S
    answer = b""
    try:
        connection.sendall(_GREETING)
        while len(answer) < _FRAME_HEADER_BYTES:
            connection.settimeout(max(give_up_at - time.monotonic(), 0.001))
            data = connection.recv(_FRAME_HEADER_BYTES - len(answer))
            if not data:
                return False
            answer += data
    except OSError:
        return False
    return answer[3] == _SETTINGS


@contextlib.contextmanager
def _as_it_was(*, has_cluster: bool) -> Iterator[None]:
    """Undoes what ``ray.init`` changes in this process.

    Args:
        has_cluster: Whether the cluster is there already. Only then may Ray's own processes get
            by without their head: those of a new cluster must end with it.
    """
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGTERM)
    sets_variable = has_cluster and _RECONNECT not in os.environ
    if sets_variable:
        os.environ[_RECONNECT] = "1000000"
    try:
        yield
    finally:
        if sets_variable:
            del os.environ[_RECONNECT]
        if is_main and handler is not None:
            signal.signal(signal.SIGTERM, handler)
