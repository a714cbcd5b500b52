"""Stands for ``ray``: the names are looked up when they are first used."""

from __future__ import annotations

from typing import Any

from localtune._lazy import lazy_names
from localtune.compat.faces import names_of
from localtune.compat.release import RAY_VERSION as __version__  # noqa: F401

__commit__ = ""
_NAMES = {
    "initialization": (
        "available_resources",
        "cluster_resources",
        "init",
        "is_initialized",
        "nodes",
        "shutdown",
        "timeline",
    ),
    "getting": ("get", "put", "wait"),
    "objects": ("ObjectRef",),
    "remote": ("cancel", "get_actor", "kill", "method", "remote"),
    "runtime_context": (
        "LOCAL_MODE",
        "SCRIPT_MODE",
        "WORKER_MODE",
        "get_gpu_ids",
        "get_runtime_context",
    ),
}
_OF_MODULES = {name: f"compat.{module}" for module, names in _NAMES.items() for name in names}
_further = names_of("ray")
_look_up = lazy_names(__name__, _OF_MODULES)


def __getattr__(name: str) -> Any:
    if name in _OF_MODULES:
        return _look_up(name)
    if name == "ObjectID":
        return _look_up("ObjectRef")
    return _further(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_OF_MODULES})
