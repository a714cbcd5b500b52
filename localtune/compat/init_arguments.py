"""Checks of the arguments of ``ray.init``."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

from localtune.utils.messages import say

# Arguments of earlier releases, and those for the developers of Ray. They have no effect on one
# machine without servers.
_WITHOUT_EFFECT = frozenset(
    {
        "_driver_object_store_memory",
        "_enable_object_reconstruction",
        "_internal_config",
        "_lru_evict",
        "_metrics_export_port",
        "_node_ip_address",
        "_node_name",
        "_plasma_directory",
        "_redis_max_memory",
        "_redis_password",
        "_redis_username",
        "_system_config",
        "_temp_dir",
        "_tracing_startup_hook",
        "allow_multiple",
        "driver_mode",
        "driver_object_store_memory",
        "gcs_server_port",
        "huge_pages",
        "include_java",
        "include_webui",
        "internal_config",
        "java_worker_options",
        "job_id",
        "load_code_from_local",
        "lru_evict",
        "node_ip_address",
        "num_redis_shards",
        "num_workers",
        "object_id_seed",
        "object_store_memory",
        "plasma_directory",
        "plasma_store_socket_name",
        "raylet_socket_name",
        "redirect_output",
        "redirect_worker_output",
        "redis_max_clients",
        "redis_max_memory",
        "redis_password",
        "redis_port",
        "redis_shard_ports",
        "start_ray_local",
        "temp_dir",
        "use_pickle",
        "use_raylet",
        "webui_host",
        "webui_port",
        "worker_path",
    }
)
_MEMORY = ("memory", "_memory")
# Addresses that mean this machine.
_HERE = (None, "", "auto", "local")
_ENVIRONMENT_INSTALLS = ("pip", "conda", "uv", "container", "image_uri")


def check_address(address: Any) -> None:
    """Refuses the address of a cluster.

    Args:
        address: What ``ray.init`` was given.

    Raises:
        ConnectionError: if it does not mean this machine.
    """
    if address in _HERE:
        return
    raise ConnectionError(
        f"ray.init() got the address {address!r}, but localtune runs on this machine only, and "
        "connects to no cluster. Leave the address out, or run the script with Ray."
    )


def check_gpus(num_gpus: Any) -> None:
    """Raises ValueError for a part of a GPU."""
    if isinstance(num_gpus, float) and not num_gpus.is_integer():
        raise ValueError(f"num_gpus must be a whole number, but got {num_gpus!r}.")


def check_unknown(kwargs: Mapping[str, Any], known_names: Iterable[str]) -> None:
    """Refuses arguments that no release of Ray has.

    Args:
        kwargs: Arguments that ``ray.init`` does not name.
        known_names: Arguments that it names.

    Raises:
        RuntimeError: for an unknown argument.
    """
    for name in kwargs.keys() - _WITHOUT_EFFECT:
        known = [*known_names, *_WITHOUT_EFFECT, *_MEMORY]
        close = difflib.get_close_matches(name, known, 1)
        hint = f" Is it {close[0]!r}?" if close else ""
        raise RuntimeError(f"ray.init() has no argument {name!r}.{hint}")


def take_resources(resources: Any, kwargs: dict[str, Any]) -> dict[str, float]:
    """Returns all resources, with the memory that earlier releases took by itself.

    Args:
        resources: ``{name: amount}``, or None.
        kwargs: Further arguments of ``ray.init``; the memory is removed from them.

    Raises:
        ValueError: for what is no dict.
    """
    if resources is not None and not isinstance(resources, Mapping):
        raise ValueError(f"resources must be a dict of names and amounts, but got {resources!r}.")
    found = dict(resources or {})
    for name in _MEMORY:
        amount = kwargs.pop(name, None)
        if amount is not None:
            found["memory"] = amount
    return found


def worker_environment(runtime_env: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """Returns the variables for workers, and the directories from which they can import.

    Args:
        runtime_env: What ``ray.init`` was given.

    Raises:
        ValueError: for what is no dict, a variable that is no text, or a remote directory.
    """
    if runtime_env is None:
        return {}, ()
    if not isinstance(runtime_env, Mapping):
        raise ValueError(f"runtime_env must be a dict, but got {runtime_env!r}.")
    variables = runtime_env.get("env_vars") or {}
    for name, value in variables.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ValueError(
                f"runtime_env['env_vars'] must have texts as names and values, but got {name!r}: "
                f"{value!r}."
            )
    for name in _ENVIRONMENT_INSTALLS:
        if runtime_env.get(name):
            say(
                f"localtune.compat: runtime_env[{name!r}] installs nothing: workers use the "
                "packages of this environment."
            )
    working_dir = runtime_env.get("working_dir")
    modules = [working_dir] if working_dir else []
    modules += [os.path.dirname(_path_of(each)) for each in runtime_env.get("py_modules") or ()]
    return dict(variables), tuple(os.path.abspath(_path_of(each)) for each in modules)


def _path_of(module: Any) -> str:
    """Returns a directory, which is given by its path or as a module."""
    paths = list(getattr(module, "__path__", ()))
    path = str(paths[0] if paths else module)
    if "://" in path:
        raise ValueError(
            f"runtime_env names {path!r}, but localtune fetches nothing. Name a local directory."
        )
    return path
